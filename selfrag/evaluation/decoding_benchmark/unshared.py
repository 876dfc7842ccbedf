"""The engine without shared prefixes, to measure what they save: every prompt is computed whole."""

from __future__ import annotations

from typing import Any

from decoding.engine import BatchedEngine


class UnsharedEngine(BatchedEngine):
    """`BatchedEngine` that leaves nothing behind for a later prompt."""

    def __init__(self, model: Any, **options: Any) -> None:
        super().__init__(model, **options)
        self._prefixes.put = _nothing  # type: ignore[method-assign]


def _nothing(*kept: Any) -> None:
    """Takes the place of keeping a row."""
