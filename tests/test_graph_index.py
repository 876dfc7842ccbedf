"""The graph part of an index: what is connected, what is stored, and what damage is noticed."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pytest

from indexes.build import build_index
from indexes.changes import add_passages, delete_passages
from indexes.errors import CorruptIndex, MissingPart, OutdatedPart, UnsupportedVersion
from indexes.graph import ALIAS, ENTITY, LOWER_CASE, TITLE, Graph
from indexes.graph_build import add_graph, build_graph
from indexes.graph_views import to_networkx, write_graphml
from indexes.index import Index
from indexes.manifest import Manifest
from indexes.passage import Passage
from indexes.verify import verify_index
from retrievers.graph import open_graph

PASSAGES = [
    Passage("a", "The Letter (1929 film)", "The Letter was directed by Jean de Limur."),
    Passage("b", "Jean de Limur", "Jean de Limur, a director, knew Emma Smith and Paris."),
    Passage("c", "Paris", "Paris is where Emma Smith lived."),
    Passage("d", "Director", "It is a word."),
    Passage("e", "", "A text without a title mentions Paris."),
]


@pytest.fixture(scope="module")
def index_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("graph") / "index"
    build_index(PASSAGES, folder, encoder=None)
    add_graph(folder)
    return folder


def mentioned(graph: Graph, row: int) -> list[str]:
    start, end = graph.mention_starts[row : row + 2]
    return sorted(graph.key(name) for name in graph.mention_names[start:end].tolist())


def titled(graph: Graph, row: int) -> list[str]:
    start, end = graph.title_starts[row : row + 2]
    return sorted(graph.key(name) for name in graph.title_names[start:end].tolist())


def kind(graph: Graph, key: str) -> int:
    name = graph.name_of(key)
    assert name is not None
    return int(graph.name_kinds[name])


def test_passages_are_connected_to_titles_aliases_and_shared_names() -> None:
    graph = build_graph(PASSAGES)
    assert [mentioned(graph, row) for row in range(5)] == [
        ["jean de limur"],
        ["director", "emma smith", "paris"],
        ["emma smith"],
        [],
        ["paris"],
    ]
    assert titled(graph, 0) == ["the letter", "the letter 1929 film"]
    assert titled(graph, 4) == []
    assert kind(graph, "the letter 1929 film") == TITLE
    assert kind(graph, "the letter") == ALIAS
    assert kind(graph, "emma smith") == ENTITY
    assert kind(graph, "director") == TITLE | LOWER_CASE
    assert graph.name_of("nobody") is None


def test_places_are_where_a_text_first_mentions_a_name() -> None:
    graph = build_graph(PASSAGES)
    name = graph.name_of("emma smith")
    for row in (1, 2):
        start, end = graph.mention_starts[row : row + 2]
        at = start + graph.mention_names[start:end].tolist().index(name)
        assert graph.mention_places[at] == PASSAGES[row].text.index("Emma Smith")


def test_proper_words_are_kept_that_two_passages_hold_but_not_most() -> None:
    fillers = [Passage(f"x{n}", "", "The common Word.") for n in range(21)]
    graph = build_graph([*PASSAGES, *fillers])

    def held(row: int) -> list[int]:
        start, end = graph.word_starts[row : row + 2]
        return sorted(graph.word_numbers[start:end].tolist())

    jean, emma, smith, paris = (
        number for word in ("jean", "Emma", "SMITH", "paris") for number in graph.words_in(word)
    )
    # "Jean" and "Limur" stand in a and b, "Emma", "Smith" and "Paris" in b and c; in c "Paris"
    # is a title. "Word" stands in 21 passages, and "Letter" and "Director" in one.
    assert held(2) == sorted([emma, smith, paris])
    assert jean in held(0) and jean in held(1)
    assert len(held(0)) == 2
    assert graph.words_in("the letter of a director, a common word") == []
    assert build_graph([]).words_in("Paris") == []


def test_names_of_a_query_are_found_however_they_are_written() -> None:
    graph = build_graph(PASSAGES)

    def names(query: str) -> list[str]:
        return [graph.key(name) for name in graph.names_in(query)]

    assert names("Who directed The Letter (1929 Film)?") == ["the letter 1929 film"]
    assert names("the letter by JEAN DE LIMUR") == ["the letter", "jean de limur"]
    assert names("where is paris") == ["paris"]
    assert names("") == []
    fame = build_graph([Passage("x", "Fame (1980 film)", "A film.")])
    found = [len(fame.names_in(query)) for query in ("Is Fame long?", "is fame long", "Is fame?")]
    assert found == [1, 1, 0]


def test_a_stored_graph_is_the_built_one_and_is_checked_with_the_index(index_folder: Path) -> None:
    built, stored = build_graph(PASSAGES), open_graph(Index.open(index_folder))
    for name in Graph.__slots__:
        assert np.array_equal(getattr(built, name), getattr(stored, name)), name
    assert verify_index(index_folder).ok
    recorded = [name for name in Manifest.read(index_folder).files if "/graph/" in name]
    assert len(recorded) == 14


def test_every_damaged_graph_file_is_noticed_by_verify(index_folder: Path, tmp_path: Path) -> None:
    for file in sorted((index_folder / "generation-000001" / "graph").iterdir()):
        copy = tmp_path / file.name
        shutil.copytree(index_folder, copy)
        damaged = copy / "generation-000001" / "graph" / file.name
        content = bytearray(damaged.read_bytes())
        content[-1] ^= 1
        damaged.write_bytes(content)
        problems = verify_index(copy).problems
        assert [problem.file for problem in problems] == [f"generation-000001/graph/{file.name}"]


def test_numbers_out_of_range_never_reach_scipy(tmp_path: Path) -> None:
    build_graph(PASSAGES).save(tmp_path / "graph", "c")
    file = tmp_path / "graph" / "mention_names.npy"
    names = np.load(file)
    names[0] = 1_000
    np.save(file, names)
    with pytest.raises(CorruptIndex, match="does not fit"):
        Graph.open(tmp_path / "graph", len(PASSAGES), "c")


def test_proper_words_out_of_range_never_reach_scipy(tmp_path: Path) -> None:
    build_graph(PASSAGES).save(tmp_path / "graph", "c")
    file = tmp_path / "graph" / "word_numbers.npy"
    words = np.load(file)
    words[-1] = len(np.load(tmp_path / "graph" / "word_hashes.npy"))
    np.save(file, words)
    with pytest.raises(CorruptIndex, match="does not fit"):
        Graph.open(tmp_path / "graph", len(PASSAGES), "c")


def test_another_version_or_another_corpus_is_refused(tmp_path: Path) -> None:
    folder = tmp_path / "graph"
    build_graph(PASSAGES).save(folder, "c")
    with pytest.raises(CorruptIndex):
        Graph.open(folder, len(PASSAGES) + 1, "c")
    counts = folder / "graph.json"
    counts.write_text(counts.read_text().replace('"schema_version": 2', '"schema_version": 3'))
    with pytest.raises(UnsupportedVersion):
        Graph.open(folder, len(PASSAGES), "c")


def test_adding_a_graph_again_changes_nothing(index_folder: Path) -> None:
    before = Manifest.read(index_folder)
    assert add_graph(index_folder) == before
    assert verify_index(index_folder).ok


def test_an_index_without_a_graph_says_how_to_add_one(tmp_path: Path) -> None:
    build_index(PASSAGES, tmp_path / "index", encoder=None)
    with pytest.raises(MissingPart, match="add_graph"):
        open_graph(Index.open(tmp_path / "index"))


def test_a_graph_is_refused_after_passages_changed_until_it_is_added_again(tmp_path: Path) -> None:
    folder = tmp_path / "index"
    build_index(PASSAGES, folder, encoder=None)
    add_graph(folder)
    delete_passages(folder, ["b"])
    with pytest.raises(OutdatedPart, match="before passages were added or deleted"):
        open_graph(Index.open(folder))
    add_graph(folder)
    graph = open_graph(Index.open(folder))
    assert graph.passages == len(PASSAGES)
    assert titled(graph, 1) == mentioned(graph, 1) == []
    assert graph.name_of("jean de limur") is None
    assert mentioned(graph, 4) == ["paris"]
    add_passages(folder, [Passage("f", "Rome", "Rome is not Paris.")])
    with pytest.raises(OutdatedPart):
        open_graph(Index.open(folder))
    add_graph(folder)
    assert mentioned(open_graph(Index.open(folder)), 5) == ["paris"]
    assert verify_index(folder).ok


def test_views_show_what_the_matrices_hold(index_folder: Path, tmp_path: Path) -> None:
    import networkx

    index = Index.open(index_folder)
    view = to_networkx(open_graph(index), index.store)
    assert view.nodes["passage:1"] == {"kind": "passage", "id": "b", "title": "Jean de Limur"}
    assert view.edges["passage:0", "name:jean de limur"] == {"kind": "mentions", "place": 27}
    assert view.edges["passage:0", "name:the letter"] == {"kind": "titled"}
    assert view.nodes["name:emma smith"] == {"kind": "entity"}
    graph = open_graph(index)
    assert view.number_of_edges() == len(graph.mention_names) + len(graph.title_names)
    assert set(to_networkx(graph, index.store, rows=[4])) == {"passage:4", "name:paris"}

    view.nodes["passage:1"]["title"] = "a\x00b"
    write_graphml(view, tmp_path / "graph.graphml")
    read = networkx.read_graphml(tmp_path / "graph.graphml")
    assert read.nodes["passage:1"]["title"] == "a\ufffdb"
    assert read.edges["passage:0", "name:jean de limur"]["place"] == 27
