"""Hybrid retrieval: one ranking made of several.

Reciprocal rank fusion (Cormack, Clarke and Büttcher, SIGIR 2009): the score of a passage is the
sum over the rankings of weight / (60 + rank). Weighted fusion: the weighted sum of each ranking's
scores, normalised per query and ranking to (score - lowest) / (highest - lowest) over the `depth`
passages that were fetched (CombSUM with min-max normalisation; Lee, SIGIR 1997). The last passage
fetched and a passage that a ranking lacks both count 0 in it; a ranking whose scores are all equal
counts 1 for each. So a retriever's scale and offset do not matter, but its depth does.
"""

from __future__ import annotations

import math
from collections.abc import Hashable, Sequence
from typing import TypeVar

import numpy as np

from indexes.checksums import sha256_of_json
from indexes.passage import Passage
from retrievers.base import (
    BaseRetriever,
    IndexRetriever,
    RankedRows,
    Retriever,
    check_queries,
    search_rows,
)
from retrievers.errors import InvalidRetriever
from retrievers.hit import Hit

RECIPROCAL_RANK_CONSTANT = 60
METHODS = ("rrf", "weighted")
DEPTH = 100
_Key = TypeVar("_Key", bound=Hashable)
_Ranking = Sequence[tuple[_Key, float]]


def fuse(
    rankings: Sequence[_Ranking[_Key]], weights: Sequence[float], method: str
) -> dict[_Key, float]:
    """The fused score of every key in the rankings, in order of first appearance.

    Args:
        rankings: (key, score) pairs, best first, each key at most once per ranking.
        weights: one per ranking.
        method: "rrf" or "weighted".
    """
    fused: dict[_Key, float] = {}
    for ranking, weight in zip(rankings, weights, strict=True):
        lowest = min((score for _, score in ranking), default=0.0)
        spread = max((score for _, score in ranking), default=0.0) - lowest
        for rank, (key, score) in enumerate(ranking, start=1):
            if method == "rrf":
                part = 1.0 / (RECIPROCAL_RANK_CONSTANT + rank)
            else:
                part = (score - lowest) / spread if spread > 0 else 1.0
            fused[key] = fused.get(key, 0.0) + weight * part
    return fused


class HybridRetriever(BaseRetriever):
    """Fuses the rankings of several retrievers.

    Over retrievers of one corpus passages are told apart by row, over others by id. Equal scores
    come in the order of the first ranking that has them, which does not depend on the order of the
    corpus.

    Args:
        retrievers: at least one.
        method: "rrf" or "weighted".
        depth: how many passages each retriever is asked for, if more than `k`.
        weights: one positive number per retriever; 1 each by default.

    Raises:
        InvalidRetriever: a setting is not allowed.
    """

    def __init__(
        self,
        retrievers: Sequence[Retriever],
        method: str = "rrf",
        depth: int = DEPTH,
        weights: Sequence[float] | None = None,
    ) -> None:
        self.retrievers = list(retrievers)
        self.method = method
        self.depth = depth
        self.weights = [1.0] * len(self.retrievers) if weights is None else list(weights)
        if not self.retrievers:
            raise InvalidRetriever("A hybrid of no retrievers was asked for.", "Give at least one.")
        if method not in METHODS:
            raise InvalidRetriever(
                f"The fusion method {method!r} is unknown.", f"Allowed are {list(METHODS)}."
            )
        if depth < 1:
            raise InvalidRetriever(f"The depth is {depth}.", "It must be 1 or more.")
        if len(self.weights) != len(self.retrievers) or not all(
            math.isfinite(weight) and weight > 0 for weight in self.weights
        ):
            raise InvalidRetriever(
                f"The weights are {self.weights} for {len(self.retrievers)} retrievers.",
                "Give one positive number per retriever.",
            )
        members = [member for member in self.retrievers if isinstance(member, IndexRetriever)]
        corpora = {member.index.manifest.corpus_fingerprint for member in members}
        one_corpus = len(members) == len(self.retrievers) and len(corpora) == 1
        self._members = members if one_corpus else []

    @property
    def fingerprint(self) -> str:
        """Identifies the members and the fusion's settings."""
        return sha256_of_json(
            {
                "retriever": "hybrid",
                "members": [member.fingerprint for member in self.retrievers],
                "method": self.method,
                "depth": self.depth,
                "weights": self.weights,
            }
        )

    def search_many(self, queries: Sequence[str], k: int) -> list[list[Hit]]:
        """See `Retriever.search_many`."""
        if self._members:
            return search_rows(self._members[0].index.store, self.rank_rows, queries, k)
        check_queries(queries, k)
        depth = max(k, self.depth)
        answers = [member.search_many(queries, depth) for member in self.retrievers]
        return [self._fuse_hits(rankings, k) for rankings in zip(*answers, strict=True)]

    def rank_rows(self, queries: Sequence[str], k: int) -> list[RankedRows]:
        """The best rows for each query: fusion by row number, so no passage is read.

        Raises:
            InvalidRetriever: the members do not all search indexes of one corpus.
        """
        if not self._members:
            raise InvalidRetriever(
                "The members of this hybrid do not share the rows of one corpus.",
                "Fuse retrievers over one index, or use search.",
            )
        depth = max(k, self.depth)
        answers = [member.rank_rows(queries, depth) for member in self._members]
        fused = []
        for rankings in zip(*answers, strict=True):
            pairs = [
                list(zip(ranking.rows.tolist(), ranking.scores.tolist(), strict=True))
                for ranking in rankings
            ]
            best = _best(fuse(pairs, self.weights, self.method), k)
            rows = np.array([row for row, _ in best], dtype=np.int64)
            scores = np.array([score for _, score in best], dtype=np.float64)
            fused.append(RankedRows(rows, scores))
        return fused

    def _fuse_hits(self, rankings: Sequence[list[Hit]], k: int) -> list[Hit]:
        passages: dict[str, Passage] = {}
        for ranking in rankings:
            for hit in ranking:
                passages.setdefault(hit.passage.id, hit.passage)
        pairs = [_first_places(ranking) for ranking in rankings]
        best = _best(fuse(pairs, self.weights, self.method), k)
        return [Hit(passages[key], score, rank) for rank, (key, score) in enumerate(best, start=1)]


def _first_places(ranking: list[Hit]) -> list[tuple[str, float]]:
    """Ids and scores; of a passage that stands twice in a ranking the better place counts."""
    scores: dict[str, float] = {}
    for hit in ranking:
        scores.setdefault(hit.passage.id, hit.score)
    return list(scores.items())


def _best(fused: dict[_Key, float], k: int) -> list[tuple[_Key, float]]:
    """The first `k`; sorting keeps the order of first appearance among equal scores."""
    return sorted(fused.items(), key=lambda item: -item[1])[:k]
