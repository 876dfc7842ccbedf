"""The published procedure on vLLM itself; run it where vLLM is installed.

VLLM_CPU_KVCACHE_SPACE=1 pytest tests/test_decoding_benchmark_vllm.py
"""

from __future__ import annotations

import importlib.util
import os
from pathlib import Path
from typing import Any

import pytest
from tiny_models import tiny_llama
from tiny_tokenizers import byte_level

from decoding.backend import Backend
from decoding.generation import Draft, Generation
from selfrag.evaluation.decoding_benchmark.published import (
    PublishedOnTransformers,
    PublishedOnVllm,
)

pytestmark = [
    pytest.mark.skipif(
        importlib.util.find_spec("vllm") is None,
        reason="vLLM is not installed; it needs an environment of its own",
    ),
    pytest.mark.filterwarnings("ignore"),
    pytest.mark.timeout(900),
]


def decode(backend: Backend, generations: list[Generation]) -> list[Draft]:
    tickets = [backend.submit(generation) for generation in generations]
    backend.step()
    found = dict(backend.poll())
    return [found[ticket] for ticket in tickets]


def test_both_engines_write_the_same_with_the_same_tables(tmp_path: Path) -> None:
    os.environ.setdefault("VLLM_CPU_KVCACHE_SPACE", "1")
    os.environ["VLLM_ENABLE_V1_MULTIPROCESSING"] = "0"
    tokenizer = byte_level(special=True)
    model = tiny_llama(
        len(tokenizer),
        context=128,
        hidden_size=128,
        head_dim=32,
        intermediate_size=256,
        initializer_range=0.15,
    )
    model.save_pretrained(tmp_path)
    tokenizer.save_pretrained(tmp_path)
    stops = frozenset({tokenizer.eos_token_id})
    requests = [
        Generation(tuple(range(start, start + 9)), 6, stop_ids=stops, read_ids=(5, 7, 400))
        for start in (10, 60, 200)
    ]
    options: dict[str, Any] = {"fingerprint": "tiny", "table": 200, "rows": 2}
    expected = decode(PublishedOnTransformers(model, **options), requests)
    found = decode(PublishedOnVllm(tmp_path, **options), requests)
    for one, other in zip(found, expected, strict=True):
        assert one.token_ids == other.token_ids
        assert one.log_probabilities == pytest.approx(other.log_probabilities, abs=1e-4)
        assert one.readings[0] == pytest.approx(other.readings[0], abs=1e-4)
