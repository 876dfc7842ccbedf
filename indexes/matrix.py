"""Vectors on disk: one npy file per shard of the passages, float16 or float32, row for row.

They are what an index is built from, and where its codes lose precision they stay with it for
exact scores. `MatrixFiles` reads single rows memory-mapped, and whole files in blocks without
mapping them. It knows nothing of encoders and indexes.
"""

from __future__ import annotations

import os
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
        self._maps: dict[int, Any] = {}

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
            taken[chosen] = self._mapped(int(number))[rows[chosen] - self._first_rows[number]]
        return taken

    def blocks(
        self, number: int, block_rows: int = _BLOCK_ROWS
    ) -> Iterator[tuple[int, npt.NDArray[np.float32]]]:
        """First row and vectors of one block of a shard after the other, read and not mapped."""
        rows = self.shard_rows[number]
        header = self._mapped(number)
        offset, dtype = header.offset, header.dtype
        self._maps.pop(number)
        first = int(self._first_rows[number])
        with self.file(number).open("rb") as stream:
            stream.seek(offset)
            for begin in range(0, rows, block_rows):
                count = min(block_rows, rows - begin)
                block = np.fromfile(stream, dtype, count * self.dimension)
                yield first + begin, block.reshape(count, self.dimension).astype(np.float32)

    def open(self) -> None:
        """Open all files, so that they can be read even after they were removed.

        Raises:
            CorruptIndex: a file is missing, unreadable or of another shape.
        """
        for number in range(len(self.shard_rows)):
            self._mapped(number)

    def _mapped(self, number: int) -> Any:
        if number not in self._maps:
            file = self.file(number)
            try:
                matrix = np.load(file, mmap_mode="r", allow_pickle=False)
            except Exception as error:  # numpy parses the header as Python: it fails in many ways
                raise CorruptIndex(f"{file} is no readable array: {error}.", _REBUILD) from error
            fits = matrix.dtype in (np.float16, np.float32) and matrix.flags.c_contiguous
            if not fits or matrix.shape != (self.shard_rows[number], self.dimension):
                raise CorruptIndex(f"{file} has another type or shape than recorded.", _REBUILD)
            self._maps[number] = matrix
        return self._maps[number]
