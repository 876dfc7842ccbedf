"""Labelled sentences: is a sentence supported by its passage? And the jsonl files that hold them.

One JSON object a line: `question`, `passage` ({"title", "text"}; the title may be missing or ""),
`sentence`, `label` ("fully", "partially" or "no"), and optionally `id`, by default the line's
number. Other keys are ignored, empty lines skipped. This module knows nothing of models.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from decoding.vocabulary import LABELS
from selfrag.evaluation.lines import Ids, UnusableFile, read_objects, text_of

EMBEDDED_JUDGEMENTS = Path(__file__).resolve().parents[1] / "assets" / "judgements.jsonl"

_EXAMPLE = (
    '{"question": "…", "passage": {"title": "…", "text": "…"}, "sentence": "…", "label": "fully"}'
)


@dataclass(frozen=True, slots=True)
class LabelledSentence:
    """A sentence, the passage it should rest on, and how far it does.

    Attributes:
        id: unique within its file.
        question: what was asked.
        title, passage: the passage; the title may be "".
        sentence: what was written from it.
        label: "fully", "partially" or "no".
    """

    id: str
    question: str
    title: str
    passage: str
    sentence: str
    label: str


def read_judgements(path: str | Path) -> list[LabelledSentence]:
    """Read a file of labelled sentences.

    Raises:
        UnusableFile: the file cannot be read, holds nothing, repeats an id, or has a bad line; the
            message names the line.
    """
    ids = Ids()
    return [
        _item(row, place, ids.take(row, place, number))
        for number, place, row in read_objects(path, "judgement", _EXAMPLE)
    ]


def _item(row: dict[str, Any], place: str, identity: str) -> LabelledSentence:
    passage, label = row.get("passage"), row.get("label")
    if not isinstance(passage, dict):
        raise UnusableFile(
            f"{place}: `passage` must be an object with `title` and `text`, got {passage!r}.",
            f"Write for example {_EXAMPLE}.",
        )
    title = passage.get("title") or ""
    if not isinstance(title, str):
        raise UnusableFile(f"{place}: `title` must be a text, got {title!r}.", "Correct it.")
    if label not in LABELS["IsSup"]:
        raise UnusableFile(
            f"{place}: `label` is {label!r}.", f"Allowed: {', '.join(LABELS['IsSup'])}."
        )
    return LabelledSentence(
        id=identity,
        question=text_of(row, "question", place),
        title=title,
        passage=text_of(passage, "text", place),
        sentence=text_of(row, "sentence", place),
        label=label,
    )
