"""What an encoder trains on: passages, and queries with the passages that answer them.

One JSON object a line:

- `query` (required): a text. `id` (optional): unique; the line's number otherwise.
- `positive`: a passage that answers, or a list of all that do. Each is the id of a passage of the
  corpus, where there is one with this id, and a text otherwise.
- `evidence`: ids of passages of the corpus that answer; an id that is not there drops the row.
  A row needs one of both; with both, all of them are positives.
- `negatives` (optional): a list of passages that look similar and do not answer, as in `positive`.

Name *every* passage that answers: what is not named may be taken for a negative. This module knows
nothing of models.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from selfrag.training.errors import InvalidRow
from selfrag.training.stages import Drop, InputLine, Row, read_rows, run_stage

if TYPE_CHECKING:
    from indexes.passage import Passage

_KEYS = ("query", "positive", "evidence", "negatives")


@dataclass(frozen=True, slots=True)
class EncoderQuery:
    """A query and its passages, by their ids.

    Attributes:
        text: not empty. positives: all passages that answer it; at least one.
        negatives: passages that look similar and do not answer, the first one first.
        sort: a word by which figures can be told apart.
    """

    text: str
    positives: tuple[str, ...]
    negatives: tuple[str, ...] = ()
    sort: str = ""


@dataclass(frozen=True)
class EncoderData:
    """Passages by id, as the encoder reads them, and queries.

    Raises:
        InvalidRow: a query is empty, has no positive, names a passage that is not there, or names
            one as positive and negative.
    """

    passages: Mapping[str, str] = field(repr=False)
    queries: Sequence[EncoderQuery] = field(repr=False)

    def __post_init__(self) -> None:
        for place, query in enumerate(self.queries):
            if not query.text.strip() or not query.positives:
                raise InvalidRow(
                    f"Query {place} ({query.text!r}) is empty or has no positive.", "Leave it out."
                )
            named = (*query.positives, *query.negatives)
            if missing := [name for name in named if name not in self.passages]:
                raise InvalidRow(
                    f"Query {place} ({query.text!r}) names passages that are not there: "
                    f"{missing[:3]}.",
                    "Add them, or leave the query out.",
                )
            if both := set(query.positives).intersection(query.negatives):
                raise InvalidRow(
                    f"Query {place} ({query.text!r}) has {sorted(both)[:3]} as positive and as "
                    "negative.",
                    "Decide for one.",
                )

    @cached_property
    def fingerprint(self) -> str:
        """SHA-256 of passages and queries, in their order."""
        digest = hashlib.sha256()
        for name, text in self.passages.items():
            digest.update(json.dumps([name, text]).encode())
        for query in self.queries:
            values = [query.text, query.positives, query.negatives, query.sort]
            digest.update(json.dumps(values).encode())
        return digest.hexdigest()

    def split(self, held_out: float, seed: int) -> tuple[EncoderData, EncoderData]:
        """Two parts with the same passages: to train on, and to measure with.

        Queries with the same text, letter case aside, are in the same part; a text's part depends
        on it and the seed alone.

        Args:
            held_out: share of the texts in the second part. seed: of the choice.
        """
        parts: tuple[list[EncoderQuery], list[EncoderQuery]] = ([], [])
        for query in self.queries:
            digest = hashlib.sha256(f"{seed}\n{query.text.casefold()}".encode()).digest()
            parts[int.from_bytes(digest[:8], "big") < held_out * 2**64].append(query)
        return EncoderData(self.passages, parts[0]), EncoderData(self.passages, parts[1])


def read_corpus(path: Path) -> Iterator[Passage]:
    """The passages of an index's folder, or of a corpus file in any form that an index is built of.

    Raises:
        indexes.errors.StorageError, CorpusFormatError: it cannot be read.
    """
    if path.is_dir() and (path / "manifest.json").exists():
        from indexes.index import Index

        index = Index.open(path)
        for row, passage in enumerate(index.store):
            if index.deleted is None or not index.deleted[row]:
                yield passage
    else:
        from indexes.readers import read_passages

        yield from read_passages(path)


def read_encoder_data(
    inputs: Sequence[Path], folder: Path, corpus: Iterable[Passage] = ()
) -> EncoderData:
    """Read queries from JSON Lines files, as a stage in `folder`: bad rows are listed there in
    `dropped.jsonl`, and `manifest.json` counts rows, drops, positives by id and by text.

    Args:
        inputs: the files. corpus: passages that queries name by id, and among which negatives are
            found; texts in the files are added to them.

    Raises:
        StageChanged: the folder was begun with other files or another corpus.
        StageFailed: a file cannot be read, or the disk is full.
    """
    from indexes.passage import text_for_search

    passages = {passage.id: text_for_search(passage) for passage in corpus}
    digest = hashlib.sha256()
    for item in passages.items():
        digest.update(json.dumps(item).encode())
    reader = _RowReader(passages)
    configuration = {"corpus": digest.hexdigest(), "passages": len(passages)}
    run_stage("encoder queries", folder, inputs, reader, configuration, balance=_counts)
    queries = []
    for row in read_rows(folder):
        passages.update(row["texts"])
        queries.append(
            EncoderQuery(
                row["query"], tuple(row["positives"]), tuple(row["negatives"]), row["sort"]
            )
        )
    return EncoderData(passages, queries)


class _RowReader:
    """Makes a row with ids of each line; a text gets an id of its own."""

    def __init__(self, passages: Mapping[str, str]) -> None:
        self._passages = frozenset(passages)

    def __call__(self, lines: Sequence[InputLine]) -> list[list[Row] | Drop]:
        return [self._read(line) for line in lines]

    def _read(self, line: InputLine) -> list[Row] | Drop:
        row = line.row or {}
        query = row.get("query")
        if not isinstance(query, str) or not query.strip():
            return Drop("no query", f"`query` is {query!r}")
        given: dict[str, list[str]] = {}
        for key in _KEYS[1:]:
            value = row.get(key, [])
            texts = [value] if isinstance(value, str) else value
            if not isinstance(texts, list) or not all(
                isinstance(text, str) and text.strip() for text in texts
            ):
                return Drop(f"bad {key}", f"{value!r} is neither a text nor a list of texts")
            given[key] = texts
        if missing := [name for name in given["evidence"] if name not in self._passages]:
            return Drop("unknown evidence", ", ".join(missing))
        texts_by_id: dict[str, str] = {}
        positives = [self._name(text, texts_by_id) for text in given["positive"]]
        positives += given["evidence"]
        negatives = [self._name(text, texts_by_id) for text in given["negatives"]]
        if not positives:
            return Drop("no positive", "neither `positive` nor `evidence`")
        if both := set(positives).intersection(negatives):
            return Drop("positive and negative", ", ".join(sorted(both)))
        return [
            {
                "id": line.id,
                "query": query,
                "positives": list(dict.fromkeys(positives)),
                "negatives": list(dict.fromkeys(negatives)),
                "texts": texts_by_id,
                "sort": str(row.get("sort", "")),
            }
        ]

    def _name(self, text: str, texts: dict[str, str]) -> str:
        """The id of a passage that is given by id or as text."""
        if text in self._passages:
            return text
        name = f"text/{hashlib.sha256(text.encode('utf-8', 'surrogatepass')).hexdigest()[:24]}"
        texts[name] = text
        return name


def _counts(rows: Iterable[Row]) -> Mapping[str, Any]:
    counts = {"positives by id": 0, "positives by text": 0, "negatives": 0}
    for row in rows:
        for name in row["positives"]:
            counts["positives by text" if name in row["texts"] else "positives by id"] += 1
        counts["negatives"] += len(row["negatives"])
    return counts
