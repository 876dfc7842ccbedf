"""Reads single rows of a mapped Arrow batch of texts, without Arrow's objects for them.

Arrow's own way to one row costs several times as much, and checks a whole batch or nothing. Here
the row that is read is checked: its offsets must lie in the data, its bytes must be UTF-8.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any


class TextBatch:
    """The columns of a record batch, each of Arrow's type large_string.

    Args:
        columns: Arrow arrays of one length that were validated but for offsets and texts.
    """

    def __init__(self, columns: Sequence[Any]) -> None:
        self._rows = len(columns[0])
        self._columns = [_parts(column) for column in columns]

    def values(self, row: int) -> list[Any]:
        """The texts of a row, None where there is none.

        Raises:
            IndexError: the batch has no such row.
            ValueError: an offset lies outside of the data, or a text is not UTF-8.
        """
        if not 0 <= row < self._rows:
            raise IndexError(f"a batch of {self._rows} rows has no row {row}")
        values: list[Any] = []
        for present, offsets, data in self._columns:
            if present is not None and not present[row >> 3] >> (row & 7) & 1:
                values.append(None)
                continue
            start, end = offsets[row], offsets[row + 1]
            if not 0 <= start <= end <= len(data):
                raise ValueError(f"its text lies at {start} to {end} of {len(data)} bytes")
            values.append(str(data[start:end], "utf-8"))
        return values


def _parts(column: Any) -> tuple[memoryview | None, memoryview, memoryview]:
    """Which rows have a text (a bit each; None: all), where texts begin and end, and the data."""
    present, offsets, data = column.buffers()
    first = column.offset
    if first:
        raise ValueError(f"a batch begins at row {first} of its buffers")
    return (
        None if present is None else memoryview(present).cast("B"),
        memoryview(offsets)[: 8 * (len(column) + 1)].cast("q"),
        memoryview(b"") if data is None else memoryview(data),
    )
