"""The vector part of an index: FAISS indexes by factory string, with row number = vector number.

This module knows shapes, metrics and files; not which encoder made the vectors.
"""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from indexes.errors import (
    CorruptIndex,
    DimensionMismatch,
    InvalidSetting,
    InvalidVectors,
)

SIMILARITIES = ("cosine", "dot", "euclidean")
# FAISS asks for 39 points a centroid; more cost memory that grows with the corpus.
_TRAINING_POINTS_PER_LIST = 40
_FEWEST_TRAINING_POINTS = 20_000
_REBUILD = "Build the index again, or copy it again from its source."


def search_parameters(index: Any) -> str:
    """FAISS parameters set on every opening: search effort for list and graph indexes."""
    import faiss

    inner = faiss.downcast_index(index)
    while isinstance(inner, faiss.IndexPreTransform | faiss.IndexRefine):
        wrapped = inner.index if isinstance(inner, faiss.IndexPreTransform) else inner.base_index
        inner = faiss.downcast_index(wrapped)
    if isinstance(inner, faiss.IndexIVF):
        return f"nprobe={min(inner.nlist, max(8, round(2 * math.sqrt(inner.nlist))))}"
    if isinstance(inner, faiss.IndexHNSW):
        return "efSearch=128"
    return ""


def apply_parameters(index: Any, parameters: str) -> None:
    """Set FAISS search parameters, for example "nprobe=32".

    Raises:
        InvalidSetting: the index has no such parameter.
    """
    import faiss

    if not parameters:
        return
    space: Any = faiss.ParameterSpace()
    try:
        space.set_index_parameters(index, parameters)
    except RuntimeError as error:
        raise InvalidSetting(
            f"The search parameters {parameters!r} do not fit the index: {_first_line(error)}.",
            "Use FAISS parameter names, as nprobe=32 for IVF or efSearch=64 for HNSW.",
        ) from error


def make_index(factory: str, dimension: int, similarity: str) -> Any:
    """An empty FAISS index for vectors of `dimension` numbers.

    Args:
        factory: a FAISS factory string, as "Flat", "SQfp16", "IVF1024,SQ8" or "HNSW32".
        dimension: numbers per vector.
        similarity: "cosine" (vectors of length 1) and "dot" use inner products, "euclidean"
            squared distances.

    Raises:
        InvalidSetting: FAISS does not know the string, or the similarity has no metric.
    """
    import faiss

    try:
        index = faiss.index_factory(dimension, factory, _metric_of(similarity))
    except RuntimeError as error:
        raise InvalidSetting(
            f"FAISS cannot make an index {factory!r} of dimension {dimension}: "
            f"{_first_line(error)}.",
            'Use a factory string such as "Flat", "SQfp16", "IVF1024,SQ8" or "auto".',
        ) from error
    if isinstance(faiss.downcast_index(index), faiss.IndexIDMap):
        raise InvalidSetting(
            f"The index {factory!r} keeps numbers of its own.",
            "Leave IDMap out: a vector's number is its passage's row.",
        )
    return index


def training_rows(index: Any, passages: int) -> npt.NDArray[np.int64]:
    """The rows to train on, in order; spread evenly over the corpus, empty if none are needed.

    Raises:
        InvalidSetting: there are fewer passages than inverted lists.
    """
    import faiss

    if index.is_trained:
        return np.empty(0, dtype=np.int64)
    try:
        lists = faiss.extract_index_ivf(index).nlist
    except RuntimeError:
        lists = 0
    if lists > passages:
        raise InvalidSetting(
            f"The index cannot be trained: {passages} passages are fewer than its {lists} lists.",
            'Use fewer lists, or factory="Flat", which needs no training.',
        )
    wanted = min(passages, max(_TRAINING_POINTS_PER_LIST * lists, _FEWEST_TRAINING_POINTS))
    return np.linspace(0, passages - 1, wanted).astype(np.int64)


def train(index: Any, vectors: npt.NDArray[np.float32]) -> None:
    """Train an index on sample vectors, shape [n, dimension].

    Raises:
        InvalidSetting: there are too few vectors for the factory string.
    """
    try:
        index.train(np.ascontiguousarray(vectors, dtype=np.float32))
    except RuntimeError as error:
        raise InvalidSetting(
            f"The index cannot be trained on {len(vectors)} vectors: {_first_line(error)}.",
            'Use fewer lists, or factory="Flat", which needs no training.',
        ) from error


def check_vectors(vectors: Any, rows: int, dimension: int) -> npt.NDArray[np.float32]:
    """The vectors as a float32 matrix of shape [rows, dimension].

    Raises:
        DimensionMismatch: they have another dimension.
        InvalidVectors: they are not one finite vector per row.
    """
    matrix = np.ascontiguousarray(vectors, dtype=np.float32)
    if matrix.ndim != 2 or len(matrix) != rows:
        raise InvalidVectors(
            f"The encoder gave an array of shape {matrix.shape} for {rows} texts.",
            "It must give one vector per text.",
        )
    if matrix.shape[1] != dimension:
        raise DimensionMismatch(
            f"The vectors have {matrix.shape[1]} dimensions; {dimension} are expected.",
            "Use the encoder that the index was built with.",
        )
    if not np.isfinite(matrix).all():
        row = int(np.flatnonzero(~np.isfinite(matrix).all(axis=1))[0])
        raise InvalidVectors(
            f"The encoder gave a vector with numbers that are not finite (text {row + 1} of a "
            "batch).",
            "Check the encoder's weights and precision.",
        )
    return matrix


def keeps_precision(index: Any) -> str | None:
    """The precision in which an index holds whole vectors: "float32", "float16", else None."""
    import faiss

    inner = faiss.downcast_index(index)
    if isinstance(inner, faiss.IndexFlat):
        return "float32"
    half = faiss.ScalarQuantizer.QT_fp16
    if isinstance(inner, faiss.IndexScalarQuantizer) and inner.sq.qtype == half:
        return "float16"
    return None


def candidates_per_result(factory: str) -> int:
    """How many candidates per result deserve an exact score: more where codes are coarser."""
    return 16 if "PQ" in factory or "SQ4" in factory or "LSH" in factory else 4


def open_vectors(file: Path, rows: int, dimension: int, similarity: str, parameters: str) -> Any:
    """Open a FAISS index, memory-mapped where FAISS can.

    FAISS trusts what it reads, so the file's checksum must have been compared before.

    Raises:
        CorruptIndex: the file is unreadable or does not hold what the manifest says.
    """
    import faiss

    try:
        index = faiss.read_index(str(file), _mapping_flag(file))
    except (RuntimeError, MemoryError, OSError) as error:
        raise CorruptIndex(f"{file} is unreadable: {_first_line(error)}.", _REBUILD) from error
    if index.ntotal != rows or index.d != dimension or index.metric_type != _metric_of(similarity):
        raise CorruptIndex(
            f"{file} holds {index.ntotal} vectors of dimension {index.d}; the manifest says "
            f"{rows} of {dimension} ({similarity}).",
            _REBUILD,
        )
    apply_parameters(index, parameters)
    return index


def _mapping_flag(file: Path) -> int:
    """Inverted lists are mapped by one flag of FAISS, codes (since FAISS 1.11) by another."""
    import faiss

    with file.open("rb") as stream:
        kind = stream.read(4)
    lists = kind.startswith((b"Iw", b"IxPT"))
    flag = faiss.IO_FLAG_MMAP if lists else getattr(faiss, "IO_FLAG_MMAP_IFC", faiss.IO_FLAG_MMAP)
    return int(flag | getattr(faiss, "IO_FLAG_SKIP_PRECOMPUTE_TABLE", 0))


def _metric_of(similarity: str) -> int:
    import faiss

    if similarity not in SIMILARITIES:
        raise InvalidSetting(
            f"The similarity {similarity!r} has no FAISS metric here.",
            f"Allowed are {list(SIMILARITIES)}.",
        )
    inner_product: int = faiss.METRIC_INNER_PRODUCT
    squared_distance: int = faiss.METRIC_L2
    return squared_distance if similarity == "euclidean" else inner_product


def _first_line(error: BaseException) -> str:
    # FAISS prefixes its messages with a C++ signature and a source file.
    text = str(error).strip().splitlines()
    return text[-1].rsplit("failed: ", 1)[-1].rstrip(".") if text else type(error).__name__
