"""Graph retrieval: evidence that only another passage leads to."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest
from storage_helpers import HashEncoder

from indexes.build import build_index
from indexes.changes import delete_passages
from indexes.graph_build import add_graph
from indexes.index import Index
from indexes.passage import Passage
from retrievers.bm25 import BM25Retriever
from retrievers.configuration import node_from, node_to_dict
from retrievers.dense import DenseRetriever
from retrievers.errors import InvalidRetriever
from retrievers.fusion import HybridRetriever
from retrievers.graph import GraphRetriever
from retrievers.graph_settings import GraphSettings
from retrievers.opening import open_retriever

FILM = "Silent Harbour was directed by Ada Brook and stars Tom Reed."
PASSAGES = [
    Passage("film", "Silent Harbour (film)", FILM),
    Passage("actor", "Tom Reed", "Tom Reed studied law at Oxbridge."),
    Passage("director", "Ada Brook", "Ada Brook studied chemistry at Camford."),
    *(Passage(f"x{n}", f"School {n}", "The director of a film studied here.") for n in range(6)),
]
QUESTION = "Where did the director of the film Silent Harbour study?"


@pytest.fixture(scope="module")
def index(tmp_path_factory: pytest.TempPathFactory) -> Index:
    folder = tmp_path_factory.mktemp("graph") / "index"
    build_index(PASSAGES, folder, encoder=HashEncoder())
    add_graph(folder)
    return Index.open(folder)


def ids(retriever: GraphRetriever | BM25Retriever, query: str, k: int = 3) -> list[str]:
    return [hit.passage.id for hit in retriever.search(query, k)]


def test_a_passage_that_shares_no_rare_word_is_reached_through_its_mention(index: Index) -> None:
    words = BM25Retriever(index)
    assert "director" not in ids(words, QUESTION)
    assert ids(GraphRetriever(index, words), QUESTION) == ["film", "director", "actor"]


def test_words_of_the_question_beside_a_mention_decide_which_is_followed(index: Index) -> None:
    graph = GraphRetriever(index, BM25Retriever(index))
    starred = ids(graph, "What did the person who stars in Silent Harbour study?")
    assert starred[:2] == ["film", "actor"]


def test_a_hybrid_can_come_first_and_batches_equal_single_queries(index: Index) -> None:
    hybrid = HybridRetriever([DenseRetriever(index, HashEncoder()), BM25Retriever(index)])
    graph = GraphRetriever(index, hybrid)
    queries = [QUESTION, "Who is Tom Reed?", "   ", "zzz"]
    together = graph.search_many(queries, 4)
    assert together == [graph.search(query, 4) for query in queries]
    assert together[2] == []
    assert [hit.rank for hit in together[0]] == [1, 2, 3, 4]


def test_a_query_that_nothing_answers_finds_nothing(index: Index) -> None:
    assert GraphRetriever(index, BM25Retriever(index)).search("zzz qqq", 3) == []


def test_a_very_long_query_is_answered(index: Index) -> None:
    hits = GraphRetriever(index, BM25Retriever(index)).search(f"{QUESTION} " * 2_000, 2)
    assert [hit.passage.id for hit in hits] == ["film", "director"]


def test_pairs_find_what_no_title_leads_to(tmp_path: Path) -> None:
    # No passage is about Sisvel: only the word ties the two that answer together. The passage on
    # Bayvel shares as many words with the question.
    passages = [
        Passage("firm", "Player seizure", "An Italian firm was acting for Sisvel there."),
        Passage("end", "Audio format", "The patents held by Sisvel had all expired in 2015."),
        Passage("other", "Drug law", "The patents held by Bayvel had all expired in 2009."),
        Passage("more", "Italian cooking", "An Italian firm makes pasta."),
        *(Passage(f"x{n}", f"School {n}", "Children learn to read here.") for n in range(6)),
    ]
    build_index(passages, tmp_path / "index", encoder=None)
    add_graph(tmp_path / "index")
    words = BM25Retriever(Index.open(tmp_path / "index"))
    question = (
        "When had the patents expired that were held by whom the Italian firm was acting for?"
    )
    graph = GraphRetriever(words.index, words)
    assert ids(graph, question, 2) == ["firm", "end"]
    everything = graph.search(question, 10)
    assert len({hit.passage.id for hit in everything}) == len(everything)
    assert [hit.score for hit in everything] == sorted(
        (hit.score for hit in everything), reverse=True
    )

    delete_passages(tmp_path / "index", ["end"])
    add_graph(tmp_path / "index")
    words = BM25Retriever(Index.open(tmp_path / "index"))
    assert "end" not in ids(GraphRetriever(words.index, words), question, 10)


def test_without_partners_the_ranking_is_the_walks(index: Index) -> None:
    graph = GraphRetriever(index, BM25Retriever(index), GraphSettings(partners=0))
    assert ids(graph, QUESTION) == ["film", "director", "actor"]
    assert graph.search(QUESTION, 1)[0].score <= 1.0 + graph.settings.mix


def test_a_graph_over_vectors_alone_needs_no_words(tmp_path: Path) -> None:
    build_index(PASSAGES, tmp_path / "index", encoder=HashEncoder(), bm25=False)
    add_graph(tmp_path / "index")
    dense = DenseRetriever(Index.open(tmp_path / "index"), HashEncoder())
    graph = GraphRetriever(dense.index, dense)
    assert ids(graph, "Silent Harbour (film)", 1) == ["film"]
    assert sorted(ids(graph, QUESTION, 9)) == sorted(passage.id for passage in PASSAGES)


class CountingEncoder(HashEncoder):
    """Remembers which queries it was asked for."""

    def __init__(self, similarity: str) -> None:
        super().__init__(similarity=similarity)
        self.asked: list[str] = []

    def encode_queries(self, queries: list[str]) -> npt.NDArray[np.float32]:
        self.asked.extend(queries)
        return super().encode_queries(queries)


@pytest.mark.parametrize("similarity", ["cosine", "euclidean"])
def test_closeness_is_the_score_of_the_ranking_and_encodes_once(
    similarity: str, tmp_path: Path
) -> None:
    encoder = CountingEncoder(similarity)
    build_index(PASSAGES, tmp_path / "index", encoder=encoder)
    dense = DenseRetriever(Index.open(tmp_path / "index"), encoder)
    ranking = dense.rank_rows([QUESTION, "Tom"], 5)[0]
    assert dense.closeness(QUESTION, ranking.rows) == pytest.approx(ranking.scores, rel=1e-5)
    assert encoder.asked == [QUESTION, "Tom"]
    dense.closeness("Ada", ranking.rows)
    assert encoder.asked == [QUESTION, "Tom", "Ada"]


def test_the_fingerprint_tells_settings_and_first_retrievers_apart(index: Index) -> None:
    words = BM25Retriever(index)
    dense = DenseRetriever(index, HashEncoder())
    prints = {
        GraphRetriever(index, words).fingerprint,
        GraphRetriever(index, words, GraphSettings(mix=0.2)).fingerprint,
        GraphRetriever(index, dense).fingerprint,
    }
    assert len(prints) == 3
    assert GraphRetriever(index, words).fingerprint in prints


def test_the_seeds_sum_to_one_with_and_without_names(index: Index) -> None:
    graph = GraphRetriever(index, BM25Retriever(index))
    for query in (QUESTION, "a school of chemistry"):
        first = graph.first.rank_rows([query], 100)[0]
        standing = graph._standing(first.rows)
        seeds = graph._seeds(graph.graph.names_in(query), first.rows, standing)
        assert seeds is not None
        assert seeds.sum() == pytest.approx(1.0)
        assert np.all(seeds >= 0)


@pytest.mark.parametrize(
    "setting", [{"damping": 1.0}, {"seeds": 0}, {"follow": 1.5}, {"floor": 0.0}, {"mix": -1.0}]
)
def test_settings_out_of_range_are_refused(setting: dict[str, float]) -> None:
    with pytest.raises(InvalidRetriever, match=next(iter(setting))):
        GraphSettings(**setting)  # type: ignore[arg-type]


def test_a_hybrid_of_two_corpora_has_no_rows(index: Index, tmp_path: Path) -> None:
    build_index(PASSAGES[:2], tmp_path / "other", encoder=None)
    other = BM25Retriever(Index.open(tmp_path / "other"))
    with pytest.raises(InvalidRetriever, match="one corpus"):
        HybridRetriever([BM25Retriever(index), other]).rank_rows(["a"], 1)


def test_a_description_gives_the_retriever_with_its_settings(index: Index) -> None:
    described = open_retriever(index.path, {"graph": {"of": "bm25", "mix": 0.2, "depth": 7}})
    settings = GraphSettings(mix=0.2, depth=7)
    made = GraphRetriever(index, BM25Retriever(index), settings)
    assert described.fingerprint == made.fingerprint
    short = open_retriever(index.path, kind="graph", encoder=HashEncoder())
    hybrid = HybridRetriever([DenseRetriever(index, HashEncoder()), BM25Retriever(index)])
    assert short.fingerprint == GraphRetriever(index, hybrid).fingerprint
    node = node_from({"graph": {"of": "bm25", "mix": 0.2}})
    assert node_from(node_to_dict(node)) == node


@pytest.mark.parametrize(
    "description",
    [{"mixed": 1}, {"mix": "much"}, {"depth": 1.5}, {"of": {"mmr": {"of": "bm25"}}}],
)
def test_descriptions_of_no_graph_are_refused(description: dict[str, object]) -> None:
    with pytest.raises(InvalidRetriever):
        node_from({"graph": description})
