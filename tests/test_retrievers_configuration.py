"""Descriptions of retrievers: what they mean, what is refused, and opening them on an index."""

from __future__ import annotations

from dataclasses import FrozenInstanceError
from pathlib import Path
from typing import Any

import pytest
from retrieval_helpers import save_tiny_cross_encoder
from storage_helpers import CORPUS, HashEncoder

from indexes.build import build_index
from indexes.errors import MissingPart
from indexes.index import Index
from retrievers.bm25 import BM25Retriever
from retrievers.cache import CachedRetriever
from retrievers.configuration import (
    BM25Config,
    CacheConfig,
    DenseConfig,
    HybridConfig,
    MMRConfig,
    RerankConfig,
    kinds_in,
    node_from,
    node_from_yaml,
    node_to_dict,
)
from retrievers.dense import DenseRetriever
from retrievers.diversity import DiverseRetriever
from retrievers.errors import InvalidRetriever
from retrievers.fusion import HybridRetriever
from retrievers.opening import open_retriever
from retrievers.rerank import RerankRetriever

TREE = {
    "cache": {
        "path": "results.sqlite",
        "of": {
            "mmr": {
                "lambda": 0.7,
                "of": {
                    "rerank": {
                        "model": "some/model",
                        "top": 20,
                        "of": {
                            "hybrid": {
                                "bm25": {},
                                "dense": None,
                                "method": "weighted",
                                "weights": [1, 0.5],
                            }
                        },
                    }
                },
            }
        },
    }
}
NODE = CacheConfig(
    MMRConfig(
        RerankConfig(
            HybridConfig((BM25Config(), DenseConfig()), "weighted", weights=(1, 0.5)),
            "some/model",
            20,
        ),
        0.7,
    ),
    "results.sqlite",
)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    build_index(CORPUS, tmp_path / "index", encoder=HashEncoder())
    return tmp_path / "index"


def test_a_tree_is_read_and_written() -> None:
    node = node_from(TREE)
    assert node == NODE
    assert node_from(node_to_dict(node)) == node
    assert list(kinds_in(node)) == ["cache", "mmr", "rerank", "hybrid", "bm25", "dense"]
    with pytest.raises(FrozenInstanceError):
        node.path = "other"  # type: ignore[misc, union-attr]


def test_short_forms() -> None:
    assert node_from("hybrid") == node_from({"hybrid": {}}) == HybridConfig()
    assert node_from("hybrid").members == (DenseConfig(), BM25Config())  # type: ignore[union-attr]
    assert node_from({"mmr": {"of": "dense"}}) == MMRConfig(DenseConfig())
    assert node_to_dict(BM25Config()) == {"bm25": {}}
    nested = {"hybrid": {"rerank": {"model": "m", "of": "bm25"}, "dense": {}}}
    assert node_from(nested) == HybridConfig((RerankConfig(BM25Config(), "m"), DenseConfig()))


@pytest.mark.parametrize(
    ("values", "match"),
    [
        (None, "described by None"),
        ([], "described by"),
        ({}, "described by"),
        ({"dense": {}, "bm25": {}}, "described by the keys"),
        ("psychic", "psychic"),
        ({1: {}}, "unknown"),
        ({"dense": []}, "settings of dense"),
        ({"dense": {"model": "x"}}, "unknown keys"),
        ({"hybrid": {"dense": {}, "psychic": {}}}, "psychic"),
        ({"hybrid": {"members": []}}, "unknown keys"),
        ({"hybrid": {"method": "vote"}}, "vote"),
        ({"hybrid": {"depth": 0}}, "depth"),
        ({"hybrid": {"weights": [1]}}, "weights"),
        ({"hybrid": {"weights": [1, -1]}}, "weights"),
        ({"hybrid": {"weights": [1, True]}}, "weights"),
        ({"hybrid": {"weights": [1, float("nan")]}}, "weights"),
        ({"hybrid": {"weights": "ab"}}, "weights"),
        ({"rerank": {"model": "x"}}, "lacks"),
        ({"rerank": {"of": "bm25"}}, "lacks"),
        ({"rerank": {"of": "bm25", "model": 5}}, "model"),
        ({"rerank": {"of": "bm25", "model": "x", "top": "50"}}, "top"),
        ({"mmr": {"of": "bm25", "lambda": 2}}, "lambda"),
        ({"mmr": {"of": "bm25", "lambda_": 0.5}}, "unknown keys"),
        ({"mmr": {"of": "bm25", "top": True}}, "top"),
        ({"cache": {"of": "bm25", "path": ""}}, "path"),
        ({"cache": {"of": "bm25", "path": "x", "max_entries": 0}}, "max_entries"),
    ],
)
def test_what_is_refused(values: Any, match: str) -> None:
    with pytest.raises(InvalidRetriever, match=match) as caught:
        node_from(values)
    assert caught.value.hint


def test_yaml(tmp_path: Path) -> None:
    import yaml

    file = tmp_path / "retriever.yaml"
    file.write_text(yaml.safe_dump(TREE, sort_keys=False), encoding="utf-8")
    assert node_from_yaml(file) == NODE
    for text, match in (
        ("hybrid: {dense: {}, dense: {}}", "stand twice"),
        ("hybrid: {", "not valid YAML"),
        ("a: &a\n  mmr: {of: *a}", "unknown|described"),
        ("mmr: &a {of: {mmr: *a}}", "itself"),
        ("!!python/object/apply:os.getcwd []", "not valid YAML"),
        ("", "described by None"),
    ):
        file.write_text(text, encoding="utf-8")
        with pytest.raises(InvalidRetriever, match=match):
            node_from_yaml(file)
    with pytest.raises(InvalidRetriever, match="cannot be read"):
        node_from_yaml(tmp_path / "nowhere.yaml")


def test_a_tree_is_opened(folder: Path, tmp_path: Path) -> None:
    model = save_tiny_cross_encoder(tmp_path / "model")
    hybrid = {"hybrid": {"dense": {}, "bm25": {}, "weights": [2, 1]}}
    config = {
        "cache": {
            "path": str(tmp_path / "results.sqlite"),
            "of": {"mmr": {"of": {"rerank": {"model": str(model), "top": 4, "of": hybrid}}}},
        }
    }
    cached = open_retriever(folder, config, encoder=HashEncoder())
    assert isinstance(cached, CachedRetriever)
    diverse = cached.retriever
    assert isinstance(diverse, DiverseRetriever)
    reranked = diverse.retriever
    assert isinstance(reranked, RerankRetriever) and reranked.top == 4
    below = reranked.retriever
    assert isinstance(below, HybridRetriever)
    assert (below.method, below.weights) == ("rrf", [2, 1])
    members = below.retrievers
    assert [type(member) for member in members] == [DenseRetriever, BM25Retriever]
    first = cached.search("capital of France", 3)
    assert len(first) == 3 and cached.search("capital of France", 3) == first
    again = open_retriever(folder, node_from(config), encoder=HashEncoder())
    assert again.fingerprint == cached.fingerprint
    assert again.search("capital of France", 3) == first


def test_kinds_and_descriptions_open_the_same(folder: Path) -> None:
    encoder = HashEncoder()
    plain = open_retriever(folder, encoder=encoder)
    assert isinstance(plain, HybridRetriever) and plain.method == "rrf"
    by_hand = Index.open(folder)
    expected = HybridRetriever([DenseRetriever(by_hand, encoder), BM25Retriever(by_hand)])
    assert plain.fingerprint == expected.fingerprint
    assert plain.search("Seine", 5) == expected.search("Seine", 5)
    for kind in ("hybrid", "dense", "bm25"):
        by_kind = open_retriever(folder, kind=kind, encoder=encoder)
        for config in (kind, {kind: {}}, node_from(kind)):
            opened = open_retriever(folder, config, encoder=encoder)
            assert opened.fingerprint == by_kind.fingerprint
    with pytest.raises(InvalidRetriever, match="config and a kind"):
        open_retriever(folder, "dense", kind="dense", encoder=encoder)
    with pytest.raises(InvalidRetriever, match="rerank"):
        open_retriever(folder, kind="rerank")


def test_parts_that_are_missing(tmp_path: Path) -> None:
    build_index(CORPUS, tmp_path / "words", encoder=None)
    with pytest.raises(MissingPart, match="vectors"):
        open_retriever(tmp_path / "words", {"mmr": {"of": "bm25"}})
    diverse = open_retriever(tmp_path / "words", {"mmr": {"of": "bm25"}}, encoder=HashEncoder())
    assert {hit.passage.id for hit in diverse.search("capital", 5)} == {"p1", "p2"}
