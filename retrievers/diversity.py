"""Maximal marginal relevance: passages that are near the query and unlike those before them.

Carbonell and Goldstein, SIGIR 1998: the next passage is the candidate with the highest
lambda * sim(passage, query) - (1 - lambda) * max over the chosen ones of sim(passage, chosen).
Both similarities are cosines of the encoder's vectors. For the first passage, of which nothing
was chosen before, the maximum counts as the least cosine, -1: the choice is the same, and scores
fall from rank to rank.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from indexes.checksums import sha256_of_json
from indexes.index import Index
from indexes.passage import Passage
from indexes.vectors import check_vectors
from retrievers.base import BaseRetriever, Retriever, check_queries
from retrievers.dense import QueryEncoder
from retrievers.errors import InvalidRetriever
from retrievers.hit import Hit

TOP = 50
LAMBDA = 0.5
_DIGITS = 9


def marginal_relevance(
    query: npt.NDArray[np.float32],
    vectors: npt.NDArray[np.float32],
    lambda_: float,
    k: int,
) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.float64]]:
    """The `k` candidates chosen one after the other, and the values for which they were.

    Cosines are rounded to 9 digits, so that equal vectors are equally similar; of equal values
    the first candidate wins. A vector of zeros has the cosine 0 to all others.

    Args:
        query: shape [dimension].
        vectors: of the candidates, shape [n, dimension].
        lambda_: 0 (diversity only) to 1 (relevance only).
        k: how many, at most n are chosen.

    Returns:
        Candidate numbers and values, both of shape [min(k, n)].
    """
    unit = _unit(np.asarray(vectors, dtype=np.float64))
    relevance = lambda_ * _cosines(unit, _unit(np.asarray(query, dtype=np.float64)[None])[0])
    nearest = np.full(len(unit), -1.0)
    open_ = np.ones(len(unit), dtype=bool)
    chosen, values = [], []
    for _ in range(min(k, len(unit))):
        worth = np.where(open_, relevance - (1.0 - lambda_) * nearest, -np.inf)
        best = int(np.argmax(worth))
        chosen.append(best)
        values.append(float(worth[best]))
        open_[best] = False
        nearest = np.maximum(nearest, _cosines(unit, unit[best]))
    return np.array(chosen, dtype=np.int64), np.array(values, dtype=np.float64)


class DiverseRetriever(BaseRetriever):
    """Chooses among what another retriever found by maximal marginal relevance.

    The candidates' vectors are read from the index where it keeps them under this encoder (see
    `indexes.nearest.VectorIndex.take`); else their texts are encoded.

    Args:
        retriever: finds the candidates; its scores do not matter beyond that.
        encoder: makes the vectors of queries and candidates.
        index: the one that `retriever` searches, to read vectors from; or None.
        lambda_: 0 (diversity only) to 1 (relevance only).
        top: how many candidates there are, if more than `k`.

    Raises:
        InvalidRetriever: a setting is out of range.
    """

    def __init__(
        self,
        retriever: Retriever,
        encoder: QueryEncoder,
        index: Index | None = None,
        *,
        lambda_: float = LAMBDA,
        top: int = TOP,
    ) -> None:
        if not (math.isfinite(lambda_) and 0 <= lambda_ <= 1):
            raise InvalidRetriever(f"Lambda is {lambda_}.", "It must lie between 0 and 1.")
        if top < 1:
            raise InvalidRetriever(f"The number of candidates is {top}.", "It must be 1 or more.")
        self.retriever = retriever
        self.encoder = encoder
        self.lambda_ = lambda_
        self.top = top
        self._index: Index | None = None
        record = None if index is None else index.manifest.encoder
        same = record is not None and record.fingerprint == encoder.fingerprint
        if index is not None and index.vectors is not None and same:
            self._index = index

    @property
    def fingerprint(self) -> str:
        """Identifies the retriever below, the encoder and the settings."""
        return sha256_of_json(
            {
                "retriever": "mmr",
                "of": self.retriever.fingerprint,
                "encoder": self.encoder.fingerprint,
                "lambda": self.lambda_,
                "top": self.top,
            }
        )

    def search_many(self, queries: Sequence[str], k: int) -> list[list[Hit]]:
        """See `Retriever.search_many`; a passage is encoded once for all queries."""
        check_queries(queries, k)
        found = self.retriever.search_many(queries, max(k, self.top))
        asked = [number for number, hits in enumerate(found) if hits]
        chosen: list[list[Hit]] = [[] for _ in queries]
        if not asked:
            return chosen
        distinct = dict.fromkeys(hit.passage for number in asked for hit in found[number])
        places = {passage: place for place, passage in enumerate(distinct)}
        vectors = self._vectors(list(distinct))
        texts = [queries[number] for number in asked]
        near = check_vectors(self.encoder.encode_queries(texts), len(texts), self.encoder.dimension)
        for number, vector in zip(asked, near, strict=True):
            hits = found[number]
            rows = [places[hit.passage] for hit in hits]
            order, values = marginal_relevance(vector, vectors[rows], self.lambda_, k)
            pairs = zip(order.tolist(), values.tolist(), strict=True)
            chosen[number] = [
                Hit(hits[place].passage, value, rank)
                for rank, (place, value) in enumerate(pairs, start=1)
            ]
        return chosen

    def _vectors(self, passages: list[Passage]) -> npt.NDArray[np.float32]:
        if self._index is not None:
            store = self._index.store
            rows = np.array([store.row_of(passage.id) for passage in passages], dtype=np.int64)
            if (kept := self._index.require_vectors().take(rows)) is not None:
                return kept
        made = self.encoder.encode_passages(passages)
        return check_vectors(made, len(passages), self.encoder.dimension)


def _unit(vectors: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    lengths = np.linalg.norm(vectors, axis=1, keepdims=True)
    scaled: npt.NDArray[np.float64] = vectors / np.where(lengths > 0, lengths, 1.0)
    return scaled


def _cosines(
    unit: npt.NDArray[np.float64], vector: npt.NDArray[np.float64]
) -> npt.NDArray[np.float64]:
    rounded: npt.NDArray[np.float64] = np.round(unit @ vector, _DIGITS).clip(-1.0, 1.0)
    return rounded
