"""Lexical retrieval: passages that share words with the query, scored by BM25.

Words are cut with the settings that are saved in the index. Passages that share no word with the
query are not hits, so there may be fewer than asked for.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from indexes.checksums import sha256_of_json
from indexes.index import Index
from retrievers.base import IndexRetriever, RankedRows


class BM25Retriever(IndexRetriever):
    """Ranks by BM25.

    Raises:
        MissingPart: the index was built, or opened, without BM25.
    """

    def __init__(self, index: Index) -> None:
        super().__init__(index)
        self._words = index.require_bm25()

    @property
    def fingerprint(self) -> str:
        """Identifies corpus and settings."""
        manifest = self.index.manifest
        return sha256_of_json(
            {
                "retriever": "bm25",
                "corpus": manifest.corpus_fingerprint,
                "settings": self._words.settings.to_dict(),
            }
        )

    def rank_rows(self, queries: Sequence[str], k: int) -> list[RankedRows]:
        """See `IndexRetriever.rank_rows`."""
        rankings = []
        for query in queries:
            rows, scores = self._words.search(query, k)
            rankings.append(RankedRows(rows, scores.astype(np.float64)))
        return rankings
