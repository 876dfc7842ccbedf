"""One question under way, as the scheduler keeps it."""

from __future__ import annotations

import time
from collections.abc import Callable
from concurrent.futures import Future
from dataclasses import dataclass, field

from decoding.generation import Draft
from retrievers.base import Retriever
from selfrag.answer import Answer
from selfrag.events import EventLog
from selfrag.requests import Expand, Retrieve, Steps


@dataclass(slots=True, eq=False)
class Job:
    """One question under way; `future` gets its answer.

    Attributes:
        turn: its place among the questions; what an earlier one asks of the backend comes first.
        request: what its controller waits for.
        drafts: what has come back of it, by the branch's place in the request.
        tickets: what the backend is still at, by the same place.
        starts: what a branch goes on from, where it was known.
        cached, cached_tokens, model_calls: as in `Expanded`.
        shown: what listeners have seen of a branch's text, by node.
    """

    steps: Steps[Answer]
    retriever: Retriever | None
    log: EventLog
    retrieval_timeout: float
    decode: Callable[[tuple[int, ...]], str]
    max_seconds: float | None = None
    storable: bool = True
    future: Future[Answer] = field(default_factory=Future)
    started: float = field(default_factory=time.monotonic)
    turn: int = 0
    expired: bool = False
    request: Expand | Retrieve | None = None
    drafts: dict[int, Draft] = field(default_factory=dict)
    tickets: dict[int, int] = field(default_factory=dict)
    starts: dict[int, Draft] = field(default_factory=dict)
    cached: int = 0
    cached_tokens: int = 0
    model_calls: int = 0
    retrieval: int = 0
    retrieval_deadline: float = float("inf")
    shown: dict[int, str] = field(default_factory=dict)

    @property
    def deadline(self) -> float:
        """When its time budget ends, on the monotonic clock."""
        return float("inf") if self.max_seconds is None else self.started + self.max_seconds
