"""One shard of a passage store: an Arrow file, and beside it its part of the id lookup.

A shard is written under a temporary name and renamed when it is whole, so a file of the final
name is complete. `shard_passages` reads it in a stream without mapping it, so that a build's
memory does not grow with the corpus. This module knows nothing of other shards.
"""

from __future__ import annotations

import json
import os
from array import array
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from indexes.checksums import canonical_json
from indexes.errors import CorruptIndex, InvalidPassage
from indexes.passage import Passage
from indexes.store import arrow_schema, hash_of_id

ROWS_PER_BATCH = 256
ROWS_PER_FILE = 100_000
_NEW = ".new"


def shard_name(number: int) -> str:
    """The name of a shard's Arrow file."""
    return f"passages-{number:05d}.arrow"


def lookup_name(number: int) -> str:
    """The name of a shard's part of the id lookup, which is merged and removed at the end."""
    return f"lookup-{number:05d}.npy"


@dataclass(frozen=True, slots=True)
class Shard:
    """Which passages of a store a shard holds.

    Attributes:
        file: its Arrow file.
        first_row: the row of its first passage in the store.
        rows: how many there are.
    """

    file: Path
    first_row: int
    rows: int


class ShardWriter:
    """Writes one shard; `finish` makes it whole, `abandon` removes it.

    Attributes:
        file: its Arrow file.
    """

    def __init__(self, folder: Path, number: int, rows_per_batch: int = ROWS_PER_BATCH) -> None:
        import pyarrow as pa

        self.file = folder / shard_name(number)
        self._lookup = folder / lookup_name(number)
        self._rows_per_batch = rows_per_batch
        self._schema = arrow_schema()
        self._sink = pa.OSFile(f"{self.file}{_NEW}", "wb")
        self._writer = pa.ipc.new_file(self._sink, self._schema)
        self._pending: list[tuple[str, str, str, str | None]] = []
        self._hashes = array("Q")

    def __len__(self) -> int:
        return len(self._hashes)

    def add(self, passage: Passage) -> None:
        """Append a passage.

        Raises:
            InvalidPassage: its text cannot be written as UTF-8, or its metadata not as JSON.
        """
        try:
            metadata = canonical_json(passage.metadata) if passage.metadata else None
            for text in (passage.id, passage.title, passage.text, metadata or ""):
                text.encode()
        except (UnicodeEncodeError, TypeError, ValueError) as error:
            raise InvalidPassage(
                f"Passage {passage.id!r} cannot be stored: {error}.",
                "Text must be valid Unicode without lone surrogates, metadata JSON values.",
            ) from error
        self._hashes.append(hash_of_id(passage.id))
        self._pending.append((passage.id, passage.title, passage.text, metadata))
        if len(self._pending) == self._rows_per_batch:
            self._flush()

    def finish(self) -> tuple[Path, Path]:
        """Write what is left; the paths of the Arrow file and of the part of the lookup."""
        if self._pending:
            self._flush()
        self._writer.close()
        self._sink.close()
        hashes = np.frombuffer(self._hashes, dtype=np.uint64)
        order = np.argsort(hashes, kind="stable")
        with open(f"{self._lookup}{_NEW}", "wb") as file:
            np.save(file, np.stack([hashes[order], order.astype(np.uint64)]), allow_pickle=False)
        for path in (self._lookup, self.file):
            os.replace(f"{path}{_NEW}", path)
        return self.file, self._lookup

    def abandon(self) -> None:
        """Close and remove what was written."""
        if not self._sink.closed:
            self._writer.close()
            self._sink.close()
        for path in (self._lookup, self.file):
            Path(f"{path}{_NEW}").unlink(missing_ok=True)

    def _flush(self) -> None:
        import pyarrow as pa

        columns: list[Any] = [
            pa.array(values, type=pa.large_string()) for values in zip(*self._pending, strict=True)
        ]
        self._writer.write_batch(pa.record_batch(columns, schema=self._schema))
        self._pending.clear()


def shard_passages(file: Path) -> Iterator[Passage]:
    """The passages of a shard in row order, read batch by batch, not mapped.

    Raises:
        CorruptIndex: the file is damaged.
    """
    for batch in shard_batches(file):
        yield from passages_of(batch)


def passages_of(batch: Any) -> Iterator[Passage]:
    """The passages of an Arrow record batch with the columns of a shard."""
    columns = [column.to_pylist() for column in batch.columns]
    for id_, title, text, metadata in zip(*columns, strict=True):
        yield Passage(id_, title, text, json.loads(metadata) if metadata else {})


def shard_batches(file: Path, begin: int = 0, end: int | None = None) -> Iterator[Any]:
    """Arrow record batches of the rows of a shard from `begin` to below `end`, not mapped.

    Raises:
        CorruptIndex: the file is damaged.
    """
    import pyarrow as pa

    try:
        with pa.OSFile(str(file), "rb") as stream:
            reader = pa.ipc.open_file(stream)
            # All batches of a file but its last have the same number of rows.
            rows = reader.get_batch(0).num_rows
            first = begin // rows
            last = reader.num_record_batches if end is None else -(-end // rows)
            for number in range(first, last):
                batch = reader.get_batch(number)
                batch.validate(full=True)
                low = max(begin - number * rows, 0)
                yield batch.slice(low, None if end is None else end - number * rows - low)
    except (OSError, MemoryError, ValueError, pa.ArrowException) as error:
        raise CorruptIndex(
            f"{file} is damaged: {error}.", "Build the index again, or copy it again."
        ) from error
