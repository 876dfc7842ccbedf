"""llama.cpp itself, over GGUF files that are written here, against the reference.

pip install gguf llama-cpp-python
pytest tests/engines/test_gguf.py -s
"""

from __future__ import annotations

import importlib.util
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from engine_parity import assert_same, random_requests, run_all
from gguf_files import write_gguf
from tiny_models import tiny_llama
from tiny_tokenizers import llama

from decoding.backend import Backend
from decoding.codec import PromptCodec
from decoding.config import DecodingConfig
from decoding.engine import BatchedEngine
from decoding.errors import PromptTooLong
from decoding.generation import Draft, Generation
from decoding.prompt import PromptBuilder
from decoding.reference import ReferenceEngine
from decoding.vocabulary import ReflectionVocabulary
from selfrag import SelfRAG
from selfrag.answer import Answer
from selfrag.backends.checkpoint import Checkpoint, load_checkpoint
from selfrag.backends.errors import EngineError, ModelMismatch
from selfrag.backends.llamacpp import LlamaCppEngine
from selfrag.backends.precision_effect import effect_prompts, measure_effect
from selfrag.errors import ModelNotFound
from selfrag.rag import EMBEDDED_MODEL

pytestmark = [
    pytest.mark.skipif(
        importlib.util.find_spec("llama_cpp") is None or importlib.util.find_spec("gguf") is None,
        reason="llama-cpp-python and gguf are not installed (docs/engines.md)",
    ),
    pytest.mark.filterwarnings("ignore"),
    pytest.mark.timeout(600),
]
TOLERANCE = 1e-5

Tiny = tuple[Path, Any, Any]


@pytest.fixture(scope="module")
def tiny(checkpoint: Tiny) -> Tiny:
    """A float32 file, the model that it holds, and its tokenizer."""
    folder, model, tokenizer = checkpoint
    return write_gguf(folder.parent / "tiny.gguf", model, tokenizer), model, tokenizer


@pytest.fixture(scope="module")
def mini() -> Checkpoint:
    return load_checkpoint(EMBEDDED_MODEL, device="cpu")


@pytest.fixture(scope="module")
def mini_file(mini: Checkpoint, tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("mini") / "mini.gguf"
    return write_gguf(path, mini.model, mini.tokenizer)


def opened(tiny: Tiny, **limits: int) -> LlamaCppEngine:
    path, _, tokenizer = tiny
    vocabulary = ReflectionVocabulary.from_tokenizer(tokenizer)
    return LlamaCppEngine.open(path, tokenizer, vocabulary, **limits)


@pytest.fixture
def engine(tiny: Tiny) -> Iterator[LlamaCppEngine]:
    made = opened(tiny)
    yield made
    made.close()


def reference(tiny: Tiny, requests: list[Generation]) -> list[Draft]:
    return run_all(ReferenceEngine(tiny[1], fingerprint="tiny"), requests)


@pytest.mark.parametrize(
    ("rows", "cells", "batch"),
    [
        pytest.param(16, 16_384, 512, id="as opened"),
        pytest.param(48, 16_384, 2048, id="all in one batch"),
        pytest.param(4, 128, 512, id="room for one or two"),
        pytest.param(1, 128, 512, id="one by one"),
        pytest.param(5, 200, 7, id="prompts in parts"),
        pytest.param(2, 256, 1, id="token by token"),
    ],
)
def test_equals_the_reference(tiny: Tiny, rows: int, cells: int, batch: int) -> None:
    engine = opened(tiny, rows=rows, cells=cells, batch=batch)
    assert isinstance(engine, Backend)
    read = ReflectionVocabulary.from_tokenizer(tiny[2]).read_ids
    requests = random_requests(3, 48, len(tiny[2]), read)
    expected = reference(tiny, requests)
    found = run_all(engine, requests)
    differences = []
    for ours, theirs in zip(found, expected, strict=True):
        assert_same(ours, theirs, TOLERANCE)
        pairs = [(ours.log_probabilities, theirs.log_probabilities)]
        pairs += [(ours.readings[at], values) for at, values in theirs.readings.items()]
        differences += [abs(a - b) for one, two in pairs for a, b in zip(one, two, strict=True)]
    assert len({draft.finish for draft in expected}) == 3
    print(f"{len(differences)} log-probabilities, largest difference {max(differences):.2e}")
    engine.close()


def test_a_shared_beginning_is_not_computed_again(tiny: Tiny, engine: LlamaCppEngine) -> None:
    """32 branches behind one prompt, in turns of 16, and then a branch's child."""
    trunk = tuple(range(60))
    run_all(engine, [Generation(trunk, max_tokens=0)])
    assert engine.forwarded_tokens == 60
    branches = [Generation((*trunk, 100 + at, 7), max_tokens=3) for at in range(32)]
    expected = reference(tiny, branches)
    for ours, theirs in zip(run_all(engine, branches), expected, strict=True):
        assert_same(ours, theirs, TOLERANCE)
    assert engine.forwarded_tokens == 60 + 32 * (2 + 3)
    child = Generation((*branches[-1].prompt_ids, *expected[-1].token_ids, 9), max_tokens=2)
    assert_same(run_all(engine, [child])[0], reference(tiny, [child])[0], TOLERANCE)
    assert engine.forwarded_tokens == 60 + 32 * 5 + 1 + 2


def test_branches_that_end_early_leave_the_others_exact(tiny: Tiny, engine: LlamaCppEngine) -> None:
    """Of six rows of one batch two are cut and two cancelled; what they kept is built on."""
    prompts = [(5, 6, 7, 8, 40 + at) for at in range(6)]
    whole = [Generation(prompt, max_tokens=30) for prompt in prompts]
    expected = reference(tiny, whole)
    watches = [None, None, lambda partial: len(partial.token_ids) == 4] * 2
    tickets = [engine.submit(*pair) for pair in zip(whole, watches, strict=True)]
    drafts: dict[int, Draft] = {}
    while len(engine.progress(tickets[0])) < 6:
        engine.step()
    for at in (1, 4):
        assert engine.progress(tickets[at]) == expected[at].token_ids[:6]
        engine.cancel(tickets[at])
    while len(drafts) < len(tickets):
        engine.step()
        drafts.update(engine.poll())
    found = [drafts[ticket] for ticket in tickets]
    assert [draft.finish for draft in found] == ["limit", "cancelled", "cut"] * 2
    for at, draft in enumerate(found):
        length = {"limit": 30, "cancelled": 6, "cut": 4}[draft.finish]
        assert draft.token_ids == expected[at].token_ids[:length]
        assert draft.log_probabilities == pytest.approx(
            expected[at].log_probabilities[:length], abs=2 * TOLERANCE
        )
    for ours, theirs in zip(run_all(engine, whole), expected, strict=True):
        assert_same(ours, theirs, TOLERANCE)


def test_the_whole_context_and_no_more(tiny: Tiny, engine: LlamaCppEngine) -> None:
    assert engine.context_limit == tiny[1].config.max_position_embeddings
    full = Generation((3, 1, 4), max_tokens=engine.context_limit - 3)
    assert_same(run_all(engine, [full])[0], reference(tiny, [full])[0], TOLERANCE)
    with pytest.raises(PromptTooLong):
        engine.submit(Generation((3, 1, 4), max_tokens=engine.context_limit - 2))
    small = opened(tiny, cells=100)
    with pytest.raises(PromptTooLong):
        small.submit(Generation((3, 1, 4), max_tokens=98))
    small.close()
    with pytest.raises(EngineError, match=r"for 514 sequences: .*n_seq_max must be <= 256"):
        opened(tiny, rows=257)


def test_files_that_do_not_fit_are_refused(tiny: Tiny, tmp_path: Path) -> None:
    path, model, tokenizer = tiny
    vocabulary = ReflectionVocabulary.from_tokenizer(tokenizer)
    other = tmp_path / "other.gguf"
    write_gguf(other, model, tokenizer, texts={vocabulary.is_rel.ids[0]: "[UNUSED]"})
    with pytest.raises(ModelMismatch, match=r"at 1 control ids: \[Irrelevant\]"):
        LlamaCppEngine.open(other, tokenizer, vocabulary)
    plain = min(vocabulary.read_ids)
    write_gguf(other, tiny_llama(plain), tokenizer)
    with pytest.raises(ModelMismatch, match="at 15 control ids"):
        LlamaCppEngine.open(other, tokenizer, vocabulary)
    other.write_bytes(path.read_bytes()[:-1000])
    with pytest.raises(ModelNotFound, match="data is not within the file bounds"):
        LlamaCppEngine.open(other, tokenizer, vocabulary)


@pytest.mark.parametrize("special", [True, False])
def test_a_vocabulary_of_sentencepiece(tmp_path: Path, special: bool) -> None:
    """As the published models have one; control tokens typed as control or as user-defined."""
    tokenizer = llama(legacy=False, special=special)
    model = tiny_llama(len(tokenizer), seed=4, initializer_range=0.25)
    made = (write_gguf(tmp_path / "model.gguf", model, tokenizer), model, tokenizer)
    engine = opened(made)
    read = ReflectionVocabulary.from_tokenizer(tokenizer).read_ids
    requests = random_requests(5, 8, len(tokenizer), read)
    for ours, theirs in zip(run_all(engine, requests), reference(made, requests), strict=True):
        assert_same(ours, theirs, TOLERANCE)
    engine.close()


@pytest.mark.parametrize(("kind", "tolerance"), [("F32", 1e-6), ("BF16", 0.02), ("Q8_0", 0.04)])
def test_what_bits_do_to_the_reflection_tokens(
    mini: Checkpoint, tmp_path: Path, kind: str, tolerance: float
) -> None:
    path = write_gguf(tmp_path / "model.gguf", mini.model, mini.tokenizer, kind)
    engine = LlamaCppEngine.open(path, mini.tokenizer, mini.vocabulary)
    exact = BatchedEngine(mini.model, fingerprint=mini.fingerprint)
    builder = PromptBuilder(PromptCodec(mini.tokenizer, mini.vocabulary), mini.vocabulary)
    effect = measure_effect(exact, engine, mini.vocabulary, effect_prompts(builder))
    for name, found in effect.items():
        print(f"{kind} {name}: {found}")
        assert found.positions and found.largest is not None
        assert found.largest < tolerance and found.changed == 0
    largest = max(found.largest or 0.0 for found in effect.values())
    assert kind == "F32" or largest > 1e-4  # else the file was not rounded
    engine.close()


@pytest.mark.parametrize("form", ["short", "long"])
def test_answers_are_the_built_in_engines(mini_file: Path, form: Any) -> None:
    questions = [
        "What is the capital of Burkina Faso?",
        "What is the currency of the country whose capital is Ouagadougou?",
        "Write a sentence about autumn.",
    ]
    answers = []
    for engine in ("batched", str(mini_file)):
        with SelfRAG.from_pretrained(engine=engine, config=DecodingConfig(form=form)) as rag:
            answers.append(rag.ask_many(questions))
    differences = []
    for theirs, ours in zip(*answers, strict=True):
        print(f"{form}: {ours.text!r}")
        assert ours.text == theirs.text and ours.citations == theirs.citations
        assert ours.answerable == theirs.answerable
        for one, two in zip(_numbers(ours), _numbers(theirs), strict=True):
            assert one == pytest.approx(two, abs=1e-5)
            differences += [abs(a - b) for a, b in zip(one, two, strict=True)]
    print(f"{form}: {len(differences)} numbers, largest difference {max(differences):.2e}")
    assert len(differences) > 20


def _numbers(answer: Answer) -> Iterator[list[float]]:
    """What was measured at each decision, and of each segment of the answer."""
    for decision in answer.decisions:
        measured = (decision.p_retrieve, decision.p_continue, decision.mass)
        yield [value for value in measured if value is not None]
    for segment in answer.segments:
        measured = (segment.p_relevant, segment.utility, segment.sequence, segment.score)
        support = (segment.p_supported or {}).values()
        yield [value for value in (*measured, *support) if value is not None]
