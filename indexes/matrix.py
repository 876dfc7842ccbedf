"""Vectors on disk: one npy file per shard of the passages, float16 or float32, row for row.

They are what an index is built from, and where its codes lose precision they stay with it for
exact scores. Rows and blocks are read and not mapped: a map of which single rows are touched keeps
whole neighbourhoods resident. This module knows nothing of encoders and indexes.
"""

from __future__ import annotations

import os
import threading
import weakref
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from indexes.errors import CorruptIndex, InvalidVectors
from indexes.lookup import write_npy_header

_BLOCK_ROWS = 4096
_REBUILD = "Build the index again, or copy it again from its source."


def matrix_name(number: int) -> str:
    """The name of the file with the vectors of a shard."""
    return f"vectors-{number:05d}.npy"


def write_matrix(
    file: Path, parts: Iterable[npt.NDArray[np.float32]], rows: int, dimension: int, dtype: str
) -> None:
    """Write vectors under a temporary name, and rename the file when it is whole.

    Args:
        file: the npy file.
        parts: matrices of `dimension` columns with `rows` rows in all.
        rows: how many there are.
        dimension: numbers per vector.
        dtype: "float16" or "float32".

    Raises:
        InvalidVectors: a number is too large for float16, or there are more or fewer vectors.
    """
    temporary = file.with_name(f"{file.name}.new")
    written = 0
    with temporary.open("wb") as stream:
        write_npy_header(stream, np.dtype(dtype), (rows, dimension))
        for part in parts:
            with np.errstate(over="ignore"):
                numbers = part.astype(dtype)
            if not np.isfinite(numbers).all():
                raise InvalidVectors(
                    f"A vector holds a number beyond {np.finfo(np.float16).max}.",
                    'Use an encoder that normalises, or factory="Flat", which keeps float32.',
                )
            stream.write(numbers.tobytes())
            written += len(numbers)
    if written != rows:
        raise InvalidVectors(f"{written} vectors were given for {rows} passages.", "Give one each.")
    os.replace(temporary, file)


class MatrixFiles:
    """The vectors of all shards.

    Args:
        folder: where the files lie.
        shard_rows: rows in each of them.
        dimension: numbers per vector.
    """

    def __init__(self, folder: Path, shard_rows: Sequence[int], dimension: int) -> None:
        self.folder = folder
        self.shard_rows = tuple(shard_rows)
        self.dimension = dimension
        self._first_rows = np.cumsum([0, *shard_rows])
        self._opened: dict[int, _OpenMatrix] = {}

    def __len__(self) -> int:
        return int(self._first_rows[-1])

    def file(self, number: int) -> Path:
        """The file of a shard."""
        return self.folder / matrix_name(number)

    @property
    def files(self) -> list[Path]:
        """All files."""
        return [self.file(number) for number in range(len(self.shard_rows))]

    def take(self, rows: npt.NDArray[np.int64]) -> npt.NDArray[np.float32]:
        """The vectors of some rows, shape [len(rows), dimension].

        Raises:
            CorruptIndex: a file is missing, unreadable or of another shape.
        """
        taken = np.empty((len(rows), self.dimension), dtype=np.float32)
        shards = np.searchsorted(self._first_rows, rows, side="right") - 1
        for number in np.unique(shards):
            chosen = np.flatnonzero(shards == number)
            matrix = self._open(int(number))
            taken[chosen] = matrix.take(rows[chosen] - self._first_rows[number])
        return taken

    def blocks(
        self, number: int, block_rows: int = _BLOCK_ROWS
    ) -> Iterator[tuple[int, npt.NDArray[np.float32]]]:
        """First row and vectors of one block of a shard after the other, read and not mapped."""
        matrix = self._open(number)
        first, rows = int(self._first_rows[number]), self.shard_rows[number]
        for begin in range(0, rows, block_rows):
            yield first + begin, matrix.rows(begin, min(block_rows, rows - begin))

    def open(self) -> None:
        """Open all files, so that they can be read even after they were removed.

        Raises:
            CorruptIndex: a file is missing, unreadable or of another shape.
        """
        for number in range(len(self.shard_rows)):
            self._open(number)

    def _open(self, number: int) -> _OpenMatrix:
        if number not in self._opened:
            shape = (self.shard_rows[number], self.dimension)
            self._opened[number] = _OpenMatrix(self.file(number), shape)
        return self._opened[number]


class _OpenMatrix:
    """One npy file, open for reading; it can be read even after it was removed."""

    def __init__(self, file: Path, shape: tuple[int, int]) -> None:
        self._file = file
        try:
            mapped = np.load(file, mmap_mode="r", allow_pickle=False)
            self._handle = os.open(file, os.O_RDONLY | getattr(os, "O_BINARY", 0))
        except Exception as error:  # numpy parses the header as Python: it fails in many ways
            raise CorruptIndex(f"{file} is no readable array: {error}.", _REBUILD) from error
        weakref.finalize(self, os.close, self._handle)
        fits = mapped.dtype in (np.float16, np.float32) and mapped.flags.c_contiguous
        if not fits or mapped.shape != shape:
            raise CorruptIndex(f"{file} has another type or shape than recorded.", _REBUILD)
        self._dtype: np.dtype[Any] = mapped.dtype
        self._offset = int(mapped.offset)
        self._columns = shape[1]
        self._seeking = threading.Lock()

    def take(self, numbers: npt.NDArray[np.int64]) -> npt.NDArray[Any]:
        """Some rows, as they are stored, shape [numbers, columns]."""
        width = self._columns * self._dtype.itemsize
        offsets = (self._offset + numbers * width).tolist()
        if hasattr(os, "pread"):
            parts = [os.pread(self._handle, width, offset) for offset in offsets]
        else:
            parts = [self._sought(width, offset) for offset in offsets]
        data = b"".join(parts)
        if len(data) != len(parts) * width:
            raise CorruptIndex(f"{self._file} ends too early.", _REBUILD)
        return np.frombuffer(data, self._dtype).reshape(len(parts), self._columns)

    def rows(self, first: int, count: int) -> npt.NDArray[np.float32]:
        """Consecutive rows, shape [count, dimension]."""
        return self._read(first, count).reshape(count, self._columns).astype(np.float32)

    def _read(self, first: int, count: int) -> npt.NDArray[Any]:
        width = self._columns * self._dtype.itemsize
        begin, length = self._offset + first * width, count * width
        if hasattr(os, "pread"):
            data = os.pread(self._handle, length, begin)
        else:
            data = self._sought(length, begin)
        if len(data) != length:
            raise CorruptIndex(f"{self._file} ends too early.", _REBUILD)
        return np.frombuffer(data, self._dtype)

    def _sought(self, length: int, begin: int) -> bytes:
        """What `os.pread` gives, for systems without it."""
        with self._seeking:
            os.lseek(self._handle, begin, os.SEEK_SET)
            return os.read(self._handle, length)
