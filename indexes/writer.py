"""Writes a passage store in one stream, in shards; memory holds one batch and 8 bytes per row of
one shard.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterable, Sequence
from pathlib import Path
from types import TracebackType

from indexes.checksums import CorpusDigest
from indexes.lookup import merge_lookups
from indexes.passage import Passage
from indexes.shards import ROWS_PER_BATCH, ROWS_PER_FILE, ShardWriter, lookup_name, shard_name
from indexes.store import COUNTS_FILE, STORE_VERSION, PassageStore


class PassageStoreWriter:
    """Writes passages to a new store in the folder `path`, which must not hold one yet.

    A context manager: leaving it without an error finishes the store; after an error the folder
    holds no `store.json` and so no store.

    Args:
        path: the store's folder; made if it is missing.
        rows_per_batch: passages in one record batch, the unit that is checked when it is read.
        rows_per_file: passages in one Arrow file.

    Attributes:
        digest: checksum of the passages added so far.
    """

    def __init__(
        self,
        path: Path | str,
        rows_per_batch: int = ROWS_PER_BATCH,
        rows_per_file: int = ROWS_PER_FILE,
    ) -> None:
        self.path = Path(path)
        self.path.mkdir(parents=True, exist_ok=True)
        self.digest = CorpusDigest()
        self._rows_per_batch = rows_per_batch
        self._rows_per_file = rows_per_file
        self._shard: ShardWriter | None = None
        self._finished: list[int] = []
        self._rows = 0
        self._store: PassageStore | None = None

    def __len__(self) -> int:
        return self._rows

    def add(self, passage: Passage) -> None:
        """Append a passage; its row is the number of passages added before.

        Raises:
            InvalidPassage: its text cannot be written as UTF-8, or its metadata not as JSON.
        """
        if self._shard is None:
            self._shard = ShardWriter(self.path, len(self._finished), self._rows_per_batch)
        self._shard.add(passage)
        self.digest.add(passage)
        self._rows += 1
        if len(self._shard) == self._rows_per_file:
            self._end_shard()

    def add_all(self, passages: Iterable[Passage]) -> None:
        """Append passages one after the other."""
        for passage in passages:
            self.add(passage)

    def finish(self) -> PassageStore:
        """Write what is left, the id lookup and the counts; the store, opened.

        Raises:
            DuplicateId: two passages have the same id.
        """
        self._end_shard()
        finish_store(self.path, self._finished, self._rows_per_batch)
        for number in range(len(self._finished)):
            (self.path / lookup_name(number)).unlink()
        self._store = PassageStore.open(self.path)
        return self._store

    def __enter__(self) -> PassageStoreWriter:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if kind is None and self._store is None:
            self.finish()
        elif self._shard is not None:
            self._shard.abandon()

    def _end_shard(self) -> None:
        if self._shard is not None:
            self._shard.finish()
            self._finished.append(len(self._shard))
            self._shard = None


def finish_store(
    folder: Path, shard_rows: Sequence[int], rows_per_batch: int = ROWS_PER_BATCH
) -> None:
    """Make a store of finished shards: write the id lookup, then the counts.

    Args:
        folder: where the shards and their parts of the lookup lie.
        shard_rows: how many passages each of them holds.
        rows_per_batch: of their Arrow files.

    Raises:
        DuplicateId: two passages have the same id; there is no store then.
    """
    merge_lookups(folder, shard_rows, rows_per_batch)
    write_counts(folder, shard_rows, rows_per_batch)


def write_counts(
    folder: Path,
    shard_rows: Sequence[int],
    rows_per_batch: int = ROWS_PER_BATCH,
    found: int | None = None,
) -> None:
    """Write `store.json`, under a temporary name first.

    Args:
        folder: of the store.
        shard_rows: how many passages each shard holds.
        rows_per_batch: of the Arrow files.
        found: how many passages the id lookup leads to; None for all.
    """
    counts = {
        "schema_version": STORE_VERSION,
        "rows": sum(shard_rows),
        "rows_per_batch": rows_per_batch,
        "files": [
            {"name": shard_name(number), "rows": rows} for number, rows in enumerate(shard_rows)
        ],
    }
    if found is not None and found < sum(shard_rows):
        counts["found"] = found
    temporary = folder / f"{COUNTS_FILE}.new"
    text = json.dumps(counts, indent=2) + "\n"
    temporary.write_text(text, encoding="utf-8", newline="\n")
    os.replace(temporary, folder / COUNTS_FILE)
