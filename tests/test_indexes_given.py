"""Importing vectors of others: formats, matching by ids, and pickles that would do harm."""

from __future__ import annotations

import io
import json
import os
import pickle
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from storage_helpers import CORPUS, HashEncoder

from indexes.build import build_index
from indexes.errors import (
    DimensionMismatch,
    InvalidSetting,
    InvalidVectors,
    VectorFileError,
    VectorsDoNotMatch,
)
from indexes.given import read_vectors
from indexes.importing import import_index
from indexes.index import Index
from indexes.verify import verify_index

IDS = [passage.id for passage in CORPUS]


@pytest.fixture
def corpus(tmp_path: Path) -> Path:
    file = tmp_path / "corpus.jsonl"
    rows = [
        {"id": p.id, "title": p.title, "text": p.text, "metadata": dict(p.metadata)} for p in CORPUS
    ]
    file.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    return file


def matrix(dtype: str = "float32") -> npt.NDArray[Any]:
    return HashEncoder().encode_passages(list(CORPUS)).astype(dtype)


def save(folder: Path, kind: str, ids: list[str], vectors: npt.NDArray[Any]) -> dict[str, Any]:
    """The files of a kind, and the arguments with which they are read."""
    file = folder / f"vectors.{kind}"
    if kind == "npy":
        np.save(file, vectors)
        (folder / "ids.txt").write_text("".join(f"{one}\n" for one in ids))
        return {"files": [file], "ids": folder / "ids.txt"}
    if kind == "npz":
        np.savez(file, ids=np.array(ids), embeddings=vectors)
    elif kind == "parquet":
        column = pa.array(vectors.tolist(), pa.list_(pa.float32()))
        pq.write_table(pa.table({"key": ids, "vector": column}), file)
        return {"files": [file], "id_column": "key", "vector_column": "vector"}
    else:
        file = folder / "passages_00"
        file.write_bytes(pickle.dumps((ids, vectors), protocol=int(kind)))
    return {"files": [file]}


@pytest.mark.parametrize("kind", ["npy", "npz", "parquet", "2", "3", "4", "5"])
def test_imported_vectors_make_the_index_that_encoding_makes(
    tmp_path: Path, corpus: Path, kind: str
) -> None:
    encoder = HashEncoder(similarity="dot")
    build_index(corpus, tmp_path / "encoded", encoder=encoder, rows_per_file=4)
    shuffled = np.random.default_rng(0).permutation(len(IDS))
    vectors = encoder.encode_passages(list(CORPUS))[shuffled]
    arguments = save(tmp_path, kind, [IDS[n] for n in shuffled], vectors)
    files = arguments.pop("files")
    import_index(
        corpus, files, tmp_path / "imported", encoder=encoder, rows_per_file=4, **arguments
    )
    indexes = [Index.open(tmp_path / name) for name in ("encoded", "imported")]
    assert indexes[0].manifest.files == indexes[1].manifest.files
    assert verify_index(tmp_path / "imported").ok


def test_shards_of_half_precision_and_vectors_of_other_lengths(
    tmp_path: Path, corpus: Path
) -> None:
    """Several pickled files, float16 in both orders of memory; a cosine needs length 1."""
    first, second = tmp_path / "passages_00", tmp_path / "passages_01"
    halves = (3 * matrix()).astype(np.float16)
    first.write_bytes(pickle.dumps((IDS[:2], halves[:2])))
    second.write_bytes(pickle.dumps((np.array(IDS[2:]), np.asfortranarray(halves[2:]))))
    import_index(corpus, [first, second], tmp_path / "i", encoder=HashEncoder())
    stored = Index.open(tmp_path / "i").require_vectors().reconstruct_n(0, len(IDS))
    np.testing.assert_allclose(np.linalg.norm(stored, axis=1), 1, rtol=1e-6)
    np.testing.assert_allclose(stored, matrix(), atol=1e-3)


def test_ids_that_do_not_match_are_counted(tmp_path: Path, corpus: Path) -> None:
    ids = ["stranger", *IDS[1:], "p2", "another"]
    arguments = save(tmp_path, "npz", ids, np.ones((len(ids), 16), np.float32))
    with pytest.raises(VectorsDoNotMatch) as caught:
        import_index(corpus, arguments["files"], tmp_path / "i", encoder=HashEncoder())
    assert "1 passages have no vector (the first is 'p1')" in caught.value.message
    assert "2 vectors have no passage (the first is of 'stranger')" in caught.value.message
    assert "1 vectors are given again (the first is of 'p2')" in caught.value.message
    assert list((tmp_path / "i").iterdir()) == []


def test_vectors_are_checked(tmp_path: Path, corpus: Path) -> None:
    wrong = {
        "short": (np.ones((len(IDS), 5), np.float32), DimensionMismatch),
        "nan": (np.full((len(IDS), 16), np.nan, np.float32), InvalidVectors),
        "integers": (np.ones((len(IDS), 16), np.int64), VectorFileError),
        "fewer": (np.ones((2, 16), np.float32), VectorFileError),
    }
    for name, (vectors, error) in wrong.items():
        (tmp_path / name).mkdir()
        arguments = save(tmp_path / name, "npz", IDS, vectors)
        with pytest.raises(error):
            import_index(corpus, arguments["files"], tmp_path / name / "i", encoder=HashEncoder())


def test_files_that_are_none(tmp_path: Path) -> None:
    for name in ("a.npz", "a.parquet", "passages_00"):
        with pytest.raises(VectorFileError, match="no file"):
            list(read_vectors([tmp_path / name]))
        for data in (b"", b"garbage", pickle.dumps({"no": "pair"}), pickle.dumps(("a", "b"))):
            (tmp_path / name).write_bytes(data)
            with pytest.raises(VectorFileError):
                list(read_vectors([tmp_path / name]))
    np.save(tmp_path / "m.npy", matrix())
    with pytest.raises(InvalidSetting, match="ids"):
        list(read_vectors([tmp_path / "m.npy"]))
    table = pa.table({"id": ["a"], "other": [[1.0]]})
    pq.write_table(table, tmp_path / "t.parquet")
    with pytest.raises(VectorFileError, match="embedding"):
        list(read_vectors([tmp_path / "t.parquet"]))
    ragged = pa.table({"id": ["a", "b"], "embedding": [[1.0], [1.0, 2.0]]})
    pq.write_table(ragged, tmp_path / "t.parquet")
    with pytest.raises(VectorFileError, match="lengths"):
        list(read_vectors([tmp_path / "t.parquet"]))


class Command:
    """Pickles to a call of a function."""

    def __init__(self, function: Any, *arguments: Any) -> None:
        self.call = (function, arguments)

    def __reduce__(self) -> Any:
        return self.call


@pytest.mark.parametrize(
    "value",
    [
        Command(os.system, "touch harm"),
        Command(eval, "open('harm', 'w')"),
        Command(getattr, "text", "upper"),
        Command(np.load, "harm"),
        np.array([Command(os.system, "touch harm")]),
        np.array(["text", 3], dtype=object),
        np.zeros(2, dtype=[("a", "f4")]),
        np.float32(3),
        {1, 2},
    ],
    ids=str,
)
def test_pickles_run_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, value: Any) -> None:
    monkeypatch.chdir(tmp_path)
    for protocol in range(2, 6):
        (tmp_path / "passages_00").write_bytes(pickle.dumps((["a"], value), protocol))
        with pytest.raises(VectorFileError):
            list(read_vectors([tmp_path / "passages_00"]))
    assert sorted(entry.name for entry in tmp_path.iterdir()) == ["passages_00"]


def test_damaged_pickles_are_named(tmp_path: Path) -> None:
    whole = pickle.dumps((IDS, matrix("float16")))
    file = tmp_path / "passages_00"
    for length in range(0, len(whole), 5):
        file.write_bytes(whole[:length])
        with pytest.raises(VectorFileError):
            list(read_vectors([file]))


def test_persistent_references_are_refused(tmp_path: Path) -> None:
    class Referring(pickle.Pickler):
        def persistent_id(self, value: Any) -> Any:
            return "elsewhere" if isinstance(value, str) and value == "x" else None

    buffer = io.BytesIO()
    Referring(buffer).dump((["x"], matrix()))
    (tmp_path / "passages_00").write_bytes(buffer.getvalue())
    with pytest.raises(VectorFileError, match="another object"):
        list(read_vectors([tmp_path / "passages_00"]))
