"""Guessed tokens change how many passes there are, and nothing that comes out of them."""

from __future__ import annotations

import random
from typing import Any

import pytest
from engine_cases import (
    CONTEXT,
    POSITION,
    VARIANTS,
    VOCABULARY,
    assert_same,
    batched,
    model,
    random_requests,
    run,
)
from hypothesis import given, settings
from hypothesis import strategies as st

import decoding.engine.speculation as speculation_module
from decoding.engine.lookup import LONGEST, Lookup
from decoding.engine.speculation import Guesser, Speculation
from decoding.generation import Draft, Generation, PartialDraft
from decoding.reference import ReferenceEngine
from decoding.resuming import continuation, joined
from decoding.sequence import RunningSequence

PROMPT = (3, 1, 4, 1, 5)


def reference(*requests: Generation) -> list[Draft]:
    return run(ReferenceEngine(model(), fingerprint="tiny"), requests)


def steps(engine: Any, request: Generation) -> tuple[Draft, int]:
    """The draft, and how many passes it took."""
    ticket, count = engine.submit(request), 1
    while engine.step():
        count += 1
    ((found, draft),) = engine.poll()
    assert found == ticket
    return draft, count


def guess_from(ids: tuple[int, ...], monkeypatch: pytest.MonkeyPatch, reach: int = 50) -> None:
    """Guess, in the place of the lookup, what stands in a list of ids that belong to a draft."""

    def guess(guesser: Guesser, most: int, others: Lookup) -> tuple[int, ...]:
        written = len(guesser.sequence.partial.token_ids)
        return ids[written : written + min(most, reach)]

    monkeypatch.setattr(Guesser, "_looked_up", guess)


@given(st.lists(st.integers(0, 3), min_size=1, max_size=40), st.integers(0, 9), st.data())
def test_what_followed_the_latest_longest_run(ids: list[int], most: int, data: Any) -> None:
    known = data.draw(st.integers(0, len(ids)))
    lookup = Lookup(ids[:known])
    for token in ids[known:]:
        lookup.extend([token])
    last = data.draw(st.sampled_from([ids, [0, 1], [3], [2, 2, 9, 1, 0]]))
    shortest = data.draw(st.integers(1, LONGEST))
    expected: list[int] = []
    for length in range(min(LONGEST, len(last)), shortest - 1, -1):
        run = last[-length:]
        places = [at for at in range(length, len(ids)) if ids[at - length : at] == run]
        if places:
            expected = ids[places[-1] : places[-1] + most]
            break
    assert lookup.behind(tuple(last[-LONGEST:]), most, shortest) == tuple(expected)
    assert lookup.last == tuple(ids[-LONGEST:]) and len(lookup) == len(ids)


def test_what_follows_by_hand() -> None:
    lookup = Lookup([1, 2, 3, 1, 2, 4, 1])
    assert lookup.last == (2, 4, 1)
    assert lookup.behind((9, 1, 2), 3) == (4, 1), "the latest place of 1 2"
    assert lookup.behind((3, 1, 2), 1) == (4,)
    assert lookup.behind((2, 3), 9) == (1, 2, 4, 1)
    assert lookup.behind((9, 2), 3, shortest=2) == ()
    assert lookup.behind((9, 2), 1) == (4,)
    assert lookup.behind((5,), 4) == lookup.behind((), 4) == Lookup().behind((1,), 4) == ()


@pytest.mark.parametrize("variant", VARIANTS)
def test_equals_the_reference(variant: str) -> None:
    requests = random_requests(11, 12)
    expected = run(ReferenceEngine(model(variant), fingerprint="tiny"), requests)
    for found, draft in zip(run(batched(variant, speculation=40), requests), expected, strict=True):
        assert_same(found, draft)


@settings(max_examples=15, deadline=None)
@given(
    seed=st.integers(0, 10**6),
    count=st.integers(1, 9),
    speculation=st.sampled_from([2, 8, 30]),
    right=st.sampled_from([0.0, 0.7, 1.0]),
    max_rows=st.sampled_from([1, 3, 64]),
    cache_bytes=st.sampled_from([96 * POSITION, 300 * POSITION, None]),
    wait=st.integers(0, 3),
)
def test_equals_the_reference_whatever_is_guessed(
    seed: int,
    count: int,
    speculation: int,
    right: float,
    max_rows: int,
    cache_bytes: int | None,
    wait: int,
) -> None:
    requests = random_requests(seed, count)
    expected = reference(*requests)
    known = {
        id(request): (*draft.token_ids, draft.next_id)
        for request, draft in zip(requests, expected, strict=True)
    }
    draw = random.Random(seed)

    def guess(guesser: Guesser, most: int, others: Lookup) -> tuple[int, ...]:
        written = len(guesser.sequence.partial.token_ids)
        ahead = known[id(guesser.sequence.generation)][written:]
        ids = [token if draw.random() < right else draw.randrange(VOCABULARY) for token in ahead]
        return tuple(token for token in [*ids, 7, 8] if token is not None)[:most]

    engine = batched(speculation=speculation, max_rows=max_rows, cache_bytes=cache_bytes)
    with pytest.MonkeyPatch.context() as patching:
        patching.setattr(Guesser, "_looked_up", guess)
        found = run(engine, requests, wait=wait)
    for ours, draft in zip(found, expected, strict=True):
        assert_same(ours, draft)


def test_right_guesses_save_passes(monkeypatch: pytest.MonkeyPatch) -> None:
    request = Generation(PROMPT, max_tokens=12, read_ids=(9, 10))
    (expected,) = reference(request)
    guess_from(expected.token_ids, monkeypatch)
    draft, count = steps(batched(speculation=5), request)
    assert_same(draft, expected)
    assert count == 1 + 3, "the prompt, then 5, 5 and 2 of 12 tokens"
    without, count = steps(batched(speculation=0), request)
    assert_same(without, expected)
    assert count == 1 + 12


def test_wrong_guesses_get_short(monkeypatch: pytest.MonkeyPatch) -> None:
    request = Generation(PROMPT, max_tokens=12, read_ids=(9, 10))
    (expected,) = reference(request)
    wrong = next(token for token in range(VOCABULARY) if token not in expected.token_ids)
    asked = []

    def guess(guesser: Guesser, most: int, others: Lookup) -> tuple[int, ...]:
        asked.append(most)
        return (wrong,) * most

    monkeypatch.setattr(Guesser, "_looked_up", guess)
    engine = batched(speculation=8)
    draft, count = steps(engine, request)
    assert_same(draft, expected)
    assert count == 1 + 12
    assert asked == [4] + [1] * 10, "none where nothing more can be written"
    assert engine.forwarded_tokens == len(PROMPT) + 12 + sum(asked)


@pytest.mark.parametrize("place", range(6))
def test_a_stop_inside_a_guess(place: int, monkeypatch: pytest.MonkeyPatch) -> None:
    (free,) = reference(Generation(PROMPT, max_tokens=6, read_ids=(9,)))
    token = free.token_ids[place]
    for kind in ("stop_ids", "closing_ids"):
        request = Generation(PROMPT, 6, read_ids=(9,), **{kind: frozenset({token})})
        (expected,) = reference(request)
        # Wrong in the place of the stop and right behind it, as if nothing had ended.
        ids = tuple(1 if found == token else found for found in free.token_ids)
        for guesses in (free.token_ids, ids):
            guess_from(guesses, monkeypatch)
            draft, _ = steps(batched(speculation=30), request)
            assert_same(draft, expected)
            assert draft.finish == ("stop" if kind == "stop_ids" else "closed")


@pytest.mark.parametrize("limit", [0, 1, 2, 5])
def test_a_limit_inside_a_guess(limit: int, monkeypatch: pytest.MonkeyPatch) -> None:
    (free,) = reference(Generation(PROMPT, max_tokens=9))
    guess_from(free.token_ids, monkeypatch)
    prompt = (*PROMPT, *range(20, 20 + CONTEXT - len(PROMPT) - limit)) if limit == 5 else PROMPT
    request = Generation(prompt, limit, read_ids=(9,))
    draft, _ = steps(batched(speculation=30), request)
    assert_same(draft, *reference(request))
    assert draft.finish == "limit" and len(draft.token_ids) == limit


def test_given_up_inside_a_guess(monkeypatch: pytest.MonkeyPatch) -> None:
    request = Generation(PROMPT, max_tokens=9, read_ids=(9,))
    (free,) = reference(request)
    guess_from(free.token_ids, monkeypatch)
    seen: list[int] = []

    def watch(partial: PartialDraft) -> bool:
        seen.append(len(partial.token_ids))
        assert len(partial.log_probabilities) == len(partial.token_ids)
        return len(partial.token_ids) == 4

    engine = batched(speculation=30)
    cut, whole = run(engine, [request, request], [watch, None])
    assert seen == [1, 2, 3, 4], "every token is shown before the next one is looked at"
    assert cut.finish == "cut" and cut.token_ids == free.token_ids[:4] and cut.next_id is None
    assert_same(whole, free)
    # It goes on from where it was cut, on the keys and values that it left behind.
    guess_from(free.token_ids[4:], monkeypatch)
    before = engine.forwarded_tokens
    (rest,) = run(engine, [continuation(request, cut)])
    assert_same(joined(request, cut, rest), free)
    assert engine.forwarded_tokens - before == 6, "the cut one's last token and five more"


def test_cancelled_between_guesses(monkeypatch: pytest.MonkeyPatch) -> None:
    requests = random_requests(4, 5)
    requests[2] = Generation(PROMPT, max_tokens=12)
    expected = reference(*requests)
    guess_from(expected[2].token_ids, monkeypatch, reach=3)
    engine = batched(speculation=30)
    tickets = [engine.submit(request) for request in requests]
    while len(engine.progress(tickets[2])) < 4:
        engine.step()
    engine.cancel(tickets[2])
    found: dict[int, Draft] = {}
    while len(found) < len(tickets):
        engine.step()
        found.update(engine.poll())
    written = found[tickets[2]].token_ids
    assert written == expected[2].token_ids[: len(written)] and len(written) < 12
    for index in (0, 1, 3, 4):
        assert_same(found[tickets[index]], expected[index])
    (again,) = run(engine, [requests[2]])
    assert_same(again, expected[2])


def test_forced_ids_need_no_guess() -> None:
    forced = tuple(range(30, 42))
    request = Generation(PROMPT, 14, forced_ids=forced, read_ids=(9,))
    draft, count = steps(batched(speculation=7), request)
    assert_same(draft, *reference(request))
    assert count <= 1 + 2 + 2, "the prompt, two passes of seven, two more tokens at most"


def test_texts_that_were_written_are_guessed_again() -> None:
    request = Generation(PROMPT, max_tokens=12, read_ids=(9,))
    engine = batched(speculation=5)
    steps(engine, request)
    again, count = steps(engine, request)
    assert_same(again, *reference(request))
    assert count == 3, "5, 5 and 3 positions, the first of them the one behind the prompt"


def test_what_is_remembered_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(speculation_module, "_REMEMBERED", 20)
    speculation = Speculation(8)
    for ticket in range(50):
        sequence = RunningSequence(ticket, Generation(PROMPT, max_tokens=4), None)
        sequence.partial.token_ids += [ticket, 6]
        speculation.drafts([sequence], 0)
        speculation.finish(sequence, 7)
        assert speculation._written.last == (ticket, 6, 7)
        assert len(speculation._written) <= 20 + 6
        assert not speculation._guessers


def test_room_is_shared_out() -> None:
    def lengths(asked: list[int], size: int, others: int = 0) -> list[int]:
        sequences = [
            RunningSequence(ticket, Generation((1,), 20, forced_ids=tuple(range(length))), None)
            for ticket, length in enumerate(asked)
        ]
        return [len(draft) for draft in Speculation(size).drafts(sequences, others)]

    assert lengths([5, 1, 0, 9], 24) == [5, 1, 0, 9]
    assert lengths([5, 1, 0, 9], 24, others=12) == lengths([5, 1, 0, 9], 12) == [3, 1, 0, 4]
    assert lengths([5, 5, 5], 5) == [0, 1, 1]
    assert lengths([5, 5], 2) == lengths([5, 5], 0) == lengths([5, 5], 9, others=30) == [0, 0]
