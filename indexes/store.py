"""The passage store: passages on disk as memory-mapped Arrow, addressed by row number or by id.

A folder with `store.json` (counts), Arrow IPC files (shards) whose record batches all have the
same number of rows (the last one of a file may be shorter), and two sorted arrays that lead from
an id's hash to its row. `found` in `store.json` says how many rows they lead to, where some were
deleted: those keep their numbers, and no id leads to them. Opening reads `store.json` and the
files' footers, no passage. The row number is the passage's number in every index built on the
store.
The store knows nothing of vectors, scores or queries.
"""

from __future__ import annotations

import hashlib
import json
from bisect import bisect_right
from collections.abc import Iterator, Sequence
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from indexes.errors import CorruptIndex, NotAnIndex, UnsupportedVersion
from indexes.passage import Passage
from indexes.textbatch import TextBatch

STORE_VERSION = 1
COUNTS_FILE = "store.json"
HASHES_FILE = "id_hashes.npy"
ROWS_FILE = "id_rows.npy"
COLUMNS = ("id", "title", "text", "metadata")
_BATCHES_KEPT = 1024  # views of the mapped files, without the texts
_REBUILD = "Build the index again, or copy it again from its source."


def arrow_schema() -> Any:
    """The columns of a store's Arrow files; metadata is JSON text, or null where there is none."""
    import pyarrow as pa

    return pa.schema([(name, pa.large_string()) for name in COLUMNS])


def hash_of_id(passage_id: str) -> int:
    """The 64-bit number under which an id is looked up (BLAKE2b, so equal on every machine)."""
    return int.from_bytes(hashlib.blake2b(passage_id.encode(), digest_size=8).digest(), "little")


class PassageStore:
    """Passages in rows; made by `PassageStore.open`.

    `store[row]` gives the passage of a row (negative rows count from the end), `len(store)` the
    number of rows, iteration all passages in row order.
    """

    def __init__(
        self,
        path: Path,
        readers: list[Any],
        first_rows: list[int],
        rows: int,
        rows_per_batch: int,
        hashes: npt.NDArray[np.uint64],
        hash_rows: npt.NDArray[np.int64],
    ) -> None:
        self.path = path
        self._readers = readers
        self._first_rows = first_rows
        self._rows = rows
        self._rows_per_batch = rows_per_batch
        self._hashes = hashes
        self._hash_rows = hash_rows
        self._batch = lru_cache(maxsize=_BATCHES_KEPT)(self._open_batch)

    @classmethod
    def open(cls, path: Path | str) -> PassageStore:
        """Open the store in the folder `path`, without reading its passages.

        Raises:
            NotAnIndex: the folder does not exist or holds no store.
            CorruptIndex: a file is missing, truncated or does not fit the others.
            UnsupportedVersion: a newer version wrote the store.
        """
        import pyarrow as pa

        folder = Path(path)
        counts = _read_counts(folder)
        try:
            rows = int(counts["rows"])
            rows_per_batch = int(counts["rows_per_batch"])
            files = [(str(entry["name"]), int(entry["rows"])) for entry in counts["files"]]
            if rows < 0 or rows_per_batch < 1:
                raise ValueError("a negative count")
        except (KeyError, TypeError, ValueError) as error:
            raise CorruptIndex(f"{folder / COUNTS_FILE} lacks a count: {error!r}.", _REBUILD) from (
                error
            )
        readers: list[Any] = []
        first_rows: list[int] = []
        total = 0
        for name, file_rows in files:
            file = folder / name
            try:
                reader = pa.ipc.open_file(pa.memory_map(str(file), "r"))
                fits = reader.schema.equals(arrow_schema())
            except (OSError, MemoryError, ValueError, pa.ArrowException) as error:
                raise CorruptIndex(f"{file} is no readable Arrow file: {error}.", _REBUILD) from (
                    error
                )
            batches = -(-file_rows // rows_per_batch)
            if not fits or reader.num_record_batches != batches:
                raise CorruptIndex(f"{file} has other columns or counts than recorded.", _REBUILD)
            readers.append(reader)
            first_rows.append(total)
            total += file_rows
        if total != rows:
            raise CorruptIndex(f"{folder} records {rows} rows; its files hold {total}.", _REBUILD)
        found = int(counts.get("found", rows))
        hashes = _open_array(folder / HASHES_FILE, np.dtype(np.uint64), found)
        hash_rows = _open_array(folder / ROWS_FILE, np.dtype(np.int64), found)
        return cls(folder, readers, first_rows, rows, rows_per_batch, hashes, hash_rows)

    @property
    def rows_per_batch(self) -> int:
        """Passages in one record batch of the Arrow files."""
        return self._rows_per_batch

    @property
    def lookup(self) -> tuple[npt.NDArray[np.uint64], npt.NDArray[np.int64]]:
        """The sorted hashes of ids and the rows they lead to, both shape [passages not deleted]."""
        return self._hashes, self._hash_rows

    def __len__(self) -> int:
        return self._rows

    @property
    def shard_rows(self) -> tuple[int, ...]:
        """How many passages each Arrow file holds."""
        ends = [*self._first_rows[1:], self._rows]
        return tuple(end - first for first, end in zip(self._first_rows, ends, strict=True))

    def __getitem__(self, row: int) -> Passage:
        """The passage of a row.

        Raises:
            IndexError: there is no such row.
            CorruptIndex: its bytes cannot be read.
        """
        number = row + self._rows if row < 0 else row
        if not 0 <= number < self._rows:
            raise IndexError(f"row {row} of a store with {self._rows} passages")
        number = int(number)
        file = bisect_right(self._first_rows, number) - 1
        batch, offset = divmod(number - self._first_rows[file], self._rows_per_batch)
        try:
            values = self._batch(file, batch).values(offset)
        except (IndexError, ValueError) as error:
            raise CorruptIndex(f"Row {row} of {self.path} is damaged: {error}.", _REBUILD) from (
                error
            )
        return self._passage(row, *values)

    def __iter__(self) -> Iterator[Passage]:
        row = 0
        for file, reader in enumerate(self._readers):
            for batch in range(reader.num_record_batches):
                columns = [column.to_pylist() for column in self._columns(file, batch)]
                for values in zip(*columns, strict=True):
                    yield self._passage(row, *values)
                    row += 1

    def row_of(self, passage_id: str) -> int:
        """The row of the passage with this id.

        Raises:
            KeyError: no passage has this id.
            CorruptIndex: the lookup is damaged.
        """
        hashed = np.uint64(hash_of_id(passage_id))
        position = int(np.searchsorted(self._hashes, hashed))
        while position < len(self._hashes) and self._hashes[position] == hashed:
            row = int(self._hash_rows[position])
            if not 0 <= row < self._rows:
                raise CorruptIndex(f"{self.path / ROWS_FILE} names a row {row}.", _REBUILD)
            if self[row].id == passage_id:
                return row
            position += 1
        raise KeyError(f"no passage has the id {passage_id!r}")

    def rows_of(self, passage_ids: Sequence[str]) -> npt.NDArray[np.int64]:
        """The rows of passages with these ids, shape [ids]; -1 where no passage has an id.

        Compares hashes of 64 bits and, unlike `row_of`, not the passages themselves, unless two
        passages share a hash.
        """
        hashed = np.array([hash_of_id(passage_id) for passage_id in passage_ids], dtype=np.uint64)
        places = np.searchsorted(self._hashes, hashed)
        rows = np.full(len(hashed), -1, dtype=np.int64)
        inside = np.flatnonzero(places < len(self._hashes))
        found = inside[self._hashes[places[inside]] == hashed[inside]]
        rows[found] = self._hash_rows[places[found]]
        following = np.minimum(places + 1, len(self._hashes) - 1)
        for number in found[
            (self._hashes[following] == hashed)[found] & (following > places)[found]
        ]:
            rows[number] = self.row_of(passage_ids[number]) if passage_ids[number] in self else -1
        return rows

    def get(self, passage_id: str) -> Passage:
        """The passage with this id.

        Raises:
            KeyError: no passage has this id.
        """
        return self[self.row_of(passage_id)]

    def __contains__(self, passage_id: object) -> bool:
        if not isinstance(passage_id, str):
            return False
        try:
            self.row_of(passage_id)
        except KeyError:
            return False
        return True

    def _columns(self, file: int, batch: int, full: bool = True) -> list[Any]:
        """The columns of a batch, their sizes checked, with `full` also their offsets and texts:
        Arrow trusts them, and a damaged one would be read past the file's end."""
        import pyarrow as pa

        try:
            record_batch = self._readers[file].get_batch(batch)
            record_batch.validate(full=full)
        except (OSError, MemoryError, ValueError, pa.ArrowException) as error:
            raise CorruptIndex(
                f"Batch {batch} of file {file} in {self.path} is damaged: {error}.", _REBUILD
            ) from error
        return list(record_batch.columns)

    def _open_batch(self, file: int, batch: int) -> TextBatch:
        return TextBatch(self._columns(file, batch, full=False))

    def _passage(self, row: int, id_: str, title: str, text: str, metadata: str | None) -> Passage:
        try:
            return Passage(id_, title, text, json.loads(metadata) if metadata else {})
        except (ValueError, RecursionError) as error:
            raise CorruptIndex(f"Row {row} of {self.path} is damaged: {error}", _REBUILD) from error


def _read_counts(folder: Path) -> dict[str, Any]:
    file = folder / COUNTS_FILE
    try:
        counts = json.loads(file.read_text(encoding="utf-8"))
    except (FileNotFoundError, NotADirectoryError) as error:
        raise NotAnIndex(
            f"{folder} holds no passage store ({COUNTS_FILE} is missing).",
            "Give the folder that a build has written.",
        ) from error
    except ValueError as error:
        raise CorruptIndex(f"{file} is no readable JSON: {error}.", _REBUILD) from error
    if not isinstance(counts, dict):
        raise CorruptIndex(f"{file} holds no JSON object.", _REBUILD)
    version = counts.get("schema_version")
    if version != STORE_VERSION:
        raise UnsupportedVersion(
            f"{file} has schema version {version!r}; this program reads {STORE_VERSION}.",
            "Use a matching version of the program, or build the index again.",
        )
    return counts


def _open_array(file: Path, dtype: np.dtype[Any], length: int) -> npt.NDArray[Any]:
    try:
        array = np.load(file, mmap_mode="r", allow_pickle=False)
    except Exception as error:  # numpy parses the header as Python, which fails in many ways
        raise CorruptIndex(f"{file} is no readable array: {error}.", _REBUILD) from error
    if array.dtype != dtype or array.shape != (length,):
        raise CorruptIndex(f"{file} has another type or length than recorded.", _REBUILD)
    return np.asarray(array)
