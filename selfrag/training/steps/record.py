"""`stage.json`: that a stage of a pipeline is complete, what it was made of, and what it found.

It is written last. A stage whose record says the same recipe and the same inputs is not run again.
This module knows nothing of what stages do.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from selfrag.training.errors import StageChanged
from selfrag.training.stages import write_atomically

FILE_NAME = "stage.json"
SCHEMA = 1


@dataclass(frozen=True, slots=True)
class Outcome:
    """What a stage did, as JSON values.

    Attributes:
        counts: rows, passages, steps. dropped: reason -> how many.
        balance: labels and data sets. figures: what was measured.
        notes: sentences for the reader.
    """

    counts: Mapping[str, Any] = field(default_factory=dict)
    dropped: Mapping[str, int] = field(default_factory=dict)
    balance: Mapping[str, Any] = field(default_factory=dict)
    figures: Mapping[str, Any] = field(default_factory=dict)
    notes: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class StageRecord:
    """A complete stage.

    Attributes:
        stage: its name. configuration: the parts of the recipe that decide what it makes.
        inputs: name -> fingerprint of a file, or of the stage that made it.
        seconds: that its last run took. outcome: what it did.
    """

    stage: str
    configuration: Mapping[str, Any]
    inputs: Mapping[str, str]
    seconds: float
    outcome: Outcome
    schema: int = SCHEMA

    @property
    def fingerprint(self) -> str:
        """Of everything that decides what the stage made; its time is no part of it."""
        text = json.dumps([self.stage, self.configuration, self.inputs], sort_keys=True)
        return hashlib.sha256(text.encode()).hexdigest()

    def save(self, folder: Path) -> None:
        """Write the record into the stage's folder."""
        text = json.dumps(asdict(self), indent=2, ensure_ascii=False) + "\n"
        write_atomically(folder / FILE_NAME, text)

    @classmethod
    def load(cls, folder: Path) -> StageRecord | None:
        """The record in a folder; None where the stage is not complete.

        Raises:
            StageChanged: it is damaged, or of another version.
        """
        path = folder / FILE_NAME
        try:
            values = json.loads(path.read_text(encoding="utf-8"))
            if values["schema"] != SCHEMA:
                raise ValueError(f"schema {values['schema']!r}")
            outcome = values.pop("outcome")
            outcome["notes"] = tuple(outcome["notes"])
            return cls(**values, outcome=Outcome(**outcome))
        except FileNotFoundError:
            return None
        except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
            raise StageChanged(
                f"{path} cannot be read: {error}.", f"Delete {folder} to run the stage again."
            ) from error

    def changed(
        self, configuration: Mapping[str, Any], inputs: Mapping[str, str] | None = None
    ) -> list[str]:
        """The names of settings and inputs that differ; inputs are compared where given."""
        pairs = [(self.configuration, configuration)]
        if inputs is not None:
            pairs.append((self.inputs, inputs))
        return [
            name
            for old, new in pairs
            for name in dict.fromkeys((*old, *new))
            if old.get(name) != new.get(name)
        ]
