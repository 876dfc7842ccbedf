"""`selfrag search`: passages for a query, without a model that writes."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

import typer

from selfrag.cli.failures import InputError
from selfrag.cli.index_push import Collection, Database
from selfrag.cli.loading import IndexPath, index_folder, quiet_libraries
from selfrag.cli.output import Output


def search(
    query: Annotated[str, typer.Argument(help="What to search for.")],
    index: IndexPath = None,
    count: Annotated[int, typer.Option("-k", "--passages", min=1, help="How many.")] = 5,
    kind: Annotated[
        Literal["hybrid", "dense", "bm25", "graph", "milvus"] | None,
        typer.Option(
            "--kind",
            help='How to search; hybrid if left out. "graph" after `selfrag index graph`, '
            '"milvus" after `selfrag index push`.',
        ),
    ] = None,
    retriever: Annotated[
        Path | None,
        typer.Option("--retriever", help="YAML file that describes the retriever instead."),
    ] = None,
    milvus: Annotated[
        str | None, typer.Option("--milvus", help="Address for --kind milvus, as for index push.")
    ] = None,
    collection: Collection = None,
    database: Database = None,
    as_json: Annotated[
        bool, typer.Option("--json", help="Print one JSON object with all hits.")
    ] = False,
) -> None:
    """Search an index and print the best passages."""
    output = Output(as_json=as_json)
    with output.guarded():
        quiet_libraries()
        from retrievers.configuration import node_from, node_from_yaml
        from retrievers.opening import open_retriever

        if retriever is not None and kind is not None:
            raise InputError("A kind and a file of a retriever were given.", "Give one of them.")
        settings = {"uri": milvus, "collection": collection, "database": database}
        given = {name: value for name, value in settings.items() if value is not None}
        if given and kind != "milvus":
            raise InputError(
                "Settings of Milvus were given for another retriever.", "Add --kind milvus."
            )
        if kind == "milvus" and milvus is None:
            raise InputError("Where Milvus is was not said.", "Add --milvus with its address.")
        if retriever is not None:
            node = node_from_yaml(retriever)
        else:
            node = node_from({kind: given} if kind == "milvus" else kind or "hybrid")

        folder = index_folder(index)
        hits = open_retriever(folder, node).search(query, count)
        if as_json:
            output.line(
                {"query": query, "kind": node.kind, "hits": [hit.to_dict() for hit in hits]}
            )
            return
        if not hits:
            output.raw("No passage was found.\n")
            return
        from rich.console import Group
        from rich.padding import Padding
        from rich.text import Text

        from selfrag.rendering import printable

        for hit in hits:
            passage = hit.passage
            text = printable(passage.text)
            head = f"{hit.rank}. {passage.title or passage.id}  ({hit.score:.4f}, {passage.id})"
            output.show(
                Group(
                    Text(printable(head), style="cyan"),
                    Padding(Text(text), (0, 0, 0, 3), expand=False)
                    if output.terminal
                    else Text(f"   {text}"),
                )
            )
