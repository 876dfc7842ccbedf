"""Passages that are retrieved once and given to every system that asks the same."""

from __future__ import annotations

import threading
from collections.abc import Mapping, Sequence

from retrievers.base import Retriever
from retrievers.hit import Hit


class RecordedPassages:
    """A retriever that remembers: a query is searched once, whoever asks it and from any thread.

    Args:
        retriever: what is asked the first time.
    """

    def __init__(self, retriever: Retriever) -> None:
        self._retriever = retriever
        self._found: dict[tuple[str, int], tuple[Hit, ...]] = {}
        self._lock = threading.Lock()
        self.searches = 0

    @property
    def fingerprint(self) -> str:
        """That of the retriever."""
        return self._retriever.fingerprint

    def found(self) -> dict[tuple[str, int], tuple[Hit, ...]]:
        """All that was searched so far, by query and number of passages."""
        with self._lock:
            return dict(self._found)

    def add(self, found: Mapping[tuple[str, int], tuple[Hit, ...]]) -> None:
        """Know what another has found."""
        with self._lock:
            self._found.update(found)

    def search(self, query: str, k: int) -> list[Hit]:
        """The `k` best passages, best first."""
        with self._lock:
            if (query, k) not in self._found:
                self._found[query, k] = tuple(self._retriever.search(query, k))
                self.searches += 1
            return list(self._found[query, k])

    def search_many(self, queries: Sequence[str], k: int) -> list[list[Hit]]:
        """One list of hits for each query."""
        return [self.search(query, k) for query in queries]
