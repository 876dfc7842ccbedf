"""Chooses the thresholds below which an answer counts as unsupported.

Scores are the means of s_rel and s_sup over an answer's segments, as `selfrag.calibration` compares
them. Thresholds are chosen on a split that no evaluation uses.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from selfrag.answer import Answer
from selfrag.calibration import Calibration


@dataclass(frozen=True, slots=True)
class ScoredAnswer:
    """One answer of the split: whether there was something to find, and its mean scores."""

    answerable: bool
    relevance: float
    support: float


@dataclass(frozen=True, slots=True)
class ThresholdReport:
    """Chosen thresholds, and what they do on the split (shares in 0 to 1)."""

    calibration: Calibration
    refused_unanswerable: float
    refused_answerable: float


def scored(answer: Answer, *, answerable: bool) -> ScoredAnswer:
    """The mean scores of an answer's segments; 0 where nothing was measured."""
    relevance = [s.p_relevant for s in answer.segments if s.p_relevant is not None]
    support = []
    for segment in answer.segments:
        if segment.p_relevant is not None and segment.p_relevant <= 0.5:
            support.append(0.0)
        elif segment.p_supported is not None:
            support.append(segment.p_supported["fully"] + segment.p_supported["partially"] / 2)
    return ScoredAnswer(answerable, _mean(relevance), _mean(support))


def choose_thresholds(
    answers: Sequence[ScoredAnswer], *, max_false_refusals: float, split: str
) -> ThresholdReport:
    """The pair of thresholds that refuses most unanswerable questions.

    Among pairs that refuse at most `max_false_refusals` of the answerable ones; ties go to the
    pair with fewer false refusals, then to the lower thresholds.

    Raises:
        ValueError: one of the two classes is missing from the split.
    """
    good = [answer for answer in answers if answer.answerable]
    bad = [answer for answer in answers if not answer.answerable]
    if not good or not bad:
        raise ValueError("the split needs answerable and unanswerable questions")
    allowed = int(max_false_refusals * len(good))
    relevances = _candidates([answer.relevance for answer in good], allowed)
    supports = _candidates([answer.support for answer in good], allowed)
    best = None
    for relevance in relevances:
        for support in supports:
            wrong = _refused(good, relevance, support)
            if wrong > allowed:
                continue
            key = (_refused(bad, relevance, support), -wrong, -relevance, -support)
            if best is None or key > best[0]:
                best = (key, relevance, support)
    assert best is not None, "thresholds of 0 refuse nothing"
    (right, minus_wrong, *_), relevance, support = best
    return ThresholdReport(
        Calibration(relevance, support, split), right / len(bad), -minus_wrong / len(good)
    )


def _candidates(values: Sequence[float], allowed: int) -> list[float]:
    """0, and the lowest values: a threshold above the next one refuses more than is allowed."""
    return [0.0, *sorted(set(values))[: allowed + 1]]


def _refused(answers: Sequence[ScoredAnswer], relevance: float, support: float) -> int:
    return sum(a.relevance < relevance or a.support < support for a in answers)


def _mean(values: Sequence[float]) -> float:
    return sum(values) / len(values) if values else 0.0
