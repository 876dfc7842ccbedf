"""The engine without shared prefixes, to measure what they save: every prompt is computed whole."""

from __future__ import annotations

from typing import Any

from decoding.engine import BatchedEngine


class UnsharedEngine(BatchedEngine):
    """`BatchedEngine` that neither leaves anything behind for a later prompt nor joins the
    beginnings of prompts that wait together."""

    def __init__(self, model: Any, **options: Any) -> None:
        super().__init__(model, **options)
        memory: Any = vars(self)["_memory"]
        place = memory.place
        memory.place = lambda sequence, running, waiting: place(sequence, running, ())
        memory.keep = lambda row, running: memory.tree.release(row.node)
