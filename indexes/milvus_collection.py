"""A Milvus collection that holds the vectors of one index.

Its primary key is the row in the passage store, which stays the one place where passages are. The
collection's properties name the index by the fingerprint of its manifest, so that a collection of
another index, or of an earlier state of this one, is never searched. Deleted rows are not in it.
This module knows vectors and row numbers, not encoders or passages.
"""

from __future__ import annotations

import math
import re
import time
from collections.abc import Mapping
from typing import Any

import numpy as np
import numpy.typing as npt

from indexes.errors import (
    CollectionMismatch,
    InvalidSetting,
    MilvusError,
    MissingCollection,
    MissingPart,
    UnfinishedPush,
)
from indexes.manifest import EncoderRecord, Manifest
from indexes.milvus import MilvusServer

MOST_RESULTS = 16_384
"""Results of one query that Milvus gives at most (its quota `topK`)."""
ROW, VECTOR = "row", "vector"
_INDEX_PROPERTY = "selfrag.index"
_VERSION_PROPERTY = "selfrag.schema_version"
_VERSION = "1"
_QUERIES_AT_A_TIME = 256
_RESULTS_AT_A_TIME = 1_000_000
_PUSH = "Push the index again: selfrag index push."


class MilvusCollection:
    """A collection that was made for an index; made by `create`, or by `find` or `open`.

    Attributes:
        server: where it is.
        name: of the collection.
        manifest: of the index whose vectors it holds.
        index_type: how Milvus searches it, as "AUTOINDEX".
    """

    def __init__(
        self, server: MilvusServer, name: str, manifest: Manifest, index_type: str
    ) -> None:
        self.server = server
        self.name = name
        self.manifest = manifest
        self.index_type = index_type
        self._metric = metric_of(encoder_of(manifest))

    @property
    def live(self) -> int:
        """How many rows it holds when it is complete: those that are not deleted."""
        return self.manifest.passages - self.manifest.deleted

    @classmethod
    def create(
        cls, server: MilvusServer, manifest: Manifest, name: str, index_type: str
    ) -> MilvusCollection:
        """Make an empty collection for the vectors of an index.

        Args:
            server: where to.
            manifest: of the index.
            name: of the collection.
            index_type: how Milvus is to search: FLAT is exact, AUTOINDEX is Milvus's own choice.

        Raises:
            MilvusError: the server cannot, or does not know the type.
        """
        from pymilvus import DataType

        encoder = encoder_of(manifest)
        schema = server.client.create_schema(auto_id=False, enable_dynamic_field=False)
        schema.add_field(ROW, DataType.INT64, is_primary=True)
        schema.add_field(VECTOR, DataType.FLOAT_VECTOR, dim=encoder.dimension)
        indexing = server.client.prepare_index_params()
        indexing.add_index(VECTOR, index_type=index_type, metric_type=metric_of(encoder))
        server.call(
            "create_collection",
            name,
            schema=schema,
            index_params=indexing,
            properties={_INDEX_PROPERTY: manifest.fingerprint, _VERSION_PROPERTY: _VERSION},
        )
        return cls.find(server, manifest, name)

    @classmethod
    def find(cls, server: MilvusServer, manifest: Manifest, name: str) -> MilvusCollection:
        """The collection `name`, compared with the index; it may lack rows.

        Raises:
            MissingCollection: there is none.
            CollectionMismatch: it holds other vectors, or another dimension or metric.
            MilvusError: the server failed, or cannot be reached.
        """
        if not server.call("has_collection", name):
            raise MissingCollection(
                f"The Milvus server {server.address} has no collection {name!r}.",
                "Push the index: selfrag index push. After passages were added or deleted it "
                "must be pushed again.",
            )
        encoder = encoder_of(manifest)
        described = server.call("describe_collection", name)
        owner = _owner(described)
        where = f"The collection {name!r} of {server.address}"
        if owner is None:
            raise CollectionMismatch(
                f"{where} was not made by this program.", "Name another collection."
            )
        if owner != manifest.fingerprint:
            raise CollectionMismatch(
                f"{where} holds the vectors of the index {owner[:16]}; this one is "
                f"{manifest.fingerprint[:16]}: another index, or another state of it.",
                "Name the collection of this index, or push the index with restart (--restart).",
            )
        fields = {field["name"]: field for field in described["fields"]}
        dimension = fields.get(VECTOR, {}).get("params", {}).get("dim")
        if ROW not in fields or dimension is None or int(dimension) != encoder.dimension:
            raise CollectionMismatch(
                f"{where} holds vectors of {dimension} dimensions; the index has "
                f"{encoder.dimension}.",
                f"{_PUSH[:-1]} --restart.",
            )
        names = server.call("list_indexes", name, field_name=VECTOR)
        indexing = server.call("describe_index", name, index_name=names[0]) if names else {}
        metric = indexing.get("metric_type")
        if metric != metric_of(encoder):
            raise CollectionMismatch(
                f"{where} compares vectors by {metric}; the index needs {metric_of(encoder)} "
                f"({encoder.similarity}).",
                f"{_PUSH[:-1]} --restart.",
            )
        return cls(server, name, manifest, str(indexing.get("index_type")))

    @classmethod
    def open(
        cls, server: MilvusServer, manifest: Manifest, name: str | None = None
    ) -> MilvusCollection:
        """A complete collection, ready to be searched.

        Args:
            server: where it is.
            manifest: of the index.
            name: None for the name that is made of the manifest's fingerprint.

        Raises:
            UnfinishedPush: it does not hold all rows yet.
            And what `find` raises.
        """
        collection = cls.find(server, manifest, name or collection_name(manifest))
        server.call("load_collection", collection.name)
        collection.check_count()
        return collection

    def count(self, expression: str = "") -> int:
        """How many rows it holds of which a Milvus expression is true; all that were written."""
        found = self.server.call(
            "query",
            self.name,
            filter=expression,
            output_fields=["count(*)"],
            consistency_level="Strong",
        )
        return int(found[0]["count(*)"])

    def check_count(self) -> None:
        """Compare the number of rows with the index.

        Raises:
            UnfinishedPush: rows are missing.
            CollectionMismatch: there are more than the index has.
        """
        count = self.count()
        where = f"The collection {self.name!r} of {self.server.address}"
        if count < self.live:
            raise UnfinishedPush(
                f"{where} holds {count} of {self.live} vectors of its index.",
                "Go on with the push: the same selfrag index push.",
            )
        if count > self.live:
            raise CollectionMismatch(
                f"{where} holds {count} vectors; its index has {self.live}. Others wrote into it.",
                f"{_PUSH[:-1]} --restart.",
            )

    def upsert(self, rows: npt.NDArray[np.int64], vectors: npt.NDArray[np.float32]) -> None:
        """Write vectors, shape [n, dimension], under their rows, shape [n]; again if need be."""
        data = [
            {ROW: row, VECTOR: vector} for row, vector in zip(rows.tolist(), vectors, strict=True)
        ]
        self.server.call("upsert", self.name, data)

    def search(
        self,
        queries: npt.NDArray[np.float32],
        k: int,
        timeout: float | None = None,
        parameters: Mapping[str, Any] | None = None,
    ) -> tuple[npt.NDArray[np.float32], npt.NDArray[np.int64]]:
        """The `k` nearest rows of each query, best first; see `indexes.nearest.VectorIndex.search`.

        Args:
            queries: shape [n, dimension].
            k: from 1 to `MOST_RESULTS`.
            timeout: seconds for all of them together, beside the server's own for each request.
            parameters: of Milvus, for its kind of index, as {"ef": 200}.

        Returns:
            Scores and rows, shape [n, k]; -1 where fewer rows were found.

        Raises:
            CollectionMismatch: it gave a row that the index does not have.
            MilvusTimeout, MilvusError: the server failed, or cannot be reached.
        """
        ascending = self._metric == "L2"
        worst = np.float32(np.inf if ascending else -np.inf)
        scores = np.full((len(queries), k), worst, dtype=np.float32)
        rows = np.full((len(queries), k), -1, dtype=np.int64)
        end = time.monotonic() + (math.inf if timeout is None else timeout)
        step = max(1, min(_QUERIES_AT_A_TIME, _RESULTS_AT_A_TIME // k))
        for begin in range(0, len(queries), step):
            found: list[Any] = self.server.call(
                "search",
                self.name,
                data=list(queries[begin : begin + step]),
                limit=k,
                anns_field=VECTOR,
                search_params={"metric_type": self._metric, "params": dict(parameters or {})},
                output_fields=[ROW],
                # Milvus would take 0 for no limit.
                timeout=min(self.server.timeout, max(end - time.monotonic(), 0.001)),
            )
            for number, hits in enumerate(found, start=begin):
                rows[number, : len(hits)] = [hit[ROW] for hit in hits]
                scores[number, : len(hits)] = [hit["distance"] for hit in hits]
        if rows.size and int(rows.max()) >= self.manifest.passages:
            raise CollectionMismatch(
                f"The collection {self.name!r} gave row {int(rows.max())}; the index has "
                f"{self.manifest.passages}.",
                f"{_PUSH[:-1]} --restart.",
            )
        return scores, rows


def drop_collection(server: MilvusServer, name: str) -> None:
    """Remove a collection if there is one.

    Raises:
        CollectionMismatch: it was not made by this program.
    """
    if not server.call("has_collection", name):
        return
    if _owner(server.call("describe_collection", name)) is None:
        raise CollectionMismatch(
            f"The collection {name!r} of {server.address} was not made by this program, and is "
            "not removed.",
            "Name another collection.",
        )
    server.call("drop_collection", name)


def collection_name(manifest: Manifest) -> str:
    """The name of an index's collection where none is given."""
    return f"selfrag_{manifest.fingerprint[:16]}"


def check_name(name: str) -> None:
    """Refuse what Milvus does not take for a name.

    Raises:
        InvalidSetting: it is none.
    """
    if not re.fullmatch(r"[A-Za-z_][A-Za-z0-9_]{0,254}", name, re.ASCII):
        raise InvalidSetting(
            f"{name!r} cannot name a Milvus collection.",
            "Use at most 255 letters, digits and underscores, and no digit first.",
        )


def metric_of(encoder: EncoderRecord) -> str:
    """The Milvus metric: that of FAISS, so that both give the same scores."""
    return "L2" if encoder.similarity == "euclidean" else "IP"


def encoder_of(manifest: Manifest) -> EncoderRecord:
    """The encoder of an index with vectors.

    Raises:
        MissingPart: it has none.
    """
    if manifest.encoder is None:
        raise MissingPart("The index has no vectors.", "Build it with an encoder.")
    return manifest.encoder


def _owner(described: dict[str, Any]) -> str | None:
    """The fingerprint of the index that a collection was made for; None for one of others."""
    properties = described.get("properties") or {}
    if properties.get(_VERSION_PROPERTY, _VERSION) != _VERSION:
        raise MilvusError(
            f"The collection was made by another version of this program (schema version "
            f"{properties[_VERSION_PROPERTY]}).",
            "Use that version, or name another collection.",
        )
    owner = properties.get(_INDEX_PROPERTY)
    return None if owner is None else str(owner)
