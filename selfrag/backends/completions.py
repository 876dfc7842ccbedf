"""vLLM's OpenAI-compatible completion route: requests as JSON, streamed answers as positions.

A prompt travels as token ids and comes back as token ids, so that no text is ever encoded on the
way; an answer that repeats another prompt, another model or other ids than were asked for is
`WrongAnswer`, never a position. This module knows no connection, no retry and no search.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from selfrag.backends.errors import ServerRefused, WrongAnswer
from selfrag.backends.positions import Position, check_position

MOST_IDS = 128
"""How many ids vLLM reads at a position (`MAX_LOGPROB_TOKEN_IDS`)."""

PASSING = frozenset({408, 409, 425, 429})
"""Answers besides 5xx after which the same request may be sent again."""

_PREFIX = "token_id:"


class Interrupted(Exception):
    """A stream that broke off or a server that failed: the request may be sent again.

    `pause` is how many seconds the server asked for.
    """

    def __init__(self, what: str, pause: float = 0.0) -> None:
        super().__init__(what)
        self.pause = pause


@dataclass(frozen=True, slots=True)
class Completion:
    """One request: which positions of which prompt, and what to read there.

    Attributes:
        model: the served model's name.
        prompt_ids: what the model is given.
        max_tokens: how many positions are computed at most; at least 1.
        stop_ids: the server ends the stream after a position whose best id is one of these.
        asked: ids whose log-probabilities every position must give; at most `MOST_IDS`.
    """

    model: str
    prompt_ids: tuple[int, ...]
    max_tokens: int
    stop_ids: tuple[int, ...]
    asked: tuple[int, ...]

    def body(self) -> dict[str, Any]:
        """The request's JSON. Penalties are named, since a server takes its defaults for them
        from the checkpoint's generation settings; what ends a text is for the client to say.
        """
        asked = self.asked or (0,)
        return {
            "model": self.model,
            "prompt": list(self.prompt_ids),
            "max_tokens": self.max_tokens,
            "temperature": 0.0,
            "top_p": 1.0,
            "top_k": 0,
            "min_p": 0.0,
            "repetition_penalty": 1.0,
            "presence_penalty": 0.0,
            "frequency_penalty": 0.0,
            "n": 1,
            "logprobs": len(asked),
            "logprob_token_ids": list(asked),
            "stop_token_ids": list(self.stop_ids),
            "ignore_eos": True,
            "skip_special_tokens": False,
            "spaces_between_special_tokens": False,
            "add_special_tokens": False,
            "return_tokens_as_token_ids": True,
            "return_token_ids": True,
            "stream": True,
        }


@dataclass(slots=True)
class AnswerReader:
    """Reads the server-sent events of one stream, in order; `read` gives their positions."""

    request: Completion
    who: str
    started: bool = False
    ended: bool = False
    count: int = 0
    _names: dict[str, int] = field(default_factory=dict)

    def read(self, line: str) -> list[Position]:
        """Positions of one line of the stream; lines that carry no data have none.

        Raises:
            Interrupted: the server says that it failed.
            ServerRefused: it says that the request cannot be answered.
            WrongAnswer: the answer is to another request, or is incomplete.
        """
        if not line.startswith("data:"):
            return []
        data = line.removeprefix("data:").strip()
        if data == "[DONE]":
            self.ended = True
            return []
        try:
            values = json.loads(data)
            if "error" in values:
                raise_for(values["error"].get("code"), str(values["error"].get("message")))
            if not values["choices"]:
                return []
            choice = values["choices"][0]
            self._check_source(values, choice)
            positions = self._positions(choice)
        except (ValueError, RecursionError, LookupError, TypeError, AttributeError) as error:
            raise WrongAnswer(
                f"{self.who} sent what is no part of a completion ({type(error).__name__}: "
                f"{error}): {data[:120]}",
                "Serve the model with vLLM 0.20 or later.",
            ) from error
        self.count += len(positions)
        if self.count > self.request.max_tokens:
            raise WrongAnswer(
                f"{self.who} sent {self.count} tokens where {self.request.max_tokens} were asked "
                "for.",
                "Check what stands between this client and the server.",
            )
        if choice.get("finish_reason") is not None:
            self.ended = True
        return positions

    def _check_source(self, values: Mapping[str, Any], choice: Mapping[str, Any]) -> None:
        """The chunk belongs to this request: its model, its prompt, its only choice."""
        if values.get("model") != self.request.model or choice.get("index", 0) != 0:
            raise WrongAnswer(
                f"{self.who} answered for model {values.get('model')!r}, choice "
                f"{choice.get('index')}; {self.request.model!r} was asked once.",
                "Open the engine again.",
            )
        echoed = choice.get("prompt_token_ids")
        if not self.started and echoed is None:
            raise WrongAnswer(
                f"{self.who} does not repeat the prompt's ids.",
                "Serve the model with vLLM, which knows return_token_ids.",
            )
        if echoed is not None and tuple(echoed) != self.request.prompt_ids:
            raise WrongAnswer(
                f"{self.who} answered another prompt ({len(echoed)} ids) than was sent "
                f"({len(self.request.prompt_ids)} ids).",
                "Check what stands between this client and the server.",
            )
        self.started = True

    def _positions(self, choice: Mapping[str, Any]) -> list[Position]:
        ids: Sequence[int] = choice["token_ids"]
        if not ids:
            return []
        reading = choice["logprobs"]
        if not reading or not len(ids) == len(reading["top_logprobs"]):
            raise WrongAnswer(
                f"{self.who} gave {len(ids)} tokens without their log-probabilities.",
                "Serve the model with vLLM, and do not turn log-probabilities off.",
            )
        positions = []
        for token, own, values in zip(
            ids, reading["token_logprobs"], reading["top_logprobs"], strict=True
        ):
            found = {self._id_of(name): float(value) for name, value in values.items()}
            if type(token) is not int or own is None or found.get(token) != own:
                raise WrongAnswer(
                    f"{self.who} gave id {token!r} with the log-probability {own!r}, which is not "
                    "among those of its position.",
                    "Check what stands between this client and the server.",
                )
            position = Position(token, float(own), found)
            positions.append(check_position(position, self.request.asked, self.who))
        return positions

    def _id_of(self, name: str) -> int:
        """The id in a name such as "token_id:17"."""
        if name not in self._names:
            if not name.startswith(_PREFIX):
                raise WrongAnswer(
                    f"{self.who} names tokens by text ({name!r}), which does not tell ids apart.",
                    "Serve the model with vLLM, which knows return_tokens_as_token_ids.",
                )
            self._names[name] = int(name.removeprefix(_PREFIX))
        return self._names[name]


def raise_for(status: Any, text: str, pause: float = 0.0) -> None:
    """Raise what an answer's status means; 200 means nothing.

    Raises:
        Interrupted: a status that passes (time-out, too many requests, a failing server).
        ServerRefused: any other.
    """
    if status == 200:
        return
    said = f"HTTP {status}: {' '.join(text.split())[:300]}"
    if not isinstance(status, int) or status in PASSING or status >= 500:
        raise Interrupted(said, pause)
    hint = "Check the address and the model's name."
    if status in (401, 403):
        hint = "Check the key (api_key, or the environment variable VLLM_API_KEY)."
    elif status in (400, 413, 422):
        hint = "Check that the server's --max-model-len and vocabulary are the model's own."
    raise ServerRefused(f"The server answers {said}", hint)
