"""The same answer through every face: one by one, together, streamed, awaited, recorded, cached."""

from __future__ import annotations

import asyncio
import threading
from concurrent.futures import CancelledError, ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from sample_answers import make_answer
from scripted_rag import (
    HangingRetriever,
    ListRetriever,
    assert_same_answer,
    comparable,
    nodes,
    passages,
    prompts,
    scripted,
    tiny_backend,
    tiny_rag,
)
from test_search_golden import RED, SCRIPT, THREE, ask

from decoding.codec import join_segments
from decoding.config import DecodingConfig
from selfrag.answer import Answer, Question
from selfrag.errors import Closed
from selfrag.events import EVENT_TYPES, Event
from selfrag.expansions import ExpansionStore
from selfrag.rag import SelfRAG

QUESTIONS = ["Which?", "Who was it, and when?", "Why?"]
TOLERANCE = 1e-5


def one_by_one(seed: int, **config: Any) -> list[Answer]:
    with tiny_rag(seed, **config) as rag:
        return [rag.ask(question) for question in QUESTIONS]


async def gather(rag: SelfRAG) -> list[Answer]:
    return list(await asyncio.gather(*(rag.aask(question) for question in QUESTIONS)))


async def astreamed(rag: SelfRAG, question: str) -> list[Event]:
    return [event async for event in rag.astream(question)]


def final(events: list[Event]) -> Answer:
    assert events[-1].type == "run.finished"
    return Answer.from_dict(events[-1].data["answer"])


@pytest.mark.parametrize("seed", [0, 1])
@pytest.mark.parametrize("form", ["long", "short"])
def test_every_face_gives_the_same(seed: int, form: str, tmp_path: Path) -> None:
    expected = one_by_one(seed, form=form)
    assert len({answer.text for answer in expected}) > 1
    found: dict[str, list[Answer]] = {}
    with tiny_rag(seed, form=form) as rag:
        found["ask_many"] = rag.ask_many(QUESTIONS)
        found["stream"] = [final(list(rag.stream(question))) for question in QUESTIONS]
        found["aask"] = asyncio.run(gather(rag))
        found["astream"] = [final(asyncio.run(astreamed(rag, q))) for q in QUESTIONS]
        with ThreadPoolExecutor(3) as pool:
            found["threads"] = list(pool.map(rag.ask, QUESTIONS))
    with tiny_rag(seed, engine="reference", form=form) as rag:
        found["reference"] = rag.ask_many(QUESTIONS)
    for way in ("cache, empty", "cache, full"):
        with tiny_rag(seed, store=ExpansionStore(tmp_path / "cache", "cache"), form=form) as rag:
            found[way] = rag.ask_many(QUESTIONS)
    for way, mode in (("record", "record"), ("replay", "replay")):
        with tiny_rag(seed, store=ExpansionStore(tmp_path / "record", mode), form=form) as rag:
            found[way] = [rag.ask(question) for question in QUESTIONS]
    for way, answers in found.items():
        for answer, wanted in zip(answers, expected, strict=True):
            try:
                assert_same_answer(answer, wanted, TOLERANCE)
            except AssertionError as error:
                raise AssertionError(f"{way} differs") from error


def test_few_rows_change_nothing() -> None:
    expected = one_by_one(0)
    config = DecodingConfig(passages=3, max_segments=3, max_segment_tokens=10, min_mass=0.0)
    retriever = ListRetriever(passages("One cat.", "Two dogs!", "Six birds?"))
    with SelfRAG(tiny_backend(0, max_rows=2), prompts(), retriever, config=config) as rag:
        for answer, wanted in zip(rag.ask_many(QUESTIONS), expected, strict=True):
            assert_same_answer(answer, wanted, TOLERANCE)


def stream_of(prune: bool = True) -> list[Event]:
    retriever = ListRetriever(passages("One", "Two", "Six"), {"Q b.": (RED,)})
    rag, _ = scripted(SCRIPT, retriever, passages=3, prune=prune)
    with rag:
        return list(rag.stream("Q"))


def test_a_stream_tells_the_whole_story() -> None:
    events = stream_of(prune=False)
    assert [event.sequence for event in events] == list(range(len(events)))
    assert {event.type for event in events} <= set(EVENT_TYPES)
    assert events[0].type == "run.started" and events[-1].type == "run.finished"
    answer = final(events)
    decisions = [event.data for event in events if event.type == "decision.retrieve"]
    assert [d["action"] for d in decisions] == [d.action for d in answer.decisions]
    retrieved = [e.data["query"] for e in events if e.type == "retrieval.finished"]
    assert retrieved == ["Q", "Q b."]
    selected = [event.data["nodes"] for event in events if event.type == "beam.selected"]
    assert selected == [[1, 2], [4, 5], [6]]


@pytest.mark.parametrize("source", ["scripted", "model", "store"])
def test_deltas_join_to_the_texts_of_the_branches(source: str, tmp_path: Path) -> None:
    if source == "scripted":
        events = stream_of(prune=False)
        texts = {e.data["node"]: e.data["text"] for e in events if e.type == "candidate.scored"}
        assert texts == {1: "a", 2: "b.", 3: "c", 4: "d", 5: "e", 6: "g"}
    else:
        for _ in range(2 if source == "store" else 1):
            store = ExpansionStore(tmp_path / "s", "cache") if source == "store" else None
            with tiny_rag(0, store=store, prune=False) as rag:
                events = list(rag.stream("Which?"))
        texts = {e.data["node"]: e.data["text"] for e in events if e.type == "candidate.scored"}
        assert len(texts) > 2
    joined = dict.fromkeys(texts, "")
    for event in events:
        if event.type == "token.delta":
            joined[event.data["node"]] += event.data["text"]
    assert joined == texts


@pytest.mark.parametrize("form", ["long", "short"])
def test_committed_segments_join_to_the_answer(form: str) -> None:
    streams = [stream_of()] if form == "long" else []
    for seed in (0, 1, 2):
        with tiny_rag(seed, form=form) as rag:
            streams += [list(rag.stream(question)) for question in QUESTIONS]
    for events in streams:
        answer = final(events)
        committed = [event.data for event in events if event.type == "segment.committed"]
        assert [data["index"] for data in committed] == list(range(len(answer.segments)))
        text = join_segments(data["text"] for data in committed).strip()
        assert text.rstrip("\N{REPLACEMENT CHARACTER}") == answer.text.rstrip(
            "\N{REPLACEMENT CHARACTER}"
        )


def test_a_segment_is_committed_before_the_answer_is_done() -> None:
    retriever = ListRetriever(passages("One"))
    script = {**SCRIPT, "[No Retrieval]g": {"[Utility:2]": 1.0}}
    rag, _ = scripted(script, retriever, passages=1)
    with rag:
        kinds = [event.type for event in rag.stream("Q")]
    first = kinds.index("segment.committed")
    assert kinds.count("segment.committed") == 3
    assert "candidate.scored" in kinds[first:]


def rows_left(rag: SelfRAG) -> int:
    backend: Any = rag._scheduler._backend
    return len(backend._rows) + len(backend._waiting)


def settle(rag: SelfRAG) -> None:
    """Ask something small, so that what was called off before it has been dealt with."""
    assert rag.ask("").status == "refused"


def test_closing_a_stream_cancels_and_frees_the_rows() -> None:
    with tiny_rag(1, max_segment_tokens=100, max_segments=7, form="short") as rag:
        stream = rag.stream("Which?")
        for event in stream:
            if event.type == "token.delta":
                break
        assert rows_left(rag) > 0
        stream.close()  # type: ignore[attr-defined]
        settle(rag)
        assert rows_left(rag) == 0 and rag._scheduler._jobs == []
        assert rag._scheduler._owners == {}
        assert rag.ask("Which?").text


def test_an_abandoned_async_stream_leaves_the_worker_alive() -> None:
    async def first_event(rag: SelfRAG) -> str:
        async for event in rag.astream("Which?"):
            return event.type
        return ""

    with tiny_rag(1, max_segment_tokens=100, form="short") as rag:
        for _ in range(3):
            assert asyncio.run(first_event(rag)) == "run.started"
        assert rag.ask("Which?").status == "complete"


def test_a_cancelled_task_calls_the_work_off() -> None:
    hanging = HangingRetriever(passages("w1"))

    async def cancelled(rag: SelfRAG) -> None:
        task = asyncio.ensure_future(rag.aask("Q"))
        await asyncio.to_thread(hanging.asked.wait, 10)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task

    rag, _ = scripted(THREE, hanging, mode="always")
    with rag:
        asyncio.run(cancelled(rag))
        settle(rag)
        assert rag._scheduler._jobs == []
        hanging.release.set()
        assert rag.ask("Q").text == "a"


def test_an_interrupt_calls_the_work_off(monkeypatch: pytest.MonkeyPatch) -> None:
    from concurrent.futures import Future

    hanging = HangingRetriever(passages("w1"))
    rag, _ = scripted(THREE, hanging, mode="always")
    with rag:
        with monkeypatch.context() as patch:
            patch.setattr(
                Future, "result", lambda *a, **k: (_ for _ in ()).throw(KeyboardInterrupt)
            )
            with pytest.raises(KeyboardInterrupt):
                rag.ask("Q")
            with pytest.raises(KeyboardInterrupt):
                rag.ask_many(["Q", "Q"])
        settle(rag)
        assert rag._scheduler._jobs == []
        hanging.release.set()


def test_closing_ends_what_runs_and_refuses_what_comes() -> None:
    hanging = HangingRetriever(passages("w1"))
    rag, _ = scripted(THREE, hanging, mode="always")
    caught: list[BaseException] = []

    def asks() -> None:
        try:
            rag.ask("Q")
        except (Exception, CancelledError) as error:
            caught.append(error)

    thread = threading.Thread(target=asks)
    thread.start()
    assert hanging.asked.wait(10)
    rag.close()
    rag.close()
    thread.join(10)
    hanging.release.set()
    assert [type(error) for error in caught] == [Closed]
    for call in (lambda: rag.ask("Q"), lambda: rag.ask_many(["Q"]), lambda: list(rag.stream("Q"))):
        with pytest.raises(Closed):
            call()


def test_questions_bring_their_own_passages_and_options() -> None:
    rag, _ = scripted(THREE, None, mode="always", form="short")
    with rag:
        given = passages("w3")
        assert rag.ask("Q", passages=given).citations[0].text == "w3"
        assert rag.ask("Q", passages=[{"text": "w3", "id": "x"}]).citations[0].passage_id == "x"
        many = rag.ask_many([Question("Q", passages=given), Question("Q", passages=passages("w1"))])
        assert [answer.text for answer in many] == ["c", "a"]
        chosen = rag.ask("Q", passages=passages("w1", "w3"), options=["c", "d"])
        assert chosen.choice == "A" and chosen.text == "c"
        with pytest.raises(ValueError, match="at least two"):
            rag.ask("Q", options=["c"])


def test_answers_survive_json() -> None:
    answer, _ = ask(prune=False)
    again = Answer.from_json(answer.to_json(tree=True))
    assert again == answer and nodes(again) == nodes(answer)
    assert comparable(Answer.from_json(answer.to_json())) == comparable(answer)
    with pytest.raises(ValueError, match="schema"):
        Answer.from_dict({**answer.to_dict(), "schema_version": 99})


def test_plain_data_is_built_where_somebody_wants_it(monkeypatch: pytest.MonkeyPatch) -> None:
    """Copying the tree of every answer took half the time of a replay."""
    answer = make_answer(tree={"nodes": [threading.Lock()]})  # which cannot be copied
    assert Answer.from_dict(answer.to_dict()) == answer
    with pytest.raises(TypeError):
        answer.to_dict(tree=True)
    monkeypatch.setattr(Answer, "to_dict", lambda *_, **__: 1 / 0)
    rag, _ = scripted({"": {"a": 0.6, "[Utility:5]": 0.4}}, None, mode="never", max_segments=1)
    with rag:
        assert rag.ask("Q").text
        with pytest.raises(ZeroDivisionError):
            list(rag.stream("Q"))


def test_what_is_no_backend_is_refused() -> None:
    with pytest.raises(TypeError, match="log-probabilities"):
        SelfRAG(object(), prompts())  # type: ignore[arg-type]


def test_the_tool_answers_small_json() -> None:
    rag, _ = scripted(THREE, ListRetriever(passages("w1", "w3")), mode="always", form="short")
    with rag:
        tool = rag.as_tool()
        result = tool(question="Q", max_seconds=60)
        assert result["text"] == "c" and result["citations"][0]["passage_id"] == "p2"
        assert tool(question="Q", options=["c", "a"])["choice"] == "A"
        parameters = tool.openai_schema["function"]["parameters"]
        assert parameters == tool.anthropic_schema["input_schema"]
        assert set(parameters["properties"]) == {"question", "options", "max_seconds"}
