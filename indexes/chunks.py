"""Cuts plain documents into passages of about a hundred words, at paragraphs and sentences."""

from __future__ import annotations

import re
from collections.abc import Iterator

_PARAGRAPH = re.compile(r"\n\s*\n")
_SENTENCE_END = re.compile(r"(?<=[.!?。！？])\s+")  # noqa: RUF001


def chunks_of(text: str, words: int = 100) -> Iterator[str]:
    """Pieces of at most `words` words; a longer sentence is cut between words.

    Paragraphs are kept apart, sentences whole where they fit. White space inside a piece becomes
    single spaces; joined by spaces the pieces give all words of the text, in order.
    """
    for paragraph in _PARAGRAPH.split(text):
        pending: list[str] = []
        for sentence in _SENTENCE_END.split(paragraph):
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
