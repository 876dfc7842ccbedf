"""Retrievers that fail, budgets, backends that break: an answer or a named error, never a hang."""

from __future__ import annotations

import datetime
import threading
import time
from pathlib import Path
from typing import Any

import pytest
from scripted_rag import (
    FailingRetriever,
    HangingRetriever,
    ListRetriever,
    nodes,
    passages,
    scripted,
    tiny_rag,
)
from test_search_golden import RED, SCRIPT, THREE

from decoding.generation import Generation, Watch
from indexes.passage import Passage
from selfrag.answer import NOT_FOUND, Budget, Question
from selfrag.expansions import ExpansionStore

ALONE = {"[No Retrieval]": {"h": 1.0}, "h": {"[Utility:5]": 1.0}}


@pytest.mark.parametrize(
    "retriever, warning",
    [
        (FailingRetriever(), "RuntimeError: the disk is on fire"),
        (ListRetriever(()), "No passages were found for 'Q'"),
        (None, "no index and no passages were given"),
    ],
)
@pytest.mark.parametrize("form", ["long", "short"])
def test_without_passages_an_answer_with_a_warning(retriever: Any, warning: str, form: str) -> None:
    rag, _ = scripted(ALONE, retriever, mode="always", form=form)
    with rag:
        answer = rag.ask("Q")
    assert answer.text == "h" and answer.status == "complete"
    assert any(warning in text for text in answer.warnings)
    assert answer.decisions[0].action == "no_retrieval"
    assert answer.decisions[0].reason == "no_passages"
    assert answer.citations == () and answer.usage.retrievals == 1


def test_a_retriever_is_asked_once_more() -> None:
    retriever = FailingRetriever(passages("w3"), times=1)
    rag, _ = scripted(THREE, retriever, mode="always")
    with rag:
        answer = rag.ask("Q")
    assert answer.citations[0].text == "w3" and answer.warnings == ()
    assert retriever.queries == ["Q", "Q"]


def test_a_retriever_that_hangs() -> None:
    hanging = HangingRetriever(passages("w1"))
    rag, _ = scripted(ALONE, hanging, mode="always", retrieval_timeout=0.05)
    with rag:
        started = time.monotonic()
        answer = rag.ask("Q")
        assert time.monotonic() - started < 10
        assert answer.text == "h" and any("0.05 s" in text for text in answer.warnings)
        other = rag.ask(Question("Q", passages=()))
        hanging.release.set()
        assert other.text == "h"


def test_a_hanging_retriever_does_not_hold_others_up() -> None:
    hanging = HangingRetriever(passages("w1"))
    rag, _ = scripted(THREE, hanging, mode="always")
    with rag:
        slow: list[Any] = []
        thread = threading.Thread(target=lambda: slow.append(rag.ask("Q")))
        thread.start()
        assert hanging.asked.wait(10)
        assert rag.ask("Q", passages=passages("w1")).text == "a" and not slow
        hanging.release.set()
        thread.join(10)
        assert slow[0].text == "a"


def test_what_a_retriever_gives_may_be_wrong() -> None:
    class Broken(ListRetriever):
        def search(self, query: str, k: int) -> Any:
            return None

    rag, _ = scripted(ALONE, Broken(()), mode="always")
    with rag:
        assert any("TypeError" in text for text in rag.ask("Q").warnings)


def test_hits_that_cannot_be_stored_fail_their_question_only(tmp_path: Path) -> None:
    odd = Passage("p1", "", "w1", {"date": datetime.date(2020, 1, 1)})
    store = ExpansionStore(tmp_path / "store", "cache")
    rag, _ = scripted(THREE, ListRetriever((odd,)), mode="always", store=store)
    with rag:
        with pytest.raises(TypeError, match="JSON"):
            rag.ask("Q")
        assert rag.ask("Q", passages=passages("w1")).text == "a"


def test_what_an_earlier_question_asks_comes_first() -> None:
    rag, backend = scripted(SCRIPT, ListRetriever(passages("One", "Two")), passages=2, form="long")
    with rag:
        rag.ask_many(["Q", "Q"])
        rag.ask("Q")
    turns = [generation.turn for generation in backend.generations]
    alone = [turn for turn in turns if turn == 3]
    assert len(alone) > 1 and sorted(turns) == [1] * len(alone) + [2] * len(alone) + alone


@pytest.mark.parametrize("form", ["long", "short"])
def test_the_token_budget_is_never_exceeded(form: str) -> None:
    for limit in [*range(14), 30, 1000]:
        retriever = ListRetriever(passages("One", "Two", "Six"), {"Q b.": (RED,)})
        script = {**SCRIPT, CONTINUE_IN_SHORT: {"d": 1.0}} if form == "short" else SCRIPT
        rag, _ = scripted(script, retriever, passages=3, form=form, prune=False)
        with rag:
            answer = rag.ask("Q", budget=Budget(max_generated_tokens=limit))
        assert answer.usage.generated_tokens <= limit
        assert sum(len(node["token_ids"]) for node in nodes(answer)) <= limit
        if limit <= 5:
            assert answer.status == "budget", limit
            assert any("max_generated_tokens" in text for text in answer.warnings)
        if limit == 1000:
            assert answer.status == "complete" and answer.usage.generated_tokens > 5


CONTINUE_IN_SHORT = "a[Fully supported][Continue to Use Evidence]"


def test_the_token_budget_holds_with_a_model() -> None:
    with tiny_rag(0, max_segment_tokens=20, max_segments=6) as rag:
        whole = rag.ask("Which?").usage.generated_tokens
        for limit in range(0, whole + 2, 3):
            answer = rag.ask("Which?", budget=Budget(max_generated_tokens=limit))
            assert answer.usage.generated_tokens <= limit
            assert answer.status in ("budget", "complete")
        assert rag.ask("Which?", budget=Budget(max_generated_tokens=10**6)).status == "complete"


def test_no_tokens_at_all() -> None:
    rag, _ = scripted(SCRIPT, ListRetriever(passages("One")), passages=1)
    with rag:
        answer = rag.ask("Q", budget=Budget(max_generated_tokens=0))
    assert answer.status == "budget" and answer.text == NOT_FOUND
    assert answer.usage.generated_tokens == 0
    assert not any("dropped" in text for text in answer.warnings)


def test_the_retrieval_budget() -> None:
    for limit, queries, text in ((0, [], "h"), (1, ["Q"], "a"), (2, ["Q", "Q a"], "a a")):
        script = {
            **ALONE,
            "w1</paragraph>": {"[Relevant]": 1.0},
            "[Relevant]": {"a": 1.0},
            "a": {"[Retrieval]": 1.0},
        }
        retriever = ListRetriever(passages("w1"))
        rag, _ = scripted(script, retriever, mode="always", max_segments=4)
        with rag:
            answer = rag.ask("Q", budget=Budget(max_retrievals=limit))
        assert retriever.queries == queries and answer.usage.retrievals == limit
        assert answer.text == text and answer.status == "budget"
        assert any(f"budget of {limit} retrievals" in warning for warning in answer.warnings)


class SlowBackend:
    """Hands everything on, each step a little later."""

    def __init__(self, inner: Any, seconds: float) -> None:
        self._inner, self._seconds = inner, seconds

    def __getattr__(self, name: str) -> Any:
        return getattr(self._inner, name)

    def step(self) -> bool:
        time.sleep(self._seconds)
        return bool(self._inner.step())


LONG_TEXT = {
    "w1</paragraph>": {"[Relevant]": 1.0},
    "w1</paragraph>[Relevant]": {"a": 0.4, "b": 0.3},
    "w1</paragraph>[Relevant]a": {"[Utility:1]": 1.0},
    "w2</paragraph>": {"[Irrelevant]": 0.6, "[Relevant]": 0.4},
    "w2</paragraph>[Irrelevant]": {"c": 1.0},
    "c": {"c": 1.0},
}


@pytest.mark.parametrize("form", ["long", "short"])
def test_when_time_runs_out_what_is_complete_wins(form: str) -> None:
    """w2 never ends; its half-written text scores more than the complete answer of w1."""
    rag, backend = scripted(
        LONG_TEXT,
        ListRetriever(passages("w1", "w2")),
        mode="always",
        form=form,
        max_segment_tokens=400,
        prune=False,
        w_rel=0.0,
        w_sup=0.0,
    )
    rag._scheduler._backend = SlowBackend(backend, 0.02)  # type: ignore[assignment]
    with rag:
        started = time.monotonic()
        answer = rag.ask("Q", budget=Budget(max_seconds=0.5))
        assert time.monotonic() - started < 5
    assert answer.status == "budget" and answer.text == "a"
    assert any("max_seconds" in text for text in answer.warnings)
    assert [node["status"] for node in nodes(answer)] == ["root", "finished", "cancelled"]
    assert nodes(answer)[2]["text"].startswith("ccc")


def test_the_half_written_text_is_better_than_nothing() -> None:
    rag, backend = scripted(
        LONG_TEXT, ListRetriever(passages("w2")), mode="always", max_segment_tokens=400
    )
    rag._scheduler._backend = SlowBackend(backend, 0.02)  # type: ignore[assignment]
    with rag:
        answer = rag.ask("Q", budget=Budget(max_seconds=0.4))
    assert answer.status == "budget" and set(answer.text) == {"c"}


@pytest.mark.parametrize("form", ["long", "short"])
@pytest.mark.parametrize("options", [None, {"A": "a", "B": "c"}])
@pytest.mark.parametrize("closed_set", ["sum", "likelihood"])
def test_no_time_at_all(form: str, options: Any, closed_set: str) -> None:
    rag, _ = scripted(
        {**THREE, "### Response:\n": {"[Retrieval]": 1.0}},
        ListRetriever(passages("w1")),
        form=form,
        closed_set=closed_set,
    )
    with rag:
        answer = rag.ask("Q", options=options, budget=Budget(max_seconds=0))
    assert answer.status == "budget" and answer.choice is None and answer.citations == ()


def test_time_runs_out_during_a_retrieval() -> None:
    hanging = HangingRetriever(passages("w1"))
    rag, _ = scripted(ALONE, hanging, mode="always")
    with rag:
        started = time.monotonic()
        answer = rag.ask("Q", budget=Budget(max_seconds=0.05))
        assert time.monotonic() - started < 5
        hanging.release.set()
    assert answer.status == "budget"


@pytest.mark.parametrize("seconds", [1e12, float("inf"), 10**30])
def test_limits_of_many_years(seconds: float) -> None:
    rag, _ = scripted(THREE, ListRetriever(passages("w1")), mode="always", retrieval_timeout=1e12)
    with rag:
        assert rag.ask("Q", budget=Budget(max_seconds=seconds)).text == "a"


@pytest.mark.parametrize(
    "limits",
    [
        {"max_seconds": float("nan")},
        {"max_seconds": -1},
        {"max_seconds": "1"},
        {"max_generated_tokens": 1.5},
        {"max_generated_tokens": True},
        {"max_retrievals": -1},
    ],
)
def test_budgets_that_mean_nothing_are_refused(limits: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match=next(iter(limits))):
        Budget(**limits)


class BreakingBackend:
    """Raises at one step, then works again."""

    def __init__(self, inner: Any, at: int) -> None:
        self._inner, self._left = inner, at

    def __getattr__(self, name: str) -> Any:
        return getattr(self._inner, name)

    def step(self) -> bool:
        self._left -= 1
        if self._left == 0:
            raise RuntimeError("out of memory")
        return bool(self._inner.step())


def test_a_backend_that_breaks_fails_the_questions_in_it() -> None:
    hanging = HangingRetriever(passages("w1"))
    rag, backend = scripted(THREE, hanging, mode="always")
    rag._scheduler._backend = BreakingBackend(backend, at=2)  # type: ignore[assignment]
    with rag:
        waiting: list[Any] = []
        thread = threading.Thread(target=lambda: waiting.append(rag.ask("Q")))
        thread.start()
        assert hanging.asked.wait(10)
        with pytest.raises(RuntimeError, match="out of memory"):
            rag.ask("Q", passages=passages("w1"))
        assert backend._waiting == []
        hanging.release.set()
        thread.join(10)
        assert waiting[0].text == "a"
        assert rag.ask("Q", passages=passages("w3")).text == "c"


def test_a_backend_that_refuses_fails_one_question() -> None:
    rag, backend = scripted(THREE, None, mode="always")
    submit = backend.submit

    def refusing(generation: Generation, watch: Watch | None = None) -> int:
        if len(backend.generations) == 1:
            backend.generations.append(generation)
            raise MemoryError("no room")
        return submit(generation, watch)

    backend.submit = refusing  # type: ignore[method-assign]
    with rag:
        with pytest.raises(MemoryError):
            rag.ask("Q", passages=passages("w1", "w3"))
        assert backend._waiting == []
        assert rag.ask("Q", passages=passages("w1")).text == "a"


def test_many_threads() -> None:
    rag, _ = scripted(THREE, None, mode="always", form="short")
    wanted = {"w1": "a", "w2": "b", "w3": "c"}
    found: list[tuple[str, str]] = []

    def asks(name: str) -> None:
        for _ in range(5):
            found.append((name, rag.ask("Q", passages=passages(name)).text))

    with rag:
        threads = [threading.Thread(target=asks, args=(name,)) for name in wanted]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(20)
    assert len(found) == 15 and all(answer == wanted[name] for name, answer in found)
