"""A chat model behind an OpenAI-compatible address: one request, with its retries.

What passes by itself (time-outs, lost connections, 408, 409, 429, 5xx, a body that is no JSON) is
tried again with growing pauses, at least as long as `Retry-After` asks for. What concerns one
request alone (400, 413, 422) is `RequestRefused`; what concerns all of them (a wrong key, model or
path) is `StageFailed` at once. This module knows nothing of questions, labels, limits and caches.
The key is sent to the given address only (redirects are not followed) and never shown.
"""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from selfrag.retrying import pause_before, retry_after
from selfrag.training.errors import StageFailed, TrainingError

if TYPE_CHECKING:
    import httpx2

_PASSING = frozenset({408, 409, 425, 429})
_OF_ONE_REQUEST = frozenset({400, 413, 422})


class RequestRefused(TrainingError):
    """The server refuses this one request, for its length or its content."""


class ServerUnavailable(TrainingError):
    """No usable reply after all attempts. `alone`: the cause may lie in this one request."""

    def __init__(self, message: str, hint: str = "", *, alone: bool = False) -> None:
        super().__init__(message, hint)
        self.alone = alone


@dataclass(frozen=True, slots=True)
class Reply:
    """A model's reply. Token counts are the server's; None where it gives none."""

    text: str
    prompt_tokens: int | None = None
    completion_tokens: int | None = None


@dataclass(frozen=True, slots=True)
class _Failure:
    what: str
    alone: bool
    pause: float = 0.0


class ChatServer:
    """Sends chat requests; safe to use from several threads. Close it when done.

    Args:
        base_url: up to and without `/chat/completions`, such as `http://localhost:8000/v1`.
        model: the model's name on that server.
        api_key: sent as a bearer token; None sends none.
        timeout: seconds that connecting, or waiting for further bytes, may take.
        attempts: how often one request is sent at most.
        backoff: seconds before the second attempt; doubled before each further one.
        max_tokens: the longest reply.

    Raises:
        StageFailed: the address is none of http or https.
    """

    def __init__(
        self,
        base_url: str,
        model: str,
        api_key: str | None = None,
        *,
        timeout: float = 60.0,
        attempts: int = 5,
        backoff: float = 1.0,
        max_tokens: int = 64,
    ) -> None:
        import httpx2

        if not base_url.startswith(("http://", "https://")) or attempts < 1:
            raise StageFailed(
                f"Cannot ask {base_url!r} with {attempts} attempts.",
                "Give an address such as http://localhost:8000/v1, and at least one attempt.",
            )
        self.address = base_url.rstrip("/") + "/chat/completions"
        self.model, self.timeout = model, timeout
        self.attempts, self.backoff, self.max_tokens = attempts, backoff, max_tokens
        headers = {"Authorization": f"Bearer {api_key}"} if api_key else {}
        self._client = httpx2.Client(headers=headers, timeout=timeout, follow_redirects=False)

    def send(
        self,
        messages: Sequence[Mapping[str, str]],
        stop: threading.Event,
        before: Callable[[], None] = lambda: None,
    ) -> Reply | None:
        """The reply to one request at temperature 0; None when `stop` is set meanwhile.

        Args:
            messages: objects with role and content.
            stop: ends pauses between attempts.
            before: called before each attempt; what it raises is raised.

        Raises:
            RequestRefused, ServerUnavailable, StageFailed: see the module's text.
        """
        body = {
            "model": self.model,
            "messages": list(messages),
            "temperature": 0,
            "max_tokens": self.max_tokens,
        }
        failure = _Failure("", False)
        for attempt in range(self.attempts):
            if attempt and stop.wait(pause_before(attempt, self.backoff, failure.pause)):
                return None
            if stop.is_set():
                return None
            before()
            result = self._attempt(json.dumps(body))
            if isinstance(result, Reply):
                return result
            failure = result
        raise ServerUnavailable(
            f"{self.address} gave no answer in {self.attempts} attempts: {failure.what}.",
            "Check the server, and run the same command again: it goes on from there.",
            alone=failure.alone,
        )

    def close(self) -> None:
        """Close the connections."""
        self._client.close()

    def _attempt(self, body: str) -> Reply | _Failure:
        import httpx2

        try:
            response = self._client.post(
                self.address, content=body, headers={"Content-Type": "application/json"}
            )
        except httpx2.TimeoutException as error:
            reading = isinstance(error, httpx2.ReadTimeout)
            return _Failure(f"nothing came within {self.timeout:g} s", alone=reading)
        except (httpx2.TransportError, httpx2.DecodingError) as error:
            return _Failure(f"{type(error).__name__}: {error}", alone=False)
        except httpx2.InvalidURL as error:
            raise StageFailed(f"{self.address} is no address: {error}.", "Mend it.") from error
        status = response.status_code
        if status == 200:
            reply = _reply(response)
            return reply or _Failure("the body is no chat completion", alone=True)
        said = f"HTTP {status}: {_shortened(response.text)}"
        if status in _PASSING or status >= 500:
            pause = retry_after(response.headers.get("Retry-After"), datetime.now(UTC))
            return _Failure(said, alone=status >= 500, pause=pause)
        if status in _OF_ONE_REQUEST:
            raise RequestRefused(f"The server refuses the request: {said}.", "Shorten the row.")
        raise StageFailed(
            f"{self.address} answers {said}.", "Check address, key and the model's name."
        )


def _reply(response: httpx2.Response) -> Reply | None:
    """The reply in a body; None where there is none."""
    try:
        values = json.loads(response.content)
        text = values["choices"][0]["message"].get("content")
    except (ValueError, RecursionError, KeyError, IndexError, TypeError, AttributeError):
        return None
    usage = values.get("usage")
    usage = usage if isinstance(usage, dict) else {}
    # A model that refuses, or calls a tool, has no content: an empty text, which names no label.
    return Reply(
        text if isinstance(text, str) else "",
        _count(usage.get("prompt_tokens")),
        _count(usage.get("completion_tokens")),
    )


def _count(value: Any) -> int | None:
    return value if type(value) is int and value >= 0 else None


def _shortened(text: str, limit: int = 200) -> str:
    shown = " ".join(text.split())
    shown = "".join(letter if letter.isprintable() else "?" for letter in shown)
    return shown if len(shown) <= limit else shown[:limit] + " ..."
