"""The graph of an index for looking at: as a networkx graph, and as GraphML for other programs.

Nodes are "passage:ROW" and "name:KEY". These are views, made anew and held in memory; searching
uses the sparse matrices of `indexes.graph`.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from indexes.graph import ALIAS, ENTITY, TITLE, Graph
from indexes.store import PassageStore

# XML 1.0 has no way to write these characters.
_NOT_IN_XML = re.compile("[^\t\n\r\u0020-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")


def to_networkx(graph: Graph, store: PassageStore, rows: Iterable[int] | None = None) -> Any:
    """A `networkx.DiGraph` of passages and names.

    Args:
        graph: what is shown.
        store: the passages it was built from.
        rows: show these passages and their names only; all by default.

    Returns:
        Passage nodes with `kind` "passage", `id` and `title`; name nodes with `kind` "title",
        "alias" or "entity"; edges from passages to names with `kind` "titled" or "mentions", the
        latter with `place`, the character where the text first mentions the name.
    """
    import networkx

    view = networkx.DiGraph()
    for row in range(graph.passages) if rows is None else rows:
        passage = store[row]
        node = f"passage:{row}"
        view.add_node(node, kind="passage", id=passage.id, title=passage.title)
        start, end = graph.title_starts[row : row + 2]
        for name in graph.title_names[start:end].tolist():
            view.add_edge(node, _name_node(view, graph, name), kind="titled")
        start, end = graph.mention_starts[row : row + 2]
        names = graph.mention_names[start:end].tolist()
        places = graph.mention_places[start:end].tolist()
        for name, place in zip(names, places, strict=True):
            view.add_edge(node, _name_node(view, graph, name), kind="mentions", place=place)
    return view


def write_graphml(view: Any, path: Path | str) -> None:
    """Write what `to_networkx` gave as GraphML; characters that XML lacks become U+FFFD."""
    import networkx

    names = {node: _clean(node) for node in view if _clean(node) != node}
    clean = networkx.relabel_nodes(view, names, copy=True)
    for _, values in clean.nodes(data=True):
        for key, value in values.items():
            values[key] = _clean(value)
    networkx.write_graphml_xml(clean, str(path))


def _name_node(view: Any, graph: Graph, name: int) -> str:
    kinds = int(graph.name_kinds[name])
    kind = next(
        word
        for bit, word in ((TITLE, "title"), (ALIAS, "alias"), (ENTITY, "entity"))
        if kinds & bit
    )
    node = f"name:{graph.key(name)}"
    view.add_node(node, kind=kind)
    return node


def _clean(text: str) -> str:
    return _NOT_IN_XML.sub("\ufffd", text)
