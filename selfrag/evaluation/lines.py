"""JSON Lines files of an evaluation: one object a line, bad lines named by their number.

This module does not know which keys an object has.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from selfrag.errors import EXIT_INPUT, SelfRAGError


class UnusableFile(SelfRAGError, ValueError):
    """A file of an evaluation that cannot be read or written; the message names the line."""

    exit_code = EXIT_INPUT


def read_objects(
    path: str | Path, noun: str, example: str
) -> Iterator[tuple[int, str, dict[str, Any]]]:
    """The objects of a file: line number, place for messages, and the object.

    Empty lines are skipped.

    Args:
        path: a UTF-8 file.
        noun: what a line holds, for messages, such as "question".
        example: a right line, for messages.

    Raises:
        UnusableFile: the file cannot be read, has no object, or has a line that is none.
    """
    try:
        lines = Path(path).read_text(encoding="utf-8-sig").split("\n")
    except OSError as error:
        raise UnusableFile(
            f"Cannot read the {noun}s in {path}: {error.strerror or error}.", "Check the path."
        ) from error
    except UnicodeDecodeError as error:
        raise UnusableFile(f"{path} is not UTF-8 text.", "Save it as UTF-8.") from error
    found = False
    for number, line in enumerate(lines, 1):
        if line.strip():
            found = True
            place = f"{path}, line {number}"
            yield number, place, _object(line, place, example)
    if not found:
        raise UnusableFile(f"{path} holds no {noun}.", "Write one JSON object a line.")


def text_of(row: dict[str, Any], name: str, place: str) -> str:
    """A key's text. UnusableFile where it is missing, empty or no text."""
    value = row.get(name)
    if not isinstance(value, str) or not value.strip():
        raise UnusableFile(
            f"{place}: `{name}` must be a text that is not empty, got {value!r}.",
            f"The keys of this line are: {', '.join(map(str, row)) or 'none'}.",
        )
    return value


def label_of(row: dict[str, Any], name: str, place: str) -> str:
    """A key's short text, or number as text; "" where it is missing or null."""
    value = row.get(name)
    if value is None:
        return ""
    if isinstance(value, bool) or not isinstance(value, str | int):
        raise UnusableFile(f"{place}: `{name}` must be a text, got {value!r}.", "Correct it.")
    return str(value)


class Ids:
    """The ids of a file's lines, each one's own; the line's number where none is given."""

    def __init__(self) -> None:
        self._lines: dict[str, int] = {}

    def take(self, row: dict[str, Any], place: str, number: int) -> str:
        """The id of a line. UnusableFile where an earlier line has it."""
        found = label_of(row, "id", place) or str(number)
        if found in self._lines:
            raise UnusableFile(
                f"{place}: the id {found!r} is taken by line {self._lines[found]}.",
                "Give every line an id of its own, or none.",
            )
        self._lines[found] = number
        return found


def _object(line: str, place: str, example: str) -> dict[str, Any]:
    try:
        row = json.loads(line)
    except (ValueError, RecursionError) as error:
        raise UnusableFile(f"{place}: not JSON ({error}).", "Write one object a line.") from None
    if not isinstance(row, dict):
        raise UnusableFile(
            f"{place}: expected a JSON object, got {type(row).__name__}.",
            f"Write for example {example}.",
        )
    return row
