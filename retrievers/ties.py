"""What ties passages to each other: titles that one mentions, names and proper words in both.

Rare names and words tie more (inverse document frequency, 0 to 1). This module knows rows and the
numbers of names and words (`indexes.graph`), no texts and no queries.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from retrievers.evidence import Numbers, Ties

_MOST_HOLDERS = 30
"""A name or word that more passages hold leads to none of them: too many are strangers."""


@dataclass(frozen=True, slots=True, eq=False)
class Holdings:
    """What passages hold, and who holds it.

    Attributes:
        by_passage: CSR matrix of ones, shape [passages, things].
        by_thing: its transpose, CSR.
        counts: how many passages hold each thing.
    """

    by_passage: Any
    by_thing: Any
    counts: npt.NDArray[np.int64]

    @classmethod
    def of(cls, by_passage: Any) -> Holdings:
        """All from the first."""
        by_thing = by_passage.T.tocsr()
        return cls(by_passage, by_thing, np.diff(by_thing.indptr).astype(np.int64))


class TieFinder:
    """Finds ties between the passages of a corpus.

    Args:
        titles: which names are passages' titles.
        mentions: which names passages mention.
        words: which proper words they hold.
    """

    def __init__(self, titles: Holdings, mentions: Holdings, words: Holdings) -> None:
        self._titles, self._mentions, self._words = titles, mentions, words
        passages = titles.by_passage.shape[0]
        self._name_rarity = _rarity(titles.counts + mentions.counts, passages)
        self._word_rarity = _rarity(words.counts, passages)

    def tied_to(
        self,
        seeds: Iterable[int],
        asked_words: list[int],
        most: int,
        scores: npt.NDArray[np.float64],
    ) -> npt.NDArray[np.int64]:
        """The rows that share the rarest names and words with some of the seeds.

        Args:
            seeds: rows; they may be among the result.
            asked_words: words of the question, which tie nothing.
            most: how many rows are wanted at most.
            scores: of all rows, shape [passages]: which of equally tied rows come first.
        """
        taken = np.array(sorted(set(seeds)), dtype=np.int64)
        rows: list[npt.NDArray[np.int32]] = []
        strengths: list[npt.NDArray[np.float64]] = []
        words = np.setdiff1d(_things(self._words, taken), np.array(asked_words, dtype=np.int32))
        names = np.union1d(_things(self._titles, taken), _things(self._mentions, taken))
        for holdings, things, rarity in (
            (self._titles, names, self._name_rarity),
            (self._mentions, names, self._name_rarity),
            (self._words, words, self._word_rarity),
        ):
            for thing in things[holdings.counts[things] <= _MOST_HOLDERS]:
                start, end = holdings.by_thing.indptr[thing : thing + 2]
                rows.append(holdings.by_thing.indices[start:end])
                strengths.append(np.full(end - start, rarity[thing]))
        if not rows:
            return np.empty(0, dtype=np.int64)
        found, places = np.unique(np.concatenate(rows), return_inverse=True)
        strength = np.bincount(places, weights=np.concatenate(strengths))
        best = np.lexsort((found, -scores[found], -strength))[:most]
        return np.asarray(found[best], dtype=np.int64)

    def between(
        self,
        firsts: npt.NDArray[np.int64],
        rows: npt.NDArray[np.int64],
        asked_names: list[int],
        asked_words: list[int],
        asked_weight: float,
    ) -> Ties:
        """The ties between some rows and others; what the question names ties less.

        Args:
            firsts: rows, shape [k].
            rows: rows, shape [n].
            asked_names: names of the question, whose weight is `asked_weight` times theirs.
            asked_words: words of the question, which have no weight.
            asked_weight: 0 to 1.
        """
        mentions, titles = self._mentions.by_passage[rows], self._titles.by_passage[rows]
        rarity = self._name_rarity
        mentioned = _weighted(self._mentions.by_passage[firsts], rarity, asked_names, asked_weight)
        borne = _weighted(self._titles.by_passage[firsts], rarity, asked_names, asked_weight)
        held = _weighted(self._words.by_passage[firsts], self._word_rarity, asked_words, 0.0)
        return Ties(
            named=np.minimum(_product(mentioned, titles) + _product(borne, mentions), 1.0),
            names=_product(mentioned, mentions),
            shared=_product(held, self._words.by_passage[rows]),
        )


def _rarity(counts: npt.NDArray[np.int64], passages: int) -> npt.NDArray[np.float64]:
    rarity = np.log(1.0 + passages / (1.0 + counts)) / np.log(1.0 + passages)
    return np.asarray(rarity, dtype=np.float64)


def _things(holdings: Holdings, rows: npt.NDArray[np.int64]) -> npt.NDArray[np.int32]:
    return np.unique(holdings.by_passage[rows].indices)


def _weighted(
    matrix: Any, rarity: npt.NDArray[np.float64], asked: list[int], asked_weight: float
) -> Any:
    """A CSR matrix of ones with the rarity of its columns in their place, less if asked for."""
    from scipy.sparse import csr_matrix

    weights = rarity[matrix.indices]
    weights[np.isin(matrix.indices, asked)] *= asked_weight
    return csr_matrix((weights, matrix.indices, matrix.indptr), matrix.shape)


def _product(left: Any, right: Any) -> Numbers:
    return np.asarray((left @ right.T).toarray(), dtype=np.float32)
