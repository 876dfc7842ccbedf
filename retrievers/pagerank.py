"""Personalised PageRank over passages that are connected through names.

A walk starts at the seeds. At each step it goes, from the passage p where it is, to a name: with
probability `follow` to one that p mentions, else to one of p's own titles (to the other sort where
p has none of the one). From a name it goes to a passage: from a mentioned name with probability
`to_titled` to one that bears it as a title, else to one that mentions it; from an own title with
probability `to_same_title` to one that bears it, else to one that mentions it (again to the other
sort where there is none). Among names of one sort the walk chooses in proportion to the weights of
names and of mentions, among passages in proportion to their attraction. With probability
1 - `damping`, and where nothing leads on, it starts again at the seeds.

The scores are the probabilities of finding the walk at each passage, so they sum to 1:
s = (1 - d) seeds + d (Pᵀs + lost mass · seeds); Haveliwala, WWW 2002, by power iteration. This
module knows nothing of queries, texts or indexes.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

Vector = npt.NDArray[np.float64]


@dataclass(frozen=True, slots=True, eq=False)
class Edges:
    """What does not change between queries; P passages, N names.

    Attributes:
        mentions: CSR matrix of ones, shape [P, N]: which names a passage mentions.
        titles: CSR matrix of ones, shape [P, N]: which names are its titles.
        mention_rows: the row of every entry of `mentions`, shape [entries].
    """

    mentions: Any
    titles: Any
    mention_rows: npt.NDArray[np.int32]

    @classmethod
    def of(cls, mentions: Any, titles: Any) -> Edges:
        """The edges of two CSR matrices of ones."""
        lengths = np.diff(mentions.indptr)
        rows = np.repeat(np.arange(len(lengths), dtype=np.int32), lengths)
        return cls(mentions, titles, rows)


@dataclass(frozen=True, slots=True)
class Shares:
    """With which probability a walk takes which sort of edge; see the module's text."""

    follow: float
    to_titled: float
    to_same_title: float


class Walk:
    """One step of the walk for one query.

    Args:
        edges: the graph.
        shares: how the walk is divided over the sorts of edges.
        name_weights: for mentions, shape [N], not negative.
        own_weights: for passages' own titles, shape [N], positive.
        mention_weights: factors for single mentions, shape [entries], not negative.
        attraction: of passages, shape [P], positive.
    """

    def __init__(
        self,
        edges: Edges,
        shares: Shares,
        name_weights: Vector,
        own_weights: Vector,
        mention_weights: Vector,
        attraction: Vector,
    ) -> None:
        from scipy.sparse import csr_matrix

        self._edges = edges
        self._attraction = attraction
        self._own_weights = own_weights
        mentions, titles = edges.mentions, edges.titles
        weights = mention_weights * name_weights[mentions.indices]
        counted = np.bincount(edges.mention_rows, weights=weights, minlength=mentions.shape[0])
        sums = counted.astype(np.float64)  # they are whole numbers when there is no mention
        weights = weights * _inverse(sums)[edges.mention_rows]
        chosen = csr_matrix((weights, mentions.indices, mentions.indptr), mentions.shape)
        self._to_mentioned, self._to_titles = chosen.T, titles.T
        own_sums = titles @ own_weights
        self._follow = _share(shares.follow, sums > 0, own_sums > 0)
        self._stay = _share(1 - shares.follow, own_sums > 0, sums > 0) * _inverse(own_sums)
        titled, mentioning = self._to_titles @ attraction, mentions.T @ attraction
        to_titled, to_mentioning = _inverse(titled), _inverse(mentioning)
        has_titled, has_mentioning = titled > 0, mentioning > 0
        mentioned, same = shares.to_titled, shares.to_same_title
        self._mentioned_titled = _share(mentioned, has_titled, has_mentioning) * to_titled
        self._mentioned_mentioning = (
            _share(1 - mentioned, has_mentioning, has_titled) * to_mentioning
        )
        self._own_titled = _share(same, has_titled, has_mentioning) * to_titled
        self._own_mentioning = _share(1 - same, has_mentioning, has_titled) * to_mentioning

    def step(self, where: Vector) -> Vector:
        """Where a walk is one step later, shape [P]; mass that nothing leads on is missing."""
        mentioned = self._to_mentioned @ (where * self._follow)
        own = self._own_weights * (self._to_titles @ (where * self._stay))
        at_titled = mentioned * self._mentioned_titled + own * self._own_titled
        at_mentioning = mentioned * self._mentioned_mentioning + own * self._own_mentioning
        arrived = self._edges.titles @ at_titled + self._edges.mentions @ at_mentioning
        return np.asarray(arrived * self._attraction, dtype=np.float64)


def personalised_pagerank(
    step: Callable[[Vector], Vector],
    seeds: Vector,
    damping: float,
    *,
    tolerance: float = 1e-4,
    most_steps: int = 50,
) -> Vector:
    """The stationary distribution of a walk with restarts, by power iteration.

    Args:
        step: where a walk is one step later; may lose mass, which starts again.
        seeds: where it starts, shape [P], not negative, with sum 1.
        damping: the probability to go on, 0 to below 1.
        tolerance: stop when the scores change by less than this in all (L1 norm).
        most_steps: stop after so many steps in any case.

    Returns:
        Scores with sum 1, shape [P].
    """
    where = seeds
    for _ in range(most_steps):
        moved = step(where)
        lost = max(0.0, 1.0 - float(moved.sum()))
        after = (1.0 - damping) * seeds + damping * (moved + lost * seeds)
        after /= after.sum()
        change = float(np.abs(after - where).sum())
        where = after
        if change < tolerance:
            break
    return where


def _inverse(sums: Vector) -> Vector:
    return np.divide(1.0, sums, out=np.zeros(len(sums)), where=sums > 0)


def _share(
    share: float, possible: npt.NDArray[np.bool_], otherwise: npt.NDArray[np.bool_]
) -> Vector:
    """The part that takes one of two ways, where both, only this, or only the other exists."""
    return np.where(possible, np.where(otherwise, share, 1.0), 0.0)
