"""Choosing an index, searching it with exact scores, and the recall that is recorded."""

from __future__ import annotations

from pathlib import Path

import faiss
import numpy as np
import pytest
from storage_helpers import HashEncoder

from indexes.build import build_index
from indexes.building.recall import stand_ins
from indexes.choice import choose_factory, lists_for, parse_memory
from indexes.errors import InvalidSetting
from indexes.index import Index
from indexes.manifest import Manifest
from indexes.matrix import MatrixFiles, write_matrix
from indexes.nearest import VectorIndex, faiss_threads
from indexes.passage import Passage


def many(count: int) -> list[Passage]:
    return [Passage(str(n), "", f"word{n} word{n % 13} word{n % 7}") for n in range(count)]


@pytest.mark.parametrize(
    ("passages", "dimension", "memory", "factory"),
    [
        (100, 16, None, "Flat"),
        (200_000, 384, None, "Flat"),
        (200_000, 384, 307_200_000, "Flat"),  # 200,000 * 384 * 4 bytes
        (200_000, 384, 307_199_999, "SQfp16"),
        (200_000, 384, 153_599_999, "IVF1024,PQ192x4fsr"),
        (200_001, 384, None, "IVF1024,PQ192x4fsr"),
        (200_001, 385, None, "IVF1024,SQ8"),  # no pairs of numbers
        (1_000_000, 384, 10**9, "IVF2048,PQ192x4fsr"),
        (1_000_000, 384, 107_145_728, "IVF2048,PQ192x4fsr"),  # 104 bytes each, 2048 centroids
        (1_000_000, 384, 107_145_727, "IVF2048,PQ48"),
        (1_000_001, 384, 10**9, "IVF2048,SQ8"),  # more are not held in memory
        (1_000_000, 384, 4 * 10**9, "HNSW32_SQ8"),  # 640 MB, 4 times
        (21_015_324, 768, None, "IVF8192,SQ8"),
        (21_015_324, 768, 4 * 10**9, "IVF8192,PQ96"),  # 192 pieces would be 4.2 GB
        (21_015_324, 768, 10**6, "IVF8192,PQ24"),
        (300_000, 7, 1000, "IVF1024,PQ1"),
    ],
)
def test_choices(passages: int, dimension: int, memory: int | None, factory: str) -> None:
    choice = choose_factory(passages, dimension, memory)
    assert choice.factory == factory
    assert choice.reason.endswith(".")


def test_lists_grow_with_the_square_root() -> None:
    assert [lists_for(n) for n in (0, 1, 10_000, 1_000_000)] == [16, 16, 256, 2048]


def test_amounts_of_memory() -> None:
    amounts = {"1": 1, "4GB": 4 * 10**9, "1.5 GiB": 3 * 2**29, "500m": 5 * 10**8, "2kib": 2048}
    assert {text: parse_memory(text) for text in amounts} == amounts
    for text in ("", "GB", "-1", "0", "4 XB", "many"):
        with pytest.raises(InvalidSetting, match="no amount"):
            parse_memory(text)


@pytest.mark.parametrize("similarity", ["cosine", "euclidean"])
@pytest.mark.parametrize("factory", ["IVF4,SQ8", "IVF4,PQ4x4", "IVF4,PQ8x4fsr", "HNSW8_SQ8"])
def test_scores_are_exact_where_vectors_are_kept(
    tmp_path: Path, similarity: str, factory: str
) -> None:
    encoder = HashEncoder(similarity=similarity)
    manifest = build_index(
        many(300), tmp_path / "i", encoder=encoder, factory=factory, bm25=False, rows_per_file=120
    )
    assert manifest.vectors is not None and manifest.vectors.kept
    assert manifest.vectors.recall is not None and manifest.vectors.recall_queries == 100
    vectors = Index.open(tmp_path / "i").require_vectors()
    matrix = encoder.encode_passages(many(300)).astype(np.float16).astype(np.float32)
    queries = encoder.encode_queries(["word5 word6", "word250", "word12 word3 word8"])
    scores, rows = vectors.search(queries, 5)
    for number, query in enumerate(queries):
        if similarity == "euclidean":
            exact = ((matrix[rows[number]] - query) ** 2).sum(axis=1)
            order = np.lexsort((rows[number], exact))
        else:
            exact = matrix[rows[number]] @ query
            order = np.lexsort((rows[number], -exact))
        np.testing.assert_allclose(scores[number], exact, rtol=1e-5)
        assert order.tolist() == [0, 1, 2, 3, 4]


def test_recall_is_measured_against_exact_search(tmp_path: Path) -> None:
    encoder = HashEncoder(dimension=32)
    build_index(many(400), tmp_path / "i", encoder=encoder, factory="IVF16,SQ8", bm25=False)
    index = Index.open(tmp_path / "i")
    record = index.manifest.vectors
    assert record is not None and record.recall is not None
    vectors = index.require_vectors()
    matrix = vectors.take(np.arange(400))
    assert matrix is not None and vectors.kept is not None
    queries = stand_ins(vectors.kept)
    assert queries.shape == (100, 32) and record.recall_queries == 100
    hits = 0
    for query in queries:
        exact = matrix @ query
        best = np.sort(exact)[::-1][9]
        found = vectors.search(query[None], 10)[1][0].tolist()
        hits += sum(exact[one] >= best - 1e-6 for one in found if one >= 0)
    assert abs(hits / 1000 - record.recall) < 0.05  # equal vectors may stand for each other
    assert record.recall > 0.5


def test_stand_ins_are_means_of_three(tmp_path: Path) -> None:
    rows = np.eye(4, dtype=np.float32) * [[1], [10], [100], [1000]]
    write_matrix(tmp_path / "vectors-00000.npy", [rows], 4, 4, "float32")
    found = stand_ins(MatrixFiles(tmp_path, (4,), 4))
    drawn = np.random.default_rng(0).integers(0, 4, 8)
    for number in range(4):
        expected = rows[number] + rows[drawn[number]] + rows[drawn[4 + number]]
        np.testing.assert_allclose(found[number], expected / 3, rtol=1e-6)


def test_exact_indexes_keep_no_second_copy(tmp_path: Path) -> None:
    for factory in ("Flat", "SQfp16"):
        out = tmp_path / factory
        manifest = build_index(many(50), out, encoder=HashEncoder(), factory=factory, bm25=False)
        assert manifest.vectors is not None
        assert (manifest.vectors.kept, manifest.vectors.recall) == (False, 1.0)
        assert not (out / manifest.generation / "vectors").exists()
        assert Manifest.read(out) == manifest


def test_deleted_rows_are_not_found() -> None:
    vectors = np.random.default_rng(1).standard_normal((100, 8)).astype(np.float32)
    deleted = np.zeros(100, dtype=bool)
    deleted[[3, 50, 99]] = True
    for factory in (
        "Flat",
        "SQfp16",
        "IVF4,SQ8",
        "HNSW8",
        "PCA4,Flat",
        "IVF4,PQ2x4",
        "IVF4,PQ4x4fsr",
    ):
        segments = []
        for part in (vectors[:60], vectors[60:]):
            index = faiss.index_factory(8, factory, faiss.METRIC_L2)
            index.train(part)
            index.add(part)
            segments.append(index)
        everything = VectorIndex(segments, "euclidean").search(vectors, 100)[1]
        filtered = VectorIndex(segments, "euclidean", deleted=deleted).search(vectors, 100)[1]
        for before, after in zip(everything, filtered, strict=True):
            left = [row for row in before.tolist() if row not in (3, 50, 99)]
            assert [row for row in after.tolist() if row >= 0] == [row for row in left if row >= 0]


def test_thread_counts_are_set_and_set_back() -> None:
    before = faiss.omp_get_max_threads()
    with faiss_threads(3):
        assert faiss.omp_get_max_threads() == 3
    assert faiss.omp_get_max_threads() == before
    index = faiss.IndexFlatL2(4)
    index.add(np.eye(4, dtype=np.float32))
    VectorIndex([index], "euclidean", threads=2).search(np.eye(4, dtype=np.float32), 2)
    assert faiss.omp_get_max_threads() == before
    with pytest.raises(InvalidSetting, match="0 threads"):
        VectorIndex([index], "euclidean", threads=0)
