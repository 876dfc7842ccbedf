from __future__ import annotations

from typing import Any

import pytest

from selfrag.answer import Answer, Segment, Usage
from selfrag.evaluation.thresholds import ScoredAnswer, choose_thresholds, scored


def segment(relevant: float | None, supported: tuple[float, float, float] | None) -> Segment:
    labels = ("fully", "partially", "no")
    support = None if supported is None else dict(zip(labels, supported, strict=True))
    return Segment("text", "p", 1, "retrieve", 0.9, relevant, support, None, 0.9, 2.0)


def answer(*segments: Segment) -> Answer:
    return Answer("q", "text", segments, (), (), Usage())


def test_scores_are_means_over_the_segments() -> None:
    both = answer(segment(0.9, (0.8, 0.2, 0.0)), segment(0.7, (0.0, 0.5, 0.5)))
    result = scored(both, answerable=True)
    assert result.relevance == pytest.approx(0.8)
    assert result.support == pytest.approx((0.9 + 0.25) / 2)


def test_an_irrelevant_passage_supports_nothing() -> None:
    assert scored(answer(segment(0.2, (1.0, 0.0, 0.0))), answerable=False).support == 0.0
    assert scored(answer(segment(None, None)), answerable=False).relevance == 0.0


def choose(good: list[tuple[float, float]], bad: list[tuple[float, float]], share: float) -> Any:
    rows = [ScoredAnswer(True, *pair) for pair in good] + [
        ScoredAnswer(False, *pair) for pair in bad
    ]
    return choose_thresholds(rows, max_false_refusals=share, split="s")


def test_both_thresholds_are_used() -> None:
    good = [(0.9, 0.9), (0.8, 0.8), (0.9, 0.7), (0.7, 0.9)]
    report = choose(good, [(0.2, 0.95), (0.95, 0.1)], 0.0)
    assert report.refused_unanswerable == 1.0
    assert report.refused_answerable == 0.0
    assert 0.2 < report.calibration.relevance <= 0.7
    assert 0.1 < report.calibration.support <= 0.7


def test_false_refusals_stay_within_what_is_allowed() -> None:
    good = [(0.1, 0.1), (0.8, 0.8), (0.9, 0.9), (0.9, 0.9)]
    bad = [(0.5, 0.5)] * 3
    assert choose(good, bad, 0.0).refused_unanswerable == 0.0
    report = choose(good, bad, 0.25)
    assert (report.refused_unanswerable, report.refused_answerable) == (1.0, 0.25)


def test_a_split_needs_both_classes() -> None:
    with pytest.raises(ValueError, match="unanswerable"):
        choose([(0.5, 0.5)], [], 0.1)


def test_utility_refuses_what_is_supported_and_beside_the_question() -> None:
    rows = [ScoredAnswer(True, 0.9, 0.9, utility) for utility in (0.8, 0.9, -0.2)]
    rows += [ScoredAnswer(False, 0.95, 0.95, utility) for utility in (-0.9, -0.5)]
    report = choose_thresholds(rows, max_false_refusals=0.0, split="s")
    assert (report.refused_unanswerable, report.refused_answerable) == (1.0, 0.0)
    assert report.calibration.utility == pytest.approx(-0.2)
    assert report.calibration.answerable(0.9, 0.9, -0.3) is False
    assert report.calibration.answerable(0.9, 0.9, -0.2) is True
    assert report.calibration.answerable(0.9, 0.9, None) is True


def test_the_last_segment_has_the_utility() -> None:
    first = segment(0.9, (0.8, 0.2, 0.0))
    last = Segment("text", "p", 1, "retrieve", 0.9, 0.7, None, -0.5, 0.9, 2.0)
    assert scored(answer(first, last), answerable=True).utility == -0.5
    assert scored(answer(first), answerable=True).utility == 1.0
