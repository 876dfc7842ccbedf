"""A draft that was interrupted anywhere and gone on with is the uninterrupted one."""

from __future__ import annotations

import math
import random
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from random_scripts import random_script
from scripted_rag import prompts, tiny_backend
from tiny_models import ScriptedBackend

from decoding.generation import Draft, Generation, PartialDraft
from decoding.resuming import continuation, joined, thawed, watching

VOCABULARY = prompts().vocabulary


def decoded(backend: Any, generation: Generation, watch: Any = None) -> Draft:
    backend.submit(generation, watch)
    while backend.step():
        pass
    ((_, draft),) = backend.poll()
    assert isinstance(draft, Draft)
    return draft


def request(
    limit: int, short: bool, forced: tuple[int, ...] = (), offsets: tuple[float, ...] = ()
) -> Generation:
    ends = {*VOCABULARY.utility, *VOCABULARY.retrieve.ids, *VOCABULARY.eos_ids}
    return Generation(
        prompts().codec.encode(["w1", VOCABULARY.paragraph_end], bos=False),
        max_tokens=limit,
        stop_ids=frozenset(ends),
        closing_ids=frozenset() if short else frozenset(VOCABULARY.is_sup.ids),
        first_ids=() if forced else VOCABULARY.is_rel.ids,
        first_offsets=offsets,
        forced_ids=forced,
        read_ids=VOCABULARY.read_ids,
    )


def interrupted(backend: Any, generation: Generation, at: int) -> Draft:
    """Cut after `at` tokens and gone on with; what a watcher sees is checked on the way."""
    start = Draft((), (), {}, None, "cut")
    if at:
        start = decoded(backend, generation, lambda partial: len(partial.token_ids) == at)
    if start.finish != "cut":
        return start
    seen: list[PartialDraft] = []

    def watch(partial: PartialDraft) -> bool:
        seen.append(thawed(partial.freeze("cut", None)))
        return False

    rest = decoded(backend, continuation(generation, start), watching(watch, start))
    whole = joined(generation, start, rest)
    for number, partial in enumerate(seen, start=at + 1):
        assert tuple(partial.token_ids) == whole.token_ids[:number]
        assert tuple(partial.log_probabilities) == whole.log_probabilities[:number]
        assert partial.first_was_argmax == whole.first_was_argmax
        for position in range(number):
            if position in whole.readings:
                assert partial.readings[position] == whole.readings[position]
    return whole


@settings(max_examples=60, deadline=None)
@given(
    st.integers(0, 10**9),
    st.integers(1, 9),
    st.booleans(),
    st.integers(0, 9),
    st.sampled_from([(), (0.7, 0.0)]),
)
def test_interrupted_anywhere(
    seed: int, limit: int, short: bool, at: int, offsets: tuple[float, ...]
) -> None:
    script = random_script(random.Random(seed))
    script |= {f"w1</paragraph>[{word}]": {"a": 0.9} for word in ("Relevant", "Irrelevant")}
    backend = ScriptedBackend(prompts(), script)
    generation = request(limit, short, offsets=offsets)
    assert interrupted(backend, generation, min(at, limit)) == decoded(backend, generation)


@settings(max_examples=30, deadline=None)
@given(st.integers(0, 10**9), st.integers(0, 6), st.integers(1, 6))
def test_a_shorter_limit_is_gone_beyond(seed: int, limit: int, more: int) -> None:
    backend = ScriptedBackend(prompts(), random_script(random.Random(seed)))
    short = decoded(backend, request(limit, short=True))
    generation = request(limit + more, short=True)
    whole = decoded(backend, generation)
    if short.finish == "limit":
        rest = decoded(backend, continuation(generation, short))
        assert joined(generation, short, rest) == whole
    else:
        assert short == whole


@pytest.mark.parametrize("engine", ["batched", "reference"])
def test_with_a_model(engine: str) -> None:
    backend = tiny_backend(3, engine)
    forced = (VOCABULARY.relevant, 101, 102)
    for generation in (request(8, short=False), request(8, True), request(8, True, forced)):
        whole = decoded(backend, generation)
        for at in range(len(whole.token_ids) + 1):
            found = interrupted(backend, generation, at)
            assert found.token_ids == whole.token_ids and found.finish == whole.finish
            assert found.next_id == whole.next_id
            assert found.log_probabilities == pytest.approx(whole.log_probabilities, abs=1e-5)
            assert set(found.readings) == set(whole.readings)
            for position, values in whole.readings.items():
                # How many tokens a pass takes changes the rounding: up to 1.7e-5 from float64.
                assert found.readings[position] == pytest.approx(values, abs=3e-5)
                probabilities = [math.exp(value) for value in values]
                ours = [math.exp(value) for value in found.readings[position]]
                assert ours == pytest.approx(probabilities, abs=1e-5)


def test_a_draft_that_is_too_long_is_refused() -> None:
    start = Draft((1, 2), (-0.1, -0.1), {}, None, "cut")
    with pytest.raises(ValueError, match="2 tokens exceeds 1"):
        continuation(replace(request(2, True), max_tokens=1), start)
