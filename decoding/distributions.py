"""Probabilities of one group of reflection tokens at one position.

Probabilities are absolute: they come from the softmax over the whole vocabulary, so that `mass`
says how much the model thought of the group at all. Shares within the group are taken in log
space and stay right where the probabilities themselves underflow. This module knows nothing of
where the position is or what was written there.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from decoding.scores import log_sum_exp, shares
from decoding.vocabulary import TokenGroup

SCHEMA_VERSION = 1


@dataclass(frozen=True, slots=True)
class ReflectionDistribution:
    """What a model thought of one token group at one position.

    Attributes:
        group: "Retrieve", "IsRel", "IsSup" or "IsUse".
        labels: short names of the group's tokens.
        probabilities: of each token, under the full softmax; may underflow to 0.
        mass: their sum.
        log_probabilities: of each token, under the full softmax; natural logarithms. This is
            what everything else is computed from.
    """

    group: str
    labels: tuple[str, ...]
    probabilities: tuple[float, ...]
    mass: float
    log_probabilities: tuple[float, ...]

    @classmethod
    def from_log_probabilities(
        cls, group: TokenGroup, log_probabilities: Sequence[float]
    ) -> ReflectionDistribution:
        """The distribution from one natural log-probability per token, in the group's order, read
        with the group's scaling where it has one.

        Raises:
            ValueError: the number of values is wrong, or one is not a number or plus infinity.
        """
        values = tuple(float(p) for p in log_probabilities)
        if group.scaling is not None and len(values) == len(group.labels):
            values = group.scaling.apply(values)
        return cls._make(group.name, group.labels, values)

    @classmethod
    def _make(
        cls, name: str, labels: tuple[str, ...], log_probabilities: tuple[float, ...]
    ) -> ReflectionDistribution:
        if len(log_probabilities) != len(labels):
            raise ValueError(
                f"the group {name} has {len(labels)} tokens; got {len(log_probabilities)} values"
            )
        return cls(
            group=name,
            labels=labels,
            probabilities=tuple(math.exp(value) for value in log_probabilities),
            mass=math.exp(log_sum_exp(log_probabilities)),
            log_probabilities=log_probabilities,
        )

    def share(self, label: str) -> float | None:
        """A token's probability within the group, in 0 to 1; None where the group has no mass.

        Raises:
            ValueError: the group has no such label.
        """
        index = self._index(label)
        within = shares(self.log_probabilities)
        return None if within is None else within[index]

    def probability(self, label: str) -> float:
        """A token's probability under the full softmax."""
        return self.probabilities[self._index(label)]

    @property
    def argmax(self) -> str | None:
        """Label of the most probable token, the first of equals; None without mass."""
        best = max(self.log_probabilities)
        if best == -math.inf:
            return None
        return self.labels[self.log_probabilities.index(best)]

    def _index(self, label: str) -> int:
        if label not in self.labels:
            raise ValueError(f"{label!r} is no label of {self.group}; allowed: {self.labels}")
        return self.labels.index(label)

    def to_dict(self) -> dict[str, Any]:
        """A JSON-ready dictionary; a log-probability of minus infinity is written as None."""
        return {
            "schema": SCHEMA_VERSION,
            "group": self.group,
            "labels": list(self.labels),
            "probabilities": list(self.probabilities),
            "mass": self.mass,
            "log_probabilities": [
                None if value == -math.inf else value for value in self.log_probabilities
            ],
        }

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> ReflectionDistribution:
        """Back from `to_dict`, exactly.

        Raises:
            ValueError: written by another schema version.
        """
        if data.get("schema") != SCHEMA_VERSION:
            raise ValueError(
                f"a distribution of schema {data.get('schema')!r} cannot be read; "
                f"this version reads {SCHEMA_VERSION}"
            )
        values = (-math.inf if v is None else float(v) for v in data["log_probabilities"])
        return cls._make(data["group"], tuple(data["labels"]), tuple(values))
