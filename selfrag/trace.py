"""The search tree of an answer as data, as a graph and as files.

A tree is plain data (`Answer.tree`): `{"schema_version", "question", "nodes", "selected"}`, where a
node has `id`, `parent`, `depth`, `action`, `passage_id`, `passage_title`, `passage_text`,
`prompt_ids`, `token_ids`, `text`, `literal`, `scores`, `distributions`, `status` and `finish`. JSON
and networkx keep all of it; GraphML holds scalars, so lists and mappings stand in it as JSON text;
Mermaid is a picture. This module does not know how a tree is searched.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from selfrag.errors import SelfRAGError

if TYPE_CHECKING:
    from selfrag.answer import Answer

TREE_SCHEMA_VERSION = 1

_LABEL_LENGTH = 60

# What XML 1.0 (section 2.2) does not allow in a document, not even as a character reference.
_NOT_XML = re.compile("[^\t\n\r\u0020-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")

_STYLES = {
    "selected": "stroke:#2e7d32,stroke-width:3px",
    "dropped": "stroke:#c62828,stroke-dasharray:4",
    "repeated": "stroke:#c62828,stroke-dasharray:2",
    "cut": "stroke:#9e9e9e,stroke-dasharray:4",
    "cancelled": "stroke:#9e9e9e,stroke-dasharray:4",
}


class TraceError(SelfRAGError):
    """A trace cannot be written or read: an unknown file type, no tree, or a damaged file."""

    exit_code = 2


def write_trace(answer: Answer, path: str | Path) -> Path:
    """Write the answer's tree to `path`; its extension chooses the format.

    Raises:
        TraceError: the extension is unknown, the answer has no tree, or the file cannot be
            written.
    """
    file = Path(path)
    writer = _WRITERS[check_trace_path(file)]
    if not answer.tree:
        raise TraceError(
            f"The answer to {answer.question[:80]!r} has no tree (status {answer.status}).",
            "Only a question that was searched leaves a tree.",
        )
    text = writer(answer.tree)
    try:
        file.write_text(text, encoding="utf-8")
    except OSError as error:
        raise TraceError(
            f"Cannot write the trace {file}: {error.strerror or error}.",
            "Choose a path in a folder that exists and can be written.",
        ) from error
    return file


def check_trace_path(path: str | Path) -> str:
    """The extension of a trace's path, refused before any work is done when it is unknown.

    Raises:
        TraceError: the extension is none of `.json`, `.graphml` and `.mmd`.
    """
    extension = Path(path).suffix.lower()
    if extension not in _WRITERS:
        got = f"has the extension {extension!r}" if extension else "has no extension"
        raise TraceError(
            f"The trace path {path} {got}.", f"Use one of {', '.join(sorted(_WRITERS))}."
        )
    return extension


def read_trace(path: str | Path) -> dict[str, Any]:
    """The tree in a `.json` trace.

    Raises:
        TraceError: the file cannot be read, is no JSON, or is no tree of this schema version.
    """
    try:
        tree = json.loads(Path(path).read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise TraceError(
            f"Cannot read the trace {path}: {error}.", "Give a .json trace."
        ) from error
    _check_tree(tree)
    return dict(tree)


def tree_to_json(tree: Mapping[str, Any]) -> str:
    """The tree as one JSON document, a node a line so that two traces can be compared."""
    _check_tree(tree)
    head = [f"{json.dumps(key)}: {_json(value)}" for key, value in tree.items() if key != "nodes"]
    nodes = ",\n".join("  " + _json(node) for node in tree["nodes"])
    return "{" + ",\n".join([*head, f'"nodes": [\n{nodes}\n]']) + "}\n"


def tree_to_networkx(tree: Mapping[str, Any]) -> Any:
    """The tree as a `networkx.DiGraph`: edges run from parent to child.

    Node attributes are those of the tree's nodes without `id` and `parent`; graph attributes are
    the tree's other values.
    """
    import networkx

    _check_tree(tree)
    graph = networkx.DiGraph(**{key: value for key, value in tree.items() if key != "nodes"})
    for node in tree["nodes"]:
        graph.add_node(
            node["id"], **{key: value for key, value in node.items() if key not in ("id", "parent")}
        )
    for node in tree["nodes"]:
        if node["parent"] is not None:
            graph.add_edge(node["parent"], node["id"])
    return graph


def tree_from_networkx(graph: Any) -> dict[str, Any]:
    """Inverse of `tree_to_networkx`.

    Raises:
        TraceError: the graph is no tree of this schema version.
    """
    nodes = []
    for identity, values in graph.nodes(data=True):
        parents = list(graph.predecessors(identity))
        if len(parents) > 1:
            raise TraceError(f"Node {identity} has {len(parents)} parents.", "Give a tree.")
        nodes.append({"id": identity, "parent": parents[0] if parents else None, **values})
    tree = {**graph.graph, "nodes": nodes}
    _check_tree(tree)
    return tree


def tree_to_graphml(tree: Mapping[str, Any]) -> str:
    """The tree as GraphML. Scores become attributes `score_seq`, `score_rel`, ...; lists and
    mappings become JSON text; a value that was not measured is left out.
    """
    import networkx

    graph = networkx.DiGraph(**_scalars(((k, v) for k, v in tree.items() if k != "nodes")))
    source = tree_to_networkx(tree)
    for identity, values in source.nodes(data=True):
        scores = values.get("scores") or {}
        flat = _scalars((key, value) for key, value in values.items() if key != "scores")
        flat.update(_scalars((f"score_{key}", value) for key, value in scores.items()))
        graph.add_node(identity, **flat)
    graph.add_edges_from(source.edges)
    return "\n".join(networkx.generate_graphml(graph, named_key_ids=True)) + "\n"


def tree_to_mermaid(tree: Mapping[str, Any]) -> str:
    """The tree as a Mermaid flowchart. Text from models and passages is escaped throughout."""
    _check_tree(tree)
    chosen = set(tree.get("selected", ()))
    lines = ["flowchart TD"]
    members: dict[str, list[str]] = {}
    for node in tree["nodes"]:
        name = f"n{int(node['id'])}"
        lines.append(f'    {name}["{_label(tree, node)}"]')
        status = "selected" if node["id"] in chosen else str(node.get("status"))
        if status in _STYLES:
            members.setdefault(status, []).append(name)
    for node in tree["nodes"]:
        if node["parent"] is not None:
            arrow = "==>" if node["id"] in chosen else "-->"
            lines.append(f"    n{int(node['parent'])} {arrow} n{int(node['id'])}")
    for status, names in members.items():
        lines.append(f"    classDef {status} {_STYLES[status]}")
        lines.append(f"    class {','.join(names)} {status}")
    return "\n".join(lines) + "\n"


def _label(tree: Mapping[str, Any], node: Mapping[str, Any]) -> str:
    if node["parent"] is None:
        return _escape(_short(str(tree.get("question", ""))))
    rows = [_escape(_short(str(node.get("text") or "")) or "(no text)")]
    title = node.get("passage_title") or node.get("passage_id")
    rows.append(
        _escape(f"{node.get('action')}: {_short(str(title))}" if title else str(node.get("action")))
    )
    scores = node.get("scores") or {}
    measured = [f"{k} {v:.2f}" for k, v in scores.items() if isinstance(v, int | float)]
    if measured:
        rows.append(_escape(", ".join(measured)))
    rows.append(_escape(", ".join(str(node[k]) for k in ("status", "finish") if node.get(k))))
    return "<br/>".join(rows)


def _short(text: str) -> str:
    words = " ".join(text.split())
    return (
        words
        if len(words) <= _LABEL_LENGTH
        else words[: _LABEL_LENGTH - 1] + "\N{HORIZONTAL ELLIPSIS}"
    )


def _escape(text: str) -> str:
    """Mermaid's own entity codes (`#34;`) for all but letters, digits, blanks and `. , -`."""
    visible = _NOT_XML.sub("\N{REPLACEMENT CHARACTER}", text)
    return "".join(
        char if char.isalnum() or char in " .,-" else f"#{ord(char)};" for char in visible
    )


def _scalars(items: Iterable[tuple[str, Any]]) -> dict[str, str | int | float | bool]:
    flat: dict[str, str | int | float | bool] = {}
    for key, value in items:
        if value is None:
            continue
        if isinstance(value, bool | int | float):
            flat[key] = value
        elif isinstance(value, str):
            flat[key] = _NOT_XML.sub("\N{REPLACEMENT CHARACTER}", value)
        else:
            flat[key] = json.dumps(value)
    return flat


def _json(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False)


def _check_tree(tree: Any) -> None:
    version = tree.get("schema_version") if isinstance(tree, Mapping) else None
    if version != TREE_SCHEMA_VERSION:
        raise TraceError(
            f"This is no tree of schema version {TREE_SCHEMA_VERSION} (version {version!r}).",
            "Give the tree of an answer made by this release.",
        )
    nodes = tree.get("nodes")
    if not isinstance(nodes, list | tuple):
        raise TraceError("The tree has no list of nodes.", "Give a whole tree.")
    known = {node["id"] for node in nodes}
    for node in nodes:
        if node["parent"] is not None and node["parent"] not in known:
            raise TraceError(
                f"Node {node['id']} has the unknown parent {node['parent']}.", "Give a whole tree."
            )


_WRITERS = {".json": tree_to_json, ".graphml": tree_to_graphml, ".mmd": tree_to_mermaid}
