"""Many questions scored again under many weights at once, without decoding anything.

For trees of one level whose candidates are all finished (the short form): the measurements of a
recorded run are enough to know what the search would have chosen under other weights. The
arithmetic is that of `decoding.scores`, operation for operation, so that ties stay ties. It knows
nothing of hard constraints: leave dropped candidates out of the arrays.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from decoding.scores import UNMEASURED, ScoreWeights
from decoding.tree import SegmentNode

Floats = npt.NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Measurements:
    """The finished candidates of many questions, each question's in the order of their ranks.

    Attributes:
        sequence, relevance, support, utility, retrieval: shape [candidates]; NaN where not
            measured.
        counts: candidates of each question, shape [questions]; their sum is `candidates`.
    """

    sequence: Floats
    relevance: Floats
    support: Floats
    utility: Floats
    counts: npt.NDArray[np.int64]
    retrieval: Floats

    def __post_init__(self) -> None:
        candidates = int(self.counts.sum())
        for name in ("sequence", "relevance", "support", "utility", "retrieval"):
            shape = getattr(self, name).shape
            if shape != (candidates,):
                raise ValueError(f"{name} has shape {shape}; the counts add up to {candidates}")

    @classmethod
    def of_nodes(cls, questions: Sequence[Sequence[SegmentNode]]) -> Measurements:
        """The measurements of finished nodes of one level, question by question."""
        rows: list[tuple[float | None, ...]] = []
        for nodes in questions:
            for node in sorted(nodes, key=lambda node: (node.passage_rank, node.id)):
                if node.segment is None or node.boundary is None:
                    raise ValueError(f"node {node.id} was not decoded")
                scores = node.segment.scores
                parts = (scores.seq, scores.rel, scores.sup, node.boundary.utility, node.s_ret)
                rows.append(parts)
        table = np.array(rows, dtype=np.float64).reshape(-1, 5)
        counts = np.array([len(nodes) for nodes in questions], dtype=np.int64)
        sequence, relevance, support, utility, retrieval = table.T
        return cls(sequence, relevance, support, utility, counts, retrieval)


def final_scores(measured: Measurements, weights: Sequence[ScoreWeights]) -> Floats:
    """F + w_use * s_use of every candidate under every weighting, shape [weights, candidates].

    A score that was not measured counts 1/2, a utility that was not measured 0, as in
    `scores.hypothesis_score` and `scores.final_score`.
    """
    table = np.array(
        [(w.sequence, w.relevance, w.support, w.retrieval, w.utility) for w in weights],
        dtype=np.float64,
    ).reshape(-1, 5)
    parts = (measured.sequence, measured.relevance, measured.support, measured.retrieval)
    sequence, relevance, support, retrieval = (np.where(np.isnan(p), UNMEASURED, p) for p in parts)
    utility = np.where(np.isnan(measured.utility), 0.0, measured.utility)
    scores: Floats = table[:, 0, None] * sequence + table[:, 1, None] * relevance
    scores = scores + table[:, 2, None] * support + table[:, 3, None] * retrieval
    return scores + table[:, 4, None] * utility


def choose(measured: Measurements, weights: Sequence[ScoreWeights]) -> npt.NDArray[np.int64]:
    """The chosen candidate of every question under every weighting.

    Returns:
        Place of the candidate within its question, shape [weights, questions]; -1 for a
        question without candidates. Of equal scores the first one, which has the better rank.
    """
    scores = final_scores(measured, weights)
    questions, most = len(measured.counts), int(measured.counts.max(initial=0))
    if most == 0:
        return np.full((len(weights), questions), -1, dtype=np.int64)
    present = np.arange(most) < measured.counts[:, None]
    padded = np.full((len(weights), questions, most), -np.inf)
    padded[:, present] = scores
    chosen = padded.argmax(axis=2).astype(np.int64)
    return np.where(measured.counts > 0, chosen, -1)
