"""Vectors that others have computed, read in a stream as ids and matrices.

npy       a matrix; its ids stand in a file of their own (text, one a line; JSON list; npy)
npz       arrays `ids` and `vectors` (or `embeddings`)
parquet   a column of ids and one of embeddings, as Hugging Face datasets have them
pickle    a pair of ids and a matrix, as Contriever's published shards are (`passages_00` ...)

Pickles are programs. The unpickler here runs none: it knows strings, numbers, lists, tuples, and
plain arrays, which it puts together itself.
"""

from __future__ import annotations

import json
import pickle
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import IO, Any, NoReturn

import numpy as np
import numpy.typing as npt

from indexes.errors import InvalidSetting, VectorFileError

_BLOCK_ROWS = 4096
_MATRIX_NAMES = ("vectors", "embeddings")
_NUMBERS = frozenset("fiuUS")
GivenBlock = tuple[list[str], npt.NDArray[Any]]


def read_vectors(
    files: Sequence[Path],
    ids: Path | None = None,
    id_column: str = "id",
    vector_column: str = "embedding",
) -> Iterator[GivenBlock]:
    """Blocks of ids and vectors, shape [ids, dimension], file after file.

    Args:
        files: their names' ends tell what they are; what has no known end is a pickle.
        ids: for one npy file, the file with its ids.
        id_column: of parquet files.
        vector_column: of parquet files.

    Raises:
        VectorFileError: a file is missing, damaged, or not what it should be.
        InvalidSetting: ids are missing, or given where files have their own.
    """
    matrices = [file for file in files if file.suffix == ".npy"]
    if bool(matrices) != (ids is not None) or (matrices and len(files) > 1):
        raise InvalidSetting(
            "A file of ids belongs to exactly one npy file.",
            "Give one npy file and --ids, or files that hold their own ids.",
        )
    for file in files:
        if not file.is_file():
            raise VectorFileError(f"{file} is no file.", "Check the path.")
        if file.suffix == ".npy":
            assert ids is not None, "looked at above"
            yield from _blocks(file, _ids_of(ids), _loaded(file))
        elif file.suffix == ".npz":
            yield from _npz(file)
        elif file.suffix == ".parquet":
            yield from _parquet(file, id_column, vector_column)
        else:
            yield from _blocks(file, *_pickled(file))


def _blocks(file: Path, ids: Sequence[Any], matrix: npt.NDArray[Any]) -> Iterator[GivenBlock]:
    if matrix.ndim != 2 or matrix.dtype.kind != "f":
        _refuse(file, f"it holds {matrix.dtype} of shape {matrix.shape}, not a matrix of floats")
    if len(ids) != len(matrix):
        _refuse(file, f"it holds {len(matrix)} vectors, and there are {len(ids)} ids")
    for begin in range(0, len(matrix), _BLOCK_ROWS):
        part = slice(begin, begin + _BLOCK_ROWS)
        yield [_id(file, value) for value in ids[part]], np.asarray(matrix[part])


def _id(file: Path, value: Any) -> str:
    if isinstance(value, bytes):
        value = value.decode(errors="replace")
    if isinstance(value, bool) or not isinstance(value, str | int | np.integer):
        _refuse(file, f"an id is {value!r}, neither text nor a whole number")
    return str(value)


def _loaded(file: Path) -> Any:
    try:
        return np.load(file, mmap_mode="r", allow_pickle=False)
    except Exception as error:  # numpy parses the header as Python, which fails in many ways
        raise VectorFileError(f"{file} is no readable array: {error}.", "Copy it again.") from error


def _ids_of(file: Path) -> Sequence[Any]:
    if file.suffix == ".npy":
        return list(_loaded(file).tolist())
    try:
        text = file.read_text(encoding="utf-8")
        values = json.loads(text) if file.suffix == ".json" else text.splitlines()
    except (OSError, ValueError) as error:
        raise VectorFileError(f"The ids in {file} are unreadable: {error}.", "Check it.") from error
    if not isinstance(values, list):
        _refuse(file, "it holds no list of ids")
    return list(values)


def _npz(file: Path) -> Iterator[GivenBlock]:
    try:
        with np.load(file, allow_pickle=False) as arrays:
            name = next((name for name in _MATRIX_NAMES if name in arrays), None)
            if name is None or "ids" not in arrays:
                _refuse(file, f"it holds {sorted(arrays)}, not ids and vectors")
            ids, matrix = arrays["ids"].tolist(), arrays[name]
    except VectorFileError:
        raise
    except Exception as error:  # zip files and numpy headers fail in many ways
        raise VectorFileError(f"{file} is unreadable: {error}.", "Copy it again.") from error
    yield from _blocks(file, ids, matrix)


def _parquet(file: Path, id_column: str, vector_column: str) -> Iterator[GivenBlock]:
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        table = pq.ParquetFile(file)
        names = table.schema_arrow.names
        if missing := {id_column, vector_column} - set(names):
            _refuse(file, f"it has no column {sorted(missing)}; its columns are {names}")
        for batch in table.iter_batches(_BLOCK_ROWS, columns=[id_column, vector_column]):
            column = batch.column(vector_column)
            widths = {len(value) if value is not None else 0 for value in column}
            if len(widths) != 1 or column.null_count:
                _refuse(file, f"the column {vector_column} holds vectors of lengths {widths}")
            numbers = column.flatten().to_numpy(zero_copy_only=False)
            matrix = numbers.reshape(len(batch), widths.pop())
            yield from _blocks(file, batch.column(id_column).to_pylist(), matrix)
    except (OSError, ValueError, pa.ArrowException) as error:
        raise VectorFileError(f"{file} is unreadable: {error}.", "Copy it again.") from error


def _pickled(file: Path) -> tuple[Sequence[Any], npt.NDArray[Any]]:
    try:
        with file.open("rb") as stream:
            values = _PlainUnpickler(stream).load()
    except VectorFileError:
        raise
    except Exception as error:  # a damaged pickle can fail in any way
        raise VectorFileError(f"{file} is unreadable: {error!r}.", "Copy it again.") from error
    if not isinstance(values, tuple | list) or len(values) != 2:
        _refuse(file, "it holds no pair of ids and vectors")
    ids, matrix = (value.array if isinstance(value, _Array) else value for value in values)
    if isinstance(ids, np.ndarray):
        ids = ids.tolist()
    if not isinstance(ids, list | tuple) or not isinstance(matrix, np.ndarray):
        _refuse(file, "it holds no pair of a list of ids and an array")
    return ids, matrix


def _refuse(file: Path, reason: str) -> NoReturn:
    raise VectorFileError(
        f"{file} cannot be imported: {reason}.",
        "Give an array of floats, a row a passage, with the passages' ids.",
    )


class _Dtype:
    """The type of a pickled array; only numbers and text of a fixed length."""

    def __init__(self, name: Any, align: Any = False, copy: Any = False) -> None:
        self.dtype = np.dtype(name if isinstance(name, str) else "O")
        if self.dtype.kind not in _NUMBERS:
            raise VectorFileError(
                f"An array of {name!r} is not admitted.", "Only numbers and text are."
            )

    def __setstate__(self, state: Any) -> None:
        if state[1] in "<>":
            self.dtype = self.dtype.newbyteorder(state[1])


class _Array:
    """A pickled array, made of its bytes."""

    def __init__(self, kind: Any = None, shape: Any = None, code: Any = None) -> None:
        self.array: npt.NDArray[Any] = np.empty(0)

    def __setstate__(self, state: Any) -> None:
        _, shape, dtype, fortran, data = state
        self.array = _of_bytes(data, dtype, shape, "F" if fortran else "C").array


def _of_bytes(data: Any, dtype: Any, shape: Any, order: Any) -> _Array:
    made = _Array()
    if not isinstance(dtype, _Dtype) or order not in ("C", "F"):
        raise VectorFileError(
            "An array of an unknown type is not admitted.", "Copy the file again."
        )
    made.array = np.frombuffer(data, dtype.dtype).reshape(shape, order=order)
    return made


def _latin(text: Any, encoding: Any) -> bytes:
    """How older pickles write bytes."""
    if encoding != "latin1" or not isinstance(text, str):
        raise VectorFileError(f"The encoding {encoding!r} is not admitted.", "Copy the file again.")
    return text.encode("latin1")


_ADMITTED: dict[tuple[str, str], Callable[..., Any]] = {
    ("numpy", "ndarray"): _Array,
    ("numpy", "dtype"): _Dtype,
    ("_codecs", "encode"): _latin,
    **{(f"numpy.{core}.multiarray", "_reconstruct"): _Array for core in ("core", "_core")},
    **{(f"numpy.{core}.numeric", "_frombuffer"): _of_bytes for core in ("core", "_core")},
}


class _PlainUnpickler(pickle.Unpickler):
    """Admits nothing but plain values and arrays of numbers or text."""

    def __init__(self, stream: IO[bytes]) -> None:
        super().__init__(stream)

    def find_class(self, module: str, name: str) -> Any:
        """What stands for a name in the pickle.

        Raises:
            VectorFileError: it is none of the few that arrays need.
        """
        if (module, name) not in _ADMITTED:
            raise VectorFileError(
                f"The pickle asks for {module}.{name}, which is not admitted.",
                "Only lists, tuples, text, numbers and numpy arrays are; do not trust this file.",
            )
        return _ADMITTED[module, name]

    def persistent_load(self, pid: Any) -> NoReturn:
        """Refused: plain values need none."""
        raise VectorFileError("The pickle refers to another object.", "Do not trust this file.")
