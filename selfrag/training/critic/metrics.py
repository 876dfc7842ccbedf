"""How well a critic judges: accuracy, macro-F1, precision, recall, confusion, calibration.

Per group of reflection tokens, on judgements that are taken for true. Definitions:

- accuracy: judged as the truth says, of those judged. Questions left unjudged are counted beside.
- precision of a label: right ones of those judged so; recall: of those that are so. F1 is
  2 * right / (judged so + truly so). Each is None where its denominator is 0.
- macro-F1: the mean F1 of the labels that occur, in the truth or in the judgements.
- confusion: rows are the truth, columns the judgements, in the order of the labels.

Shares carry Wilson's 95 % interval. This module knows nothing of models and files.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from decoding.vocabulary import GROUPS
from selfrag.evaluation.intervals import Proportion
from selfrag.training.critic.calibration import BINS, Reliability
from selfrag.training.critic.errors import EmptySplit
from selfrag.training.critic.questions import Critic, Judgement, Unjudged


@dataclass(frozen=True, slots=True)
class LabelMetrics:
    """One label of a group. precision: of those judged so; recall: of those truly so."""

    label: str
    precision: Proportion
    recall: Proportion

    @property
    def f1(self) -> float | None:
        """Harmonic mean of precision and recall; None where the label occurs nowhere."""
        total = self.precision.n + self.recall.n
        return 2 * self.recall.hits / total if total else None


@dataclass(frozen=True, slots=True)
class GroupMetrics:
    """A critic's judgements of one group.

    Attributes:
        group: its name. labels: in the order of `confusion`.
        accuracy: see the module's text; its `n` are the questions judged.
        unjudged: questions the critic left.
        confusion: (labels, labels) counts; truth down, judgement across.
        reliability: None where the critic gives no probabilities.
    """

    group: str
    labels: tuple[str, ...]
    accuracy: Proportion
    unjudged: int
    confusion: tuple[tuple[int, ...], ...]
    reliability: Reliability | None

    @property
    def by_label(self) -> tuple[LabelMetrics, ...]:
        """Precision, recall and F1 of each label."""
        found = []
        for place, label in enumerate(self.labels):
            right = self.confusion[place][place]
            judged = sum(row[place] for row in self.confusion)
            true = sum(self.confusion[place])
            found.append(LabelMetrics(label, Proportion(right, judged), Proportion(right, true)))
        return tuple(found)

    @property
    def macro_f1(self) -> float | None:
        """Mean F1 of the labels that occur; None where nothing was judged."""
        values = [one.f1 for one in self.by_label if one.f1 is not None]
        return sum(values) / len(values) if values else None

    @classmethod
    def of(
        cls,
        group: str,
        labels: Sequence[str],
        truth: Sequence[Judgement],
        judged: Sequence[Judgement | Unjudged],
        bins: int = BINS,
    ) -> GroupMetrics:
        """Compare a group's judgements with the truth, one by one in order."""
        places = {label: place for place, label in enumerate(labels)}
        confusion = [[0] * len(labels) for _ in labels]
        confidences: list[float] = []
        right: list[bool] = []
        with_probabilities = True
        for true, answer in zip(truth, judged, strict=True):
            if isinstance(answer, Unjudged):
                continue
            confusion[places[true.label]][places[answer.label]] += 1
            right.append(true.label == answer.label)
            with_probabilities = with_probabilities and bool(answer.probabilities)
            confidences.append(answer.probabilities.get(answer.label, 0.0))
        reliability = None
        if right and with_probabilities:
            reliability = Reliability.of(confidences, right, bins)
        return cls(
            group=group,
            labels=tuple(labels),
            accuracy=Proportion.of(right),
            unjudged=len(truth) - len(right),
            confusion=tuple(map(tuple, confusion)),
            reliability=reliability,
        )

    def to_dict(self) -> dict[str, Any]:
        """JSON values."""
        return {
            "labels": list(self.labels),
            "accuracy": proportion_dict(self.accuracy),
            "unjudged": self.unjudged,
            "macro_f1": self.macro_f1,
            "by_label": {
                one.label: {
                    "precision": proportion_dict(one.precision),
                    "recall": proportion_dict(one.recall),
                    "f1": one.f1,
                }
                for one in self.by_label
            },
            "confusion": [list(row) for row in self.confusion],
            "reliability": None if self.reliability is None else self.reliability.to_dict(),
        }


@dataclass(frozen=True, slots=True)
class CriticReport:
    """What a critic's judgements of held-out questions are worth.

    Attributes:
        critic: its name. groups: those that occur in the truth, in the order of `GROUPS`.
        warnings: groups and labels the held-out data do not have, questions left unjudged.
    """

    critic: str
    groups: tuple[GroupMetrics, ...]
    warnings: tuple[str, ...] = ()

    def group(self, name: str) -> GroupMetrics:
        """The metrics of a group; KeyError where the held-out data have none."""
        for one in self.groups:
            if one.group == name:
                return one
        raise KeyError(name)

    def to_dict(self) -> dict[str, Any]:
        """JSON values."""
        return {
            "critic": self.critic,
            "groups": {one.group: one.to_dict() for one in self.groups},
            "warnings": list(self.warnings),
        }


def evaluate_critic(
    critic: Critic, truth: Sequence[Judgement], *, bins: int = BINS
) -> CriticReport:
    """Ask a critic the questions of judgements that are taken for true, and compare.

    Raises:
        EmptySplit: there is no judgement.
    """
    from selfrag.training.critic.judgements import absent_labels, label_counts

    if not truth:
        raise EmptySplit(
            "The held-out data hold no judgement.", "Give judgements that were not trained on."
        )
    judged = critic.judge([one.question for one in truth])
    warnings = absent_labels(label_counts(truth))
    reports = []
    for group, labels in GROUPS.items():
        places = [place for place, one in enumerate(truth) if one.question.group == group]
        if not places:
            continue
        report = GroupMetrics.of(
            group, labels, [truth[p] for p in places], [judged[p] for p in places], bins
        )
        if report.unjudged:
            warnings.append(f"{group}: {report.unjudged} of {len(places)} were left unjudged.")
        reports.append(report)
    return CriticReport(critic.name, tuple(reports), tuple(warnings))


def proportion_dict(share: Proportion) -> dict[str, Any]:
    """JSON values of a share and its interval."""
    return {
        "value": share.value,
        "hits": share.hits,
        "n": share.n,
        "interval": None if share.interval is None else list(share.interval),
    }
