"""Given passages: a retriever for a question that comes with its passages.

The published evaluation files of Self-RAG are of this kind. The query is not looked at.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from indexes.checksums import CorpusDigest
from indexes.errors import StorageError
from indexes.passage import Passage
from retrievers.base import BaseRetriever, check_queries
from retrievers.errors import InvalidPassages
from retrievers.hit import Hit

PASSAGE_KEYS = ("ctxs", "top_contexts", "docs")


class GivenPassages(BaseRetriever):
    """Returns the passages it was given, in their order.

    Scores are those that came with the passages where all have one, else 0. A passage
    without an id is called "given-1", "given-2", …

    Args:
        passages: passages, mappings with `text` and perhaps `title`, `id` and `score`, or one row
            of an evaluation file, which holds such a list under `ctxs`, `top_contexts` or `docs`.
            Entries without text are left out; `left_out` counts them.

    Raises:
        InvalidPassages: the passages cannot be read.
    """

    def __init__(self, passages: Iterable[Passage | Mapping[str, Any]] | Mapping[str, Any]) -> None:
        entries = _entries(passages)
        self.left_out = 0
        found: list[Passage] = []
        scores: list[float | None] = []
        for number, entry in enumerate(entries, start=1):
            if isinstance(entry, Passage):
                passage, score = entry, None
            else:
                passage, score = _passage_of(entry, number)
            if not passage.text.strip():
                self.left_out += 1
                continue
            _check_unicode(passage, number)
            found.append(passage)
            scores.append(score)
        known = [score for score in scores if score is not None]
        if len(known) < len(found):
            known = [0.0] * len(found)
        self._hits = [
            Hit(passage, score, rank)
            for rank, (passage, score) in enumerate(zip(found, known, strict=True), start=1)
        ]

    def __len__(self) -> int:
        return len(self._hits)

    @property
    def fingerprint(self) -> str:
        """Identifies the passages and their order."""
        digest = CorpusDigest()
        for hit in self._hits:
            digest.add(hit.passage)
        return digest.hexdigest()

    def search_many(self, queries: Sequence[str], k: int) -> list[list[Hit]]:
        """The first `k` passages for each query."""
        check_queries(queries, k)
        return [self._hits[:k] for _ in queries]


def _entries(passages: Any) -> list[Any]:
    if isinstance(passages, Mapping):
        key = next((name for name in PASSAGE_KEYS if name in passages), None)
        if key is None:
            raise InvalidPassages(
                f"The row has the keys {sorted(map(str, passages))}.",
                f"Its passages must stand under one of {list(PASSAGE_KEYS)}.",
            )
        passages = passages[key] or []
    if isinstance(passages, str) or not isinstance(passages, Iterable):
        raise InvalidPassages(
            f"Passages were given as {type(passages).__name__}.",
            "Give a list of passages, or of mappings with title and text.",
        )
    return list(passages)


def _check_unicode(passage: Passage, number: int) -> None:
    try:
        f"{passage.id}{passage.title}{passage.text}".encode()
    except UnicodeEncodeError as error:
        raise InvalidPassages(
            f"Given passage {number} cannot be written as UTF-8 ({error.reason}).",
            "Its id, title and text must be valid Unicode without lone surrogates.",
        ) from error


def _passage_of(entry: Any, number: int) -> tuple[Passage, float | None]:
    if not isinstance(entry, Mapping):
        raise InvalidPassages(
            f"Given passage {number} is a {type(entry).__name__}.",
            "It must be a Passage or a mapping with text.",
        )
    if "text" not in entry:
        raise InvalidPassages(
            f"Given passage {number} has the keys {sorted(map(str, entry))}.", "It must have text."
        )
    id_ = entry.get("id")
    try:
        passage = Passage(
            id=f"given-{number}" if id_ is None or id_ == "" else str(id_),
            title=entry.get("title") or "",
            text=entry["text"] or "",
            metadata=entry.get("metadata") or {},
        )
    except StorageError as error:
        raise InvalidPassages(f"Given passage {number}: {error.message}", error.hint) from error
    try:
        return passage, float(entry["score"])
    except (KeyError, TypeError, ValueError):
        return passage, None
