"""The benchmark's systems on vLLM itself; run it where vLLM is installed.

VLLM_CPU_KVCACHE_SPACE=1 pytest tests/test_decoding_benchmark_vllm.py

What it reserves for keys and values is more than these tests need without that variable.
"""

from __future__ import annotations

import importlib.util
import os
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from decoding_benchmark_helpers import QUESTIONS, setup, workload
from scripted_rag import prompts
from tiny_models import tiny_llama
from tiny_tokenizers import byte_level

from decoding.backend import Backend
from decoding.generation import Draft, Generation
from selfrag.evaluation.decoding_benchmark.apart import Apart
from selfrag.evaluation.decoding_benchmark.published import (
    PublishedOnTransformers,
    PublishedOnVllm,
)
from selfrag.evaluation.decoding_benchmark.turns import take_turn

END = frozenset(prompts().vocabulary.eos_ids)

pytestmark = [
    pytest.mark.skipif(
        importlib.util.find_spec("vllm") is None,
        reason="vLLM is not installed; it needs an environment of its own",
    ),
    pytest.mark.filterwarnings("ignore"),
    pytest.mark.timeout(900),
]


def save_model(folder: Path) -> Any:
    """A random Llama that likes control tokens, with heads that vLLM has kernels for."""
    os.environ.setdefault("VLLM_CPU_KVCACHE_SPACE", "1")
    tokenizer = byte_level(special=True)
    model = tiny_llama(
        len(tokenizer),
        seed=3,
        context=256,
        hidden_size=128,
        head_dim=32,
        intermediate_size=256,
        initializer_range=0.15,
    )
    with torch.no_grad():
        model.lm_head.weight[list(prompts().vocabulary.read_ids)] *= 1.6
    model.save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return model


def test_both_engines_write_the_same_with_the_same_tables(tmp_path: Path) -> None:
    model = save_model(tmp_path)
    requests = [
        Generation(tuple(range(start, start + 9)), 6, stop_ids=END, read_ids=(5, 7, 400))
        for start in (10, 60, 200)
    ]
    options: dict[str, Any] = {"fingerprint": "tiny", "table": 200, "rows": 2}
    expected = decode(PublishedOnTransformers(model, **options), requests)
    engine = PublishedOnVllm(tmp_path, eager=True, **options)
    found = decode(engine, requests)
    engine.close()
    for one, other in zip(found, expected, strict=True):
        assert one.token_ids == other.token_ids
        assert one.log_probabilities == pytest.approx(other.log_probabilities, abs=1e-4)
        assert one.readings[0] == pytest.approx(other.readings[0], abs=1e-4)


def test_our_search_on_vllm_gives_our_answers(tmp_path: Path) -> None:
    made = setup()
    made.weights = replace(made.weights, model=save_model(tmp_path))
    made.folder, made.eager = tmp_path, True
    with closing(Apart(made)) as process:
        for form in ("short", "long", "short"):  # the last time with an emptied cache
            load = workload(form)
            expected = take_turn("ours", made, load, QUESTIONS).answers
            turn = process.turn("vllm", load, QUESTIONS)
            for (text, score), (known, value) in zip(turn.answers, expected, strict=True):
                assert text == known
                assert score == pytest.approx(value, abs=1e-4)
            assert turn.peak_bytes is None or turn.peak_bytes > 2**30


def decode(backend: Backend, generations: list[Generation]) -> list[Draft]:
    tickets = [backend.submit(generation) for generation in generations]
    backend.step()
    found = dict(backend.poll())
    return [found[ticket] for ticket in tickets]
