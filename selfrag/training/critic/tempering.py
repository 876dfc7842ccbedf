"""Gives a saved critic a temperature for each group, fitted on a calibration split.

A group of which the split has too little, or no judgement that the critic gets wrong, keeps
temperature 1: without an error colder is better for ever, and nothing says how cold. This module
knows nothing of training.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from decoding.vocabulary import GROUPS
from selfrag.training.critic.calibration import (
    LEAST_FOR_TEMPERATURE,
    fit_temperature,
    mean_surprise,
)
from selfrag.training.critic.errors import EmptySplit
from selfrag.training.critic.model import ModelCritic
from selfrag.training.critic.questions import Judgement, Unjudged


@dataclass(frozen=True, slots=True)
class TemperatureFit:
    """A group's temperature and what it does on the split it was fitted on.

    Attributes:
        group: its name. temperature: 1 where it could not be fitted; `note` says why.
        n: judgements of the group. unjudged: further ones that the critic left.
        before, after: mean surprise in nats, at temperature 1 and at `temperature`.
    """

    group: str
    temperature: float
    n: int
    unjudged: int
    before: float | None
    after: float | None
    note: str = ""


def calibrate_critic(
    folder: str | Path, split: Sequence[Judgement], *, device: str | None = None
) -> tuple[ModelCritic, list[TemperatureFit]]:
    """Fit a temperature for each group, write them to the critic's folder, and load it anew.

    split: judgements that were neither trained on nor are measured on.

    Raises:
        EmptySplit: there is no judgement.
        CorruptCritic: the folder holds no critic.
    """
    if not split:
        raise EmptySplit(
            "The calibration split holds no judgement.", "Give judgements that were not trained on."
        )
    folder = Path(folder)
    critic = ModelCritic.from_folder(folder, device=device)
    scores: dict[str, list[list[float]]] = defaultdict(list)
    places: dict[str, list[int]] = defaultdict(list)
    unjudged: dict[str, int] = defaultdict(int)
    found: Any = critic.scores([one.question for one in split])
    for judgement, row in zip(split, found, strict=True):
        group = judgement.question.group
        if isinstance(row, Unjudged):
            unjudged[group] += 1
            continue
        scores[group].append(row)
        places[group].append(judgement.question.labels.index(judgement.label))
    fits = [_fit(group, scores[group], places[group], unjudged[group]) for group in GROUPS]
    card = replace(
        critic.card,
        temperatures={fit.group: fit.temperature for fit in fits},
        calibrated_on={fit.group: fit.n for fit in fits},
    )
    card.save(folder)
    critic.card = card
    return critic, fits


def _fit(group: str, scores: list[list[float]], places: list[int], unjudged: int) -> TemperatureFit:
    if not scores:
        return TemperatureFit(group, 1.0, 0, unjudged, None, None, "no judgement")
    note = ""
    if len(scores) < LEAST_FOR_TEMPERATURE:
        note = f"fewer than {LEAST_FOR_TEMPERATURE} judgements"
    elif all(max(row) == row[place] for row, place in zip(scores, places, strict=True)):
        note = "all judged right"
    temperature = 1.0 if note else fit_temperature(scores, places)
    before, after = (mean_surprise(scores, places, one) for one in (1.0, temperature))
    return TemperatureFit(group, temperature, len(scores), unjudged, before, after, note)
