"""Cuts output text that still shows its control tokens into parts, losing nothing.

Works on strings, so it serves recorded outputs and training rows; decoding itself reads token
ids. This module knows nothing of segments, tokenizers or files.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

from decoding.vocabulary import CONTROL_STRINGS, PARAGRAPH_END, PARAGRAPH_START

PartKind = Literal["control", "paragraph", "text"]

END_OF_TEXT = "</s>"
"""The end of text as the Llama tokenizers write it; a token only at the end of an output."""

COUNTED_STRINGS: tuple[str, ...] = (*CONTROL_STRINGS, END_OF_TEXT)
"""Every string that can be a part of kind "control" or "paragraph"."""

_MARKUP = (PARAGRAPH_START, PARAGRAPH_END)
_TOKEN = re.compile("|".join(re.escape(string) for string in CONTROL_STRINGS))
_ENDING = re.compile(rf"{END_OF_TEXT}(?:{END_OF_TEXT}|\s)*\Z")
_END_OR_BLANK = re.compile(rf"{END_OF_TEXT}|\s+")


@dataclass(frozen=True, slots=True)
class OutputPart:
    """A piece of an output.

    Attributes:
        kind: "control" for reflection tokens and an end of text, "paragraph" for the markup
            around passages, "text" for everything else.
        string: exactly as it stands in the output.
        offset: of its first character in the output.
    """

    kind: PartKind
    string: str
    offset: int

    @property
    def end(self) -> int:
        """Offset behind the last character."""
        return self.offset + len(self.string)

    @property
    def blank(self) -> bool:
        """Whether it is text of white space alone."""
        return self.kind == "text" and not self.string.strip()


def split_parts(text: str) -> Iterator[OutputPart]:
    """The parts of any string, in order; their strings joined are the string.

    Two parts of text never follow each other, and none is empty. `</s>` counts as a token only
    where nothing but white space and further `</s>` follow.
    """
    ending = _ENDING.search(text)
    body = ending.start() if ending else len(text)
    yield from _cut(_TOKEN, text, 0, body)
    yield from _cut(_END_OR_BLANK, text, body, len(text))


def _cut(token: re.Pattern[str], text: str, start: int, end: int) -> Iterator[OutputPart]:
    for match in token.finditer(text, start, end):
        if start < match.start():
            yield OutputPart("text", text[start : match.start()], start)
        yield OutputPart(_kind(match.group()), match.group(), match.start())
        start = match.end()
    if start < end:
        yield OutputPart("text", text[start:end], start)


def _kind(string: str) -> PartKind:
    if string in _MARKUP:
        return "paragraph"
    return "control" if string in COUNTED_STRINGS else "text"
