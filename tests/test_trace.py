"""Trees as JSON, networkx, GraphML and Mermaid."""

from __future__ import annotations

import copy
import io
import json
from pathlib import Path
from typing import Any

import networkx
import pytest
from sample_answers import make_answer

from selfrag.answer import Answer
from selfrag.trace import (
    TraceError,
    check_trace_path,
    read_trace,
    tree_from_networkx,
    tree_to_graphml,
    tree_to_json,
    tree_to_mermaid,
    tree_to_networkx,
    write_trace,
)

MERMAID = """\
flowchart TD
    n0["What is the capital of Burkina Faso#63;"]
    n1["The capital of Burkina Faso is Ouagadougou.<br/>retrieve#58; Burkina Faso<br/>\
seq 0.90, rel 0.99, sup 0.98, F 2.87<br/>finished, stop"]
    n2["#65533;#91;31mNo.#65533; #37;#37; #96;x#96; #35;quot#59; --#62;<br/>\
retrieve#58; A #34;title#34; #60;b#62;#91;1#93;#60;#47;b#62;#59; end<br/>dropped, limit"]
    n0 ==> n1
    n0 --> n2
    classDef selected stroke:#2e7d32,stroke-width:3px
    class n0,n1 selected
    classDef dropped stroke:#c62828,stroke-dasharray:4
    class n2 dropped
"""


def test_json_keeps_the_whole_tree(tree: dict[str, Any], tmp_path: Path) -> None:
    assert json.loads(tree_to_json(tree)) == tree
    path = write_trace(make_answer(tree=tree), tmp_path / "tree.json")
    assert read_trace(path) == tree
    assert read_trace(path)["nodes"][1]["prompt_ids"] == [1, 2]


def test_networkx_and_back_is_the_same_tree(tree: dict[str, Any]) -> None:
    graph = tree_to_networkx(tree)
    assert list(graph.edges) == [(0, 1), (0, 2)]
    assert graph.nodes[1]["scores"]["seq"] == 0.9
    assert graph.graph["selected"] == [0, 1]
    assert tree_from_networkx(graph) == tree


def test_answer_gives_its_tree_as_a_graph(answer: Answer) -> None:
    assert networkx.is_arborescence(answer.to_networkx())


def test_graphml_is_read_by_networkx_and_holds_scalars(tree: dict[str, Any]) -> None:
    graph = networkx.read_graphml(io.BytesIO(tree_to_graphml(tree).encode()))
    assert set(graph.edges) == {("0", "1"), ("0", "2")}
    node = graph.nodes["1"]
    assert node["score_seq"] == 0.9
    assert "score_use" not in node
    assert json.loads(node["prompt_ids"]) == [1, 2]
    assert json.loads(node["distributions"]) == tree["nodes"][1]["distributions"]
    assert graph.nodes["2"]["text"] == "\ufffd[31mNo.\ufffd %% `x` #quot; -->"
    values = [value for _, data in graph.nodes(data=True) for value in data.values()]
    assert all(isinstance(value, str | int | float | bool) for value in values)


def test_mermaid_escapes_untrusted_text(tree: dict[str, Any]) -> None:
    assert tree_to_mermaid(tree) == MERMAID


def test_mermaid_shortens_long_text(tree: dict[str, Any]) -> None:
    tree["nodes"][1]["text"] = "word " * 100
    assert len(tree_to_mermaid(tree)) < 1200


@pytest.mark.parametrize("name", ["t.json", "t.graphml", "t.mmd", "T.JSON"])
def test_extension_chooses_the_format(name: str, answer: Answer, tmp_path: Path) -> None:
    text = write_trace(answer, tmp_path / name).read_text(encoding="utf-8")
    starts = {".json": "{", ".graphml": "<graphml", ".mmd": "flowchart"}
    assert text.startswith(starts[Path(name).suffix.lower()])


@pytest.mark.parametrize("name", ["tree.txt", "tree"])
def test_other_extensions_are_refused(name: str) -> None:
    with pytest.raises(TraceError, match=r"\.graphml, \.json, \.mmd"):
        check_trace_path(name)


def test_answers_without_a_tree_are_refused(tmp_path: Path) -> None:
    with pytest.raises(TraceError, match="no tree"):
        write_trace(make_answer(tree={}, status="refused"), tmp_path / "t.json")


def test_a_folder_that_is_missing_is_a_named_error(answer: Answer, tmp_path: Path) -> None:
    with pytest.raises(TraceError, match="Cannot write"):
        write_trace(answer, tmp_path / "missing" / "t.json")


def test_damaged_trees_are_refused(tree: dict[str, Any], tmp_path: Path) -> None:
    orphan = copy.deepcopy(tree)
    orphan["nodes"][1]["parent"] = 77
    for bad in ({}, {"schema_version": 2, "nodes": []}, {"schema_version": 1}, orphan):
        with pytest.raises(TraceError):
            tree_to_networkx(bad)
    path = tmp_path / "t.json"
    for text in ("", "[]", '{"schema_version": 1'):
        path.write_text(text)
        with pytest.raises(TraceError):
            read_trace(path)
    graph = tree_to_networkx(tree)
    graph.add_edge(1, 2)
    with pytest.raises(TraceError, match="2 parents"):
        tree_from_networkx(graph)
