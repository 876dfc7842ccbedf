"""Writes FAISS index files in a stream: memory holds one block, whatever the number of vectors.

FAISS writes the codes of flat and scalar-quantised indexes, and the inverted lists of IVF
indexes, at the end of a file. So the head of an empty trained index that says how many vectors
there are, and after it the codes, are byte for byte the file that FAISS would write. (FAISS's own
way, `faiss.contrib.ondisk`, maps its input and output, which counts as resident memory.) Indexes
of other kinds are made in memory: graphs need that anyway.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from indexes.building.journal import Journal
from indexes.matrix import MatrixFiles
from indexes.nearest import faiss_threads
from indexes.progress import Reporter

_RANGE_BYTES = 16 << 20
_COUNT_BYTES = 8
# An empty set of lists: "ilar", their number, their code size, "sprs", 0.
_SPARSE_BYTES = 12


def layout_of(index: Any) -> str:
    """How an empty trained index can be filled: "codes" and "lists" in a stream, else "memory"."""
    import faiss

    inner = faiss.downcast_index(index)
    if type(inner) in (faiss.IndexFlat, faiss.IndexFlatL2, faiss.IndexFlatIP):
        return "codes"
    if type(inner) is faiss.IndexScalarQuantizer:
        return "codes"
    while isinstance(inner, faiss.IndexPreTransform):
        inner = faiss.downcast_index(inner.index)
    kinds = (faiss.IndexIVFFlat, faiss.IndexIVFScalarQuantizer, faiss.IndexIVFPQ)
    return "lists" if type(inner) in kinds else "memory"


def fill(
    index: Any,
    matrices: MatrixFiles,
    target: Path,
    parts: Path,
    journal: Journal,
    reporter: Reporter,
) -> list[Path]:
    """Write the index file of all vectors from an empty trained index.

    Args:
        index: empty and trained; it may be filled.
        matrices: the vectors.
        target: the file, written under a temporary name and renamed.
        parts: folder for what is needed only until the file is written.
        journal: is told of finished parts.
        reporter: is told how many vectors were added.

    Returns:
        The files in `parts` that are not needed any more.
    """
    layout = layout_of(index)
    temporary = target.with_name(f"{target.name}.new")
    used: list[Path] = []
    if layout == "memory":
        _fill_in_memory(index, matrices, temporary, reporter)
    elif layout == "codes":
        _stream_codes(index, matrices, temporary, reporter)
    else:
        for number in range(len(matrices.shard_rows)):
            files = [parts / f"lists-{number:05d}-{what}.npy" for what in ("sizes", "codes", "ids")]
            if journal.get(f"lists {number}") is None:
                _write_lists(index, matrices, number, files, reporter)
                journal.finish(f"lists {number}", files)
            used += files
        _merge_lists(index, matrices, parts, temporary)
    os.replace(temporary, target)
    return used


def _fill_in_memory(index: Any, matrices: MatrixFiles, file: Path, reporter: Reporter) -> None:
    import faiss

    # With several threads a graph depends on which of them is faster.
    with faiss_threads(1):
        for number in range(len(matrices.shard_rows)):
            for first, block in matrices.blocks(number):
                index.add(block)
                reporter.tick(first + len(block))
    faiss.write_index(index, str(file))


def _stream_codes(index: Any, matrices: MatrixFiles, file: Path, reporter: Reporter) -> None:
    import faiss

    rows = len(matrices)
    size = rows * index.sa_code_size()
    # Flat indexes count their codes in float32 numbers, others in bytes.
    flat = isinstance(faiss.downcast_index(index), faiss.IndexFlat)
    with file.open("wb") as stream:
        stream.write(_head(index, rows)[:-_COUNT_BYTES])
        stream.write((size // 4 if flat else size).to_bytes(_COUNT_BYTES, "little"))
        for number in range(len(matrices.shard_rows)):
            for first, block in matrices.blocks(number):
                stream.write(index.sa_encode(block).tobytes())
                reporter.tick(first + len(block))


def _write_lists(
    index: Any, matrices: MatrixFiles, number: int, files: list[Path], reporter: Reporter
) -> None:
    """The inverted lists of one shard: sizes, and codes and row numbers in the order of lists."""
    import faiss

    index.reset()
    for first, block in matrices.blocks(number):
        index.add_with_ids(block, np.arange(first, first + len(block)))
        reporter.tick(first + len(block))
    lists: Any = faiss.extract_index_ivf(index).invlists
    sizes = np.array([lists.list_size(n) for n in range(lists.nlist)], dtype=np.int64)
    codes = np.empty((int(sizes.sum()), lists.code_size), dtype=np.uint8)
    ids = np.empty(len(codes), dtype=np.int64)
    begin = 0
    for n in np.flatnonzero(sizes).tolist():
        end = begin + int(sizes[n])
        length = int(sizes[n]) * lists.code_size
        codes[begin:end] = faiss.rev_swig_ptr(lists.get_codes(n), length).reshape(
            -1, lists.code_size
        )
        ids[begin:end] = faiss.rev_swig_ptr(lists.get_ids(n), end - begin)
        begin = end
    index.reset()
    arrays: tuple[npt.NDArray[Any], ...] = (sizes, codes, ids)
    for file, array in zip(files, arrays, strict=True):
        with file.open("wb") as stream:
            np.save(stream, array, allow_pickle=False)


def _merge_lists(index: Any, matrices: MatrixFiles, parts: Path, file: Path) -> None:
    import faiss

    index.reset()
    shards = range(len(matrices.shard_rows))
    sizes = np.stack([np.load(parts / f"lists-{number:05d}-sizes.npy") for number in shards])
    starts = np.hstack([np.zeros((len(sizes), 1), np.int64), sizes.cumsum(axis=1)])
    totals = sizes.sum(axis=0)
    head = _head(index, len(matrices))
    lists: Any = faiss.extract_index_ivf(index).invlists
    code_size = int(lists.code_size)
    with file.open("wb") as stream:
        stream.write(head[:-_SPARSE_BYTES])
        stream.write(b"full" + len(totals).to_bytes(_COUNT_BYTES, "little"))
        stream.write(totals.astype("<u8").tobytes())
        for begin, end in _ranges(totals * (code_size + 8)):
            pieces = [
                tuple(
                    _slice(parts / f"lists-{number:05d}-{what}.npy", starts[number, [begin, end]])
                    for what in ("codes", "ids")
                )
                for number in shards
            ]
            for n in range(begin, end):
                for column in (0, 1):
                    for number, piece in enumerate(pieces):
                        bounds = starts[number, [n, n + 1]] - starts[number, begin]
                        stream.write(piece[column][bounds[0] : bounds[1]].tobytes())


def _ranges(sizes: npt.NDArray[np.int64]) -> Iterator[tuple[int, int]]:
    """Consecutive items whose sizes sum up to about a range's bytes; at least one item each."""
    begin, total = 0, 0
    for number, size in enumerate(sizes.tolist()):
        if total and total + size > _RANGE_BYTES:
            yield begin, number
            begin, total = number, 0
        total += size
    yield begin, len(sizes)


def _slice(file: Path, bounds: npt.NDArray[np.int64]) -> npt.NDArray[Any]:
    mapped = np.load(file, mmap_mode="r", allow_pickle=False)
    return np.array(mapped[bounds[0] : bounds[1]])


def _head(index: Any, rows: int) -> bytes:
    """The bytes of an empty index that says that it holds `rows` vectors."""
    import faiss

    layers = []
    inner = faiss.downcast_index(index)
    while True:
        layers.append(inner)
        if not isinstance(inner, faiss.IndexPreTransform):
            break
        inner = faiss.downcast_index(inner.index)
    for layer in layers:
        layer.ntotal = rows
    try:
        return bytes(faiss.serialize_index(index).tobytes())
    finally:
        for layer in layers:
            layer.ntotal = 0


def write_index(index: Any, file: Path) -> None:
    """Write a small FAISS index under a temporary name and rename it."""
    import faiss

    temporary = file.with_name(f"{file.name}.new")
    faiss.write_index(index, str(temporary))
    os.replace(temporary, file)
