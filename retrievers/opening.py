"""Opens an index for searching: the right retriever with the encoder that the index names."""

from __future__ import annotations

from pathlib import Path

from indexes.errors import MissingPart
from indexes.index import Index
from retrievers.base import Retriever
from retrievers.bm25 import BM25Retriever
from retrievers.dense import DenseRetriever, QueryEncoder
from retrievers.encoders import Encoder
from retrievers.errors import InvalidRetriever
from retrievers.fusion import HybridRetriever

KINDS = ("hybrid", "dense", "bm25")


def open_retriever(
    index_path: Path | str,
    *,
    encoder: QueryEncoder | Path | str | None = None,
    kind: str = "hybrid",
) -> Retriever:
    """Open the index in a folder and make a retriever over it.

    Args:
        index_path: a folder that `indexes.build_index` wrote.
        encoder: an encoder, or the folder or name of one; by default the one that the index
            records, looked for inside the index folder (or relative to it) first.
        kind: "hybrid" (reciprocal rank fusion of the other two), "dense" or "bm25".

    Raises:
        InvalidRetriever: the kind is unknown.
        StorageError: the index cannot be opened, lacks a part, or has another encoder.
        EncoderNotFound, EncoderUnreadable, EncoderUnclear: the encoder cannot be loaded.
    """
    if kind not in KINDS:
        raise InvalidRetriever(
            f"The kind of retriever {kind!r} is unknown.", f"Allowed are {list(KINDS)}."
        )
    index = Index.open(index_path, vectors=kind != "bm25", bm25=kind != "dense")
    if kind == "bm25":
        return BM25Retriever(index)
    if encoder is None or isinstance(encoder, Path | str):
        encoder = load_encoder(index, encoder)
    dense = DenseRetriever(index, encoder)
    if kind == "dense":
        return dense
    return HybridRetriever([dense, BM25Retriever(index)])


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
