"""A connection to a server of vLLM's routes: what is served there, and streams of positions.

Everything here is a coroutine of one event loop; `streams.StreamPool` owns that loop. What passes
by itself is raised as `Interrupted`, for the caller to try again. Redirects are not followed, so
the key goes to the given address alone.
"""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from selfrag.backends.completions import (
    AnswerReader,
    Completion,
    Interrupted,
    raise_for,
)
from selfrag.backends.errors import InexactEngine, ModelMismatch, ServerRefused, WrongAnswer
from selfrag.backends.positions import Position
from selfrag.retrying import retry_after


@dataclass(frozen=True, slots=True)
class ServedModel:
    """A model as `/v1/models` lists it.

    Attributes:
        name: what requests call it.
        root: the checkpoint that was loaded.
        context: largest number of tokens of prompt and answer together.
    """

    name: str
    root: str
    context: int


class Connection:
    """HTTP to one server.

    Args:
        url: its address, with or without `/v1`.
        api_key: sent as a bearer token; None sends none.
        timeout: seconds that may pass without a byte.
        in_flight: how many requests run at once.
    """

    def __init__(self, url: str, api_key: str | None, timeout: float, in_flight: int) -> None:
        import httpx2

        self.address = url.rstrip("/").removesuffix("/v1")
        if not self.address.startswith(("http://", "https://")):
            raise ServerRefused(
                f"{url!r} is no address of a server.", "Give one such as http://localhost:8000."
            )
        self._timeout = timeout
        self._client = httpx2.AsyncClient(
            headers={"Authorization": f"Bearer {api_key}"} if api_key else {},
            timeout=httpx2.Timeout(timeout, connect=min(timeout, 10.0)),
            limits=httpx2.Limits(max_connections=in_flight + 4, max_keepalive_connections=None),
            follow_redirects=False,
        )

    async def close(self) -> None:
        """Close the connections."""
        await self._client.aclose()

    async def stream(self, completion: Completion) -> AsyncIterator[list[Position]]:
        """Positions of one completion as they come; leaving the loop early ends the request.

        Raises:
            Interrupted: nothing came in time, the connection was lost, the server failed.
            ServerRefused, WrongAnswer: as their docstrings say.
        """
        import httpx2

        reader = AnswerReader(completion, self.address)
        address = f"{self.address}/v1/completions"
        content = json.dumps(completion.body())
        headers = {"Content-Type": "application/json"}
        try:
            async with self._client.stream(
                "POST", address, content=content, headers=headers
            ) as response:
                if response.status_code != 200:
                    await response.aread()
                    _raise_for(response)
                async for line in response.aiter_lines():
                    if positions := reader.read(line):
                        yield positions
                    if reader.ended:
                        break
        except httpx2.HTTPError as error:
            raise self._interrupted(error) from error
        if not reader.ended:
            raise Interrupted(f"the stream broke off after {reader.count} tokens")
        if reader.count == 0:
            raise WrongAnswer(
                f"{self.address} ended an answer without a single token.",
                "Check the server's log.",
            )

    async def served(self, name: str | None) -> ServedModel:
        """The model of this name, or the only one.

        Raises:
            ModelMismatch: there is none of this name, or there are several.
            InexactEngine: the server does not say how long a context is, so it is not vLLM.
        """
        listed = (await self._json("GET", "/v1/models"))["data"]
        names = [str(entry["id"]) for entry in listed]
        if (name is None and len(names) != 1) or (name is not None and name not in names):
            raise ModelMismatch(
                f"{self.address} serves {', '.join(names) or 'nothing'}"
                + (f", not {name}." if name else "."),
                "Name one of them.",
            )
        entry = listed[names.index(name) if name else 0]
        if not isinstance(entry.get("max_model_len"), int):
            raise InexactEngine(
                f"{self.address} does not say how long the context of {entry['id']} is.",
                "Serve the model with vLLM (vllm serve).",
            )
        return ServedModel(str(entry["id"]), str(entry.get("root")), entry["max_model_len"])

    async def tokenize(self, model: str, text: str) -> tuple[int, ...]:
        """The server's ids of a text, without what it would put around it."""
        body = {"model": model, "prompt": text, "add_special_tokens": False}
        values = await self._json("POST", "/tokenize", body)
        return tuple(int(token) for token in values["tokens"])

    async def _json(self, method: str, path: str, body: Any = None) -> Mapping[str, Any]:
        import httpx2

        try:
            response = await self._client.request(method, f"{self.address}{path}", json=body)
        except httpx2.HTTPError as error:
            raise self._interrupted(error) from error
        _raise_for(response)
        try:
            values = response.json()
        except ValueError as error:
            raise Interrupted(f"{path} answers no JSON") from error
        if not isinstance(values, dict):
            raise Interrupted(f"{path} answers no JSON object")
        return values

    def _interrupted(self, error: Exception) -> Interrupted:
        import httpx2

        if isinstance(error, httpx2.TimeoutException):
            return Interrupted(f"nothing came within {self._timeout:g} s")
        return Interrupted(f"{type(error).__name__}: {error}")


def _raise_for(response: Any) -> None:
    pause = retry_after(response.headers.get("Retry-After"), datetime.now(UTC))
    raise_for(response.status_code, response.text, pause)
