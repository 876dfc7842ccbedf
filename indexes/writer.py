"""Writes a passage store in one stream: memory holds one batch of passages and 16 bytes per row."""

from __future__ import annotations

import json
from array import array
from collections.abc import Iterable
from pathlib import Path
from types import TracebackType
from typing import Any

import numpy as np

from indexes.checksums import CorpusDigest, canonical_json
from indexes.errors import DuplicateId, InvalidPassage
from indexes.passage import Passage
from indexes.store import (
    COUNTS_FILE,
    HASHES_FILE,
    ROWS_FILE,
    STORE_VERSION,
    PassageStore,
    arrow_schema,
    hash_of_id,
)

ROWS_PER_BATCH = 256


class PassageStoreWriter:
    """Writes passages to a new store in the folder `path`, which must not hold one yet.

    A context manager: leaving it without an error finishes the store; after an error the folder
    holds no `store.json` and so no store.

    Attributes:
        digest: checksum of the passages added so far.
    """

    def __init__(self, path: Path | str, rows_per_batch: int = ROWS_PER_BATCH) -> None:
        import pyarrow as pa

        self.path = Path(path)
        self.path.mkdir(parents=True, exist_ok=True)
        self.digest = CorpusDigest()
        self._rows_per_batch = rows_per_batch
        self._file = "passages-00000.arrow"
        self._schema = arrow_schema()
        self._sink = pa.OSFile(str(self.path / self._file), "wb")
        self._writer = pa.ipc.new_file(self._sink, self._schema)
        self._pending: list[tuple[str, str, str, str | None]] = []
        self._hashes = array("Q")

    def __len__(self) -> int:
        return len(self._hashes)

    def add(self, passage: Passage) -> None:
        """Append a passage; its row is the number of passages added before.

        Raises:
            InvalidPassage: its text cannot be written as UTF-8, or its metadata not as JSON.
        """
        try:
            metadata = canonical_json(passage.metadata) if passage.metadata else None
            if metadata is not None:
                metadata.encode()
            self.digest.add(passage)
        except (UnicodeEncodeError, TypeError, ValueError) as error:
            raise InvalidPassage(
                f"Passage {passage.id!r} cannot be stored: {error}.",
                "Text must be valid Unicode without lone surrogates, metadata JSON values.",
            ) from error
        self._hashes.append(hash_of_id(passage.id))
        self._pending.append((passage.id, passage.title, passage.text, metadata))
        if len(self._pending) == self._rows_per_batch:
            self._flush()

    def add_all(self, passages: Iterable[Passage]) -> None:
        """Append passages one after the other."""
        for passage in passages:
            self.add(passage)

    def finish(self) -> PassageStore:
        """Write what is left, the id lookup and the counts; the store, opened.

        Raises:
            DuplicateId: two passages have the same id.
        """
        if self._pending:
            self._flush()
        self._close()
        hashes = np.frombuffer(self._hashes, dtype=np.uint64)
        rows = np.argsort(hashes, kind="stable").astype(np.int64)
        hashes = hashes[rows]
        np.save(self.path / HASHES_FILE, hashes, allow_pickle=False)
        np.save(self.path / ROWS_FILE, rows, allow_pickle=False)
        counts = {
            "schema_version": STORE_VERSION,
            "rows": len(self),
            "rows_per_batch": self._rows_per_batch,
            "files": [{"name": self._file, "rows": len(self)}],
        }
        counts_file = self.path / COUNTS_FILE
        counts_file.write_text(json.dumps(counts, indent=2) + "\n", encoding="utf-8", newline="\n")
        store = PassageStore.open(self.path)
        try:
            _refuse_duplicates(store, hashes, rows)
        except DuplicateId:
            counts_file.unlink()
            raise
        return store

    def __enter__(self) -> PassageStoreWriter:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if kind is None and not self._sink.closed:
            self.finish()
        self._close()

    def _flush(self) -> None:
        import pyarrow as pa

        columns: list[Any] = [
            pa.array(values, type=pa.large_string()) for values in zip(*self._pending, strict=True)
        ]
        self._writer.write_batch(pa.record_batch(columns, schema=self._schema))
        self._pending.clear()

    def _close(self) -> None:
        if not self._sink.closed:
            self._writer.close()
            self._sink.close()


def _refuse_duplicates(store: PassageStore, hashes: Any, rows: Any) -> None:
    for position in np.flatnonzero(hashes[1:] == hashes[:-1]):
        first, second = int(rows[position]), int(rows[position + 1])
        if store[first].id == store[second].id:
            raise DuplicateId(
                f"Passages {first + 1} and {second + 1} both have the id {store[first].id!r}.",
                "Give every passage an id of its own.",
            )
