"""An engine behind HTTP: any server of vLLM's OpenAI-compatible routes, through `Backend`.

The model may be spread over many machines; this side knows token ids and positions alone. A
request is one stream of positions. Where another id than the most probable one is appended
(`first_ids`, `forced_ids`) the stream is ended and the request asked anew with what has been
written; the server's prefix cache makes that cheap. A watch that gives a branch up ends its stream,
and with it the server's work. At most `in_flight` requests run at once; the others wait here.

What passes by itself is tried again, from the last position that arrived. A server that comes back
with another model is `ModelMismatch`, since `probe.py` asks it for the same few numbers again.
"""

from __future__ import annotations

import itertools
import os
import queue
from collections import deque
from dataclasses import dataclass
from typing import TYPE_CHECKING

from decoding.engine.sequence import RunningSequence, check_fits
from decoding.generation import Draft, Finish, Generation, Watch
from decoding.vocabulary import ReflectionVocabulary
from selfrag.backends.completions import MOST_IDS, Completion, Interrupted
from selfrag.backends.connection import Connection
from selfrag.backends.errors import ServerUnreachable
from selfrag.backends.positions import Position, asked_ids, asked_positions, check_asked, feed
from selfrag.backends.probe import Identity, check_same, identify
from selfrag.backends.streams import Event, StreamPool
from selfrag.training.critic.server import pause_before

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase

KEY_VARIABLE = "VLLM_API_KEY"
"""Environment variable with the server's key, the one that vLLM itself reads."""

_PATIENCE = 0.02
"""Seconds that one `step` waits for something to arrive; cancelling must not wait longer."""


@dataclass(slots=True)
class _Request:
    """A request that runs; `key` names its present stream."""

    sequence: RunningSequence
    key: int = -1
    failures: int = 0


class ServedEngine:
    """`Backend` over a server; open it with `ServedEngine.open`.

    Args:
        pool: streams of the server, closed with the engine.
        identity: what the server was found to serve.
        in_flight: how many requests the server gets at once.
        attempts: how often a position is asked for before the engine gives up.
        backoff: seconds before the second attempt, doubled before each further one.
    """

    def __init__(
        self,
        pool: StreamPool,
        identity: Identity,
        *,
        in_flight: int = 64,
        attempts: int = 8,
        backoff: float = 0.5,
    ) -> None:
        if in_flight < 1 or attempts < 1:
            raise ValueError(f"in_flight is {in_flight}, attempts {attempts}; both are at least 1")
        self.identity = identity
        self.fingerprint = identity.fingerprint
        self.context_limit = identity.context - 1
        self._pool, self._in_flight = pool, in_flight
        self._attempts, self._backoff = attempts, backoff
        self._waiting: deque[RunningSequence] = deque()
        self._running: dict[int, _Request] = {}
        self._streams: dict[int, _Request] = {}
        self._finished: list[tuple[int, Draft]] = []
        self._tickets, self._keys = itertools.count(1), itertools.count(1)
        self.requests = 0

    @classmethod
    def open(
        cls,
        url: str,
        *,
        tokenizer: PreTrainedTokenizerBase,
        vocabulary: ReflectionVocabulary,
        model: str | None = None,
        api_key: str | None = None,
        in_flight: int = 64,
        timeout: float = 120.0,
        attempts: int = 8,
        backoff: float = 0.5,
    ) -> ServedEngine:
        """Connect, and refuse what could give a wrong score.

        Args:
            url: the server's address, such as http://localhost:8000.
            tokenizer, vocabulary: of the checkpoint that prompts are made for.
            model: the served model's name; needed where there are several.
            api_key: the server's key; None reads the environment variable VLLM_API_KEY.
            in_flight: requests that the server gets at once.
            timeout: seconds that may pass without a byte (a server's queue counts).
            attempts, backoff: see the class.

        Raises:
            ServerUnreachable: it does not answer.
            ServerRefused: it refuses the key, the model's name or the request.
            InexactEngine: it does not give exact log-probabilities of chosen ids.
            ModelMismatch: its tokenizer or vocabulary is another, or lacks control tokens.
        """
        key = api_key or os.environ.get(KEY_VARIABLE)
        connection = Connection(url, key, timeout, in_flight)
        pool = StreamPool(connection)
        try:
            identity = pool.run(identify(connection, model, tokenizer, vocabulary))
            pool.check = lambda: check_same(connection, identity)
            return cls(pool, identity, in_flight=in_flight, attempts=attempts, backoff=backoff)
        except Interrupted as error:
            pool.close()
            raise _unreachable(connection.address, 1, error) from error
        except BaseException:
            pool.close()
            raise

    def submit(self, generation: Generation, watch: Watch | None = None) -> int:
        """Queue a request."""
        check_fits(generation, self.context_limit)
        check_asked(generation, None, MOST_IDS, "the server")
        ticket = next(self._tickets)
        self._waiting.append(RunningSequence(ticket, generation, watch))
        return ticket

    def step(self) -> bool:
        """Send what may be sent, and take what has arrived; waits a moment for the first.

        Raises:
            ServerUnreachable: a request was tried `attempts` times in a row; it is given up.
            ServerRefused, WrongAnswer, ModelMismatch: as their docstrings say; likewise.
        """
        while self._waiting and len(self._running) < self._in_flight:
            request = _Request(self._waiting.popleft())
            self._running[request.sequence.ticket] = request
            self._ask(request)
        wait = bool(self._running)
        while True:
            try:
                key, event = self._pool.events.get(timeout=_PATIENCE if wait else 0.0)
            except queue.Empty:
                break
            wait = False
            request_of = self._streams.get(key)
            if request_of is not None:
                self._take(request_of, event)
        return bool(self._running or self._waiting)

    def poll(self) -> list[tuple[int, Draft]]:
        """Finished drafts since the last poll."""
        finished, self._finished = self._finished, []
        return finished

    def cancel(self, ticket: int) -> None:
        """Stop a request; what it has written comes back as a cancelled draft."""
        for sequence in list(self._waiting):
            if sequence.ticket == ticket:
                self._waiting.remove(sequence)
                self._finished.append((ticket, sequence.partial.freeze("cancelled", None)))
        if ticket in self._running:
            self._end(self._running[ticket], "cancelled", None)

    def progress(self, ticket: int) -> tuple[int, ...]:
        """Ids appended so far."""
        request = self._running.get(ticket)
        return () if request is None else tuple(request.sequence.partial.token_ids)

    def close(self) -> None:
        """End all streams and the connection."""
        self._pool.close()

    def _ask(self, request: _Request, delay: float = 0.0) -> None:
        """Start a stream from what has been written so far."""
        sequence = request.sequence
        self._drop_stream(request)
        request.key = next(self._keys)
        self._streams[request.key] = request
        completion = Completion(
            self.identity.name,
            tuple(sequence.ids),
            asked_positions(sequence),
            tuple(sorted(sequence.generation.stop_ids)),
            asked_ids(sequence),
        )
        self.requests += 1
        self._pool.start(request.key, completion, delay)

    def _take(self, request: _Request, event: Event) -> None:
        """Go on by what arrived for a request."""
        if isinstance(event, Interrupted):
            request.failures += 1
            if request.failures >= self._attempts:
                self._forget(request)
                raise _unreachable("The server", request.failures, event) from event
            self._ask(request, pause_before(request.failures, self._backoff, event.pause))
        elif isinstance(event, Exception):
            self._forget(request)
            raise event
        elif event is None:
            self._ask(request)
        else:
            request.failures = 0
            self._extend(request, event)

    def _extend(self, request: _Request, positions: list[Position]) -> None:
        for position in positions:
            finish, anew = feed(request.sequence, position)
            if finish is not None:
                self._end(request, finish, None if finish == "cut" else position.best)
                return
            if anew:
                self._ask(request)
                return

    def _end(self, request: _Request, finish: Finish, next_id: int | None) -> None:
        sequence = request.sequence
        self._finished.append((sequence.ticket, sequence.partial.freeze(finish, next_id)))
        self._forget(request)

    def _forget(self, request: _Request) -> None:
        self._drop_stream(request)
        del self._running[request.sequence.ticket]

    def _drop_stream(self, request: _Request) -> None:
        if self._streams.pop(request.key, None) is not None:
            self._pool.stop(request.key)


def _unreachable(who: str, attempts: int, error: Interrupted) -> ServerUnreachable:
    return ServerUnreachable(
        f"{who} gave no answer in {attempts} attempts: {error}.",
        "Check that it runs and is reachable; with cache= what is done is kept.",
    )
