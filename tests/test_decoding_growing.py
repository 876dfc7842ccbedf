"""A grown model computes what the small one computes."""

from __future__ import annotations

from dataclasses import replace
from functools import lru_cache
from typing import Any

import pytest
import torch
from tiny_models import tiny_llama

from decoding.codec import PromptCodec
from decoding.config import DecodingConfig
from decoding.engine import BatchedEngine
from decoding.prompt import PromptBuilder
from retrievers import open_retriever
from selfrag.backends.checkpoint import load_checkpoint
from selfrag.evaluation.decoding_benchmark.growing import (
    SHAPE_134M,
    CannotGrow,
    Shape,
    grown,
    shape_of,
)
from selfrag.rag import EMBEDDED_INDEX, EMBEDDED_MODEL, EMBEDDED_RETRIEVER, SelfRAG

LARGER = Shape(layers=3, width=80, heads=5, head_size=24, intermediate=130, vocabulary=500)
MIDDLE = Shape(layers=7, width=324, heads=9, head_size=64, intermediate=720, vocabulary=1000)
QUESTIONS = (
    "What is the capital of Burkina Faso?",
    "Who wrote Hamlet?",
    "What is the symbol of gold?",
    "How high is Mount Kenya?",
    "In which country is the Eiffel Tower?",
    "What is the currency of Japan?",
    "Hello there!",
    "Who invented the telephone?",
    "Which river flows through Vienna?",
    "What is 3 plus 4?",
    "Is a whale a mammal?",
    "How many moons does Mars have?",
)


def small(**options: Any) -> Any:
    return tiny_llama(300, num_key_value_heads=4, tie_word_embeddings=False, **options)


def logits(model: Any, ids: torch.Tensor) -> torch.Tensor:
    with torch.inference_mode():
        found: torch.Tensor = model(ids).logits
    return found


def test_logits_stay_and_added_ids_have_no_probability() -> None:
    model = small()
    larger = grown(model, LARGER)
    ids = torch.randint(0, 300, (3, 60), generator=torch.Generator().manual_seed(1))
    before, after = logits(model, ids), logits(larger, ids)
    assert shape_of(larger) == LARGER
    assert torch.allclose(after[..., :300], before, atol=1e-4)
    assert after[..., 300:].max() < -1000
    assert after.softmax(-1)[..., 300:].sum() == 0


def test_epsilon_of_the_norms_is_kept() -> None:
    # With an epsilon as large as the hidden values, a wrong one is seen at once.
    model = small(rms_norm_eps=0.5)
    ids = torch.arange(40)[None]
    assert torch.allclose(
        logits(grown(model, LARGER), ids)[..., :300], logits(model, ids), atol=1e-4
    )


def test_positions_matter_as_before() -> None:
    # Pairs of a head at wrong frequencies agree at position 0 and nowhere else.
    model = small(rope_parameters={"rope_theta": 50.0, "rope_type": "default"})
    ids = torch.full((1, 200), 7)
    ids[0, 0] = 9
    larger = grown(model, LARGER)
    assert torch.allclose(logits(larger, ids)[..., :300], logits(model, ids), atol=1e-4)


@pytest.mark.parametrize(
    ("options", "shape", "reason"),
    [
        ({"num_key_value_heads": 2}, LARGER, "share keys"),
        ({"tie_word_embeddings": True}, LARGER, "tied"),
        ({"attention_bias": True}, LARGER, "biases"),
        ({}, replace(LARGER, width=48), "one channel"),
        ({}, replace(LARGER, head_size=20), "no multiple of 12"),
        ({}, replace(LARGER, layers=1), "layers is 2"),
    ],
)
def test_what_would_change_the_function_is_refused(
    options: dict[str, Any], shape: Shape, reason: str
) -> None:
    settings = {"num_key_value_heads": 4, "tie_word_embeddings": False, **options}
    with pytest.raises(CannotGrow, match=reason):
        grown(tiny_llama(300, **settings), shape)


@lru_cache
def mini() -> Any:
    return load_checkpoint(EMBEDDED_MODEL, dtype="float32")


def prompts() -> PromptBuilder:
    return PromptBuilder(PromptCodec(mini().tokenizer, mini().vocabulary), mini().vocabulary)


def test_the_embedded_model_in_the_134m_shape() -> None:
    larger = grown(mini().model)
    assert shape_of(larger) == SHAPE_134M
    weights = sum(weight.numel() for weight in larger.parameters())
    assert weights == 2 * 32_016 * 768 + 12 * (4 * 768**2 + 3 * 768 * 2048 + 2 * 768) + 768
    passage = prompts().passage("Ouagadougou", "Ouagadougou is the capital of Burkina Faso.")
    ids = torch.tensor([[*prompts().question(QUESTIONS[0]), *passage]])
    before, after = logits(mini().model, ids), logits(larger, ids)
    assert (after[..., :916] - before).abs().max() < 1e-4
    assert after[..., 916:].max() < -1000


def test_a_dozen_questions_get_the_same_answers() -> None:
    retriever = open_retriever(EMBEDDED_INDEX, EMBEDDED_RETRIEVER)
    config = DecodingConfig(form="short", passages=3, max_segment_tokens=40, prune=False)
    answers = []
    for model in (mini().model, grown(mini().model, MIDDLE)):
        engine = BatchedEngine(model, fingerprint="mini")
        with SelfRAG(
            engine, prompts(), retriever, config=config, calibration=mini().calibration
        ) as rag:
            answers.append(rag.ask_many(QUESTIONS))
    for before, after in zip(*answers, strict=True):
        assert (after.text, after.status) == (before.text, before.status)
        assert after.score == pytest.approx(before.score, abs=1e-4)
