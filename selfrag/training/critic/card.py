"""`critic.json`: what a critic's folder says about itself.

A folder holds the card, the model's configuration and weights (safetensors), its tokenizer, and
from training `training.json` and `dropped.jsonl`. No pickle. This module loads no weights.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields
from pathlib import Path
from typing import Any

from decoding.vocabulary import GROUPS
from selfrag.training.critic.errors import CorruptCritic
from selfrag.training.critic.plan import KINDS, Kind
from selfrag.training.stages import write_atomically

FILE_NAME = "critic.json"
SCHEMA = 1


def _labels() -> dict[str, tuple[str, ...]]:
    return {str(group): labels for group, labels in GROUPS.items()}


@dataclass(frozen=True, slots=True)
class CriticCard:
    """What a saved critic is.

    Attributes:
        name: its judgements have the source "model:NAME".
        kind: see `CriticPlan.kind`.
        base: what it was trained from; "" for a body of fresh weights.
        context: tokens of a prompt with its label.
        counts: group -> label -> judgements it was trained on. It answers for these groups only.
        temperatures: group -> what its log-probabilities are divided by; 1 where not calibrated.
        calibrated_on: group -> judgements that the temperature was fitted on.
        labels: group -> its labels in the order of the heads' outputs.
    """

    name: str
    kind: Kind
    base: str
    context: int
    counts: Mapping[str, Mapping[str, int]]
    temperatures: Mapping[str, float] = field(default_factory=dict)
    calibrated_on: Mapping[str, int] = field(default_factory=dict)
    labels: Mapping[str, tuple[str, ...]] = field(default_factory=_labels)
    schema: int = SCHEMA

    def temperature(self, group: str) -> float:
        """The group's temperature."""
        return self.temperatures.get(group, 1.0)

    def save(self, folder: Path) -> None:
        """Write the card into a critic's folder."""
        write_atomically(folder / FILE_NAME, json.dumps(asdict(self), indent=2) + "\n")

    @classmethod
    def load(cls, folder: Path) -> CriticCard:
        """Read a folder's card.

        Raises:
            CorruptCritic: there is none, or it is damaged, of another schema or for other labels.
        """
        path = folder / FILE_NAME
        try:
            values: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
            _check(values)
            values["labels"] = {name: tuple(strings) for name, strings in values["labels"].items()}
            card = cls(**values)
        except FileNotFoundError:
            raise CorruptCritic(
                f"{folder} holds no critic: there is no {FILE_NAME}.",
                "Name the folder that the training of a critic wrote, and let it run to its end.",
            ) from None
        except (OSError, ValueError, TypeError, AttributeError) as error:
            raise CorruptCritic(
                f"{path} cannot be read: {error}.", "Train the critic again, or restore the file."
            ) from error
        if card.labels != _labels():
            raise CorruptCritic(
                f"{path} is for other labels: {dict(card.labels)}.",
                "Train the critic again with this version.",
            )
        return card


def _check(values: Any) -> None:
    if not isinstance(values, dict):
        raise ValueError(f"expected an object, got {type(values).__name__}")
    if values.get("schema") != SCHEMA:
        raise ValueError(f"schema is {values.get('schema')!r}, not {SCHEMA}")
    known = {one.name for one in fields(CriticCard)}
    if set(values) != known:
        raise ValueError(f"its keys should be {sorted(known)}")
    if values["kind"] not in KINDS:
        raise ValueError(f"kind is {values['kind']!r}")
    if not isinstance(values["context"], int) or values["context"] < 1:
        raise ValueError(f"context is {values['context']!r}")
    for group, value in values["temperatures"].items():
        if not isinstance(value, int | float) or not value > 0:
            raise ValueError(f"the temperature of {group} is {value!r}")
