"""A turn of a system: warmed up, measured, in this process or in another one."""

from __future__ import annotations

import multiprocessing
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from decoding_benchmark_helpers import QUESTIONS, retriever, setup, workload

from decoding.generation import Generation
from selfrag.answer import Answer
from selfrag.evaluation.decoding_benchmark import turns
from selfrag.evaluation.decoding_benchmark.apart import Apart, SystemFailed, converse, serve_turns
from selfrag.evaluation.decoding_benchmark.keeping import OnOneThread
from selfrag.evaluation.decoding_benchmark.passages import RecordedPassages
from selfrag.evaluation.decoding_benchmark.systems import Setup, fresh_engine, system
from selfrag.evaluation.decoding_benchmark.turns import brief, take_turn


def test_a_turn_is_measured() -> None:
    made = setup()
    turn = take_turn("ours", made, workload(), QUESTIONS)
    assert turn.seconds > 0 and turn.processor_seconds > 0
    assert turn.prompt_tokens > turn.generated_tokens > 0
    assert len(turn.answers) == len(QUESTIONS)


def test_a_system_is_warmed_up_once_for_a_workload(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[tuple[str, int, int]] = []
    inner = system

    @contextmanager
    def counting(name: str, made: Setup, load: Any, questions: Any) -> Iterator[Any]:
        with inner(name, made, load, questions) as ask:

            def ask_counted(texts: Any) -> list[Answer]:
                asked.append((load.name, load.config.max_segment_tokens, len(texts)))
                return ask(texts)

            yield ask_counted

    monkeypatch.setattr(turns, "system", counting)
    made = setup()
    for load in (workload(), workload(), workload("long")):
        take_turn("ours", made, load, QUESTIONS)
    whole = workload().config.max_segment_tokens
    assert asked == [
        ("short", 4, 1),
        ("short", whole, 3),
        ("short", whole, 3),
        ("long_64", 4, 1),
        ("long_64", whole, 3),
    ]


@pytest.mark.parametrize("form", ["short", "long"])
def test_little_is_written_to_warm_up(form: str) -> None:
    load = brief(workload(form))
    for config in (load.config, load.published):
        assert (config.max_segments, config.max_segment_tokens) == (1, 4)


@pytest.fixture
def connection() -> Iterator[Any]:
    """A process in the form of a thread, whose retriever knows nothing itself."""
    here, there = multiprocessing.Pipe()
    with here, there:
        made = setup()
        from selfrag.evaluation.decoding_benchmark.apart import _Asking

        made.passages = RecordedPassages(_Asking(there))
        thread = threading.Thread(target=serve_turns, args=(there, made))
        thread.start()
        yield here
        here.send(None)
        thread.join()


def test_another_process_answers_the_same(connection: Any) -> None:
    inner = retriever()
    passages = RecordedPassages(inner)
    passages.search(QUESTIONS[0], 3)
    expected = take_turn("ours", setup(), workload(), QUESTIONS)
    for _ in range(2):
        found = converse(connection, passages, ("ours", workload(), QUESTIONS))
        assert [text for text, _ in found.answers] == [text for text, _ in expected.answers]
        assert found.generated_tokens == expected.generated_tokens
    assert sorted(inner.queries) == sorted(QUESTIONS), "each was searched once, and here"


def test_an_error_there_is_raised_here(connection: Any, capfd: pytest.CaptureFixture[str]) -> None:
    passages = RecordedPassages(retriever())
    with pytest.raises(SystemFailed, match=r"'ours' failed in its process: .*Error"):
        converse(connection, passages, ("ours", None, QUESTIONS))
    assert "Traceback" in capfd.readouterr().err
    assert converse(connection, passages, ("ours", workload(), QUESTIONS)).answers


def test_a_process_that_ends_is_noticed(monkeypatch: pytest.MonkeyPatch) -> None:
    started: list[Any] = []

    class Ends:
        exitcode = -9

        def __init__(self, **options: Any) -> None:
            self.given = options["args"]

        def start(self) -> None:
            import os

            started.append((os.environ["OMP_NUM_THREADS"], os.environ["VLLM_NO_USAGE_STATS"]))

        def join(self, timeout: float | None = None) -> None:
            """It has ended."""

        def is_alive(self) -> bool:
            return False

    monkeypatch.setattr(multiprocessing.get_context("spawn"), "Process", Ends, raising=False)
    monkeypatch.setenv("OMP_NUM_THREADS", "77")
    process = Apart(setup())
    import torch

    assert started == [(str(torch.get_num_threads()), "1")]
    with pytest.raises(SystemFailed, match=r"'vllm' ended \(-9\) without an answer"):
        process.turn("vllm", workload(), QUESTIONS)
    process.close()


def test_a_backend_that_knows_one_thread() -> None:
    threads: set[int] = set()

    class Particular:
        fingerprint, context_limit = "particular", 64

        def __init__(self) -> None:
            self.inner = fresh_engine(setup().weights)
            self.closed = False

        def __getattr__(self, name: str) -> Any:
            inner = getattr(self.inner, name)

            def call(*arguments: Any) -> Any:
                threads.add(threading.get_ident())
                return inner(*arguments)

            return call

        def forget_prefixes(self) -> None:
            threads.add(threading.get_ident())

        def close(self) -> None:
            self.closed = True

    made: list[Particular] = []

    def load() -> Particular:
        threads.add(threading.get_ident())
        made.append(Particular())
        return made[0]

    engine = OnOneThread(load)
    ticket = engine.submit(Generation((5, 6, 7), 3))
    drafts: list[Any] = []
    while engine.step():
        assert engine.progress(ticket) is not None
        drafts += engine.poll()
    engine.cancel(ticket)
    engine.forget_prefixes()
    drafts += engine.poll()
    assert [(number, len(draft.token_ids)) for number, draft in drafts] == [(ticket, 3)]
    assert (engine.fingerprint, engine.context_limit) == ("particular", 64)
    engine.close()
    assert made[0].closed
    assert len(threads) == 1
    assert threading.get_ident() not in threads
