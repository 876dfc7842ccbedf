"""Reranking: the first passages of any retriever, ordered anew by a model that reads them.

The model sees the query with each passage's title and text (Nogueira and Cho, 2019,
arXiv:1901.04085). Passages come out as they went in; only scores and ranks are new.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from indexes.checksums import sha256_of_json
from indexes.passage import text_for_search
from retrievers.base import BaseRetriever, Retriever, check_queries
from retrievers.crossencoders import PairScorer
from retrievers.errors import InvalidRetriever, ModelUnreadable
from retrievers.hit import Hit

TOP = 50


class RerankRetriever(BaseRetriever):
    """Orders what another retriever found by a model's scores.

    Passages with equal scores keep the order in which the other retriever gave them.

    Args:
        retriever: finds the candidates.
        scorer: for example a `retrievers.crossencoders.CrossEncoderScorer`.
        top: how many candidates are read, if more than `k`.

    Raises:
        InvalidRetriever: `top` is less than 1.
        ModelUnreadable: while searching: the model's scores are not finite numbers.
    """

    def __init__(self, retriever: Retriever, scorer: PairScorer, top: int = TOP) -> None:
        if top < 1:
            raise InvalidRetriever(f"The number of candidates is {top}.", "It must be 1 or more.")
        self.retriever = retriever
        self.scorer = scorer
        self.top = top

    @property
    def fingerprint(self) -> str:
        """Identifies the retriever below, the model and the settings."""
        return sha256_of_json(
            {
                "retriever": "rerank",
                "of": self.retriever.fingerprint,
                "model": self.scorer.fingerprint,
                "top": self.top,
            }
        )

    def search_many(self, queries: Sequence[str], k: int) -> list[list[Hit]]:
        """See `Retriever.search_many`; the pairs of all queries share the model's batches."""
        check_queries(queries, k)
        found = self.retriever.search_many(queries, max(k, self.top))
        pairs = [
            (query, text_for_search(hit.passage))
            for query, hits in zip(queries, found, strict=True)
            for hit in hits
        ]
        scores = self.scorer.score(pairs)
        if not np.isfinite(scores).all():
            raise ModelUnreadable(
                "The cross-encoder gave a score that is not a finite number.",
                "Check the model's weights and precision.",
            )
        ranked: list[list[Hit]] = []
        start = 0
        for hits in found:
            part = scores[start : start + len(hits)]
            start += len(hits)
            order = np.argsort(-part, kind="stable")[:k].tolist()
            ranked.append(
                [
                    Hit(hits[place].passage, float(part[place]), rank)
                    for rank, place in enumerate(order, start=1)
                ]
            )
        return ranked
