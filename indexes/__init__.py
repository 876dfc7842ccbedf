"""Passages, vectors and words on disk: values, stores, building, verifying.

Importing this package imports no other library; names are loaded where they are used.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from indexes.build import build_index as build_index
    from indexes.changes import add_passages as add_passages
    from indexes.changes import compact_index as compact_index
    from indexes.changes import delete_passages as delete_passages
    from indexes.cluster import RayCluster as RayCluster
    from indexes.errors import StorageError as StorageError
    from indexes.graph_build import add_graph as add_graph
    from indexes.importing import import_index as import_index
    from indexes.index import Index as Index
    from indexes.lexical import BM25Settings as BM25Settings
    from indexes.manifest import Manifest as Manifest
    from indexes.milvus import MilvusAddress as MilvusAddress
    from indexes.milvus_push import push_index as push_index
    from indexes.passage import Passage as Passage
    from indexes.readers import read_passages as read_passages
    from indexes.store import PassageStore as PassageStore
    from indexes.verify import VerifyReport as VerifyReport
    from indexes.verify import verify_index as verify_index
    from indexes.words import WordSettings as WordSettings

_HOMES = {
    "BM25Settings": "indexes.lexical",
    "Index": "indexes.index",
    "Manifest": "indexes.manifest",
    "MilvusAddress": "indexes.milvus",
    "Passage": "indexes.passage",
    "PassageStore": "indexes.store",
    "RayCluster": "indexes.cluster",
    "StorageError": "indexes.errors",
    "VerifyReport": "indexes.verify",
    "WordSettings": "indexes.words",
    "add_graph": "indexes.graph_build",
    "add_passages": "indexes.changes",
    "build_index": "indexes.build",
    "compact_index": "indexes.changes",
    "delete_passages": "indexes.changes",
    "import_index": "indexes.importing",
    "push_index": "indexes.milvus_push",
    "read_passages": "indexes.readers",
    "verify_index": "indexes.verify",
}

__all__ = sorted(_HOMES)


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(_HOMES[name]), name)
