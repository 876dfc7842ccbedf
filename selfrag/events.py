"""Flat events of a run, in order; enough to follow it live and to rebuild the final answer.

Types: run.started, decision.retrieve, retrieval.started, retrieval.finished, token.delta,
candidate.scored, beam.selected, segment.committed, budget.hit, warning, run.finished.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

EVENT_TYPES = (
    "run.started",
    "decision.retrieve",
    "retrieval.started",
    "retrieval.finished",
    "token.delta",
    "candidate.scored",
    "beam.selected",
    "segment.committed",
    "budget.hit",
    "warning",
    "run.finished",
)


@dataclass(frozen=True, slots=True)
class Event:
    """One event; `sequence` counts from 0 within a run, unknown types may be ignored."""

    type: str
    sequence: int
    data: dict[str, Any] = field(default_factory=dict)

    def to_dict(self) -> dict[str, Any]:
        """Plain data."""
        return {"type": self.type, "sequence": self.sequence, **self.data}


class EventLog:
    """Numbers events and hands them to a listener; without one, nothing is built."""

    def __init__(self, listener: Callable[[Event], None] | None = None) -> None:
        self._listener = listener
        self._count = 0

    @property
    def active(self) -> bool:
        """Whether anybody listens."""
        return self._listener is not None

    def emit(self, kind: str, **data: Any) -> None:
        """Send one event."""
        if self._listener is None:
            return
        event = Event(kind, self._count, data)
        self._count += 1
        self._listener(event)
