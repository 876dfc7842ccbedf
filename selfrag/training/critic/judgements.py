"""Judgements in JSON Lines files, and what of a file cannot be used.

One `Judgement.to_dict()` a line. A line that does not parse, or that is no judgement, is a drop
with its place and its reason: it is listed, and the others go on. This module knows nothing of
models.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from decoding.vocabulary import GROUPS
from indexes.errors import InvalidPassage
from selfrag.training.critic.questions import CriticQuestion, Judgement
from selfrag.training.errors import InvalidRow
from selfrag.training.stages import read_lines


@dataclass(frozen=True, slots=True)
class DroppedJudgement:
    """A judgement that cannot be used. place: line of the files, counted through, from 1.
    row: the source row it names, or ""; reason: the same for equal causes."""

    place: int
    row: str
    reason: str
    detail: str

    def to_dict(self) -> dict[str, Any]:
        """JSON values."""
        return {
            "place": self.place,
            "row": self.row,
            "reason": self.reason,
            "detail": self.detail,
        }


@dataclass(frozen=True, slots=True)
class PlacedJudgement:
    """A judgement and the line it stands on."""

    place: int
    judgement: Judgement


def read_judgements(
    paths: Iterable[Path],
) -> tuple[list[PlacedJudgement], list[DroppedJudgement]]:
    """All judgements of the files in order, and the lines that are none.

    Raises:
        StageFailed: a file cannot be read.
    """
    judgements: list[PlacedJudgement] = []
    dropped: list[DroppedJudgement] = []
    for line in read_lines(paths):
        if line.row is None:
            dropped.append(DroppedJudgement(line.number, "", "not JSON", line.problem))
            continue
        try:
            judgements.append(PlacedJudgement(line.number, Judgement.from_dict(line.row)))
        except (InvalidRow, InvalidPassage) as error:
            row = str(line.row.get("row", ""))
            dropped.append(DroppedJudgement(line.number, row, "no judgement", error.message))
    return judgements, dropped


class Labelled(Protocol):
    """A question with a label: a `Judgement`, or what is made of one."""

    @property
    def question(self) -> CriticQuestion:
        """What was asked."""

    @property
    def label(self) -> str:
        """The answer."""


def label_counts(judgements: Iterable[Labelled]) -> dict[str, dict[str, int]]:
    """group -> label -> how often, for the groups that occur; labels that never occur have 0."""
    seen: Counter[tuple[str, str]] = Counter(
        (judgement.question.group, judgement.label) for judgement in judgements
    )
    present = {group for group, _ in seen}
    return {
        group: {label: seen[group, label] for label in labels}
        for group, labels in GROUPS.items()
        if group in present
    }


def absent_labels(counts: dict[str, dict[str, int]]) -> list[str]:
    """A sentence for each group that is absent and each label that never occurs."""
    sentences = [f"No judgement of {group}." for group in GROUPS if group not in counts]
    for group, labels in counts.items():
        never = [label for label, count in labels.items() if not count]
        if never:
            sentences.append(f"{group}: {', '.join(never)} never occurs.")
    return sentences


def class_weights(judgements: Sequence[Labelled]) -> list[float]:
    """One weight each, such that every label of a group that occurs weighs the same in sum, and
    the mean weight in a group is 1: n_group / (labels_present * n_label)."""
    counts = label_counts(judgements)
    weights = []
    for judgement in judgements:
        of_group = counts[judgement.question.group]
        present = sum(1 for count in of_group.values() if count)
        weights.append(sum(of_group.values()) / (present * of_group[judgement.label]))
    return weights
