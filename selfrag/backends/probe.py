"""What a server serves, found out before it is trusted: model, tokenizer, exactness, and a mark.

A server that ignores `logprob_token_ids` still answers, with its twenty most probable ids; one that
runs another checkpoint answers with other numbers. Neither says so. Therefore a few positions are
asked for when an engine is opened: they show that the ids that were asked for come back, and their
numbers tell the model apart from another that is later served in its place.
"""

from __future__ import annotations

import hashlib
import json
import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

from decoding.vocabulary import CONTROL_STRINGS, ReflectionVocabulary
from selfrag.backends.completions import Completion, Interrupted
from selfrag.backends.connection import Connection, ServedModel
from selfrag.backends.errors import InexactEngine, ModelMismatch, ServerRefused, WrongAnswer
from selfrag.backends.positions import Position

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase

_TEXTS = (
    "### Instruction:\nWhat is the capital of Burkina Faso?\n\n### Response:\n",
    "Two rivers, 3.5 km apart: é ü ß\n",
    "x",
)
_WRITTEN = 12
"""How many ids of a greedy continuation of each text name the model."""

TOLERANCE = 0.05
"""By how much a probability may differ between two askings of the same model: what half precision
and the company in its batch change, not what another model would."""


@dataclass(frozen=True, slots=True)
class Identity:
    """What a server serves.

    Attributes:
        name, root, context: see `connection.ServedModel`.
        fingerprint: names model, tokenizer and what it writes. A server does not tell its
            precision: serve each under a name of its own.
        asked: ids that the probe reads.
        prompts: prompts of the probe.
        marks: probabilities of `asked` behind each prompt.
    """

    name: str
    root: str
    context: int
    fingerprint: str
    asked: tuple[int, ...]
    prompts: tuple[tuple[int, ...], ...]
    marks: tuple[tuple[float, ...], ...]


async def identify(
    connection: Connection,
    model: str | None,
    tokenizer: PreTrainedTokenizerBase,
    vocabulary: ReflectionVocabulary,
) -> Identity:
    """Find out what is served, and check that it is what prompts are made for.

    Raises:
        ModelMismatch: it has another tokenizer, or a vocabulary without the control tokens.
        InexactEngine: it does not give log-probabilities of chosen ids.
        Interrupted, ServerRefused: see `completions`.
    """
    served = await connection.served(model)
    await _check_tokenizer(connection, served, tokenizer)
    asked = (*vocabulary.read_ids, vocabulary.paragraph_start, vocabulary.paragraph_end)
    prompts = tuple(tuple(tokenizer(text)["input_ids"]) for text in _TEXTS)
    continuations = []
    for prompt in prompts:
        try:
            continuations.append(await _positions(connection, served, prompt, asked, _WRITTEN))
        except WrongAnswer as error:
            raise InexactEngine(
                f"{connection.address} cannot give exact log-probabilities of chosen ids: "
                f"{error.message}",
                "Every mode needs them. Serve the model with vLLM 0.20 or later (vllm serve).",
            ) from error
        except ServerRefused as error:
            raise ModelMismatch(
                f"{served.name} on {connection.address} cannot be asked for the control tokens "
                f"(ids up to {max(asked)}): {error.message}",
                "Serve the checkpoint whose tokenizer this client was given.",
            ) from error
    written = [[position.best for position in found] for found in continuations]
    named = [served.name, served.root, served.context, asked, prompts, written]
    digest = hashlib.sha256(json.dumps(named).encode()).hexdigest()[:24]
    return Identity(
        served.name,
        served.root,
        served.context,
        f"served-{digest}",
        asked,
        prompts,
        tuple(_probabilities(found[0], asked) for found in continuations),
    )


async def check_same(connection: Connection, identity: Identity) -> None:
    """Ask again, and compare.

    Raises:
        ModelMismatch: the server now serves something else.
        Interrupted: it does not answer yet.
    """
    try:
        served = await connection.served(identity.name)
    except ModelMismatch as error:
        raise _changed(connection, identity, error.message) from error
    if (served.root, served.context) != (identity.root, identity.context):
        raise _changed(connection, identity, f"it is {served.root} now")
    for prompt, mark in zip(identity.prompts, identity.marks, strict=True):
        (position,) = await _positions(connection, served, prompt, identity.asked, 1)
        found = _probabilities(position, identity.asked)
        difference = max(abs(a - b) for a, b in zip(found, mark, strict=True))
        if difference > TOLERANCE:
            raise _changed(connection, identity, f"a probability differs by {difference:.3f}")


async def _positions(
    connection: Connection,
    served: ServedModel,
    prompt: tuple[int, ...],
    asked: tuple[int, ...],
    count: int,
) -> list[Position]:
    completion = Completion(served.name, prompt, count, (), asked)
    found: list[Position] = []
    async for positions in connection.stream(completion):
        found += positions
    if len(found) != count:
        raise Interrupted(f"{len(found)} of {count} tokens came")
    return found


async def _check_tokenizer(
    connection: Connection, served: ServedModel, tokenizer: PreTrainedTokenizerBase
) -> None:
    """The server's ids of control strings and of text are the tokenizer's own."""
    for text in ("".join(CONTROL_STRINGS), *_TEXTS):
        own = tuple(tokenizer(text, add_special_tokens=False)["input_ids"])
        theirs = await connection.tokenize(served.name, text)
        if own != theirs:
            what = "the control tokens" if text.startswith(CONTROL_STRINGS[0]) else "text"
            raise ModelMismatch(
                f"{served.name} on {connection.address} has other ids for {what} "
                f"({list(theirs)[:6]}) than the checkpoint's tokenizer ({list(own)[:6]}).",
                "Serve the checkpoint whose tokenizer this client was given; it must have the "
                "reflection tokens.",
            )


def _probabilities(position: Position, asked: tuple[int, ...]) -> tuple[float, ...]:
    own = math.exp(position.log_probability)
    return (own, *(math.exp(position.values[token]) for token in asked))


def _changed(connection: Connection, identity: Identity, what: str) -> ModelMismatch:
    return ModelMismatch(
        f"{connection.address} no longer serves {identity.name} as it did when it was opened: "
        f"{what}.",
        "Open the engine again; what was decoded before stays valid under its own fingerprint.",
    )
