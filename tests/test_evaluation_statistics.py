"""Calibration error, areas under the curve, bootstrap intervals: by hand and against slow ones."""

from __future__ import annotations

from itertools import pairwise
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from selfrag.evaluation.auroc import Ranking, auroc
from selfrag.evaluation.calibration_error import expected_calibration_error, reliability_curve
from selfrag.evaluation.comparisons import paired_difference
from selfrag.evaluation.intervals import Estimate, Proportion
from selfrag.evaluation.resampling import bootstrap_interval

# Values with short fractions, so that ties and borders of bins occur.
ITEMS = st.lists(st.tuples(st.integers(0, 12).map(lambda n: n / 12), st.booleans()), min_size=1)


def test_calibration_error_by_hand() -> None:
    """(.9, 1]: |1/2 - .95| of two items; (.5, .6]: |1 - .6| of two: (.9 + .8) / 4."""
    values, right = [0.95, 0.95, 0.6, 0.6], [True, False, True, True]
    for bins in (10, 15):
        assert expected_calibration_error(values, right, bins) == pytest.approx(0.425)
    # In one bin what is wrong in one direction is made good by the other: |3/4 - .775|.
    assert expected_calibration_error(values, right, 1) == pytest.approx(0.025)
    assert expected_calibration_error([1.0, 1.0], [True, True]) == 0.0
    assert expected_calibration_error([1.0, 0.0], [False, False]) == pytest.approx(0.5)


def test_reliability_curve_by_hand() -> None:
    low, high = reliability_curve([0.5, 0.55, 1.0, 0.5], [True, False, True, True], 2)
    assert (low.low, low.high, low.confidence) == (0.0, 0.5, 0.5)
    assert low.accuracy == Proportion(2, 2)
    assert (high.low, high.high, high.accuracy) == (0.5, 1.0, Proportion(1, 2))
    assert high.confidence == pytest.approx(0.775)
    assert high.to_dict()["accuracy"]["n"] == 2
    (only,) = reliability_curve([0.0], [False], 15)
    assert (only.low, only.accuracy.n) == (0.0, 1)


@given(ITEMS, st.integers(1, 20))
def test_calibration_error_is_the_slow_one(items: list[tuple[float, bool]], bins: int) -> None:
    borders = [float(border) for border in np.linspace(0, 1, bins + 1)]
    expected = 0.0
    for low, high in pairwise(borders):
        inside = [
            item for item in items if low < item[0] <= high or (low == 0.0 and item[0] == 0.0)
        ]
        if inside:
            accuracy = sum(right for _, right in inside) / len(inside)
            confidence = sum(value for value, _ in inside) / len(inside)
            expected += len(inside) / len(items) * abs(accuracy - confidence)
    values, right = [value for value, _ in items], [right for _, right in items]
    assert expected_calibration_error(values, right, bins) == pytest.approx(expected)
    curve = reliability_curve(values, right, bins)
    assert sum(one.accuracy.n for one in curve) == len(items)
    from_curve = sum(one.accuracy.n * abs(one.accuracy.value - one.confidence) for one in curve)
    assert from_curve / len(items) == pytest.approx(expected)


@given(st.lists(st.tuples(st.integers(0, 5), st.booleans(), st.integers(0, 3)), max_size=25))
def test_weights_count_items_as_often(items: list[tuple[int, bool, int]]) -> None:
    repeated = [(value, flag) for value, flag, count in items for _ in range(count)]
    weights = np.array([count for *_, count in items], dtype=float)
    scores, flags = [float(value) for value, *_ in items], [flag for _, flag, _ in items]
    whole = auroc([float(value) for value, _ in repeated], [flag for _, flag in repeated])
    assert Ranking(scores, flags).area(weights) == pytest.approx(whole)
    if repeated:
        error = expected_calibration_error([v / 5 for v in scores], flags, weights=weights)
        expected = expected_calibration_error(
            [v / 5 for v, _ in repeated], [f for _, f in repeated]
        )
        assert error == pytest.approx(expected)


@pytest.mark.parametrize(
    ("values", "right", "bins"),
    [
        ([], [], 15),
        ([0.5], [], 15),
        ([1.01], [True], 15),
        ([float("nan")], [True], 15),
        ([0.5], [True], 0),
    ],
)
def test_calibration_error_refuses(values: list[float], right: list[bool], bins: int) -> None:
    with pytest.raises(ValueError):
        expected_calibration_error(values, right, bins)


def test_area_by_hand() -> None:
    """.9 beats .8 and .3; the other .8 ties with .8 and beats .3: 3.5 of 4 pairs."""
    assert auroc([0.9, 0.8, 0.8, 0.3], [True, False, True, False]) == 3.5 / 4
    assert auroc([1.0, 0.0], [True, False]) == 1.0
    assert auroc([0.0, 1.0], [True, False]) == 0.0
    assert auroc([0.5, 0.5], [True, False]) == 0.5
    assert auroc([0.5, 0.7], [True, True]) is None
    assert auroc([], []) is None
    for scores, flags in [([0.5], []), ([float("inf")], [True])]:
        with pytest.raises(ValueError):
            auroc(scores, flags)


@given(ITEMS)
def test_area_is_the_slow_one(items: list[tuple[float, bool]]) -> None:
    positive = [value for value, flag in items if flag]
    negative = [value for value, flag in items if not flag]
    wins = sum((p > n) + (p == n) / 2 for p in positive for n in negative)
    expected: Any = wins / (len(positive) * len(negative)) if positive and negative else None
    found = auroc([value for value, _ in items], [flag for _, flag in items])
    assert found == pytest.approx(expected)


def mean_of(values: list[float]) -> Any:
    table = np.array(values)
    return lambda weights: float((weights * table).sum() / weights.sum())


def test_items_of_a_group_are_drawn_together() -> None:
    """100 independent halves: 1.96 * sqrt(.25 / 100) = .098; 25 groups of four alike: .196."""
    values = [float(place % 2) for place in range(100)]
    apart = bootstrap_interval(mean_of(values), range(100))
    assert apart == pytest.approx((0.5 - 0.098, 0.5 + 0.098), abs=0.02)
    alike = [float(place // 4 % 2) for place in range(100)]
    together = bootstrap_interval(mean_of(alike), [place // 4 for place in range(100)])
    assert together == pytest.approx((0.48 - 0.196, 0.48 + 0.196), abs=0.03)
    assert bootstrap_interval(mean_of(values), range(100)) == apart
    spread = mean_of([place**0.5 for place in range(100)])
    assert bootstrap_interval(spread, range(100), seed=1) != bootstrap_interval(spread, range(100))


def test_too_little_for_an_interval() -> None:
    assert bootstrap_interval(mean_of([1.0, 0.0]), ["same", "same"]) is None
    assert bootstrap_interval(lambda weights: None, ["one", "other"]) is None
    assert bootstrap_interval(mean_of([1.0, 1.0]), ["one", "other"]) == (1.0, 1.0)


def test_paired_difference_by_hand() -> None:
    """Five against one of ten: +.4; McNemar: 2 * (1 + 6) / 2**6 = .21875."""
    left = [True] * 5 + [False] + [True, True, False, False]
    right = [False] * 5 + [True] + [True, True, False, False]
    found = paired_difference(left, right, [str(place) for place in range(10)])
    assert (found.left, found.right) == (Proportion(7, 10), Proportion(3, 10))
    assert found.difference.value == pytest.approx(0.4)
    assert (found.only_left, found.only_right) == (5, 1)
    assert found.p_value == pytest.approx(0.21875)
    interval = found.difference.interval
    assert interval is not None and interval[0] < 0.4 < interval[1]
    # The signs have variance .6 - .16 = .44: 1.96 * sqrt(.44 / 10) = .411.
    assert interval == pytest.approx((0.4 - 0.411, 0.4 + 0.411), abs=0.12)
    turned = paired_difference(right, left, [str(place) for place in range(10)])
    assert turned.difference.value == pytest.approx(-0.4)
    same = paired_difference(left, left, [str(place) for place in range(10)])
    assert same.p_value is None and same.difference.interval == (0.0, 0.0)


def test_plain_data() -> None:
    assert Estimate(0.5, (0.25, 0.75), 4).to_dict() == {
        "value": 0.5,
        "interval": [0.25, 0.75],
        "n": 4,
    }
    assert Proportion(0, 0).to_dict() == {"value": None, "interval": None, "n": 0}
