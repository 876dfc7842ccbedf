"""Graph retrieval: evidence that is reached through what other evidence mentions.

A question's first hits and the passages that it names are the seeds of a personalised PageRank
walk (`retrievers.pagerank`) over the index's graph of passages and names (`indexes.graph`). So a
passage that shares no word with the question is found when a passage about the question's subject
mentions its title. Rare names weigh more (inverse document frequency), names of passages that the
first retriever likes weigh more, and in the first hits a mention that stands beside words of the
question weighs more ("directed by" in a question for the director). No language model is asked.

The walk's score of a passage is its probability, over the highest, plus `mix` times its standing
in the first ranking. The best passages by it, by the first ranking and by what ties them to these
are then judged in pairs (`retrievers.evidence`), with the words of the question in each (where the
index has BM25) and the vectors' closeness (where the first retriever has an encoder).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt

from indexes.checksums import sha256_of_json
from indexes.errors import MissingPart
from indexes.graph import ALIAS, GRAPH_FOLDER, GRAPH_VERSION, TITLE, Graph, has_graph
from indexes.index import Index
from indexes.ranking import top_rows
from retrievers.base import IndexRetriever, RankedRows
from retrievers.contexts import nearness, stems
from retrievers.dense import DenseRetriever
from retrievers.evidence import (
    ALONE,
    PAIRS,
    Features,
    alone_features,
    best_partners,
    pair_features,
)
from retrievers.fusion import HybridRetriever
from retrievers.graph_settings import GraphSettings
from retrievers.pagerank import Edges, Shares, Vector, Walk, personalised_pagerank
from retrievers.ties import Holdings, TieFinder

_LONGEST_QUERY = 2_000
_SEEDS_OF_TIES = 10
_AMONG_EQUALS = 0.001
_ROUNDS = 2
"""The second round lets a partner's partner count, as in questions of three hops."""


class RowRanker(Protocol):
    """A retriever that ranks rows of one index: dense, BM25, or a hybrid of them."""

    @property
    def fingerprint(self) -> str: ...  # noqa: D102

    def rank_rows(self, queries: Sequence[str], k: int) -> list[RankedRows]:
        """The best rows for each query."""
        ...


def open_graph(index: Index) -> Graph:
    """The graph of an open index.

    Raises:
        MissingPart: the index has no graph.
        OutdatedPart: passages were added or deleted since it was made.
        CorruptIndex, UnsupportedVersion: it cannot be read.
    """
    inside = f"{index.manifest.generation}/{GRAPH_FOLDER}"
    if not has_graph(index.manifest):
        raise MissingPart(
            f"The index {index.path} has no graph.",
            "Add it with indexes.add_graph, or search the index another way.",
        )
    return Graph.open(index.path / inside, len(index), index.manifest.corpus_fingerprint)


class GraphRetriever(IndexRetriever):
    """Ranks by a walk over the index's graph.

    Args:
        index: an index with a graph (see `indexes.graph_build.add_graph`).
        first: ranks the same index; best a hybrid of dense and BM25.
        settings: how the walk is made.

    Raises:
        MissingPart: the index has no graph.
        OutdatedPart: passages were added or deleted since it was made.
        CorruptIndex, UnsupportedVersion: its graph cannot be read.
    """

    def __init__(
        self, index: Index, first: RowRanker, settings: GraphSettings | None = None
    ) -> None:
        super().__init__(index)
        self.first = first
        self.settings = settings or GraphSettings()
        self.graph = open_graph(index)
        self._edges = Edges.of(self.graph.mentions(), self.graph.titles())
        titles, mentions = Holdings.of(self._edges.titles), Holdings.of(self._edges.mentions)
        self._titled, self._mentioning = titles.by_thing, mentions.by_thing
        self._ties = TieFinder(titles, mentions, Holdings.of(self.graph.words()))
        self._is_title = (self.graph.name_kinds & (TITLE | ALIAS)) > 0
        self._rarity = np.log(1.0 + len(index) / (1.0 + titles.counts + mentions.counts))

    @property
    def fingerprint(self) -> str:
        """Identifies corpus, first retriever and settings."""
        return sha256_of_json(
            {
                "retriever": "graph",
                "graph": GRAPH_VERSION,
                "corpus": self.index.manifest.corpus_fingerprint,
                "first": self.first.fingerprint,
                "settings": asdict(self.settings),
                "evidence": [ALONE.tolist(), PAIRS.tolist()],
            }
        )

    def rank_rows(self, queries: Sequence[str], k: int) -> list[RankedRows]:
        """See `IndexRetriever.rank_rows`."""
        rankings = self.first.rank_rows(queries, max(k, self.settings.depth))
        return [
            self._rank(query, ranking, k) for query, ranking in zip(queries, rankings, strict=True)
        ]

    def _rank(self, query: str, first: RankedRows, k: int) -> RankedRows:
        asked = self.graph.names_in(query[:_LONGEST_QUERY])
        standing = self._standing(first.rows)
        seeds = self._seeds(asked, first.rows, standing)
        if seeds is None:
            return RankedRows(first.rows[:k], first.scores[:k])
        named = top_rows(seeds, int(np.count_nonzero(seeds)))
        walk = self._walk(query, asked, named, first.rows, standing)
        reached = personalised_pagerank(
            walk.step, seeds, self.settings.damping, most_steps=self.settings.steps
        )
        reached /= reached.max()
        scores = reached + self.settings.mix * standing
        if self.index.deleted is not None:
            scores[self.index.deleted] = 0.0
        if self.settings.partners:
            scores = self._in_pairs(query, asked, first.rows, reached, scores)
        rows = top_rows(scores, k)
        rows = rows[scores[rows] > 0]
        return RankedRows(rows, scores[rows])

    def _in_pairs(
        self,
        query: str,
        asked: list[int],
        first: npt.NDArray[np.int64],
        reached: Vector,
        scores: Vector,
    ) -> Vector:
        """Candidates stand first, with 1 to 2 by their pairs, the others below 1 by the walk."""
        settings = self.settings
        asked_words = self.graph.words_in(query[:_LONGEST_QUERY])
        count = settings.candidates
        best = top_rows(scores, count // 2)
        best = best[scores[best] > 0]
        tied = self._ties.tied_to(
            [*first[:_SEEDS_OF_TIES], *best[:_SEEDS_OF_TIES]], asked_words, count, scores
        )
        rows = np.unique(np.concatenate([first[: count // 4], best, tied]))
        if self.index.deleted is not None:
            rows = rows[~self.index.deleted[rows]]
        features = self._features(query, rows, reached)
        alone = judged = alone_features(features) @ ALONE
        for _ in range(_ROUNDS if len(rows) > 1 else 0):
            firsts = top_rows(judged, settings.partners)
            ties = self._ties.between(rows[firsts], rows, asked, asked_words, settings.asked)
            judged = best_partners(pair_features(judged, firsts, features, ties) @ PAIRS, firsts)
        judged = judged + _AMONG_EQUALS * alone  # both halves of a pair have its score
        after: Vector = scores / (1.0 + scores.max())
        after[rows] = 1.0 + 1.0 / (1.0 + judged.max(initial=-np.inf) - judged.astype(np.float64))
        return after

    def _features(self, query: str, rows: npt.NDArray[np.int64], reached: Vector) -> Features:
        words = np.zeros((len(rows), 0), dtype=np.float32)
        rarity = np.zeros(0, dtype=np.float32)
        if self.index.bm25 is not None:
            words, rarity = self.index.bm25.word_scores(query[:_LONGEST_QUERY], rows)
        dense = _dense_of(self.first)
        closeness = None if dense is None else dense.closeness(query, rows).astype(np.float32)
        return Features(words, rarity, reached[rows].astype(np.float32), closeness)

    def _standing(self, rows: npt.NDArray[np.int64]) -> Vector:
        """By rank and not by score, so that any first retriever will do."""
        offset = self.settings.rank_offset
        standing = np.zeros(len(self.index))
        rows = rows[: self.settings.depth]
        standing[rows] = offset / (offset + np.arange(len(rows)))
        return standing

    def _seeds(
        self, asked: list[int], rows: npt.NDArray[np.int64], standing: Vector
    ) -> Vector | None:
        """Where the walk starts, with sum 1; None when there is nothing to start from."""
        settings = self.settings
        hits = np.zeros(len(self.index))
        hits[rows[: settings.seeds]] = standing[rows[: settings.seeds]]
        named = np.zeros(len(self.index))
        for name in asked:
            kind = self.graph.name_kinds[name]
            weight = self._rarity[name] * (1.0 if kind & TITLE else settings.alias_weight)
            bearing = _row(self._titled, name)
            if not len(bearing):
                bearing, weight = _row(self._mentioning, name), weight * settings.entity_weight
            if len(bearing):
                attraction = settings.floor + standing[bearing]
                named[bearing] += weight * attraction / attraction.sum()
        parts = [
            (settings.named_share, named / named.sum()) if named.any() else None,
            (1 - settings.named_share, hits / hits.sum()) if hits.any() else None,
        ]
        known = [part for part in parts if part is not None and part[0] > 0]
        if not known:
            return None
        total = sum(share for share, _ in known)
        return np.asarray(sum(share / total * seeds for share, seeds in known))

    def _walk(
        self,
        query: str,
        asked: list[int],
        named: npt.NDArray[np.int64],
        rows: npt.NDArray[np.int64],
        standing: Vector,
    ) -> Walk:
        settings = self.settings
        titles = self._edges.titles
        liked = np.zeros(self.graph.names)
        for row in rows[: settings.depth]:
            names = _row(titles, int(row))
            liked[names] = np.maximum(liked[names], standing[row])
        weights = self._rarity * (1 + settings.liked * liked)
        weights *= np.where(self._is_title, 1.0, settings.entity_mention)
        weights[asked] *= settings.asked
        return Walk(
            self._edges,
            Shares(settings.follow, settings.to_titled, settings.to_same_title),
            weights,
            self._rarity,
            self._contexts(query, named, rows),
            settings.floor + standing,
        )

    def _contexts(
        self, query: str, named: npt.NDArray[np.int64], rows: npt.NDArray[np.int64]
    ) -> Vector:
        """A factor for every mention: 1, but more where words of the query stand beside it."""
        settings = self.settings
        factors = np.ones(len(self.graph.mention_names))
        asked = stems(query[:_LONGEST_QUERY])
        if not asked or not settings.context:
            return factors
        looked_at = dict.fromkeys([*rows[: settings.context_hits].tolist(), *named.tolist()])
        for row in list(looked_at)[: 3 * settings.context_hits]:
            start, end = self.graph.mention_starts[row : row + 2]
            passage = self.index.store[row]
            wanted = asked - stems(passage.title)
            for mention in range(start, end):
                place = int(self.graph.mention_places[mention])
                near = nearness(passage.text, place, settings.before, settings.after, wanted)
                factors[mention] += settings.context * near
        return factors


def _dense_of(first: RowRanker) -> DenseRetriever | None:
    """The retriever by vectors that ranks first, alone or in a hybrid."""
    members = first.retrievers if isinstance(first, HybridRetriever) else [first]
    return next((member for member in members if isinstance(member, DenseRetriever)), None)


def _row(matrix: Any, row: int) -> npt.NDArray[np.int32]:
    """The columns of a CSR matrix's row."""
    return np.asarray(matrix.indices[matrix.indptr[row] : matrix.indptr[row + 1]])
