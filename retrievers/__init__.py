"""From a query to ranked passages: dense, BM25, hybrid, reranked, diverse, cached, given.

Importing this package imports no other library; names are loaded where they are used.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from retrievers.base import BaseRetriever as BaseRetriever
    from retrievers.base import Retriever as Retriever
    from retrievers.bm25 import BM25Retriever as BM25Retriever
    from retrievers.cache import CachedRetriever as CachedRetriever
    from retrievers.cache import ResultCache as ResultCache
    from retrievers.crossencoders import CrossEncoderScorer as CrossEncoderScorer
    from retrievers.dense import DenseRetriever as DenseRetriever
    from retrievers.diversity import DiverseRetriever as DiverseRetriever
    from retrievers.encoders import Encoder as Encoder
    from retrievers.errors import RetrieverError as RetrieverError
    from retrievers.fusion import HybridRetriever as HybridRetriever
    from retrievers.given import GivenPassages as GivenPassages
    from retrievers.graph import GraphRetriever as GraphRetriever
    from retrievers.graph_settings import GraphSettings as GraphSettings
    from retrievers.hit import Hit as Hit
    from retrievers.milvus import MilvusRetriever as MilvusRetriever
    from retrievers.opening import open_retriever as open_retriever
    from retrievers.rerank import RerankRetriever as RerankRetriever

_HOMES = {
    "BM25Retriever": "retrievers.bm25",
    "BaseRetriever": "retrievers.base",
    "CachedRetriever": "retrievers.cache",
    "CrossEncoderScorer": "retrievers.crossencoders",
    "DenseRetriever": "retrievers.dense",
    "DiverseRetriever": "retrievers.diversity",
    "Encoder": "retrievers.encoders",
    "GivenPassages": "retrievers.given",
    "Hit": "retrievers.hit",
    "GraphRetriever": "retrievers.graph",
    "GraphSettings": "retrievers.graph_settings",
    "HybridRetriever": "retrievers.fusion",
    "MilvusRetriever": "retrievers.milvus",
    "RerankRetriever": "retrievers.rerank",
    "ResultCache": "retrievers.cache",
    "Retriever": "retrievers.base",
    "RetrieverError": "retrievers.errors",
    "open_retriever": "retrievers.opening",
}

__all__ = sorted(_HOMES)


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(_HOMES[name]), name)
