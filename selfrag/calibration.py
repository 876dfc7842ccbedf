"""What was calibrated on a split and is stored with a model: thresholds, and how groups are read.

`calibration.json` beside the weights holds them; a model without the file is not calibrated, and
then `Answer.answerable` stays None.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, get_args

from decoding.config import DecodingConfig, LaterQuery
from decoding.scaling import Scaling
from selfrag.errors import CorruptCheckpoint

FILE_NAME = "calibration.json"
_NUMBERS = ("relevance", "support", "utility", "w_ret", "end_threshold", "relevance_threshold")


@dataclass(frozen=True, slots=True)
class Calibration:
    """What a model's scores mean; None where it was not calibrated.

    Attributes:
        relevance: least mean s_rel of a supported answer.
        support: least mean s_sup of a supported answer.
        split: where the thresholds come from.
        utility: least s_use of a supported answer; None asks for none. A passage may support a
            sentence that does not answer the question; only IsUse tells.
        w_ret: weight of the retriever's score in the choice of an answer, where a configuration
            names none; None is the paper's 0.
        query: what later retrievals ask, where a configuration names nothing (see
            `DecodingConfig.query`); None is the paper's.
        end_threshold: when an answer ends, where a configuration names nothing (see
            `DecodingConfig.end_threshold`).
        relevance_threshold: when a passage is read as relevant, where a configuration names nothing
            (see `DecodingConfig.relevance_threshold`).
        scalings: how the probabilities of a group are read (`decoding.scaling`), by group; others
            are read as they are. The published procedures read all as they are.
    """

    relevance: float | None = None
    support: float | None = None
    split: str = ""
    utility: float | None = None
    w_ret: float | None = None
    query: LaterQuery | None = None
    end_threshold: float | None = None
    relevance_threshold: float | None = None
    scalings: Mapping[str, Scaling] = field(default_factory=dict, hash=False)

    def answerable(
        self, relevance: float | None, support: float | None, utility: float | None = None
    ) -> bool | None:
        """Whether an answer with these scores counts as supported; None where not calibrated.

        An output that ended before its IsUse token is judged by the other two.
        """
        if self.relevance is None or self.support is None:
            return None
        if self.utility is not None and utility is not None and utility < self.utility:
            return False
        return (relevance or 0.0) >= self.relevance and (support or 0.0) >= self.support

    def completed(self, config: DecodingConfig) -> DecodingConfig:
        """The configuration with the calibrated thresholds where it names none."""
        changes = {
            name: getattr(self, name)
            for name in ("end_threshold", "relevance_threshold")
            if getattr(config, name) is None
        }
        return config.replace(**changes)

    @classmethod
    def load(cls, folder: Path) -> Calibration:
        """Read a model folder's file; an empty calibration where there is none."""
        path = folder / FILE_NAME
        if not path.is_file():
            return cls()
        try:
            data: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
            for name in _NUMBERS:
                if not isinstance(data.get(name), int | float | None):
                    raise ValueError(f"{name} is {data[name]!r}, which is no number")
            if data.get("query") not in (*get_args(LaterQuery), None):
                raise ValueError(f"query is {data['query']!r}, not one of {get_args(LaterQuery)}")
            scalings = {
                name: Scaling(float(one["temperature"]), tuple(map(float, one["offsets"])))
                for name, one in (data.pop("scalings", None) or {}).items()
            }
            return cls(**data, scalings=scalings)
        except (OSError, ValueError, TypeError, AttributeError, KeyError) as error:
            raise CorruptCheckpoint(
                f"{path.name} of the model cannot be read: {error}.",
                "Write it anew or remove it.",
            ) from error

    def save(self, folder: Path) -> None:
        """Write the file into a model folder."""
        data: dict[str, Any] = {
            "relevance": self.relevance,
            "support": self.support,
            "utility": self.utility,
            "split": self.split,
            "w_ret": self.w_ret,
            "query": self.query,
            "end_threshold": self.end_threshold,
            "relevance_threshold": self.relevance_threshold,
        }
        if self.scalings:
            data["scalings"] = {
                name: {"temperature": one.temperature, "offsets": list(one.offsets)}
                for name, one in self.scalings.items()
            }
        (folder / FILE_NAME).write_text(json.dumps(data, indent=2) + "\n", encoding="utf-8")
