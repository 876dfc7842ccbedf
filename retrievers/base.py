"""What every retriever does, and what those that search an index have in common."""

from __future__ import annotations

import asyncio
import math
import threading
import time
from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Protocol, runtime_checkable

import numpy as np
import numpy.typing as npt

from indexes.index import Index
from indexes.store import PassageStore
from retrievers.deadline import search_until
from retrievers.errors import InvalidQuery, RetrievalTimeout
from retrievers.hit import Hit

THREADS = 8
"""Searches that a retriever runs at once for its asynchronous callers; further ones wait."""

_POOL_LOCK = threading.Lock()


@runtime_checkable
class Retriever(Protocol):
    """Ranks passages for queries.

    Equal calls give equal results; passages with equal scores come in the order of their rows, or
    as a retriever says.
    A query of white space finds nothing.
    """

    @property
    def fingerprint(self) -> str:
        """Identifies corpus and settings: equal fingerprints give equal results."""
        ...

    def search(self, query: str, k: int) -> list[Hit]:
        """The best passages for a query, at most `k` and at least none, best first.

        Raises:
            InvalidQuery: the query is no valid text, or `k` is less than 1.
        """
        ...

    def search_many(self, queries: Sequence[str], k: int) -> list[list[Hit]]:
        """What `search` gives for each query, in their order."""
        ...


@dataclass(frozen=True, slots=True, eq=False)
class RankedRows:
    """A ranking as rows of an index, best first.

    Attributes:
        rows: row numbers, shape [n].
        scores: their scores, shape [n].
    """

    rows: npt.NDArray[np.int64]
    scores: npt.NDArray[np.float64]

    @classmethod
    def empty(cls) -> RankedRows:
        """A ranking of nothing."""
        return cls(np.empty(0, dtype=np.int64), np.empty(0, dtype=np.float64))


class BaseRetriever(ABC):
    """A retriever whose subclasses answer many queries at once; the other faces follow from it."""

    _threads: ThreadPoolExecutor | None = None

    @property
    @abstractmethod
    def fingerprint(self) -> str:
        """Identifies corpus and settings."""

    @abstractmethod
    def search_many(self, queries: Sequence[str], k: int) -> list[list[Hit]]:
        """See `Retriever.search_many`."""

    def search(self, query: str, k: int) -> list[Hit]:
        """See `Retriever.search`."""
        return self.search_many([query], k)[0]

    async def asearch(self, query: str, k: int, timeout: float | None = None) -> list[Hit]:
        """What `search` gives, without blocking the event loop; see `asearch_many`."""
        return (await self.asearch_many([query], k, timeout))[0]

    async def asearch_many(
        self, queries: Sequence[str], k: int, timeout: float | None = None
    ) -> list[list[Hit]]:
        """What `search_many` gives, without blocking the event loop.

        The search runs in one of the retriever's `THREADS` threads. After a timeout, or when the
        caller is cancelled, a search that still waits for a thread is called off; one that runs
        here cannot be stopped: its result is thrown away, and the process waits for it at its
        exit. One that waits for another machine ends with the time.

        Args:
            queries: see `search_many`.
            k: see `search_many`.
            timeout: seconds, the wait for a thread included; None waits as long as it takes.

        Raises:
            RetrievalTimeout: the time was over before the search.
            InvalidQuery: see `Retriever.search`; or the timeout is not positive.
        """
        if timeout is not None and not timeout > 0:
            raise InvalidQuery(f"The timeout is {timeout!r}.", "Give seconds above 0, or None.")
        limit = None if timeout is None or math.isinf(timeout) else timeout
        deadline = None if limit is None else time.monotonic() + limit
        running = self._pool().submit(self._search_until, deadline, list(queries), k)
        waiting = asyncio.wrap_future(running)
        try:
            await asyncio.wait({waiting}, timeout=limit)
            if waiting.done():
                return waiting.result()
        finally:
            waiting.cancel()
        raise RetrievalTimeout(
            f"No passages were found within {timeout:g} seconds ({len(queries)} queries).",
            "Allow more time, ask for fewer passages, or use a faster retriever.",
        )

    def _search_until(
        self, deadline: float | None, queries: Sequence[str], k: int
    ) -> list[list[Hit]]:
        with search_until(deadline):
            return self.search_many(queries, k)

    def _pool(self) -> ThreadPoolExecutor:
        with _POOL_LOCK:
            if self._threads is None:
                self._threads = ThreadPoolExecutor(THREADS, thread_name_prefix="retriever")
            return self._threads


class IndexRetriever(BaseRetriever):
    """A retriever that ranks the rows of one index; subclasses say how.

    Attributes:
        index: what is searched.
    """

    def __init__(self, index: Index) -> None:
        self.index = index

    @abstractmethod
    def rank_rows(self, queries: Sequence[str], k: int) -> list[RankedRows]:
        """The best rows for each of the queries, which were checked and are not blank."""

    def search_many(self, queries: Sequence[str], k: int) -> list[list[Hit]]:
        """See `Retriever.search_many`."""
        return search_rows(self.index.store, self.rank_rows, queries, k)


def search_rows(
    store: PassageStore,
    rank_rows: Callable[[Sequence[str], int], list[RankedRows]],
    queries: Sequence[str],
    k: int,
) -> list[list[Hit]]:
    """Check queries, rank rows for those that are not blank, and read the rows' passages."""
    check_queries(queries, k)
    found: list[list[Hit]] = [[] for _ in queries]
    asked = [number for number, query in enumerate(queries) if query.strip()]
    rankings = rank_rows([queries[number] for number in asked], k) if asked else []
    for number, ranking in zip(asked, rankings, strict=True):
        pairs = zip(ranking.rows.tolist(), ranking.scores.tolist(), strict=True)
        found[number] = [
            Hit(store[row], score, rank) for rank, (row, score) in enumerate(pairs, start=1)
        ]
    return found


def check_queries(queries: Sequence[str], k: int) -> None:
    """Refuse what no retriever can search for.

    Raises:
        InvalidQuery: `k` is less than 1, or a query is no string or holds a lone surrogate.
    """
    if isinstance(k, bool) or not isinstance(k, int) or k < 1:
        raise InvalidQuery(f"{k!r} passages were asked for.", "Ask for a whole number from 1 up.")
    if isinstance(queries, str):
        raise InvalidQuery("search_many got one string.", "Give it a list of queries.")
    for query in queries:
        if not isinstance(query, str):
            raise InvalidQuery(f"A query is a {type(query).__name__}.", "It must be a string.")
        try:
            query.encode()
        except UnicodeEncodeError as error:
            raise InvalidQuery(
                f"A query cannot be written as UTF-8 ({error.reason}).", "Send valid Unicode."
            ) from error
