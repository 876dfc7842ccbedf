"""Chooses the thresholds below which an answer counts as unsupported.

Scores are the means of s_rel and s_sup over an answer's segments, and s_use of its end, as
`selfrag.calibration` compares them. Thresholds are chosen on a split that no evaluation uses.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import product

import numpy as np
import numpy.typing as npt

from selfrag.answer import Answer
from selfrag.calibration import Calibration


@dataclass(frozen=True, slots=True)
class ScoredAnswer:
    """One answer of the split: whether there was something to find, and its mean scores."""

    answerable: bool
    relevance: float
    support: float
    utility: float = 1.0


@dataclass(frozen=True, slots=True)
class ThresholdReport:
    """Chosen thresholds, and what they do on the split (shares in 0 to 1)."""

    calibration: Calibration
    refused_unanswerable: float
    refused_answerable: float


def scored(answer: Answer, *, answerable: bool) -> ScoredAnswer:
    """The scores of an answer; means of 0 where nothing was measured, s_use of 1 likewise.

    s_sup is the search tree's; an answer without one is read by its segments.
    """
    relevance = [s.p_relevant for s in answer.segments if s.p_relevant is not None]
    chosen = set(answer.tree["selected"]) if answer.tree else set()
    nodes = [node for node in answer.tree["nodes"] if node["id"] in chosen] if chosen else []
    support = [node["scores"]["sup"] for node in nodes if node["scores"].get("sup") is not None]
    for segment in answer.segments if not chosen else ():
        if segment.p_relevant is not None and segment.p_relevant <= 0.5:
            support.append(0.0)
        elif segment.p_supported is not None:
            support.append(segment.p_supported["fully"] + segment.p_supported["partially"] / 2)
    utility = answer.segments[-1].utility if answer.segments else None
    return ScoredAnswer(
        answerable, _mean(relevance), _mean(support), 1.0 if utility is None else utility
    )


def choose_thresholds(
    answers: Sequence[ScoredAnswer], *, max_false_refusals: float, split: str
) -> ThresholdReport:
    """The thresholds that refuse most unanswerable questions.

    Among those that refuse at most `max_false_refusals` of the answerable ones; ties go to fewer
    false refusals, then to the lower thresholds.

    Raises:
        ValueError: one of the two classes is missing from the split.
    """
    good = _matrix([answer for answer in answers if answer.answerable])
    bad = _matrix([answer for answer in answers if not answer.answerable])
    if not len(good) or not len(bad):
        raise ValueError("the split needs answerable and unanswerable questions")
    allowed = int(max_false_refusals * len(good))
    columns = [_candidates(column, allowed) for column in good.T.tolist()]
    best: tuple[tuple[float, ...], tuple[float, ...]] | None = None
    for thresholds in product(*columns):
        wrong = _refused(good, thresholds)
        if wrong > allowed:
            continue
        key = (_refused(bad, thresholds), -wrong, *(-value for value in thresholds))
        if best is None or key > best[0]:
            best = (key, thresholds)
    assert best is not None, "the lowest thresholds refuse nothing"
    (right, minus_wrong, *_), (relevance, support, utility) = best
    return ThresholdReport(
        Calibration(relevance, support, split, utility), right / len(bad), -minus_wrong / len(good)
    )


def _matrix(answers: Sequence[ScoredAnswer]) -> npt.NDArray[np.float64]:
    """One row an answer: relevance, support, utility."""
    rows = [(answer.relevance, answer.support, answer.utility) for answer in answers]
    return np.array(rows, dtype=np.float64).reshape(len(rows), 3)


def _candidates(values: Sequence[float], allowed: int) -> list[float]:
    """The lowest values: a threshold above the next one refuses more than is allowed.

    The first is so low that it refuses nothing: 0, or -1 for a utility below that."""
    return [-1.0 if min(values) < 0 else 0.0, *sorted(set(values))[: allowed + 1]]


def _refused(answers: npt.NDArray[np.float64], thresholds: Sequence[float]) -> int:
    return int((answers < np.array(thresholds)).any(axis=1).sum())


def _mean(values: Sequence[float]) -> float:
    return sum(values) / len(values) if values else 0.0
