"""Opens an index for searching: the retriever that a description asks for.

The encoder is the one that the index names. Cross-encoders are found as encoders are.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from indexes.errors import MissingPart
from indexes.index import Index
from retrievers.base import BaseRetriever, IndexRetriever
from retrievers.bm25 import BM25Retriever
from retrievers.cache import CachedRetriever, ResultCache
from retrievers.configuration import (
    BM25Config,
    CacheConfig,
    DenseConfig,
    GraphConfig,
    HybridConfig,
    MilvusConfig,
    MMRConfig,
    Node,
    RerankConfig,
    kinds_in,
    node_from,
)
from retrievers.dense import DenseRetriever, QueryEncoder
from retrievers.diversity import DiverseRetriever
from retrievers.encoders import Encoder
from retrievers.errors import InvalidRetriever
from retrievers.fusion import HybridRetriever
from retrievers.graph import GraphRetriever
from retrievers.rerank import RerankRetriever

KINDS = ("hybrid", "dense", "bm25", "graph")


def open_retriever(
    index_path: Path | str,
    config: Node | Mapping[str, Any] | str | None = None,
    *,
    encoder: QueryEncoder | Path | str | None = None,
    kind: str | None = None,
) -> BaseRetriever:
    """Open the index in a folder and make a retriever over it.

    Args:
        index_path: a folder that `indexes.build_index` wrote.
        config: a description (see `retrievers.configuration`), as nodes, as a mapping, or one of
            the kinds that need no settings; by default "hybrid".
        encoder: an encoder, or the folder or name of one; by default the one that the index
            records, looked for inside the index folder (or relative to it) first.
        kind: "dense", "bm25", "hybrid" (reciprocal rank fusion of these two) or "graph" (a walk
            from the hybrid's passages); the short form of `config`.

    Raises:
        InvalidRetriever: the description is not valid, or `config` and `kind` are both given.
        StorageError: the index cannot be opened, lacks a part, or has another encoder; a Milvus
            server cannot be reached, or its collection is not that of the index.
        EncoderNotFound, EncoderUnreadable, EncoderUnclear, ModelUnreadable: a model cannot be
            loaded.
    """
    if config is not None and kind is not None:
        raise InvalidRetriever("A config and a kind were given.", "Give one of them.")
    if kind is not None and kind not in KINDS:
        raise InvalidRetriever(
            f"The kind of retriever {kind!r} is unknown.", f"Allowed are {list(KINDS)}."
        )
    given = config if config is not None else kind or "hybrid"
    node = node_from(given) if isinstance(given, str | Mapping) else given
    return _Opening(index_path, node, encoder).open(node)


def load_encoder(index: Index, override: Path | str | None = None) -> Encoder:
    """Load the encoder that an index records, with the prefixes that it records.

    Args:
        index: an open index.
        override: folder or name to load it from instead.

    Raises:
        MissingPart: the index has no vectors.
        EncoderNotFound, EncoderUnreadable, EncoderUnclear: the encoder cannot be loaded.
    """
    record = index.manifest.encoder
    if record is None:
        raise MissingPart(
            f"The index {index.path} has no vectors.",
            'Search it with kind="bm25", or build it with an encoder.',
        )
    beside = index.path / record.name
    location = override or (beside if beside.is_dir() else record.name)
    return Encoder(
        location,
        query_prefix=record.query_prefix,
        passage_prefix=record.passage_prefix,
        pooling=record.pooling,
        similarity=record.similarity,
        normalise=record.normalise,
    )


class _Opening:
    """One index being opened for one tree; its nodes share the index and the encoder."""

    def __init__(
        self, path: Path | str, node: Node, encoder: QueryEncoder | Path | str | None
    ) -> None:
        kinds = set(kinds_in(node))
        needs_vectors = not kinds.isdisjoint({"dense", "mmr"})
        needs_words = not kinds.isdisjoint({"bm25", "graph"})
        self._index = Index.open(path, vectors=needs_vectors, bm25=needs_words)
        self._given = encoder
        self._encoder: QueryEncoder | None = None

    def open(self, node: Node) -> BaseRetriever:
        match node:
            case DenseConfig():
                return DenseRetriever(self._index, self._require_encoder())
            case MilvusConfig():
                return self._open_milvus(node)
            case BM25Config():
                return BM25Retriever(self._index)
            case HybridConfig():
                members = [self.open(member) for member in node.members]
                return HybridRetriever(members, node.method, node.depth, node.weights)
            case GraphConfig():
                below = self.open(node.of)
                # GraphConfig admits nothing else.
                assert isinstance(below, IndexRetriever | HybridRetriever)
                return GraphRetriever(self._index, below, node.settings)
            case RerankConfig():
                from retrievers.crossencoders import CrossEncoderScorer

                below = self.open(node.of)
                return RerankRetriever(below, CrossEncoderScorer(node.model), node.top)
            case MMRConfig():
                return DiverseRetriever(
                    self.open(node.of),
                    self._require_encoder(),
                    self._index,
                    lambda_=node.lambda_,
                    top=node.top,
                )
            case CacheConfig():
                cache = ResultCache(node.path, node.max_entries)
                return CachedRetriever(self.open(node.of), cache, self._index.fingerprint)

    def _open_milvus(self, node: MilvusConfig) -> BaseRetriever:
        from indexes.milvus import MilvusAddress, MilvusServer
        from indexes.milvus_collection import MilvusCollection
        from retrievers.milvus import MilvusRetriever

        # The server first: a model takes longer to load than a wrong address to be noticed.
        server = MilvusServer(MilvusAddress(node.uri, node.database), node.timeout)
        collection = MilvusCollection.open(server, self._index.manifest, node.collection)
        return MilvusRetriever(self._index, self._require_encoder(), collection, node.parameters)

    def _require_encoder(self) -> QueryEncoder:
        """The encoder that was given, or the one that the index records; loaded once."""
        if self._encoder is None:
            given = self._given
            if given is None or isinstance(given, Path | str):
                self._encoder = load_encoder(self._index, given)
            else:
                self._encoder = given
        return self._encoder
