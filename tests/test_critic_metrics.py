"""What a critic's judgements are worth, by hand: F1, confusion, calibration, temperature."""

from __future__ import annotations

import math
import sys
from collections.abc import Sequence
from pathlib import Path

import pytest
from critic_helpers import question
from hypothesis import given
from hypothesis import strategies as st

from decoding.vocabulary import (
    CONTINUE_EVIDENCE,
    FULLY_SUPPORTED,
    GROUPS,
    IRRELEVANT,
    NO_RETRIEVAL,
    NO_SUPPORT,
    PARTIALLY_SUPPORTED,
    RELEVANT,
    RETRIEVAL,
)
from selfrag.evaluation.intervals import Proportion
from selfrag.training.critic.calibration import (
    COLDEST,
    Reliability,
    fit_temperature,
    mean_surprise,
)
from selfrag.training.critic.errors import EmptySplit, MissingExtra
from selfrag.training.critic.metrics import GroupMetrics, evaluate_critic
from selfrag.training.critic.model import tempered
from selfrag.training.critic.plots import plot_reliability
from selfrag.training.critic.questions import CriticQuestion, Judgement, Unjudged

F, P, N = FULLY_SUPPORTED, PARTIALLY_SUPPORTED, NO_SUPPORT
TRUTH = [F, F, F, F, P, P, N]
JUDGED = [F, F, F, P, P, F, F]
SUPPORT = question("IsSup", "red", "red")


def judgement(label: str, confidence: float | None = None) -> Judgement:
    rest = [other for other in GROUPS["IsSup"] if other != label]
    if confidence is None:
        return Judgement(SUPPORT, label, "gold")
    probabilities = {label: confidence, **dict.fromkeys(rest, (1 - confidence) / 2)}
    return Judgement(SUPPORT, label, "model:m", probabilities)


class Scripted:
    """A critic that answers from a list."""

    name = "scripted"

    def __init__(self, answers: Sequence[Judgement | Unjudged]) -> None:
        self._answers = list(answers)

    def judge(self, questions: Sequence[CriticQuestion]) -> list[Judgement | Unjudged]:
        assert len(questions) == len(self._answers)
        return self._answers


def test_precision_recall_f1_and_confusion_by_hand() -> None:
    truth, judged = [judgement(label) for label in TRUTH], [judgement(one) for one in JUDGED]
    metrics = GroupMetrics.of("IsSup", GROUPS["IsSup"], truth, judged)
    # Full: 3 right of 5 judged so and 4 true; partial: 1 of 2 and 2; none: never judged, 1 true.
    assert metrics.confusion == ((3, 1, 0), (1, 1, 0), (1, 0, 0))
    assert metrics.accuracy == Proportion(4, 7)
    full, partial, none = metrics.by_label
    assert (full.precision, full.recall) == (Proportion(3, 5), Proportion(3, 4))
    assert (partial.precision, partial.recall) == (Proportion(1, 2), Proportion(1, 2))
    assert (none.precision, none.recall) == (Proportion(0, 0), Proportion(0, 1))
    assert none.precision.value is None
    assert [one.f1 for one in metrics.by_label] == pytest.approx([2 * 3 / 9, 2 * 1 / 4, 0.0])
    assert metrics.macro_f1 == pytest.approx((2 / 3 + 1 / 2 + 0) / 3)
    assert metrics.reliability is None  # nobody gave probabilities


def test_a_label_that_occurs_nowhere_is_not_in_the_mean() -> None:
    truth, judged = [judgement(F), judgement(P)], [judgement(F), judgement(F)]
    metrics = GroupMetrics.of("IsSup", GROUPS["IsSup"], truth, judged)
    assert metrics.by_label[2].f1 is None
    assert metrics.macro_f1 == pytest.approx((2 / 3 + 0) / 2)


def test_expected_calibration_error_by_hand() -> None:
    # Two at 0.55, one right: |0.5 - 0.55| = 0.05. Three at 0.95, two right: |2/3 - 0.95|.
    curve = Reliability.of([0.55, 0.55, 0.95, 0.95, 0.95], [True, False, True, True, False], 10)
    assert curve.error == pytest.approx(2 / 5 * 0.05 + 3 / 5 * (0.95 - 2 / 3))
    filled = [one for one in curve.bins if one.right.n]
    assert [(round(one.low, 9), round(one.high, 9)) for one in filled] == [(0.5, 0.6), (0.9, 1.0)]
    assert [one.right for one in filled] == [Proportion(1, 2), Proportion(2, 3)]
    assert [one.confidence for one in filled] == pytest.approx([0.55, 0.95])
    assert len(curve.bins) == 10
    assert len(Reliability.of([1.0], [True]).bins) == 15


def test_an_edge_belongs_to_the_bin_below_it() -> None:
    curve = Reliability.of([0.0, 0.5, 0.75, 1.0], [False, True, True, True], 4)
    assert [one.right.n for one in curve.bins] == [1, 1, 1, 1]


@given(
    st.lists(st.tuples(st.floats(0, 1), st.booleans()), min_size=1, max_size=40),
    st.integers(1, 20),
)
def test_calibration_error_is_that_of_the_slow_definition(
    judged: list[tuple[float, bool]], bins: int
) -> None:
    curve = Reliability.of([c for c, _ in judged], [right for _, right in judged], bins)
    slow, members = 0.0, 0
    for one in curve.bins:
        inside = [
            (c, right)
            for c, right in judged
            if one.low < c <= one.high or (c == 0 and one.low == 0)
        ]
        members += len(inside)
        if inside:
            share = sum(right for _, right in inside) / len(inside)
            slow += len(inside) / len(judged) * abs(share - sum(c for c, _ in inside) / len(inside))
    assert members == len(judged) == sum(one.right.n for one in curve.bins)
    assert curve.error == pytest.approx(slow, abs=1e-9)


@pytest.mark.parametrize(
    ("confidences", "right", "bins"),
    [
        ([], [], 15),
        ([0.5], [True, False], 15),
        ([1.1], [True], 15),
        ([math.nan], [True], 15),
        ([0.5], [True], 0),
    ],
)
def test_calibration_refuses_what_is_no_confidence(
    confidences: list[float], right: list[bool], bins: int
) -> None:
    with pytest.raises(ValueError, match=r"confidence|bins"):
        Reliability.of(confidences, right, bins)


def test_the_best_temperature_by_hand() -> None:
    # Every question says p = sigmoid(3) for its first label, which is right four times in five.
    # The best temperature makes sigmoid(3 / T) = 4 / 5, so T = 3 / log 4.
    scores = [list(map(math.log, tempered([3.0, 0.0], 1.0)))] * 10
    places = [0] * 8 + [1] * 2
    temperature = fit_temperature(scores, places)
    assert temperature == pytest.approx(3 / math.log(4), rel=1e-4)
    assert tempered(scores[0], temperature)[0] == pytest.approx(0.8, abs=1e-4)
    least = -(0.8 * math.log(0.8) + 0.2 * math.log(0.2))
    assert mean_surprise(scores, places, temperature) == pytest.approx(least, abs=1e-6)
    assert mean_surprise(scores, places, 1.0) > least + 0.1


def test_a_split_without_errors_has_no_best_temperature() -> None:
    # Colder is better for ever: -log p is about exp(-2.3 / T), nothing at all from 0.07 down.
    assert COLDEST <= fit_temperature([[-0.1, -2.4]] * 5, [0] * 5) < 0.08


def test_tempered_probabilities_by_hand() -> None:
    scores = [math.log(0.9), math.log(0.1)]
    assert tempered(scores, 1.0) == pytest.approx([0.9, 0.1])
    assert tempered(scores, 2.0) == pytest.approx([3 / 4, 1 / 4])  # square roots: 3 to 1
    assert tempered([-2000.0, -1000.0], 1.0) == [0.0, 1.0]


def test_a_report_has_every_group_and_says_what_is_missing() -> None:
    relevant = question("IsRel", "red", "red")
    retrieve = question("Retrieve", "red")
    truth = [
        Judgement(relevant, RELEVANT, "gold"),
        Judgement(retrieve, RETRIEVAL, "gold"),
        Judgement(retrieve, NO_RETRIEVAL, "gold"),
    ]
    answers: list[Judgement | Unjudged] = [
        Judgement(relevant, RELEVANT, "m", {RELEVANT: 0.8, IRRELEVANT: 0.2}),
        Judgement(retrieve, RETRIEVAL, "m", {RETRIEVAL: 0.7, NO_RETRIEVAL: 0.3}),
        Unjudged(retrieve, "too long"),
    ]
    report = evaluate_critic(Scripted(answers), truth)
    assert [one.group for one in report.groups] == ["Retrieve", "IsRel"]
    assert report.group("Retrieve").unjudged == 1
    assert report.group("Retrieve").accuracy == Proportion(1, 1)
    curve = report.group("IsRel").reliability
    assert curve is not None
    assert curve.error == pytest.approx(0.2)
    assert report.warnings == (
        "No judgement of IsSup.",
        "No judgement of IsUse.",
        f"Retrieve: {CONTINUE_EVIDENCE} never occurs.",
        f"IsRel: {IRRELEVANT} never occurs.",
        "Retrieve: 1 of 2 were left unjudged.",
    )
    values = report.to_dict()["groups"]["IsRel"]
    assert values["accuracy"]["interval"] == pytest.approx([0.2065, 1.0], abs=1e-4)
    assert values["reliability"]["expected_calibration_error"] == pytest.approx(0.2)
    with pytest.raises(KeyError):
        report.group("IsUse")


def test_nothing_held_out_is_refused() -> None:
    with pytest.raises(EmptySplit, match="no judgement"):
        evaluate_critic(Scripted([]), [])


def test_a_group_that_is_all_unjudged_has_no_accuracy() -> None:
    report = evaluate_critic(Scripted([Unjudged(SUPPORT, "too long")]), [judgement(F)])
    metrics = report.group("IsSup")
    assert metrics.accuracy.value is None
    assert metrics.macro_f1 is None
    assert metrics.reliability is None


def test_reliability_is_drawn(tmp_path: Path) -> None:
    pytest.importorskip("matplotlib")
    answers = [judgement(F, 0.7), judgement(F, 0.7), judgement(P, 1.0)]
    report = evaluate_critic(Scripted(answers), [judgement(F), judgement(N), judgement(P)])
    file = plot_reliability(report, tmp_path / "plots" / "reliability.png")
    assert file.read_bytes().startswith(b"\x89PNG")


def test_a_plot_needs_probabilities_and_matplotlib(monkeypatch: pytest.MonkeyPatch) -> None:
    plain = evaluate_critic(Scripted([judgement(F)]), [judgement(F)])
    with monkeypatch.context() as patch:
        patch.setitem(sys.modules, "matplotlib.figure", None)
        with pytest.raises(MissingExtra, match=r"selfrag\[train\]"):
            plot_reliability(plain, Path("nowhere.png"))
    pytest.importorskip("matplotlib")
    with pytest.raises(EmptySplit, match="no probabilities"):
        plot_reliability(plain, Path("nowhere.png"))
