"""Replays recorded outputs: where does this checkpoint write something else?

A recorded prompt is decoded greedily, as the recording was made, to the end of text or to the
recorded length. Recordings are text: which tokens they were is not known, so texts are compared.
"""

from __future__ import annotations

import gzip
import json
import re
from collections.abc import Iterable
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from decoding.backend import Backend
from decoding.codec import Part, PromptCodec
from decoding.generation import Draft, Generation
from decoding.vocabulary import (
    CONTROL_STRINGS,
    PARAGRAPH_END,
    PARAGRAPH_START,
    RETRIEVAL,
    ReflectionVocabulary,
)
from selfrag.backends.checkpoint import first_line
from selfrag.backends.verification import control_ids
from selfrag.errors import CorruptRecording

_CONTROL = re.compile("|".join(re.escape(string) for string in CONTROL_STRINGS))
_PASSAGE = f"{RETRIEVAL}{PARAGRAPH_START}"
_RESPONSE = "### Response:\n"


@dataclass(frozen=True, slots=True)
class Divergence:
    """Where a replay leaves its recording.

    Attributes:
        row: position of the recording in its file.
        name: its task and index.
        position: token at which they differ, counted from 0.
        expected, got: text of the recorded and of our token there; "" is the end of text.
        margin: our log-probability of our token minus that of the recorded one; None where the
            recorded text cannot be cut into tokens at this place.
        before: the last characters that both share.
    """

    row: int
    name: str
    position: int
    expected: str
    got: str
    margin: float | None
    before: str


@dataclass(frozen=True, slots=True)
class Replay:
    """All replays: how many rows there were, how many agree, and where the others do not.

    `skipped` counts rows without a full prompt, `too_long` those that do not fit the context.
    """

    rows: int
    replayed: int
    equal: int
    skipped: int
    too_long: int
    tokens: int
    divergences: tuple[Divergence, ...]


def read_recordings(path: Path) -> list[dict[str, Any]]:
    """Rows of a JSON-lines file, plain or gzipped (recognised by content).

    Raises:
        CorruptRecording: the file cannot be read.
    """
    try:
        with path.open("rb") as probe:
            packed = probe.read(2) == b"\x1f\x8b"
        with (
            gzip.open(path, "rt", encoding="utf-8") if packed else path.open(encoding="utf-8")
        ) as lines:
            rows = [json.loads(line) for line in lines if line.strip()]
    except (OSError, EOFError, ValueError) as error:
        raise CorruptRecording(
            f"{path.name} cannot be read: {first_line(error)}", "Give a .jsonl or .jsonl.gz file."
        ) from error
    if not all(isinstance(row, dict) for row in rows):
        raise CorruptRecording(f"{path.name} has lines that are no JSON objects.")
    return rows


def prompt_parts(prompt: str, vocabulary: ReflectionVocabulary) -> tuple[Part, ...]:
    """A recorded prompt as parts: control tokens at the template's own position only.

    That is the first `[Retrieval]<paragraph>` right behind a `### Response:` line, and
    `</paragraph>` at the very end; every other look-alike stays text.
    """
    marker = prompt.find(f"{_RESPONSE}{_PASSAGE}")
    if marker < 0 or not prompt.endswith(PARAGRAPH_END):
        return (prompt,)
    start = marker + len(_RESPONSE)
    passage = prompt[start + len(_PASSAGE) : -len(PARAGRAPH_END)]
    opening = (vocabulary.retrieval, vocabulary.paragraph_start)
    return (prompt[:start], *opening, passage, vocabulary.paragraph_end)


def output_parts(text: str, vocabulary: ReflectionVocabulary) -> tuple[Part, ...]:
    """A recorded output as parts; here every control string is the token it names."""
    ids = control_ids(vocabulary)
    parts: list[Part] = []
    end = 0
    for match in _CONTROL.finditer(text):
        parts += [text[end : match.start()], ids[match.group()]]
        end = match.end()
    return tuple(part for part in (*parts, text[end:]) if part != "")


def replay_recordings(
    backend: Backend,
    codec: PromptCodec,
    rows: Iterable[dict[str, Any]],
    limit: int | None = None,
) -> Replay:
    """Replay the rows that have a `prompt` and a `prediction`, at most `limit` of them."""
    total = skipped = too_long = tokens = 0
    prepared: list[tuple[int, str, tuple[int, ...], tuple[int, ...]]] = []
    for number, row in enumerate(rows):
        total += 1
        prompt, text = row.get("prompt"), row.get("prediction")
        if not isinstance(prompt, str) or not isinstance(text, str):
            skipped += 1
            continue
        if limit is not None and len(prepared) >= limit:
            continue
        vocabulary = codec.vocabulary
        start = prompt_parts(prompt, vocabulary)
        prompt_ids = codec.encode(start, bos=True)
        whole = codec.encode((*start, *output_parts(text, vocabulary)), bos=True)
        recorded = whole[len(prompt_ids) :]
        if whole[: len(prompt_ids)] != prompt_ids:
            recorded = codec.encode(output_parts(text, vocabulary), bos=False)
        if len(prompt_ids) + len(recorded) > backend.context_limit:
            too_long += 1
            continue
        name = f"{row.get('task', '')} {row.get('index', '')}".strip()
        prepared.append((number, name, prompt_ids, recorded))
    ends = codec.vocabulary.eos_ids
    drafts = _decode(
        backend,
        [
            Generation(ids, max_tokens=len(recorded), stop_ids=ends)
            for _, _, ids, recorded in prepared
        ],
    )
    divergences: list[Divergence] = []
    for (number, name, prompt_ids, recorded), draft in zip(prepared, drafts, strict=True):
        tokens += len(draft.token_ids)
        found = _compare(backend, codec, prompt_ids, recorded, draft)
        if found is not None:
            divergences.append(Divergence(number, name, *found))
    equal = len(prepared) - len(divergences)
    counts = (total, len(prepared), equal, skipped, too_long, tokens)
    return Replay(*counts, divergences=tuple(divergences))


def _compare(
    backend: Backend,
    codec: PromptCodec,
    prompt_ids: tuple[int, ...],
    recorded: tuple[int, ...],
    draft: Draft,
) -> tuple[int, str, str, float | None, str] | None:
    """The first divergence; None where both texts are the same.

    The recording is text: its tokens may have been cut differently without any difference.
    """
    text = codec.literal(recorded)
    draft = _as_long_as(text, backend, codec, prompt_ids, draft)
    ours = draft.token_ids
    if ours == recorded or codec.literal(ours).startswith(text):
        return None
    position = 0
    while position < len(ours) and _is_start(codec.literal(ours[: position + 1]), text):
        position += 1
    shared = codec.literal(ours[:position])
    aligned = recorded[:position] == ours[:position]
    end = codec.vocabulary.eos
    got = (
        ours[position] if position < len(ours) else end if draft.next_id is None else draft.next_id
    )
    expected = recorded[position] if aligned and position < len(recorded) else None
    margin = None
    if expected is not None:
        request = Generation(
            (*prompt_ids, *ours[:position]), max_tokens=0, read_ids=(got, expected)
        )
        (reading,) = _decode(backend, [request])
        values = reading.readings[0]
        margin = values[0] - values[1]
    rest = text[len(shared) : len(shared) + 20]
    return (
        position,
        rest if expected is None else codec.literal([expected]),
        "" if got in codec.vocabulary.eos_ids else codec.literal([got]),
        margin,
        shared[-40:],
    )


def _as_long_as(
    text: str, backend: Backend, codec: PromptCodec, prompt_ids: tuple[int, ...], draft: Draft
) -> Draft:
    """The draft, written on while it agrees but is shorter, cut into more tokens."""
    while draft.finish == "limit":
        ours = codec.literal(draft.token_ids)
        room = backend.context_limit - len(prompt_ids) - len(draft.token_ids)
        if len(ours) >= len(text) or not _is_start(ours, text) or room < 1:
            break
        request = Generation(
            (*prompt_ids, *draft.token_ids),
            max_tokens=min(len(text) - len(ours), room),
            stop_ids=codec.vocabulary.eos_ids,
        )
        (more,) = _decode(backend, [request])
        draft = replace(more, token_ids=(*draft.token_ids, *more.token_ids))
    return draft


def _is_start(start: str, text: str) -> bool:
    """Whether a text begins so, an unfinished character at the end aside."""
    return text.startswith(start.rstrip("\N{REPLACEMENT CHARACTER}"))


def _decode(backend: Backend, generations: list[Generation]) -> list[Draft]:
    """Drafts in the order of the requests."""
    order = {backend.submit(generation): at for at, generation in enumerate(generations)}
    drafts: dict[int, Draft] = {}
    while len(drafts) < len(order):
        backend.step()
        for ticket, draft in backend.poll():
            drafts[order[ticket]] = draft
    return [drafts[at] for at in range(len(generations))]


def replay_to_dict(replay: Replay) -> dict[str, Any]:
    """Plain data for `--json`."""
    return asdict(replay)
