"""All systems of the decoding benchmark give the same answers, however they get them."""

from __future__ import annotations

import math
from typing import Any

import pytest
from decoding_benchmark_helpers import QUESTIONS, retriever, setup, workload
from hypothesis import given, settings
from hypothesis import strategies as st
from scripted_rag import prompts, reflective_llama, tiny_backend

from decoding.backend import Backend
from decoding.generation import Draft, Generation, PartialDraft
from decoding.reference import ReferenceEngine
from decoding.sequence import RunningSequence
from selfrag.answer import Answer
from selfrag.evaluation.decoding_benchmark.generating import GenerateBackend
from selfrag.evaluation.decoding_benchmark.passages import RecordedPassages
from selfrag.evaluation.decoding_benchmark.published import (
    PublishedOnTransformers,
    draft_from_tables,
)
from selfrag.evaluation.decoding_benchmark.recording import Recorder
from selfrag.evaluation.decoding_benchmark.stopping import RunsToTheEnd
from selfrag.evaluation.decoding_benchmark.systems import (
    SAME_SEARCH,
    VARIANTS,
    chunks,
    in_levels,
    open_rag,
    system,
)

VOCABULARY = prompts().vocabulary
RAN_HERE = [name for name in (*SAME_SEARCH, *VARIANTS) if name != "vllm"]


def reference_answers(seed: int, form: str, procedure: str = "paper") -> list[Answer]:
    """By the slow decoder, one full forward pass for every token, nothing pruned."""
    made, load = setup(seed), workload(form)
    config = load.config if procedure == "paper" else load.published
    backend = ReferenceEngine(made.weights.model, fingerprint="reference")
    return in_levels(QUESTIONS, made, config.replace(prune=False), backend, in_flight=1)


def assert_same(found: list[Answer], expected: list[Answer]) -> None:
    for one, other in zip(found, expected, strict=True):
        assert (one.text, one.draft, one.status) == (other.text, other.draft, other.status)
        if other.score is not None:
            assert one.score == pytest.approx(other.score, abs=1e-5)


@pytest.mark.parametrize("form", ["short", "long"])
@pytest.mark.parametrize("seed", [0, 3])
def test_every_system_gives_the_answers_of_the_reference_decoder(form: str, seed: int) -> None:
    expected = reference_answers(seed, form)
    assert any(answer.text or answer.draft for answer in expected)
    for name in RAN_HERE:
        with system(name, setup(seed), workload(form), QUESTIONS) as ask:
            assert_same(ask(QUESTIONS), expected)


def test_weights_of_8_bits_answer_too() -> None:
    pytest.importorskip("selfrag.backends.int8")
    made = setup()
    with system("ours_int8", made, workload(), QUESTIONS) as ask:
        assert all(answer.usage.generated_tokens > 0 for answer in ask(QUESTIONS))
    with system("ours", made, workload(), QUESTIONS) as ask:
        assert_same(ask(QUESTIONS), reference_answers(0, "short"))


@pytest.mark.parametrize("form", ["short", "long"])
def test_the_published_procedure_computes_what_its_controller_does(form: str) -> None:
    expected = reference_answers(3, form, procedure="released")
    with system("published", setup(3), workload(form), QUESTIONS) as ask:
        assert_same(ask(QUESTIONS), expected)


def test_a_table_lacks_what_is_not_among_its_most_probable() -> None:
    made = setup()
    request = Generation((5, 6, 7), 4, read_ids=VOCABULARY.read_ids)
    whole, small = (
        decode(
            PublishedOnTransformers(made.weights.model, fingerprint="", table=table, rows=3),
            [request],
        )[0]
        for table in (424, 3)
    )
    assert small.token_ids == whole.token_ids
    for position, row in whole.readings.items():
        for value, found in zip(row, small.readings[position], strict=True):
            assert found == -math.inf or found == pytest.approx(value, abs=1e-6)
    assert -math.inf in small.readings[0]
    assert -math.inf not in whole.readings[0]


def test_an_output_with_tables_becomes_a_draft() -> None:
    request = Generation((1,), 3, stop_ids=frozenset({2}), read_ids=(7, 9))
    tables = [{5: -0.1, 7: -3.0}, {7: -0.2, 9: -2.0}, {2: -0.3, 9: -4.0}]
    draft = draft_from_tables(RunningSequence(1, request, None), (5, 7, 2), tables)
    assert (draft.token_ids, draft.log_probabilities) == ((5, 7), (-0.1, -0.2))
    assert draft.readings == {0: (-3.0, -math.inf), 1: (-0.2, -2.0), 2: (-math.inf, -4.0)}
    assert (draft.finish, draft.next_id) == ("stop", 2)
    cut = draft_from_tables(RunningSequence(1, request, None), (5, 7, 7), [*tables[:2], tables[1]])
    assert (cut.finish, cut.next_id, cut.token_ids) == ("limit", None, (5, 7, 7))


def requests() -> Any:
    """Requests with every kind of stop, over ids that the tiny model likes to write."""
    likely = st.sampled_from([*VOCABULARY.read_ids, *sorted(VOCABULARY.eos_ids), *range(20, 60)])
    sets = st.frozensets(likely, max_size=8)
    return st.builds(
        lambda prompt, forced, more, stops, closing, first: Generation(
            prompt_ids=tuple(prompt),
            max_tokens=len(forced) + more,
            stop_ids=stops | VOCABULARY.eos_ids,
            closing_ids=closing - stops,
            first_ids=first,
            forced_ids=() if first else tuple(forced),
            read_ids=VOCABULARY.read_ids,
        ),
        st.lists(st.integers(3, 300), min_size=1, max_size=30),
        st.lists(st.integers(3, 300), max_size=2),
        st.integers(0, 12),
        sets,
        sets,
        st.sampled_from([(), VOCABULARY.is_rel.ids]),
    )


def decode(backend: Backend, generations: list[Generation]) -> list[Draft]:
    tickets = [backend.submit(generation) for generation in generations]
    found: dict[int, Draft] = {}
    while len(found) < len(tickets):
        backend.step()
        found |= dict(backend.poll())
    return [found[ticket] for ticket in tickets]


def assert_same_drafts(found: list[Draft], expected: list[Draft]) -> None:
    for one, other in zip(found, expected, strict=True):
        assert (one.token_ids, one.finish, one.next_id, one.first_was_argmax) == (
            other.token_ids,
            other.finish,
            other.next_id,
            other.first_was_argmax,
        )
        assert one.log_probabilities == pytest.approx(other.log_probabilities, abs=1e-4)
        assert one.readings.keys() == other.readings.keys()
        for position, row in other.readings.items():
            assert one.readings[position] == pytest.approx(row, abs=1e-4)


@settings(max_examples=8, deadline=None)
@given(st.lists(requests(), min_size=1, max_size=5), st.integers(1, 3))
def test_generate_writes_what_the_reference_writes(
    generations: list[Generation], rows: int
) -> None:
    model = reflective_llama(1)
    found = decode(GenerateBackend(model, fingerprint="", rows=rows), generations)
    assert_same_drafts(found, decode(ReferenceEngine(model, fingerprint=""), generations))


@settings(max_examples=20, deadline=None)
@given(st.lists(requests(), min_size=1, max_size=4))
def test_running_to_the_end_is_cut_where_it_would_have_stopped(
    generations: list[Generation],
) -> None:
    engine = tiny_backend(1)
    endless = RunsToTheEnd(tiny_backend(1), frozenset(VOCABULARY.eos_ids))
    assert_same_drafts(decode(endless, generations), decode(engine, generations))


def test_running_to_the_end_writes_more() -> None:
    # The model writes these ids; without the stop it goes on to its limit.
    free = decode(tiny_backend(1), [Generation((5, 6), 20)])[0]
    stop = free.token_ids[4]
    request = Generation((5, 6), 20, stop_ids=frozenset({stop}))
    assert len(decode(tiny_backend(1), [request])[0].token_ids) <= 4
    engine = tiny_backend(1)
    endless = RunsToTheEnd(engine, frozenset(VOCABULARY.eos_ids))
    assert decode(endless, [request])[0].token_ids == free.token_ids[: free.token_ids.index(stop)]
    assert engine.forwarded_tokens >= 20


def test_a_watch_sees_what_it_would_have_seen() -> None:
    free = decode(tiny_backend(1), [Generation((5, 6), 12)])[0]
    stop = free.token_ids[4]
    request = Generation((5, 6), 12, stop_ids=frozenset({stop}), read_ids=(7, 9))
    seen: list[tuple[int, ...]] = []

    def watch(partial: PartialDraft) -> bool:
        assert all(len(row) == 2 for row in partial.readings.values())
        seen.append(tuple(partial.token_ids))
        return False

    endless = RunsToTheEnd(tiny_backend(1), frozenset(VOCABULARY.eos_ids))
    endless.submit(request, watch)
    while endless.step():
        endless.poll()
    place = free.token_ids.index(stop)
    assert seen == [free.token_ids[:length] for length in range(1, place + 1)]


def test_a_recorder_keeps_rounds_in_the_order_of_requests() -> None:
    made, load = setup(), workload("long")
    recorder = Recorder(tiny_backend(0))
    with open_rag(made, load.config, recorder) as rag:
        answer = rag.ask(QUESTIONS[0])
        rounds = recorder.take()
        assert recorder.take() == ()
    calls = [call for calls in rounds for call in calls]
    assert sum(len(call.draft.token_ids) for call in calls) == answer.usage.generated_tokens
    first = [made.weights.prompts.codec.literal(call.generation.prompt_ids) for call in rounds[0]]
    for prompt, text in zip(first, ("One cat.", "Two dogs!", "Six birds?"), strict=False):
        assert text in prompt


def test_a_query_is_searched_once() -> None:
    inner = retriever()
    recorded = RecordedPassages(inner)
    first = recorded.search("Where?", 2)
    assert recorded.search_many(["Where?", "Who?"], 2)[0] == first
    assert inner.queries == ["Where?", "Who?"]
    assert len(recorded.search("Where?", 3)) == 3


def test_chunks_are_what_is_in_flight_together() -> None:
    assert [list(chunk) for chunk in chunks("abcde", 2)] == [["a", "b"], ["c", "d"], ["e"]]
