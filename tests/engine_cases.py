"""Tiny Llamas, requests of every kind, and how the tests of the engine run and compare them."""

from __future__ import annotations

import math
import random
from collections.abc import Sequence
from functools import lru_cache
from typing import Any

import pytest
import torch
from tiny_models import tiny_llama

from decoding.engine import BatchedEngine
from decoding.generation import Draft, Generation, Watch

VOCABULARY = 200
CONTEXT = 96
POSITION = 2 * 2 * 2 * 12 * 4
"""Bytes of one position of the grouped variant: keys and values, layers, heads, size, float32."""
VARIANTS: dict[str, dict[str, Any]] = {
    "grouped": {},
    "every head its own keys": {"num_key_value_heads": 4},
    "one key head, tied": {"num_key_value_heads": 1, "tie_word_embeddings": True},
    "wide heads": {"head_dim": 20},
    "narrow heads, tied": {"head_dim": 8, "tie_word_embeddings": True},
    "biases": {"attention_bias": True, "mlp_bias": True},
    "llama3 positions": {
        "rope_parameters": {
            "rope_type": "llama3",
            "rope_theta": 10000.0,
            "factor": 8.0,
            "low_freq_factor": 1.0,
            "high_freq_factor": 4.0,
            "original_max_position_embeddings": 32,
        }
    },
}


@lru_cache
def model(variant: str = "grouped") -> Any:
    options = {"initializer_range": 0.25, **VARIANTS[variant]}
    made = tiny_llama(VOCABULARY, seed=len(variant), context=CONTEXT, **options)
    torch.manual_seed(1)
    for name, parameter in made.named_parameters():
        if name.endswith("bias"):
            torch.nn.init.normal_(parameter, std=0.3)
    return made


def batched(variant: str = "grouped", **options: Any) -> BatchedEngine:
    return BatchedEngine(model(variant), fingerprint="tiny", **options)


def run(
    engine: Any,
    generations: Sequence[Generation],
    watches: Sequence[Watch | None] | None = None,
    wait: int = 0,
) -> list[Draft]:
    """Drafts in the order of the requests; with `wait`, one more joins every `wait` steps."""
    drafts: dict[int, Draft] = {}
    tickets: list[int] = []
    queue = list(zip(generations, watches or [None] * len(generations), strict=True))
    steps, more = 0, True
    while queue or more:
        while queue and (not wait or steps >= wait * len(tickets)):
            tickets.append(engine.submit(*queue.pop(0)))
        more = engine.step()
        steps += 1
        drafts.update(engine.poll())
    return [drafts[ticket] for ticket in tickets]


def assert_same(found: Draft, expected: Draft) -> None:
    assert found.token_ids == expected.token_ids
    assert found.finish == expected.finish
    assert found.next_id == expected.next_id
    assert found.first_was_argmax == expected.first_was_argmax
    assert set(found.readings) == set(expected.readings)
    assert_close(found.log_probabilities, expected.log_probabilities)
    for position, values in expected.readings.items():
        assert_close(found.readings[position], values)


def assert_close(found: Sequence[float], expected: Sequence[float]) -> None:
    """Probabilities to 1e-5. In their logarithms, which reach -10, float32 itself leaves an
    error of up to 1e-5 in either engine (measured against float64).
    """
    assert found == pytest.approx(expected, abs=2e-5)
    assert [math.exp(v) for v in found] == pytest.approx([math.exp(v) for v in expected], abs=1e-5)


def random_requests(seed: int, count: int) -> list[Generation]:
    """Ragged prompts, many with shared beginnings, every kind of stop, in turns of their own."""
    draw, turns = random.Random(seed), random.Random(seed + 1)
    ids = range(VOCABULARY)
    trunk = draw.choices(ids, k=40)
    requests = []
    for _ in range(count):
        shared = trunk[: draw.choice([0, 1, 7, 20, 40])]
        prompt = [*shared, *draw.choices(ids, k=draw.randint(0 if shared else 1, 20))]
        forced = draw.choices(ids, k=draw.choice([0, 0, 1, 3]))
        requests.append(
            Generation(
                tuple(prompt),
                max_tokens=max(draw.choice([0, 1, 5, 15]), len(forced)),
                stop_ids=frozenset(draw.sample(ids, k=draw.choice([0, 10, 40]))),
                closing_ids=frozenset(draw.sample(ids, k=draw.choice([0, 10, 40]))),
                first_ids=tuple(draw.sample(ids, k=draw.choice([0, 2]))),
                forced_ids=tuple(forced),
                read_ids=tuple(draw.sample(ids, k=draw.choice([0, 1, 13]))),
                turn=turns.randint(0, 2),
            )
        )
    return requests
