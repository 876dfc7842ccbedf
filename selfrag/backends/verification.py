"""Checks a checkpoint against what is known of the published one, and replays recorded outputs.

Differences from the published generator are reported, not errors: a model trained the same way on
another base has other ids. A replay decodes a recorded prompt greedily, as the recording was
made, and reports the first token at which this model writes something else.
"""

from __future__ import annotations

import gzip
import json
import re
from collections.abc import Iterable, Iterator
from dataclasses import asdict, dataclass
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
from selfrag.backends.checkpoint import Checkpoint, first_line
from selfrag.errors import CorruptRecording

PUBLISHED_IDS: dict[str, int] = {
    "[No Retrieval]": 32000,
    "[Retrieval]": 32001,
    "[Continue to Use Evidence]": 32002,
    "[Irrelevant]": 32003,
    "[Relevant]": 32004,
    "<paragraph>": 32005,
    "</paragraph>": 32006,
    "[Utility:1]": 32007,
    "[Utility:2]": 32008,
    "[Utility:3]": 32009,
    "[Utility:4]": 32010,
    "[Utility:5]": 32011,
    "[Fully supported]": 32012,
    "[Partially supported]": 32013,
    "[No support / Contradictory]": 32014,
}
"""Token ids of selfrag/selfrag_llama2_7b and 13b (their `added_tokens.json`)."""

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


def describe_checkpoint(checkpoint: Checkpoint) -> dict[str, Any]:
    """What the checkpoint is, as plain data; `differences` lists what the published one has not."""
    vocabulary, tokenizer, model = checkpoint.vocabulary, checkpoint.tokenizer, checkpoint.model
    ids = control_ids(vocabulary)
    probe = list(tokenizer("x")["input_ids"])
    rows = int(model.get_input_embeddings().weight.shape[0])
    output_rows = int(model.get_output_embeddings().weight.shape[0])
    tied = model.get_input_embeddings().weight is model.get_output_embeddings().weight
    generation = getattr(model, "generation_config", None)
    report: dict[str, Any] = {
        "fingerprint": checkpoint.fingerprint,
        "context_limit": checkpoint.context_limit,
        "dtype": str(next(model.parameters()).dtype).removeprefix("torch."),
        "device": checkpoint.device,
        "token_ids": ids,
        "bos_id": vocabulary.bos,
        "eos_ids": sorted(vocabulary.eos_ids),
        "generation_eos": getattr(generation, "eos_token_id", None),
        "tokenizer": type(tokenizer).__name__,
        "tokenizer_size": len(tokenizer),
        "tokenizer_legacy": getattr(tokenizer, "legacy", None),
        "adds_bos": vocabulary.bos is not None and probe[:1] == [vocabulary.bos],
        "adds_eos": probe[-1] in vocabulary.eos_ids,
        "embedding_rows": rows,
        "output_rows": output_rows,
        "tied": tied,
        "safe_encoding": _safe_encoding(checkpoint),
    }
    report["differences"] = list(_differences(report))
    report["problems"] = list(_problems(report))
    return report


def control_ids(vocabulary: ReflectionVocabulary) -> dict[str, int]:
    """The ids of the 15 control strings, in the order of the published ids."""
    known = {vocabulary.string_of(token_id): token_id for token_id in vocabulary.control_ids}
    return {string: known[string] for string in PUBLISHED_IDS}


def _safe_encoding(checkpoint: Checkpoint) -> str:
    """ "ok", or why untrusted text cannot be kept apart from control tokens."""
    try:
        PromptCodec(checkpoint.tokenizer, checkpoint.vocabulary)
    except ValueError as error:
        return first_line(error)
    return "ok"


def _differences(report: dict[str, Any]) -> Iterator[str]:
    for string, expected in PUBLISHED_IDS.items():
        if report["token_ids"][string] != expected:
            yield f"{string} is {report['token_ids'][string]}; published {expected}"
    published = {
        "bos_id": 1,
        "eos_ids": [2],
        "context_limit": 4096,
        "embedding_rows": 32016,
        "tied": False,
        "adds_bos": True,
        "adds_eos": False,
    }
    for name, value in published.items():
        if report[name] != value:
            yield f"{name} is {report[name]}; published {value}"


def _problems(report: dict[str, Any]) -> Iterator[str]:
    """What keeps any checkpoint from working rightly."""
    if report["safe_encoding"] != "ok":
        yield f"The tokenizer cannot encode untrusted text safely: {report['safe_encoding']}"
    if report["tokenizer_size"] > report["embedding_rows"]:
        yield (
            f"The tokenizer has {report['tokenizer_size']} tokens, the model "
            f"{report['embedding_rows']} embedding rows."
        )
    if report["embedding_rows"] != report["output_rows"]:
        yield (
            f"The model has {report['embedding_rows']} embedding rows and "
            f"{report['output_rows']} output rows."
        )
    if report["adds_eos"]:
        yield "The tokenizer puts an end of text behind every text; prompts are made without it."


def read_recordings(path: Path) -> list[dict[str, Any]]:
    """Rows of a JSON-lines file, plain or gzipped (recognised by content).

    Raises:
        CorruptRecording: the file cannot be read.
    """
    try:
        with path.open("rb") as probe:
            packed = probe.read(2) == b"\x1f\x8b"
        opened = gzip.open(path, "rt", encoding="utf-8") if packed else path.open(encoding="utf-8")
        with opened as lines:
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

    That is `[Retrieval]<paragraph>` right behind the last `### Response:` line that it follows,
    and `</paragraph>` at the very end; every other look-alike stays text.
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
        [Generation(ids, max_tokens=len(recorded), stop_ids=ends) for _, _, ids, recorded in prepared],
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
    text, ours = codec.literal(recorded), draft.token_ids
    if ours == recorded or codec.literal(ours) == text:
        return None
    position = 0
    while position < len(ours) and _is_start(codec.literal(ours[: position + 1]), text):
        position += 1
    shared = codec.literal(ours[:position])
    aligned = recorded[:position] == ours[:position]
    end = codec.vocabulary.eos
    got = ours[position] if position < len(ours) else end if draft.next_id is None else draft.next_id
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
