"""Searching an index: dense against brute force, BM25, order of ties, and what is refused."""

from __future__ import annotations

import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path

import numpy as np
import pytest
from storage_helpers import CORPUS, HashEncoder

from indexes.build import build_index
from indexes.errors import DimensionMismatch, EncoderMismatch, InvalidPassage, MissingPart
from indexes.index import Index
from indexes.lexical import BM25Settings
from indexes.passage import Passage
from indexes.words import WordSettings
from retrievers.base import IndexRetriever, Retriever
from retrievers.bm25 import BM25Retriever
from retrievers.dense import DenseRetriever
from retrievers.errors import InvalidPassages, InvalidQuery, InvalidRetriever
from retrievers.fusion import HybridRetriever
from retrievers.hit import Hit
from retrievers.opening import open_retriever

ROOT = Path(__file__).resolve().parents[1]
QUERIES = ["capital of Germany", "river Seine", "polonium", "Zurich", "who is it", "word3 word9"]


def many(count: int) -> list[Passage]:
    return [Passage(str(n), "", f"word{n % 97} word{n % 13} word{n % 7}") for n in range(count)]


def open_kinds(folder: Path, similarity: str = "cosine") -> tuple[Index, list[Retriever]]:
    encoder = HashEncoder(similarity=similarity)
    build_index(many(400), folder, encoder=encoder)
    index = Index.open(folder)
    dense, bm25 = DenseRetriever(index, encoder), BM25Retriever(index)
    return index, [dense, bm25, HybridRetriever([dense, bm25])]


@pytest.mark.parametrize("similarity", ["cosine", "dot", "euclidean"])
def test_dense_is_brute_force(tmp_path: Path, similarity: str) -> None:
    index, (dense, *_) = open_kinds(tmp_path / "index", similarity)
    encoder = HashEncoder(similarity=similarity)
    matrix = encoder.encode_passages(list(index.store)).astype(np.float64)
    for query in ("word3 word9", "word12", "word1 word2 word3"):
        vector = encoder.encode_queries([query])[0].astype(np.float64)
        if similarity == "euclidean":
            scores = -((matrix - vector) ** 2).sum(axis=1)
        else:
            scores = matrix @ vector
        scores = scores.astype(np.float32)
        expected = np.lexsort((np.arange(len(scores)), -scores))[:25]
        hits = dense.search(query, 25)
        assert [int(hit.passage.id) for hit in hits] == expected.tolist()
        np.testing.assert_allclose([hit.score for hit in hits], scores[expected], rtol=1e-6)
        assert [hit.rank for hit in hits] == list(range(1, 26))


def test_equal_passages_come_in_row_order(tmp_path: Path) -> None:
    passages = [Passage(str(n), "", "the very same text") for n in range(300)]
    build_index(passages, tmp_path / "index", encoder=HashEncoder())
    index = Index.open(tmp_path / "index")
    dense, bm25 = DenseRetriever(index, HashEncoder()), BM25Retriever(index)
    for retriever in (dense, bm25, HybridRetriever([dense, bm25])):
        hits = retriever.search("same text", 7)
        assert [hit.passage.id for hit in hits] == [str(n) for n in range(7)]
        assert [hit.passage.id for hit in retriever.search("same text", 400)] == [
            str(n) for n in range(len(retriever.search("same text", 400)))
        ]


def test_one_by_one_and_together(tmp_path: Path) -> None:
    _, kinds = open_kinds(tmp_path / "index")
    queries = [f"word{n} word{n % 5}" for n in range(60)]
    for retriever in kinds:
        together = retriever.search_many(queries, 9)
        assert together == [retriever.search(query, 9) for query in queries]
        assert together == retriever.search_many(queries, 9)
        assert retriever.search_many([], 3) == []
        assert isinstance(retriever, Retriever)


def test_threads_get_the_same_answers(tmp_path: Path) -> None:
    _, kinds = open_kinds(tmp_path / "index")
    queries = [f"word{n} word{n % 5}" for n in range(40)]
    for retriever in kinds:
        with ThreadPoolExecutor(8) as pool:
            together = list(pool.map(partial(retriever.search, k=5), queries))
        assert together == retriever.search_many(queries, 5)


def test_more_than_there_is(tmp_path: Path) -> None:
    build_index(CORPUS, tmp_path / "index", encoder=HashEncoder())
    index = Index.open(tmp_path / "index")
    assert len(DenseRetriever(index, HashEncoder()).search("Paris", 1000)) == len(CORPUS)
    assert len(BM25Retriever(index).search("capital", 1000)) == 2


@pytest.mark.parametrize("factory", ["IVF4,Flat", "SQfp16", "HNSW8"])
def test_other_index_kinds_are_searched(tmp_path: Path, factory: str) -> None:
    build_index(many(400), tmp_path / "index", encoder=HashEncoder(), factory=factory)
    dense = DenseRetriever(Index.open(tmp_path / "index"), HashEncoder())
    hits = dense.search("word3 word3 word3", 5)
    assert hits[0].passage.id == "3"
    assert [hit.score for hit in hits] == sorted((hit.score for hit in hits), reverse=True)


def test_saved_word_settings_are_used_for_queries(tmp_path: Path) -> None:
    settings = BM25Settings(words=WordSettings(fold_accents=False, stopwords="none"))
    build_index(CORPUS, tmp_path / "index", encoder=None, bm25=settings)
    bm25 = open_retriever(tmp_path / "index", kind="bm25")
    assert bm25.search("Zurich", 1) == []
    assert bm25.search("zürich", 1)[0].passage.id == "p5"
    assert bm25.search("the", 9)


def test_blank_and_strange_queries(tmp_path: Path) -> None:
    _, kinds = open_kinds(tmp_path / "index")
    for retriever in kinds:
        assert retriever.search("", 3) == retriever.search(" \n\t", 3) == []
        assert retriever.search("!!!", 3) == []
        assert retriever.search_many(["", "word3"], 2)[1] == retriever.search("word3", 2)
        assert len(retriever.search("word3 " * 20_000, 3)) == 3
        retriever.search("\0 [Retrieval]<paragraph> 💥 </s>", 3)
        for query, k in (("x", 0), ("x", -1), ("x", True), ("x", 1.5), (None, 1), ("\ud800", 1)):
            with pytest.raises(InvalidQuery) as caught:
                retriever.search(query, k)  # type: ignore[arg-type]
            assert caught.value.hint
        with pytest.raises(InvalidQuery):
            retriever.search_many("a string", 1)


def test_wrong_encoders_are_refused(tmp_path: Path) -> None:
    build_index(CORPUS, tmp_path / "index", encoder=HashEncoder())
    index = Index.open(tmp_path / "index")
    with pytest.raises(DimensionMismatch, match="24 dimensions") as dimension:
        DenseRetriever(index, HashEncoder(dimension=24))
    with pytest.raises(EncoderMismatch, match="fingerprint") as fingerprint:
        DenseRetriever(index, HashEncoder(fingerprint="other"))
    assert dimension.value.hint and fingerprint.value.hint


def test_missing_parts_are_named(tmp_path: Path) -> None:
    build_index(CORPUS, tmp_path / "words", encoder=None)
    with pytest.raises(MissingPart, match="vectors"):
        open_retriever(tmp_path / "words")
    build_index(CORPUS, tmp_path / "vectors", encoder=HashEncoder(), bm25=False)
    with pytest.raises(MissingPart, match="BM25"):
        open_retriever(tmp_path / "vectors", kind="bm25")
    with pytest.raises(InvalidRetriever, match="psychic"):
        open_retriever(tmp_path / "words", kind="psychic")


def test_fingerprints_tell_settings_apart(tmp_path: Path) -> None:
    _, kinds = open_kinds(tmp_path / "a")
    _, again = open_kinds(tmp_path / "b")
    assert [one.fingerprint for one in kinds] == [one.fingerprint for one in again]
    members = kinds[:2]
    variants = [
        *kinds,
        HybridRetriever(members, depth=7),
        HybridRetriever(members, method="weighted"),
        HybridRetriever(members, weights=[1, 2]),
        HybridRetriever(members[::-1]),
    ]
    assert len({variant.fingerprint for variant in variants}) == len(variants)


def test_hit_round_trip() -> None:
    hit = Hit(CORPUS[2], 0.5, 3)
    assert Hit.from_dict(hit.to_dict()) == hit
    with pytest.raises(InvalidPassages):
        Hit.from_dict({"passage": CORPUS[0].to_dict()})
    with pytest.raises(InvalidPassage):
        Hit.from_dict({"passage": {}, "score": 1, "rank": 1})


def test_importing_the_packages_is_light() -> None:
    code = """
import sys
import indexes, retrievers
from indexes import Passage, PassageStore, read_passages, Index, build_index
from retrievers import Hit, GivenPassages, HybridRetriever, Encoder, open_retriever
heavy = {"faiss", "pyarrow", "bm25s", "sentence_transformers", "torch", "rich", "typer"}
print(sorted(heavy & set(sys.modules)))
"""
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True
    )
    assert done.stdout.strip() == "[]"


def test_unknown_names_are_attribute_errors() -> None:
    import indexes
    import retrievers

    for package in (indexes, retrievers):
        with pytest.raises(AttributeError, match="nothing_of_this_name"):
            _ = package.nothing_of_this_name
        for name in package.__all__:
            assert getattr(package, name) is not None


def test_index_retrievers_share_a_base(tmp_path: Path) -> None:
    _, kinds = open_kinds(tmp_path / "index")
    assert [isinstance(one, IndexRetriever) for one in kinds] == [True, True, False]
