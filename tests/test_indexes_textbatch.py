"""Single rows of an Arrow batch: what Arrow itself gives, and errors for damaged ones."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st
from storage_helpers import steady

from indexes.textbatch import TextBatch


def column(texts: list[str | None]) -> pa.Array:
    return pa.array(texts, type=pa.large_string())


@steady
@given(st.lists(st.tuples(st.text(), st.none() | st.text()), min_size=1, max_size=20))
def test_rows_are_those_of_arrow(rows: list[tuple[str, str | None]]) -> None:
    first, second = (list(part) for part in zip(*rows, strict=True))
    batch = TextBatch([column(first), column(second)])
    assert [tuple(batch.values(row)) for row in range(len(rows))] == rows


@pytest.mark.parametrize("row", [-1, 2])
def test_a_row_that_is_not_there(row: int) -> None:
    with pytest.raises(IndexError, match="has no row"):
        TextBatch([column(["a", "b"])]).values(row)


class DamagedColumn:
    """A column as Arrow reads it from a damaged file; Arrow itself refuses to make such a one."""

    offset = 0

    def __init__(self, offsets: list[int], data: bytes, rows: int = 1) -> None:
        self._buffers = [None, np.array(offsets, dtype=np.int64).tobytes(), data]
        self._rows = rows

    def __len__(self) -> int:
        return self._rows

    def buffers(self) -> list[bytes | None]:
        return self._buffers


@pytest.mark.parametrize(
    ("offsets", "data", "reason"),
    [
        ([0, 9], b"abc", "lies at 0 to 9 of 3"),
        ([-1, 2], b"abc", "lies at -1 to 2"),
        ([2, 1], b"abc", "lies at 2 to 1"),
        ([0, 1], b"\xff", "utf-8"),
    ],
)
def test_a_damaged_row_is_an_error(offsets: list[int], data: bytes, reason: str) -> None:
    with pytest.raises(ValueError, match=reason):
        TextBatch([DamagedColumn(offsets, data)]).values(0)


def test_offsets_that_are_cut_off_are_an_error() -> None:
    with pytest.raises(IndexError):
        TextBatch([DamagedColumn([0, 1], b"abc", rows=2)]).values(1)
