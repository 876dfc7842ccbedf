"""The half of `Backend` that engines of streams share: what runs, and when it is asked anew.

An engine of streams is asked for a request once and then sends positions until it is told to stop.
Where another id than the most probable one is appended (`first_ids`, `forced_ids`), the stream is
ended and the request asked anew with what has been written; the engine's prefix cache makes that
cheap. A watch that gives a branch up ends its stream, and with it the engine's work.
"""

from __future__ import annotations

import itertools
from abc import ABC, abstractmethod
from collections.abc import Iterable
from dataclasses import dataclass

from decoding.generation import Finish, Generation
from decoding.queue import RequestQueue
from decoding.sequence import RunningSequence
from selfrag.backends.completions import MOST_IDS, Completion
from selfrag.backends.positions import Position, asked_ids, asked_positions, check_asked, feed


@dataclass(slots=True)
class StreamedRequest:
    """A request that runs; `key` names its present stream."""

    sequence: RunningSequence
    key: int = -1
    failures: int = 0


class StreamingEngine(RequestQueue, ABC):
    """`Backend` over streams; a subclass starts and stops them and says what arrived.

    Args:
        model: the model's name in requests.
        fingerprint: see `Backend`.
        context: largest number of tokens of a prompt and what is computed behind it. The last
            position is read, so a draft may take one token less.
        in_flight: how many requests run at once.
    """

    def __init__(self, model: str, fingerprint: str, context: int, in_flight: int) -> None:
        if in_flight < 1:
            raise ValueError(f"in_flight is {in_flight}; it is at least 1")
        super().__init__(context - 1)
        self.fingerprint = fingerprint
        self.requests = 0
        self._model, self._in_flight = model, in_flight
        self._running: dict[int, StreamedRequest] = {}
        self._streams: dict[int, StreamedRequest] = {}
        self._keys = itertools.count(1)

    def _accept(self, generation: Generation) -> None:
        check_asked(generation, MOST_IDS, "vLLM")

    def step(self) -> bool:
        """Send what may be sent, and take what has arrived."""
        while self._waiting and len(self._running) < self._in_flight:
            request = StreamedRequest(self._waiting.popleft())
            self._running[request.sequence.ticket] = request
            self._ask(request)
        self._receive()
        return bool(self._running or self._waiting)

    def _cancel_running(self, ticket: int) -> None:
        if ticket in self._running:
            self._end(self._running[ticket], "cancelled", None)

    def progress(self, ticket: int) -> tuple[int, ...]:
        """Ids appended so far."""
        request = self._running.get(ticket)
        return () if request is None else tuple(request.sequence.partial.token_ids)

    @abstractmethod
    def _receive(self) -> None:
        """Take what has arrived, waiting for it a moment, and `_extend` requests by it."""

    @abstractmethod
    def _start(self, key: int, completion: Completion, delay: float) -> None:
        """Start a stream."""

    @abstractmethod
    def _stop(self, key: int) -> None:
        """End a stream, which may have ended already."""

    def _ask(self, request: StreamedRequest, delay: float = 0.0) -> None:
        """Start a stream from what has been written so far."""
        sequence = request.sequence
        self._drop_stream(request)
        request.key = next(self._keys)
        self._streams[request.key] = request
        completion = Completion(
            self._model,
            tuple(sequence.ids),
            asked_positions(sequence),
            tuple(sorted(sequence.generation.stop_ids)),
            asked_ids(sequence),
        )
        self.requests += 1
        self._start(request.key, completion, delay)

    def _extend(self, request: StreamedRequest, positions: Iterable[Position]) -> None:
        """Extend a request by the next positions of its stream."""
        for position in positions:
            finish, anew = feed(request.sequence, position)
            if finish is not None:
                self._end(request, finish, None if finish == "cut" else position.best)
                return
            if anew:
                self._ask(request)
                return

    def _end(self, request: StreamedRequest, finish: Finish, next_id: int | None) -> None:
        sequence = request.sequence
        self._finished.append((sequence.ticket, sequence.partial.freeze(finish, next_id)))
        self._forget(request)

    def _forget(self, request: StreamedRequest) -> None:
        self._drop_stream(request)
        del self._running[request.sequence.ticket]

    def _drop_stream(self, request: StreamedRequest) -> None:
        if self._streams.pop(request.key, None) is not None:
            self._stop(request.key)
