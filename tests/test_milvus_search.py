"""The retriever `milvus`: what FAISS finds, from Milvus Lite; its errors and its timeouts."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from milvus_helpers import (
    DIMENSION,
    REASON,
    RandomEncoder,
    fake_server,
    lite,
    make_index,
    silent_server,
)

from indexes.build import build_index
from indexes.changes import delete_passages
from indexes.errors import (
    CollectionMismatch,
    InvalidSetting,
    MilvusAccessDenied,
    MilvusError,
    MilvusTimeout,
    MilvusUnreachable,
    MissingCollection,
    MissingLibrary,
    MissingPart,
    UnfinishedPush,
)
from indexes.index import Index
from indexes.milvus import TOKEN_VARIABLE, MilvusAddress, MilvusServer
from indexes.milvus_collection import MilvusCollection, collection_name
from indexes.milvus_push import push_index
from retrievers.bm25 import BM25Retriever
from retrievers.configuration import MilvusConfig, node_from, node_to_dict
from retrievers.deadline import search_until
from retrievers.dense import DenseRetriever
from retrievers.errors import InvalidQuery, InvalidRetriever, RetrievalTimeout
from retrievers.fusion import HybridRetriever
from retrievers.milvus import MilvusRetriever
from retrievers.opening import open_retriever

pytest.importorskip("pymilvus", reason=REASON)
__all__ = ["lite"]

QUERIES = [str(number) for number in range(100_000, 100_040)]


def open_milvus(folder: Path, uri: str, encoder: RandomEncoder, **settings: Any) -> MilvusRetriever:
    made = open_retriever(folder, {"milvus": {"uri": uri, **settings}}, encoder=encoder)
    assert isinstance(made, MilvusRetriever)
    return made


@pytest.mark.parametrize(
    ("similarity", "rows"), [("dot", 3000), ("cosine", 400), ("euclidean", 400)]
)
def test_it_finds_what_faiss_finds(tmp_path: Path, lite: str, similarity: str, rows: int) -> None:
    encoder = RandomEncoder(similarity)
    index = make_index(tmp_path / "index", rows, similarity)
    report = push_index(index.path, MilvusAddress(lite), index_type="FLAT")
    assert report.to_dict() == {
        "collection": collection_name(index.manifest),
        "rows": rows,
        "found": 0,
    }
    retriever = open_milvus(index.path, lite, encoder)
    assert retriever.index.vectors is None
    exact = DenseRetriever(index, encoder)
    found, expected = (one.search_many(QUERIES, 10) for one in (retriever, exact))
    matrix = encoder.encode_texts([str(number) for number in range(rows)]).astype(np.float64)
    for query, hits, others in zip(QUERIES, found, expected, strict=True):
        ids = [hit.passage.id for hit in hits]
        assert ids == [hit.passage.id for hit in others]
        assert [hit.score for hit in hits] == pytest.approx([hit.score for hit in others], abs=1e-4)
        vector = encoder.encode_texts([query])[0].astype(np.float64)
        nearness = (
            -((matrix - vector) ** 2).sum(1) if similarity == "euclidean" else matrix @ vector
        )
        assert ids == [str(row) for row in np.argsort(-nearness)[:10]]
    assert retriever.search(QUERIES[0], 10)[0].passage == index.store[int(found[0][0].passage.id)]
    assert len(retriever.search("5", rows + 5)) == rows
    assert retriever.search("  ", 3) == []
    assert retriever.fingerprint != exact.fingerprint


def test_equal_scores_come_in_the_order_of_rows(tmp_path: Path, lite: str) -> None:
    class Alike(RandomEncoder):
        def encode_texts(self, texts: Any) -> Any:
            return np.ones((len(texts), DIMENSION), dtype=np.float32)

    folder = tmp_path / "index"
    passages = make_index(tmp_path / "other", 100).store
    build_index(list(passages), folder, encoder=Alike(), factory="Flat")
    push_index(folder, MilvusAddress(lite), index_type="FLAT")
    hits = open_milvus(folder, lite, Alike()).search("1", 4)
    assert [hit.passage.id for hit in hits] == ["0", "1", "2", "3"]


def test_it_stands_in_hybrids(tmp_path: Path, lite: str) -> None:
    index = make_index(tmp_path / "index", 50)
    push_index(index.path, MilvusAddress(lite), collection="mine", index_type="FLAT")
    encoder = RandomEncoder()
    tree = {"hybrid": {"milvus": {"uri": lite, "collection": "mine"}, "bm25": {}}}
    made = open_retriever(index.path, tree, encoder=encoder)
    plain = HybridRetriever([DenseRetriever(index, encoder), BM25Retriever(index)])
    ids = [hit.passage.id for hit in made.search("7", 20)]
    assert ids == [hit.passage.id for hit in plain.search("7", 20)]


def test_deleted_passages_are_not_found(tmp_path: Path, lite: str) -> None:
    index = make_index(tmp_path / "index", 60)
    push_index(index.path, MilvusAddress(lite), collection="mine")
    encoder = RandomEncoder()
    best = [hit.passage.id for hit in DenseRetriever(index, encoder).search("999", 4)]
    delete_passages(index.path, best[:2])
    # What was pushed before is not searched any more, under whichever name it is looked for.
    with pytest.raises(CollectionMismatch, match="another state"):
        open_milvus(index.path, lite, encoder, collection="mine")
    with pytest.raises(MissingCollection, match="pushed again"):
        open_milvus(index.path, lite, encoder)
    report = push_index(
        index.path, MilvusAddress(lite), collection="mine", index_type="FLAT", restart=True
    )
    assert (report.rows, report.found) == (58, 0)
    found = open_milvus(index.path, lite, encoder, collection="mine").search("999", 60)
    assert len(found) == 58
    assert [hit.passage.id for hit in found[:2]] == best[2:]
    assert not {hit.passage.id for hit in found} & set(best[:2])


def collection_like(uri: str, name: str, index: Index, dimension: int, metric: str) -> MilvusServer:
    """Make a collection that says it is the index's, with another dimension or metric."""
    from pymilvus import DataType

    server = MilvusServer(MilvusAddress(uri), create=True)
    schema = server.client.create_schema(auto_id=False)
    schema.add_field("row", DataType.INT64, is_primary=True)
    schema.add_field("vector", DataType.FLOAT_VECTOR, dim=dimension)
    indexing = server.client.prepare_index_params()
    indexing.add_index("vector", index_type="FLAT", metric_type=metric)
    properties = {"selfrag.index": index.fingerprint, "selfrag.schema_version": "1"}
    server.call(
        "create_collection", name, schema=schema, index_params=indexing, properties=properties
    )
    return server


def test_a_collection_that_does_not_fit_is_refused(tmp_path: Path, lite: str) -> None:
    index, encoder = make_index(tmp_path / "index", 20), RandomEncoder()
    collection_like(lite, "wide", index, DIMENSION + 1, "IP")
    with pytest.raises(CollectionMismatch, match=r"of 13 dimensions; the index has 12\."):
        open_milvus(index.path, lite, encoder, collection="wide")
    server = collection_like(lite, "far", index, DIMENSION, "L2")
    with pytest.raises(CollectionMismatch, match="by L2; the index needs IP"):
        open_milvus(index.path, lite, encoder, collection="far")
    server.client.create_collection("others", dimension=DIMENSION)
    for restart in (False, True):
        with pytest.raises(CollectionMismatch, match="not made by this program"):
            push_index(index.path, MilvusAddress(lite), collection="others", restart=restart)
    assert server.client.has_collection("others")
    with pytest.raises(CollectionMismatch, match="not made by this program"):
        open_milvus(index.path, lite, encoder, collection="others")

    other = make_index(tmp_path / "other", 21)
    push_index(other.path, MilvusAddress(lite), collection="taken")
    with pytest.raises(CollectionMismatch, match=other.fingerprint[:16]):
        push_index(index.path, MilvusAddress(lite), collection="taken")
    theirs = MilvusCollection.open(server, other.manifest, "taken")
    with pytest.raises(CollectionMismatch, match="another index"):
        MilvusRetriever(index, encoder, theirs)


def test_a_collection_with_missing_or_foreign_rows_is_refused(tmp_path: Path, lite: str) -> None:
    index, encoder = make_index(tmp_path / "index", 20), RandomEncoder()
    push_index(index.path, MilvusAddress(lite), collection="mine")
    retriever = open_milvus(index.path, lite, encoder, collection="mine")
    client = retriever.collection.server.client
    client.delete("mine", ids=[3])
    with pytest.raises(UnfinishedPush, match="19 of 20"):
        open_milvus(index.path, lite, encoder, collection="mine")
    huge = 1000 * encoder.encode_texts(["7"])[0]
    client.upsert("mine", [{"row": row, "vector": huge} for row in (3, 20)])
    with pytest.raises(CollectionMismatch, match="holds 21 vectors; its index has 20"):
        open_milvus(index.path, lite, encoder, collection="mine")
    with pytest.raises(CollectionMismatch, match="gave row 20"):
        retriever.search("7", 3)
    client.drop_collection("mine")
    with pytest.raises(MissingCollection):
        retriever.search("7", 3)


def test_a_collection_of_a_newer_version_is_refused(tmp_path: Path, lite: str) -> None:
    index = make_index(tmp_path / "index", 5)
    push_index(index.path, MilvusAddress(lite), collection="mine")
    server = MilvusServer(MilvusAddress(lite))
    server.call("alter_collection_properties", "mine", {"selfrag.schema_version": "2"})
    with pytest.raises(MilvusError, match="schema version 2"):
        open_milvus(index.path, lite, RandomEncoder(), collection="mine")


def test_servers_that_cannot_be_used(
    tmp_path: Path, lite: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    import grpc

    index, encoder = make_index(tmp_path / "index", 5), RandomEncoder()
    with pytest.raises(MissingCollection, match="There is no Milvus Lite"):
        open_milvus(index.path, lite, encoder)
    assert not Path(lite).exists()
    push_index(index.path, MilvusAddress(lite))
    with pytest.raises(MissingCollection, match="nowhere"):
        open_milvus(index.path, lite, encoder, database="nowhere")
    with pytest.raises(MilvusUnreachable, match=r"http://127\.0\.0\.1:1"):
        open_milvus(index.path, "http://127.0.0.1:1", encoder, timeout=5)
    (tmp_path / "file.db").write_text("no database")
    with pytest.raises(MilvusUnreachable, match="cannot open"):
        open_milvus(index.path, str(tmp_path / "file.db"), encoder)

    tokens = []

    def refuse(method: str, context: Any) -> bytes:
        tokens.append(dict(context.invocation_metadata()).get("authorization"))
        context.abort(grpc.StatusCode.UNAUTHENTICATED, "auth check failure")
        return b""

    monkeypatch.setenv(TOKEN_VARIABLE, "root:secret")
    with (
        fake_server(refuse) as uri,
        pytest.raises(MilvusAccessDenied, match="auth check failure") as caught,
    ):
        open_milvus(index.path, uri, encoder, timeout=5)
    assert TOKEN_VARIABLE in caught.value.hint
    assert "secret" not in str(caught.value)
    assert tokens == ["cm9vdDpzZWNyZXQ="]  # base64 of root:secret

    def fail(method: str, context: Any) -> bytes:
        if method != "Connect":
            context.abort(grpc.StatusCode.RESOURCE_EXHAUSTED, "too much")
        return b""

    with fake_server(fail) as uri, pytest.raises(MilvusError, match="too much"):
        open_milvus(index.path, uri, encoder, timeout=5)


def test_timeouts_reach_the_server(tmp_path: Path) -> None:
    index = make_index(tmp_path / "index", 5)
    with silent_server() as uri:
        server = MilvusServer(MilvusAddress(uri), 3600)
        with pytest.raises(MilvusTimeout, match=r"0\.1 seconds"):
            server.call("has_collection", "any", timeout=0.1)
        collection = MilvusCollection(server, "any", index.manifest, "FLAT")
        retriever = MilvusRetriever(index, RandomEncoder(), collection)
        with search_until(time.monotonic() + 0.1), pytest.raises(RetrievalTimeout):
            retriever.search("1", 2)
        with search_until(time.monotonic() - 1), pytest.raises(RetrievalTimeout, match="No time"):
            retriever.search("1", 2)


@pytest.mark.parametrize("library", ["pymilvus", "milvus_lite"])
def test_the_extra_is_named_where_it_is_missing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, library: str
) -> None:
    index = make_index(tmp_path / "index", 5)
    monkeypatch.setitem(__import__("sys").modules, library, None)
    with pytest.raises(MissingLibrary, match=r"selfrag\[milvus\]"):
        push_index(index.path, MilvusAddress(str(tmp_path / "x.db")))


def test_addresses(tmp_path: Path) -> None:
    assert "secret" not in repr(MilvusAddress("http://host:1", token="secret"))
    assert str(MilvusAddress("http://host:1", "mine")) == "http://host:1 (database mine)"
    for uri in ("host", "ftp://host", "http://host:port", "", "folder"):
        with pytest.raises(InvalidSetting, match="no address"):
            MilvusAddress(uri)
    with pytest.raises(InvalidSetting, match="holds a password") as caught:
        MilvusAddress("https://root:secret@host:1")
    assert "secret" not in str(caught.value)
    with pytest.raises(InvalidSetting, match="timeout"):
        MilvusServer(MilvusAddress(str(tmp_path / "x.db")), 0)


def test_descriptions() -> None:
    node = node_from({"milvus": {"uri": "http://host:1"}})
    assert node == MilvusConfig("http://host:1")
    assert node_to_dict(node) == {
        "milvus": {"uri": "http://host:1", "timeout": 30.0, "parameters": {}}
    }
    walk = node_from({"graph": {"of": {"hybrid": {"milvus": {"uri": "x.db"}, "bm25": {}}}}})
    assert node_from(node_to_dict(walk)) == walk
    settings: list[dict[str, Any]] = [{}, {"uri": ""}, {"uri": "x.db", "timeout": 0}]
    for wrong in (*settings, {"uri": "x.db", "parameters": 3}, {"uri": "x.db", "collection": ""}):
        with pytest.raises(InvalidRetriever, match="milvus"):
            node_from({"milvus": wrong})
    with pytest.raises(InvalidRetriever, match=r"unknown keys \['token'\]"):
        node_from({"milvus": {"uri": "x.db", "token": "secret"}})


def test_parameters_reach_milvus(tmp_path: Path, lite: str) -> None:
    index, encoder = make_index(tmp_path / "index", 300, "cosine"), RandomEncoder("cosine")
    push_index(index.path, MilvusAddress(lite), index_type="HNSW")
    plain = open_milvus(index.path, lite, encoder)
    wide = open_milvus(index.path, lite, encoder, parameters={"ef": 600})
    assert wide.fingerprint != plain.fingerprint
    expected = DenseRetriever(index, encoder).search_many(QUERIES, 10)
    assert [[hit.passage.id for hit in hits] for hits in wide.search_many(QUERIES, 10)] == [
        [hit.passage.id for hit in hits] for hits in expected
    ]
    # What is no number is refused by the index itself, so it was told of it.
    with pytest.raises(MilvusError, match="wide"):
        open_milvus(index.path, lite, encoder, parameters={"ef": "wide"}).search("1", 3)


def test_more_than_milvus_gives_is_refused(tmp_path: Path, monkeypatch: Any, lite: str) -> None:
    index = make_index(tmp_path / "index", 60)
    push_index(index.path, MilvusAddress(lite), index_type="FLAT")
    for module in ("retrievers.milvus", "indexes.milvus_collection"):
        monkeypatch.setattr(f"{module}.MOST_RESULTS", 40)
    retriever = open_milvus(index.path, lite, RandomEncoder())
    assert len(retriever.search("1", 40)) == 40
    with pytest.raises(InvalidQuery, match="at most 40"):
        retriever.search("1", 41)


def test_an_index_without_vectors_has_nothing_to_push(tmp_path: Path, lite: str) -> None:
    passages = list(make_index(tmp_path / "index", 5).store)
    build_index(passages, tmp_path / "words", encoder=None)
    with pytest.raises(MissingPart, match="no vectors"):
        push_index(tmp_path / "words", MilvusAddress(lite))
