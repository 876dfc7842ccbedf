"""`selfrag search`: passages for a query, without a model that writes."""

from __future__ import annotations

from typing import Annotated, Literal

import typer

from selfrag.cli.loading import IndexPath, index_folder, quiet_libraries
from selfrag.cli.output import Output


def search(
    query: Annotated[str, typer.Argument(help="What to search for.")],
    index: IndexPath = None,
    count: Annotated[int, typer.Option("-k", "--passages", min=1, help="How many.")] = 5,
    kind: Annotated[
        Literal["hybrid", "dense", "bm25", "graph"],
        typer.Option("--kind", help='How to search; "graph" after `selfrag index graph`.'),
    ] = "hybrid",
    as_json: Annotated[
        bool, typer.Option("--json", help="Print one JSON object with all hits.")
    ] = False,
) -> None:
    """Search an index and print the best passages."""
    output = Output(as_json=as_json)
    with output.guarded():
        quiet_libraries()
        from retrievers.opening import open_retriever

        folder = index_folder(index)
        hits = open_retriever(folder, kind=kind).search(query, count)
        if as_json:
            output.line({"query": query, "kind": kind, "hits": [hit.to_dict() for hit in hits]})
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
            head = f"{hit.rank}. {passage.title or passage.id}  ({hit.score:.4f}, {passage.id})"
            output.show(
                Group(
                    Text(printable(head), style="cyan"),
                    Padding(Text(printable(passage.text)), (0, 0, 0, 3), expand=False),
                )
            )
