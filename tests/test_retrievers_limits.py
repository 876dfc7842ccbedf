"""Queries at the edges, for every retriever: very long, empty, no Unicode, k beyond the corpus."""

from __future__ import annotations

from itertools import pairwise
from pathlib import Path

import pytest
from retrieval_helpers import SharedWords
from storage_helpers import CORPUS, HashEncoder

from indexes.build import build_index
from indexes.index import Index
from retrievers.base import BaseRetriever, Retriever
from retrievers.bm25 import BM25Retriever
from retrievers.cache import CachedRetriever, ResultCache
from retrievers.dense import DenseRetriever
from retrievers.diversity import DiverseRetriever
from retrievers.errors import InvalidQuery
from retrievers.fusion import HybridRetriever
from retrievers.rerank import RerankRetriever


@pytest.fixture(scope="module")
def retrievers(tmp_path_factory: pytest.TempPathFactory) -> dict[str, BaseRetriever]:
    folder: Path = tmp_path_factory.mktemp("limits")
    encoder = HashEncoder()
    build_index(CORPUS, folder / "index", encoder=encoder)
    index = Index.open(folder / "index")
    dense, bm25 = DenseRetriever(index, encoder), BM25Retriever(index)
    hybrid = HybridRetriever([dense, bm25])
    return {
        "dense": dense,
        "bm25": bm25,
        "rrf": hybrid,
        "weighted": HybridRetriever([dense, bm25], "weighted", weights=[0.3, 0.7]),
        "rerank": RerankRetriever(hybrid, SharedWords()),
        "mmr": DiverseRetriever(hybrid, encoder, index),
        "cache": CachedRetriever(hybrid, ResultCache(folder / "cache.sqlite")),
    }


KINDS = ("dense", "bm25", "rrf", "weighted", "rerank", "mmr", "cache")


@pytest.mark.parametrize("kind", KINDS)
def test_queries_at_the_edges(retrievers: dict[str, BaseRetriever], kind: str) -> None:
    retriever = retrievers[kind]
    assert isinstance(retriever, Retriever)
    corpus = {passage.id: passage for passage in CORPUS}

    long = ("capital of France " * 5_556)[:100_000]
    assert len(long) == 100_000
    assert retriever.search(long, 1)[0].passage.id == "p1"
    # A hundred thousand characters without a blank, and as many that no passage knows.
    assert len(retriever.search("x" * 100_000, 3)) <= 3
    assert len(retriever.search("\U0001f4a5" * 100_000, 3)) <= 3

    for blank in ("", " ", "\n\t\u00a0"):
        assert retriever.search(blank, 3) == []
    assert retriever.search_many([], 3) == []
    assert retriever.search_many(["", "capital", ""], 2) == [[], retriever.search("capital", 2), []]

    hits = retriever.search("capital of France", 10_000)
    # Three passages share a word with the query; to a vector all are more or less near.
    assert len({hit.passage.id for hit in hits}) == len(hits) == (3 if kind == "bm25" else 6)
    assert all(hit.passage == corpus[hit.passage.id] for hit in hits)
    assert [hit.rank for hit in hits] == list(range(1, len(hits) + 1))
    assert all(a.score >= b.score for a, b in pairwise(hits))
    assert all(type(hit.score) is float for hit in hits)

    for query, k in (("a \ud800 b", 1), ("x", 0), ("x", -3), ("x", True), ("x", 2.0), (None, 1)):
        with pytest.raises(InvalidQuery) as caught:
            retriever.search_many(["fine", query], k)  # type: ignore[list-item, arg-type]
        assert caught.value.hint


def test_combined_retrievers_repeat_themselves(retrievers: dict[str, BaseRetriever]) -> None:
    queries = ["capital of France", "Seine", "river in Switzerland", "radium"]
    for retriever in retrievers.values():
        together = retriever.search_many(queries, 4)
        assert together == [retriever.search(query, 4) for query in queries]
