"""Sentences of real passages and real questions, collected from a folder of JSON Lines files.

A string is a passage where its key says so ("text", "context", "crag_internal", and "paragraph"),
however deep it lies; a question where its key is "question". Lists of [title, [sentences]] under
"context", as HotpotQA has them, count as passages too. Everything else is left alone. The order of
what comes out depends on the seed and not on the order of the files' lines.
"""

from __future__ import annotations

import gzip
import hashlib
import json
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from indexes.sentences import sentences_of
from selfrag.evaluation.questions import UnusableFile

_PASSAGE_KEYS = ("text", "context", "crag_internal", "paragraph")
_QUESTION_KEY = "question"
# Shorter pieces are headings, numbers and cuts; longer ones are lists without marks.
_FEWEST_CHARACTERS = 20
_MOST_CHARACTERS = 600


def passages_in(value: Any) -> Iterator[str]:
    """The texts of passages anywhere in a value read from JSON."""
    if isinstance(value, dict):
        for key, inner in value.items():
            if key in _PASSAGE_KEYS and isinstance(inner, str):
                yield inner
            elif key == "context" and isinstance(inner, list):
                yield from _listed(inner)
            else:
                yield from passages_in(inner)
    elif isinstance(value, list):
        for inner in value:
            yield from passages_in(inner)


def sentences_in(text: str) -> Iterator[str]:
    """The sentences of a passage that can stand for themselves, white space made single."""
    for line in text.split(" // "):  # how refined passages are joined
        for start, end in sentences_of(line):
            sentence = " ".join(line[start:end].split())
            if _FEWEST_CHARACTERS <= len(sentence) <= _MOST_CHARACTERS:
                yield sentence


def collect_texts(folder: Path, seed: int = 0) -> tuple[list[str], list[str]]:
    """All distinct sentences, and all distinct questions, of the files in a folder.

    Args:
        folder: looked through with its folders for *.jsonl and *.jsonl.gz.
        seed: of the order.

    Returns:
        Sentences and questions. No question is among the sentences.

    Raises:
        UnusableFile: there is no such file, or one of them cannot be read.
    """
    files = sorted([*folder.rglob("*.jsonl"), *folder.rglob("*.jsonl.gz")])
    if not files:
        raise UnusableFile(f"{folder} holds no jsonl file.", "Give the folder of the corpora.")
    sentences: set[str] = set()
    questions: set[str] = set()
    for file in files:
        for row in _rows(file):
            question = row.get(_QUESTION_KEY)
            if isinstance(question, str) and question.strip():
                questions.add(" ".join(question.split()))
            for text in passages_in(row):
                sentences.update(sentences_in(text))
    return in_order(sentences - questions, seed), in_order(questions, seed)


def in_order(texts: Iterable[str], seed: int) -> list[str]:
    """The texts in an order that the seed and they alone decide."""
    return sorted(texts, key=lambda text: hashlib.sha256(f"{seed} {text}".encode()).digest())


def _listed(paragraphs: list[Any]) -> Iterator[str]:
    for paragraph in paragraphs:
        if isinstance(paragraph, list) and len(paragraph) == 2 and isinstance(paragraph[1], list):
            yield " ".join(part.strip() for part in paragraph[1] if isinstance(part, str))
        else:
            yield from passages_in(paragraph)


def _rows(file: Path) -> Iterator[dict[str, Any]]:
    try:
        with (
            gzip.open(file, "rt", encoding="utf-8")
            if file.suffix == ".gz"
            else file.open(encoding="utf-8")
        ) as stream:
            for line in stream:
                if line.strip():
                    row = json.loads(line)
                    if isinstance(row, dict):
                        yield row
    except (OSError, EOFError, ValueError) as error:
        raise UnusableFile(f"{file} cannot be read: {error}.", "Copy it again.") from error
