"""An engine behind HTTP: any server of vLLM's OpenAI-compatible routes, through `Backend`.

The model may be spread over many machines; this side knows token ids and positions alone. At most
`in_flight` requests are with the server at once; the others wait here. What passes by itself is
tried again, from the last position that arrived, and `step` raises what does not: what is served is
wrong for every request then, or nothing is. A server that comes back with another model is
`ModelMismatch`, since `probe.py` asks it for the same few numbers again.
"""

from __future__ import annotations

import os
import queue
from typing import TYPE_CHECKING

from decoding.vocabulary import ReflectionVocabulary
from selfrag.backends.completions import Completion, Interrupted
from selfrag.backends.connection import Connection
from selfrag.backends.errors import ServerUnreachable
from selfrag.backends.probe import Identity, check_same, identify
from selfrag.backends.streaming import StreamedRequest, StreamingEngine
from selfrag.backends.streams import Event, StreamPool
from selfrag.retrying import pause_before

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase

KEY_VARIABLE = "VLLM_API_KEY"
"""Environment variable with the server's key, the one that vLLM itself reads."""

_PATIENCE = 0.02
"""Seconds that one `step` waits for something to arrive; cancelling must not wait longer."""


class ServedEngine(StreamingEngine):
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
        if attempts < 1:
            raise ValueError(f"attempts is {attempts}; it is at least 1")
        super().__init__(identity.name, identity.fingerprint, identity.context, in_flight)
        self._pool, self._attempts, self._backoff = pool, attempts, backoff

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

    def close(self) -> None:
        """End all streams and the connection."""
        self._pool.close()

    def _receive(self) -> None:
        wait = bool(self._running)
        while True:
            try:
                key, event = self._pool.events.get(timeout=_PATIENCE if wait else 0.0)
            except queue.Empty:
                return
            wait = False
            request = self._streams.get(key)
            if request is not None:
                self._take(request, event)

    def _start(self, key: int, completion: Completion, delay: float) -> None:
        self._pool.start(key, completion, delay)

    def _stop(self, key: int) -> None:
        self._pool.stop(key)

    def _take(self, request: StreamedRequest, event: Event) -> None:
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


def _unreachable(who: str, attempts: int, error: Interrupted) -> ServerUnreachable:
    return ServerUnreachable(
        f"{who} gave no answer in {attempts} attempts: {error}.",
        "Check that it runs and is reachable; with cache= what is done is kept.",
    )
