"""Maximal marginal relevance: by hand, against a slow reference, and over an index."""

from __future__ import annotations

from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from retrieval_helpers import Ranked
from storage_helpers import CORPUS, HashEncoder, steady

from indexes.build import build_index
from indexes.index import Index
from indexes.passage import Passage
from retrievers.bm25 import BM25Retriever
from retrievers.dense import DenseRetriever
from retrievers.diversity import DiverseRetriever, marginal_relevance
from retrievers.errors import InvalidRetriever


def slow(query: list[float], rows: list[list[float]], lambda_: float, k: int) -> list[int]:
    """The definition, word for word, with the first of equal candidates."""

    def cosine(a: list[float], b: list[float]) -> float:
        lengths = sum(x * x for x in a) ** 0.5 * sum(x * x for x in b) ** 0.5
        return sum(x * y for x, y in zip(a, b, strict=True)) / lengths if lengths else 0.0

    chosen: list[int] = []
    while len(chosen) < min(k, len(rows)):
        values = {}
        for number in range(len(rows)):
            if number not in chosen:
                nearest = max((cosine(rows[number], rows[other]) for other in chosen), default=0.0)
                relevance = cosine(rows[number], query)
                values[number] = lambda_ * relevance - (1 - lambda_) * nearest
        best = max(values.values())
        chosen.append(next(number for number in values if values[number] > best - 1e-8))
    return chosen


def test_by_hand() -> None:
    # Cosines with the query (1, 0): a 1, b 0.8, c 0.6. a-b 0.8, a-c 0.6, b-c 0.48 - 0.48 = 0.
    vectors = np.array([[1, 0], [0.8, 0.6], [0.6, -0.8]], dtype=np.float32)
    query = np.array([1, 0], dtype=np.float32)
    order, values = marginal_relevance(query, vectors, 0.3, 3)
    # First 0.3 * 1 + 0.7; then b: 0.24 - 0.7 * 0.8 = -0.32, c: 0.18 - 0.7 * 0.6 = -0.24;
    # then b: 0.24 - 0.7 * max(0.8, 0) = -0.32.
    assert order.tolist() == [0, 2, 1]
    assert values.tolist() == pytest.approx([1.0, -0.24, -0.32], abs=1e-6)
    assert marginal_relevance(query, vectors, 1.0, 3)[0].tolist() == [0, 1, 2]
    assert marginal_relevance(query, vectors[:0], 0.3, 3)[0].tolist() == []


NUMBERS = st.integers(-3, 3).map(float)


@steady
@given(st.data(), st.integers(1, 7), st.sampled_from([0.0, 0.3, 0.5, 0.75, 1.0]))
def test_against_the_slow_reference(data: st.DataObject, count: int, lambda_: float) -> None:
    vector = st.lists(NUMBERS, min_size=3, max_size=3)
    query = data.draw(vector)
    rows = data.draw(st.lists(vector, min_size=count, max_size=count))
    k = data.draw(st.integers(1, 8))
    matrix = np.array(rows, dtype=np.float32)
    order, values = marginal_relevance(np.array(query, dtype=np.float32), matrix, lambda_, k)
    assert order.tolist() == slow(query, rows, lambda_, k)
    assert all(later <= earlier for earlier, later in pairwise(values))


def test_many_candidates_against_the_slow_reference() -> None:
    random = np.random.default_rng(0)
    matrix = random.normal(size=(60, 8)).astype(np.float32)
    query = random.normal(size=8).astype(np.float32)
    for lambda_ in (0.2, 0.7):
        order, _ = marginal_relevance(query, matrix, lambda_, 25)
        assert order.tolist() == slow(query.tolist(), matrix.tolist(), lambda_, 25)


@pytest.mark.parametrize("factory", ["Flat", "SQfp16"])
def test_vectors_from_the_index_and_from_the_encoder(tmp_path: Path, factory: str) -> None:
    encoder = HashEncoder()
    build_index(CORPUS, tmp_path / "index", encoder=encoder, factory=factory)
    index = Index.open(tmp_path / "index")
    below = DenseRetriever(index, encoder)
    read = DiverseRetriever(below, encoder, index, lambda_=0.4)
    made = DiverseRetriever(below, encoder, lambda_=0.4)
    queries = ["capital of France", "", "Seine river", "Switzerland"]
    found = read.search_many(queries, 4)
    for one, other in zip(found, made.search_many(queries, 4), strict=True):
        assert [hit.passage for hit in one] == [hit.passage for hit in other]
        assert [hit.score for hit in one] == pytest.approx([hit.score for hit in other], abs=1e-6)
    assert found == [read.search(query, 4) for query in queries]
    assert found[1] == [] and len(found[0]) == 4
    assert len(read.search("Seine", 100)) == len(below.search("Seine", 100))


def test_a_flat_index_spares_the_encoder(tmp_path: Path) -> None:
    class QueriesOnly(HashEncoder):
        def encode_passages(self, passages: list[Passage]) -> np.ndarray:
            raise AssertionError("the index has the vectors")

    build_index(CORPUS, tmp_path / "index", encoder=HashEncoder())
    index = Index.open(tmp_path / "index")
    found = DiverseRetriever(BM25Retriever(index), QueriesOnly(), index).search("capital", 2)
    assert {hit.passage.id for hit in found} == {"p1", "p2"}
    other = DiverseRetriever(BM25Retriever(index), HashEncoder(fingerprint="other"), index)
    assert len(other.search("capital", 2)) == 2  # its vectors are not the index's: it encodes


def test_copies_are_put_off() -> None:
    text = "Paris is the capital of France"
    passages = [Passage(str(n), "", text) for n in range(3)]
    passages.append(Passage("new", "", "Lyon lies in France"))
    hits = DiverseRetriever(Ranked(passages), HashEncoder()).search("capital of France", 4)
    assert [hit.passage.id for hit in hits] == ["0", "new", "1", "2"]
    assert [hit.rank for hit in hits] == [1, 2, 3, 4]


def test_settings(tmp_path: Path) -> None:
    below = Ranked(CORPUS)
    for lambda_ in (-0.1, 1.1, float("nan")):
        with pytest.raises(InvalidRetriever, match="Lambda"):
            DiverseRetriever(below, HashEncoder(), lambda_=lambda_)
    with pytest.raises(InvalidRetriever):
        DiverseRetriever(below, HashEncoder(), top=0)
    variants = [
        DiverseRetriever(below, HashEncoder()),
        DiverseRetriever(below, HashEncoder(), lambda_=0.6),
        DiverseRetriever(below, HashEncoder(), top=9),
        DiverseRetriever(below, HashEncoder(fingerprint="other")),
        DiverseRetriever(Ranked(CORPUS, "another"), HashEncoder()),
    ]
    assert len({variant.fingerprint for variant in variants}) == len(variants)
