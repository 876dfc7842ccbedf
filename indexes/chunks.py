"""Cuts plain documents into passages of about a hundred words, at the ends of sentences."""

from __future__ import annotations

import re
from collections.abc import Iterator

_BREAK = re.compile(r"\n\s*\n|(?<=[.!?。！？])\s+")  # noqa: RUF001


def chunks_of(text: str, words: int = 100) -> Iterator[str]:
    """Pieces of at most `words` words; a longer sentence is cut between words.

    Sentences stay whole where they fit; paragraphs and headings end like sentences. White space
    inside a piece becomes single spaces; the pieces give all words of the text, in order.
    """
    pending: list[str] = []
    for sentence in _BREAK.split(text):
        parts = sentence.split()
        if pending and len(pending) + len(parts) > words:
            yield " ".join(pending)
            pending = []
        while len(parts) > words:
            yield " ".join(parts[:words])
            parts = parts[words:]
        pending += parts
    if pending:
        yield " ".join(pending)
