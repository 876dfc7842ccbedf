"""A system in a process of its own, which holds its engine from turn to turn.

vLLM runs in one process there (VLLM_ENABLE_V1_MULTIPROCESSING=0): its usual three hand every step
to each other and leave one core to a scheduler, which few cores cannot spare.
The process has as many threads as this one. It gets the questions and the passages of each turn
and answers with what `take_turn` measured there; what it prints goes to standard error.

Knows nothing of how an engine is opened: `systems` does, in the process.
"""

from __future__ import annotations

import multiprocessing
import os
import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

from retrievers.hit import Hit
from selfrag.errors import SelfRAGError
from selfrag.evaluation.decoding_benchmark.passages import RecordedPassages
from selfrag.evaluation.decoding_benchmark.systems import Setup
from selfrag.evaluation.decoding_benchmark.turns import Turn, take_turn
from selfrag.evaluation.decoding_benchmark.workloads import Weights, Workload

ENVIRONMENT = {
    "VLLM_ENABLE_V1_MULTIPROCESSING": "0",
    "VLLM_LOGGING_LEVEL": "ERROR",
    "VLLM_NO_USAGE_STATS": "1",
}
"""What vLLM is told in its process, where nothing else is set."""


class SystemFailed(SelfRAGError):
    """A system in another process raised an error, or its process ended."""


class Apart:
    """A process for systems that `take_turn` knows.

    Args:
        setup: with the passages that are shared. Weights and folder go to the process, the model
            itself does not: engines there load it from the folder.
    """

    def __init__(self, setup: Setup) -> None:
        import torch

        context = multiprocessing.get_context("spawn")
        self._passages = setup.passages
        self._connection, other = context.Pipe()
        self._process = context.Process(
            target=serve,
            args=(
                other,
                replace(setup.weights, model=None),
                setup.folder,
                setup.eager,
                torch.get_num_threads(),
            ),
            daemon=True,
        )
        with _environment({**ENVIRONMENT, **os.environ, "OMP_NUM_THREADS": _threads()}):
            self._process.start()
        other.close()

    def turn(self, name: str, workload: Workload, questions: Sequence[str]) -> Turn:
        """One turn there.

        Raises:
            SystemFailed: the system did not answer.
        """
        try:
            return converse(self._connection, self._passages, (name, workload, tuple(questions)))
        except (EOFError, ConnectionError):
            self._process.join(10)
            raise SystemFailed(
                f"The process of {name!r} ended ({self._process.exitcode}) without an answer.",
                "Its last words are on standard error; -9 is often a lack of memory.",
            ) from None

    def close(self) -> None:
        """End the process, and free what it holds."""
        with suppress(OSError):
            self._connection.send(None)
        self._process.join(30)
        if self._process.is_alive():
            self._process.kill()
            self._process.join()
        self._connection.close()


def converse(connection: Any, passages: RecordedPassages, task: tuple[Any, ...]) -> Turn:
    """Give a task to `serve`, search what it asks for, and return its turn."""
    connection.send((*task, passages.found()))
    while True:
        kind, value = connection.recv()
        if kind == "search":
            connection.send(passages.search(*value))
        elif kind == "failed":
            raise SystemFailed(f"{task[0]!r} failed in its process: {value}", "See above.")
        else:
            assert isinstance(value, Turn)
            return value


def serve(
    connection: Any, weights: Weights, folder: Path | None, eager: bool, threads: int
) -> None:
    """The process: turns until None arrives."""
    import torch

    os.dup2(2, 1)
    torch.set_num_threads(threads)
    setup = Setup(weights, RecordedPassages(_Asking(connection)), folder, eager)
    serve_turns(connection, setup)
    setup.close()


def serve_turns(connection: Any, setup: Setup) -> None:
    """Take every turn that is asked for."""
    while (task := connection.recv()) is not None:
        name, workload, questions, found = task
        setup.passages.add(found)
        try:
            turn = take_turn(name, setup, workload, questions)
        except Exception as error:
            import traceback

            traceback.print_exc()
            connection.send(("failed", f"{type(error).__name__}: {error}"))
        else:
            connection.send(("turn", turn))


class _Asking:
    """A retriever on the other side of a pipe."""

    fingerprint = "asked for"

    def __init__(self, connection: Any) -> None:
        self._connection, self._lock = connection, threading.Lock()

    def search(self, query: str, k: int) -> list[Hit]:
        """The `k` best passages, best first."""
        with self._lock:
            self._connection.send(("search", (query, k)))
            hits: list[Hit] = self._connection.recv()
            return hits

    def search_many(self, queries: Sequence[str], k: int) -> list[list[Hit]]:
        """One list of hits for each query."""
        return [self.search(query, k) for query in queries]


def _threads() -> str:
    import torch

    return str(torch.get_num_threads())


@contextmanager
def _environment(values: Mapping[str, str]) -> Iterator[None]:
    """Environment variables for processes that are started meanwhile."""
    before = dict(os.environ)
    os.environ.update(values)
    try:
        yield
    finally:
        os.environ.clear()
        os.environ.update(before)
