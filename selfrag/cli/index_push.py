"""`selfrag index push`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from selfrag.cli.index import Json, show
from selfrag.cli.index_changes import application
from selfrag.cli.loading import quiet_libraries
from selfrag.cli.output import Output

__all__ = ["application"]

Milvus = Annotated[
    str,
    typer.Option(
        "--milvus",
        help="Address, as http://host:19530 (with the token in MILVUS_TOKEN), or a path of Milvus "
        "Lite that ends in .db.",
    ),
]
Collection = Annotated[
    str | None,
    typer.Option("--collection", help="Its name; made of the index's fingerprint if left out."),
]
Database = Annotated[
    str | None, typer.Option("--database", help="Milvus database; the default one if left out.")
]


@application.command("push")
def push(
    index: Annotated[Path, typer.Argument(help="Folder of the index.")],
    milvus: Milvus,
    collection: Collection = None,
    database: Database = None,
    index_type: Annotated[
        str | None,
        typer.Option(
            "--index-type",
            help="Of Milvus, for a new collection; AUTOINDEX if left out. FLAT is exact.",
        ),
    ] = None,
    batch: Annotated[int, typer.Option("--batch", min=1, help="Rows of one request.")] = 1000,
    restart: Annotated[
        bool, typer.Option("--restart", help="Remove the collection and begin anew.")
    ] = False,
    as_json: Json = False,
) -> None:
    """Write an index's vectors into Milvus; the same command goes on after an interruption."""
    output = Output(as_json=as_json)
    with output.guarded():
        quiet_libraries()
        from indexes.milvus import MilvusAddress
        from indexes.milvus_push import push_index

        report = push_index(
            index,
            MilvusAddress(milvus, database),
            collection=collection,
            index_type=index_type,
            batch_rows=batch,
            restart=restart,
        )
        show(output, report.to_dict())
