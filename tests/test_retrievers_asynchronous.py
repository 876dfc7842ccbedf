"""Asynchronous search: the same answers, a named error after a timeout, cancelling."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Sequence
from pathlib import Path

import pytest
from retrieval_helpers import Ranked
from storage_helpers import CORPUS, HashEncoder

from indexes.build import build_index
from indexes.index import Index
from retrievers.base import THREADS, BaseRetriever
from retrievers.bm25 import BM25Retriever
from retrievers.dense import DenseRetriever
from retrievers.errors import InvalidQuery, RetrievalTimeout, RetrieverError
from retrievers.fusion import HybridRetriever
from retrievers.given import GivenPassages
from retrievers.hit import Hit


class Hanging(Ranked):
    """Answers only after it was released."""

    def __init__(self) -> None:
        super().__init__(CORPUS)
        self.released = threading.Event()
        self.entered = threading.Semaphore(0)

    def search_many(self, queries: Sequence[str], k: int) -> list[list[Hit]]:
        self.entered.release()
        assert self.released.wait(60)
        return super().search_many(queries, k)


def test_the_same_answers(tmp_path: Path) -> None:
    build_index(CORPUS, tmp_path / "index", encoder=HashEncoder())
    index = Index.open(tmp_path / "index")
    members: list[BaseRetriever] = [DenseRetriever(index, HashEncoder()), BM25Retriever(index)]
    retrievers = [*members, HybridRetriever(members), GivenPassages(CORPUS)]
    queries = ["capital of France", "", "Seine"]

    async def ask() -> None:
        for retriever in retrievers:
            together = await asyncio.gather(*(retriever.asearch(q, 3, 60) for q in queries))
            assert together == retriever.search_many(queries, 3)
            assert await retriever.asearch_many(queries, 3) == together
            assert await retriever.asearch_many([], 3) == []

    asyncio.run(ask())


def test_a_timeout_is_a_named_error() -> None:
    hanging = Hanging()

    async def ask() -> None:
        with pytest.raises(RetrievalTimeout, match=r"within 0\.05 seconds") as caught:
            await hanging.asearch("q", 2, timeout=0.05)
        assert isinstance(caught.value, RetrieverError) and isinstance(caught.value, TimeoutError)
        assert caught.value.hint
        hanging.released.set()
        assert len(await hanging.asearch("q", 2, timeout=float("inf"))) == 2

    asyncio.run(ask())


def test_a_search_that_waits_for_a_thread_is_called_off() -> None:
    hanging = Hanging()

    async def ask() -> None:
        running = [asyncio.ensure_future(hanging.asearch("running", 1)) for _ in range(THREADS)]
        for _ in range(THREADS):
            await asyncio.to_thread(hanging.entered.acquire)
        with pytest.raises(RetrievalTimeout):
            await hanging.asearch("waiting", 1, timeout=0.05)
        cancelled = asyncio.ensure_future(hanging.asearch("cancelled", 1))
        await asyncio.sleep(0)
        cancelled.cancel()
        with pytest.raises(asyncio.CancelledError):
            await cancelled
        hanging.released.set()
        assert all(len(hits) == 1 for hits in await asyncio.gather(*running))
        assert len(await hanging.asearch("last", 1)) == 1

    asyncio.run(ask())
    asked = [queries for queries, _ in hanging.asked]
    assert asked == [["running"]] * THREADS + [["last"]]


def test_errors_come_through() -> None:
    class Slow(Ranked):
        def search_many(self, queries: Sequence[str], k: int) -> list[list[Hit]]:
            raise TimeoutError("the retriever's own")

    async def ask() -> None:
        with pytest.raises(InvalidQuery):
            await Ranked(CORPUS).asearch("q", 0)
        with pytest.raises(TimeoutError, match="own") as caught:
            await Slow(CORPUS).asearch("q", 1, timeout=60)
        assert not isinstance(caught.value, RetrievalTimeout)
        for timeout in (0, -1, float("nan")):
            with pytest.raises(InvalidQuery, match="timeout"):
                await Ranked(CORPUS).asearch("q", 1, timeout=timeout)

    asyncio.run(ask())
