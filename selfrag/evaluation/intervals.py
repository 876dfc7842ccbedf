"""Figures with their 95 % interval: proportions (Wilson's score interval) and other estimates."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

CONFIDENCE = 0.95


@dataclass(frozen=True, slots=True)
class Proportion:
    """`hits` of `n` trials; without trials there is no value and no interval."""

    hits: int
    n: int

    def __post_init__(self) -> None:
        if not 0 <= self.hits <= self.n:
            raise ValueError(f"{self.hits} hits of {self.n}; hits must lie between 0 and n")

    @classmethod
    def of(cls, trials: Iterable[bool]) -> Proportion:
        """Count trials."""
        results = list(trials)
        return cls(sum(results), len(results))

    @property
    def value(self) -> float | None:
        """The share of hits, from 0 to 1."""
        return self.hits / self.n if self.n else None

    @property
    def interval(self) -> tuple[float, float] | None:
        """Wilson's 95 % score interval, without continuity correction (Wilson, 1927)."""
        if not self.n:
            return None
        from scipy.stats import binomtest

        bounds = binomtest(self.hits, self.n).proportion_ci(CONFIDENCE, method="wilson")
        return float(bounds.low), float(bounds.high)

    def to_dict(self) -> dict[str, Any]:
        """`value`, `interval` and `n`; the first two None without trials."""
        return _plain(self.value, self.interval, self.n)


@dataclass(frozen=True, slots=True)
class Estimate:
    """A figure that is no proportion, with its 95 % interval; None where it was not measured.

    Attributes:
        value: the figure.
        interval: low and high; the source says how they were found.
        n: how many items it rests on.
    """

    value: float | None
    interval: tuple[float, float] | None
    n: int

    def to_dict(self) -> dict[str, Any]:
        """`value`, `interval` and `n`."""
        return _plain(self.value, self.interval, self.n)


def _plain(value: float | None, interval: tuple[float, float] | None, n: int) -> dict[str, Any]:
    return {"value": value, "interval": None if interval is None else list(interval), "n": n}
