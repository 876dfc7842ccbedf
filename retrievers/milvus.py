"""Dense retrieval by Milvus: the vectors of an index are searched by a server, not by FAISS.

Queries are encoded here, and passages are read from the index's own store by the row numbers that
Milvus gives. Scores are Milvus's, in float32. A search takes no longer than the collection's
timeout for each request, nor than the caller's own (`retrievers.deadline`).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from indexes.checksums import sha256_of_json
from indexes.errors import CollectionMismatch, MilvusTimeout
from indexes.index import Index
from indexes.milvus_collection import MOST_RESULTS, MilvusCollection
from retrievers.base import RankedRows
from retrievers.deadline import seconds_left
from retrievers.dense import DenseRetriever, QueryEncoder
from retrievers.errors import InvalidQuery, RetrievalTimeout


class MilvusRetriever(DenseRetriever):
    """Ranks by the similarity of vectors in a Milvus collection.

    Args:
        index: the index that was pushed; it may be open without its vectors.
        encoder: the one that it was built with.
        collection: its vectors, opened by `MilvusCollection.open`.
        parameters: of Milvus's search, as {"ef": 200}; see its page on the kind of index.

    Raises:
        CollectionMismatch: the collection was opened for another index.
        DimensionMismatch, EncoderMismatch: see `DenseRetriever`.
    """

    def __init__(
        self,
        index: Index,
        encoder: QueryEncoder,
        collection: MilvusCollection,
        parameters: Mapping[str, Any] | None = None,
    ) -> None:
        if collection.manifest.fingerprint != index.fingerprint:
            raise CollectionMismatch(
                f"The collection {collection.name!r} was opened for another index than "
                f"{index.path}.",
                "Open it with the manifest of this index.",
            )
        self.collection = collection
        self.parameters = dict(parameters or {})
        super().__init__(index, encoder, _CollectionVectors(collection, self.parameters))

    @property
    def fingerprint(self) -> str:
        """Identifies corpus, encoder and how Milvus searches."""
        return sha256_of_json(
            {
                "retriever": "milvus",
                "corpus": self.index.manifest.corpus_fingerprint,
                "encoder": self.encoder.fingerprint,
                "index_type": self.collection.index_type,
                "parameters": self.parameters,
            }
        )

    def rank_rows(self, queries: Sequence[str], k: int) -> list[RankedRows]:
        """See `IndexRetriever.rank_rows`.

        Raises:
            InvalidQuery: more passages are asked for than Milvus gives.
            RetrievalTimeout: Milvus did not answer in time.
            MilvusError: the server cannot be reached, or failed.
        """
        if k > MOST_RESULTS < len(self.index):
            raise InvalidQuery(
                f"{k} passages were asked for; Milvus gives at most {MOST_RESULTS}.",
                "Ask for fewer, or use the retriever dense.",
            )
        return super().rank_rows(queries, k)


class _CollectionVectors:
    """A collection as dense retrieval sees it; see `retrievers.dense.SearchableVectors`."""

    def __init__(self, collection: MilvusCollection, parameters: Mapping[str, Any]) -> None:
        self.ntotal = min(collection.manifest.passages, MOST_RESULTS)
        self._collection = collection
        self._parameters = parameters

    def search(
        self, queries: npt.NDArray[np.float32], k: int
    ) -> tuple[npt.NDArray[np.float32], npt.NDArray[np.int64]]:
        left = seconds_left()
        try:
            if left is not None and left <= 0:
                raise MilvusTimeout("No time was left to ask Milvus.")
            return self._collection.search(queries, k, left, self._parameters)
        except MilvusTimeout as error:
            raise RetrievalTimeout(
                error.message, error.hint or "Allow more time for the search."
            ) from error

    def take(self, rows: npt.NDArray[np.int64]) -> None:
        """None: Milvus's own scores count."""
