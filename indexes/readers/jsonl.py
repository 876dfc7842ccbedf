"""Files of one JSON object per line, each a passage: BEIR, Contriever, FlashRAG and plain jsonl."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from indexes.errors import CorpusFormatError
from indexes.passage import Passage
from indexes.readers.lines import lines_of
from indexes.readers.rows import Row, checked


def jsonl_rows(file: Path) -> Iterator[Row]:
    """The rows of a jsonl file."""
    for number, values in objects_of(file):
        if isinstance(values, CorpusFormatError):
            yield values
            continue
        try:
            yield number, _passage_of(file, number, values)
        except CorpusFormatError as error:
            yield error


def objects_of(file: Path) -> Iterator[tuple[int, dict[str, Any] | CorpusFormatError]]:
    """The objects of a jsonl file with their line numbers; blank lines are left out."""
    for number, line in lines_of(file):
        if isinstance(line, CorpusFormatError):
            yield number, line
        elif line.strip():
            yield number, _object_of(file, number, line)


def _object_of(file: Path, number: int, line: str) -> dict[str, Any] | CorpusFormatError:
    try:
        values = json.loads(line)
    except (ValueError, RecursionError) as error:
        return CorpusFormatError(
            file, number, f"the line is no JSON ({error}).", "Each line must be one object."
        )
    if not isinstance(values, dict):
        return CorpusFormatError(
            file,
            number,
            f"the line holds a {type(values).__name__}.",
            "Each line must be one object with id and text.",
        )
    return values


def _passage_of(file: Path, line: int, values: dict[str, Any]) -> Passage:
    id_ = values.pop("_id", None) if "_id" in values else values.pop("id", None)
    title = values.pop("title", None)
    text = values.pop("text", None)
    contents = values.pop("contents", None)
    if text is None and isinstance(contents, str):
        first, separator, rest = contents.partition("\n")
        if separator:
            title, text = title or _unquoted(first), rest
        else:
            text = contents
    if text is None:
        raise CorpusFormatError(
            file, line, f"the row has no text; its keys are {sorted(values)[:10]}.", "Add text."
        )
    if isinstance(text, list) and "wikipedia_title" in values:
        raise CorpusFormatError(
            file, line, "the row is a page of the KILT knowledge source.", "Read it as kilt."
        )
    metadata = values.pop("metadata", None)
    if isinstance(metadata, dict):
        values = {**metadata, **values}
    elif metadata is not None:
        values["metadata"] = metadata
    return checked(file, line, id_, title, text, values)


def _unquoted(title: str) -> str:
    # FlashRAG's Wikipedia files put the title in double quotes, those of other corpora do not.
    quoted = len(title) > 1 and title.startswith('"') and title.endswith('"')
    return title[1:-1].replace('""', '"') if quoted else title
