"""The id lookup of a store: the sorted parts of its shards are merged into two sorted arrays.

Hashes are spread evenly over 64 bits, so the parts are merged range by range: memory holds one
range, whatever the number of passages. Equal hashes are told apart by the ids themselves, which
finds every duplicate.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from indexes.errors import DuplicateId
from indexes.shards import ROWS_PER_BATCH, lookup_name, shard_name
from indexes.store import HASHES_FILE, ROWS_FILE

_ROWS_PER_RANGE = 200_000


@dataclass(frozen=True, slots=True)
class LookupPart:
    """Sorted hashes and the rows they lead to.

    Attributes:
        hashes: ascending, shape [n].
        rows: shape [n], counted from `first_row`; ascending among equal hashes.
        first_row: of the rows.
        dropped: rows (of the store) that the lookup shall not find any more; None for none.
    """

    hashes: npt.NDArray[np.uint64]
    rows: npt.NDArray[Any]
    first_row: int = 0
    dropped: npt.NDArray[np.bool_] | None = None


def merge_lookups(
    folder: Path,
    shard_rows: Sequence[int],
    rows_per_batch: int = ROWS_PER_BATCH,
    rows_per_range: int = _ROWS_PER_RANGE,
) -> None:
    """Write the lookup of a store from the parts of its shards, which stay as they are.

    Args:
        folder: the store's folder.
        shard_rows: how many passages each shard holds.
        rows_per_batch: of the Arrow files.
        rows_per_range: about how many rows are merged at a time.

    Raises:
        DuplicateId: two passages have the same id; nothing is written then.
    """
    first_rows = np.cumsum([0, *shard_rows])

    def parts() -> Iterator[LookupPart]:
        for number, first in enumerate(first_rows[:-1].tolist()):
            yield shard_part(folder, number, first)

    def id_at(row: int) -> str:
        return stored_id(folder, shard_rows, rows_per_batch, row)

    merge_parts(folder, parts, int(first_rows[-1]), id_at, rows_per_range)


def shard_part(folder: Path, number: int, first_row: int) -> LookupPart:
    """The part of the lookup that a shard has written, memory-mapped."""
    part = np.load(folder / lookup_name(number), mmap_mode="r", allow_pickle=False)
    return LookupPart(part[0], part[1], first_row)


def stored_id(folder: Path, shard_rows: Sequence[int], rows_per_batch: int, row: int) -> str:
    """The id of a row of a store that has no lookup yet."""
    import pyarrow as pa

    first_rows = np.cumsum([0, *shard_rows])
    shard = int(np.searchsorted(first_rows, row, side="right")) - 1
    batch, offset = divmod(row - int(first_rows[shard]), rows_per_batch)
    with pa.memory_map(str(folder / shard_name(shard)), "r") as source:
        return str(pa.ipc.open_file(source).get_batch(batch).column(0)[offset].as_py())


def merge_parts(
    folder: Path,
    parts: Callable[[], Iterable[LookupPart]],
    total: int,
    id_at: Callable[[int], str],
    rows_per_range: int = _ROWS_PER_RANGE,
) -> None:
    """Write the lookup of a store from sorted parts.

    Args:
        folder: the store's folder.
        parts: gives the parts in the order of their rows; called once for every range.
        total: how many rows they lead to, without those that are dropped.
        id_at: gives the id of a row.
        rows_per_range: about how many rows are merged at a time.

    Raises:
        DuplicateId: two rows have the same id; nothing is written then.
    """
    ranges = max(1, -(-total // rows_per_range))
    bounds = [(number << 64) // ranges for number in range(1, ranges)]
    hashes_new, rows_new = folder / f"{HASHES_FILE}.new", folder / f"{ROWS_FILE}.new"
    with hashes_new.open("wb") as hashes_file, rows_new.open("wb") as rows_file:
        write_npy_header(hashes_file, np.dtype(np.uint64), (total,))
        write_npy_header(rows_file, np.dtype(np.int64), (total,))
        for low, high in zip([None, *bounds], [*bounds, None], strict=True):
            hashes, rows = _range(parts(), low, high)
            _refuse_duplicates(hashes, rows, id_at)
            hashes_file.write(hashes.tobytes())
            rows_file.write(rows.tobytes())
    os.replace(hashes_new, folder / HASHES_FILE)
    os.replace(rows_new, folder / ROWS_FILE)


def write_npy_header(file: Any, dtype: np.dtype[Any], shape: tuple[int, ...]) -> None:
    """Write the header of an npy file whose numbers are going to follow in C order."""
    header = {"descr": dtype.str, "fortran_order": False, "shape": shape}
    np.lib.format.write_array_header_1_0(file, header)


def _range(
    parts: Iterable[LookupPart], low: int | None, high: int | None
) -> tuple[npt.NDArray[np.uint64], npt.NDArray[np.int64]]:
    """The hashes from `low` to below `high`, sorted, and their rows, ascending among equals."""
    hashes: list[npt.NDArray[np.uint64]] = [np.empty(0, np.uint64)]
    rows: list[npt.NDArray[np.int64]] = [np.empty(0, np.int64)]
    for part in parts:
        begin = 0 if low is None else int(np.searchsorted(part.hashes, np.uint64(low)))
        end = len(part.hashes)
        if high is not None:
            end = int(np.searchsorted(part.hashes, np.uint64(high)))
        some = np.array(part.hashes[begin:end])
        numbers = np.array(part.rows[begin:end]).astype(np.int64) + part.first_row
        if part.dropped is not None:
            left = ~part.dropped[numbers]
            some, numbers = some[left], numbers[left]
        hashes.append(some)
        rows.append(numbers)
    together, ordered = np.concatenate(hashes), np.concatenate(rows)
    order = np.argsort(together, kind="stable")
    return together[order], ordered[order]


def _refuse_duplicates(
    hashes: npt.NDArray[np.uint64], rows: npt.NDArray[np.int64], id_at: Callable[[int], str]
) -> None:
    seen: dict[str, int] = {}
    last = -2
    for position in np.flatnonzero(hashes[1:] == hashes[:-1]).tolist():
        if position != last + 1:
            seen = {}
        last = position
        for row in (int(rows[position]), int(rows[position + 1])):
            passage_id = id_at(row)
            earlier = seen.setdefault(passage_id, row)
            if earlier != row:
                raise DuplicateId(
                    f"Passages {earlier + 1} and {row + 1} both have the id {passage_id!r}.",
                    "Give every passage an id of its own.",
                )
