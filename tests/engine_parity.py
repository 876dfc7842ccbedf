"""Runs requests through engines and compares drafts; what every backend's tests share."""

from __future__ import annotations

import math
import random
from collections.abc import Sequence
from typing import Any

import pytest

from decoding.generation import Draft, Generation, Watch


def run_all(
    engine: Any, generations: Sequence[Generation], watches: Sequence[Watch | None] | None = None
) -> list[Draft]:
    """Drafts in the order of the requests."""
    pairs = zip(generations, watches or [None] * len(generations), strict=True)
    tickets = [engine.submit(*pair) for pair in pairs]
    drafts: dict[int, Draft] = {}
    while len(drafts) < len(tickets):
        engine.step()
        drafts.update(engine.poll())
    return [drafts[ticket] for ticket in tickets]


def random_requests(
    seed: int, count: int, vocabulary: int, read: Sequence[int]
) -> list[Generation]:
    """Ragged prompts with shared beginnings, and every kind of stop, force and reading."""
    draw = random.Random(seed)
    ids = range(vocabulary)
    trunk = draw.choices(ids, k=30)
    requests = []
    for _ in range(count):
        shared = trunk[: draw.choice([0, 1, 15, 30])]
        prompt = [*shared, *draw.choices(ids, k=draw.randint(0 if shared else 1, 10))]
        forced = draw.choices(ids, k=draw.choice([0, 0, 1, 3]))
        requests.append(
            Generation(
                tuple(prompt),
                max_tokens=max(draw.choice([0, 1, 5, 12]), len(forced)),
                stop_ids=frozenset(draw.sample(ids, k=draw.choice([0, 10, vocabulary // 5]))),
                closing_ids=frozenset(draw.sample(ids, k=draw.choice([0, 10, vocabulary // 5]))),
                first_ids=(first := tuple(draw.sample(ids, k=draw.choice([0, 2])))),
                first_offsets=draw.choice([(), tuple(draw.uniform(-3, 3) for _ in first)]),
                forced_ids=tuple(forced),
                read_ids=tuple(draw.choice([[], draw.sample(ids, 1), list(read)])),
            )
        )
    return requests


def assert_same(found: Draft, expected: Draft, tolerance: float = 1e-5) -> None:
    """The same draft; probabilities to `tolerance`, their logarithms to twice that."""
    assert found.token_ids == expected.token_ids
    assert found.finish == expected.finish
    assert found.next_id == expected.next_id
    assert found.first_was_argmax == expected.first_was_argmax
    assert set(found.readings) == set(expected.readings)
    pairs = [(found.log_probabilities, expected.log_probabilities)]
    pairs += [(found.readings[at], values) for at, values in expected.readings.items()]
    for ours, theirs in pairs:
        assert ours == pytest.approx(theirs, abs=2 * tolerance)
        probabilities = [math.exp(value) for value in theirs]
        assert [math.exp(value) for value in ours] == pytest.approx(probabilities, abs=tolerance)
