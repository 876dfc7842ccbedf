"""Graph retrieval: evidence that is reached through what other evidence mentions.

A question's first hits and the passages that it names are the seeds of a personalised PageRank
walk (`retrievers.pagerank`) over the index's graph of passages and names (`indexes.graph`). So a
passage that shares no word with the question is found when a passage about the question's subject
mentions its title. Rare names weigh more (inverse document frequency), names of passages that the
first retriever likes weigh more, and in the first hits a mention that stands beside words of the
question weighs more ("directed by" in a question for the director). No language model is asked.

The score of a passage is its probability in the walk, over the highest, plus `mix` times its
standing in the first ranking.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt

from indexes.checksums import sha256_of_json
from indexes.errors import MissingPart
from indexes.graph import ALIAS, GRAPH_FOLDER, GRAPH_VERSION, TITLE, Graph, has_graph
from indexes.graph_names import words_of
from indexes.index import Index
from indexes.ranking import top_rows
from indexes.words import ENGLISH_STOPWORDS
from retrievers.base import IndexRetriever, RankedRows
from retrievers.errors import InvalidRetriever
from retrievers.pagerank import Edges, Shares, Vector, Walk, personalised_pagerank

_STEM_LETTERS = 5
_LONGEST_QUERY = 2_000
_OUTSIDE = frozenset({"film", "movie"})
"""Words of many questions that name the sort of thing meant, and so say little about relations."""


class RowRanker(Protocol):
    """A retriever that ranks rows of one index: dense, BM25, or a hybrid of them."""

    @property
    def fingerprint(self) -> str: ...  # noqa: D102

    def rank_rows(self, queries: Sequence[str], k: int) -> list[RankedRows]:
        """The best rows for each query."""
        ...


@dataclass(frozen=True, slots=True)
class GraphSettings:
    """How the walk is made; the defaults were chosen on MuSiQue train and 2Wiki questions.

    Attributes:
        depth: how many first hits are asked for.
        seeds: how many of them are seeds.
        named_share: the share of the seeds' weight for passages that the query names.
        alias_weight: of a title without its bracket among the query's names; a title has 1.
        entity_weight: of another capitalised name among them.
        rank_offset: a hit of rank r stands at offset / (offset + r - 1).
        floor: attraction of a passage that is no first hit; a first hit adds its standing.
        damping: the probability to go on instead of starting again.
        follow, to_titled, to_same_title: see `retrievers.pagerank`.
        liked: how much more a name weighs for the standing of the passages that bear it.
        entity_mention: weight of a mentioned name that is no title; a title has 1.
        asked: weight of a mention of a name that stands in the query.
        context: how much more a mention weighs for a word of the query right beside it; less for
            one that stands farther off.
        context_hits: in how many first hits mentions are looked at.
        before, after: how many characters beside a mention are looked at.
        mix: weight of the standing in the first ranking in the final score.
        steps: how many steps the walk makes at most.

    Raises:
        InvalidRetriever: a number is out of range.
    """

    depth: int = 100
    seeds: int = 10
    named_share: float = 0.7
    alias_weight: float = 0.5
    entity_weight: float = 0.3
    rank_offset: float = 5.0
    floor: float = 0.05
    damping: float = 0.7
    follow: float = 0.9
    to_titled: float = 0.9
    to_same_title: float = 0.5
    liked: float = 1.0
    entity_mention: float = 0.3
    asked: float = 0.3
    context: float = 4.0
    context_hits: int = 10
    before: int = 50
    after: int = 60
    mix: float = 0.1
    steps: int = 8

    def __post_init__(self) -> None:
        shares = ("named_share", "follow", "to_titled", "to_same_title")
        checks = {
            "at least 1": [(n, getattr(self, n) >= 1) for n in ("depth", "seeds", "steps")],
            "from 0 to 1": [(n, 0 <= getattr(self, n) <= 1) for n in shares],
            "from 0 to below 1": [("damping", 0 <= self.damping < 1)],
            "more than 0": [(n, getattr(self, n) > 0) for n in ("rank_offset", "floor")],
            "0 or more": [(n, value >= 0) for n, value in asdict(self).items()],
        }
        for allowed, results in checks.items():
            for name, fine in results:
                if not fine:
                    raise InvalidRetriever(
                        f"The graph setting {name} is {getattr(self, name)!r}.",
                        f"It must be {allowed}.",
                    )


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
        self._titled = self._edges.titles.T.tocsr()
        self._mentioning = self._edges.mentions.T.tocsr()
        self._is_title = (self.graph.name_kinds & (TITLE | ALIAS)) > 0
        found_in = np.diff(self._titled.indptr) + np.diff(self._mentioning.indptr)
        self._rarity = np.log(1.0 + len(index) / (1.0 + found_in))

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
        named = np.flatnonzero(seeds)
        walk = self._walk(query, asked, named, first.rows, standing)
        scores = personalised_pagerank(
            walk.step, seeds, self.settings.damping, most_steps=self.settings.steps
        )
        scores = scores / scores.max() + self.settings.mix * standing
        if self.index.deleted is not None:
            scores[self.index.deleted] = 0.0
        rows = top_rows(scores, k)
        rows = rows[scores[rows] > 0]
        return RankedRows(rows, scores[rows])

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
        asked = _stems(query[:_LONGEST_QUERY])
        if not asked or not settings.context:
            return factors
        looked_at = dict.fromkeys([*rows[: settings.context_hits].tolist(), *named.tolist()])
        for row in list(looked_at)[: 3 * settings.context_hits]:
            start, end = self.graph.mention_starts[row : row + 2]
            passage = self.index.store[row]
            wanted = asked - _stems(passage.title)
            for mention in range(start, end):
                place = int(self.graph.mention_places[mention])
                beside = _stems_before(passage.text[max(0, place - settings.before) : place])
                for stem, nearness in _stems_after(
                    passage.text[place : place + settings.after]
                ).items():
                    beside[stem] = max(nearness, beside.get(stem, 0.0))
                near = sum(nearness for stem, nearness in beside.items() if stem in wanted)
                factors[mention] += settings.context * near
        return factors


def _row(matrix: Any, row: int) -> npt.NDArray[np.int32]:
    """The columns of a CSR matrix's row."""
    return np.asarray(matrix.indices[matrix.indptr[row] : matrix.indptr[row + 1]])


def _stems(text: str) -> set[str]:
    """The words of a text that say something, by their first letters ("directed", "director")."""
    return {stem for stem, _, _ in _stem_places(text)}


def _stem_places(text: str) -> Iterator[tuple[str, int, int]]:
    """Each of them with its start and its end."""
    for word in words_of(text):
        if word.folded not in ENGLISH_STOPWORDS and word.folded not in _OUTSIDE:
            yield word.folded[:_STEM_LETTERS], word.start, word.end


def _stems_before(text: str) -> dict[str, float]:
    """How near each stands to the end of a text: 1 at the end, towards 0 at the start."""
    return {stem: end / len(text) for stem, _, end in _stem_places(text)}


def _stems_after(text: str) -> dict[str, float]:
    """How near each stands to the start of a text."""
    places = reversed(list(_stem_places(text)))
    return {stem: 1 - start / len(text) for stem, start, _ in places}
