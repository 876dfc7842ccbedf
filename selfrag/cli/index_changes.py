"""`selfrag index import | add | delete | compact | graph`."""

from __future__ import annotations

import warnings
from pathlib import Path
from typing import Annotated, Any

import typer

from selfrag.cli.failures import InputError
from selfrag.cli.index import (
    ChunkOverlap,
    ChunkWords,
    Factory,
    Format,
    Json,
    Memory,
    OnError,
    Overwrite,
    Restart,
    application,
    show,
)
from selfrag.cli.loading import encoder_folder, quiet_libraries
from selfrag.cli.output import Output, note

__all__ = ["application"]

Index = Annotated[Path, typer.Argument(help="Folder of the index that is to be changed.")]


@application.command("import")
def import_(
    source: Annotated[Path, typer.Argument(help="Corpus that the vectors were made of.")],
    vectors: Annotated[
        list[Path],
        typer.Argument(help="Vectors: npy, npz, parquet, or Contriever's pickled passages_NN."),
    ],
    out: Annotated[Path, typer.Option("--out", help="Folder of the new index.")],
    encoder: Annotated[
        str | None,
        typer.Option("--encoder", help="The model that made the vectors; it encodes queries."),
    ] = None,
    ids: Annotated[
        Path | None, typer.Option("--ids", help="Ids of an npy file: text, JSON or npy.")
    ] = None,
    id_column: Annotated[str, typer.Option("--id-column", help="In parquet files.")] = "id",
    vector_column: Annotated[
        str, typer.Option("--vector-column", help="In parquet files.")
    ] = "embedding",
    factory: Factory = "auto",
    memory: Memory = None,
    overwrite: Overwrite = False,
    restart: Restart = False,
    as_json: Json = False,
) -> None:
    """Build an index from vectors that others have computed, matched to the corpus by ids."""
    output = Output(as_json=as_json)
    with output.guarded():
        quiet_libraries()
        from indexes.choice import parse_memory
        from indexes.importing import import_index
        from retrievers.encoders import Encoder

        import_index(
            source,
            vectors,
            out,
            encoder=Encoder(encoder_folder(encoder)),
            ids=ids,
            id_column=id_column,
            vector_column=vector_column,
            factory=factory,
            memory=None if memory is None else parse_memory(memory),
            overwrite=overwrite,
            restart=restart,
        )
        _show_index(output, out)


@application.command("add")
def add(
    index: Index,
    source: Annotated[
        Path, typer.Argument(help="Corpus of the passages to add, as for `index build`.")
    ],
    format: Format = "auto",
    chunk_words: ChunkWords = None,
    chunk_overlap: ChunkOverlap = None,
    on_error: OnError = "stop",
    as_json: Json = False,
) -> None:
    """Add passages to an index, encoded by the encoder that it records."""
    output = Output(as_json=as_json)
    with output.guarded():
        quiet_libraries()
        from indexes.changes import add_passages
        from indexes.errors import SkippedPassages
        from indexes.index import Index as OpenIndex
        from indexes.readers import read_passages
        from retrievers.opening import load_encoder

        passages = read_passages(
            source,
            format=format,
            chunk_words=chunk_words,
            chunk_overlap=chunk_overlap,
            on_error=on_error,
        )
        opened = OpenIndex.open(index)
        encoder = None if opened.manifest.encoder is None else load_encoder(opened)
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore", SkippedPassages)  # noted below, also on failure
                add_passages(index, passages, encoder=encoder)
        finally:
            if passages.skipped:
                note(f"{source}: {passages.skipped.describe()}")
        _show_index(output, index, skipped=passages.skipped.to_dict())


@application.command("delete")
def delete(
    index: Index,
    ids: Annotated[list[str] | None, typer.Argument(help="Ids of passages.")] = None,
    ids_file: Annotated[
        Path | None, typer.Option("--ids-file", help="A file of ids, one a line.")
    ] = None,
    as_json: Json = False,
) -> None:
    """Delete passages from an index; `compact` gives their space back."""
    output = Output(as_json=as_json)
    with output.guarded():
        from indexes.changes import delete_passages

        wanted = list(ids or [])
        if ids_file is not None:
            wanted += ids_file.read_text(encoding="utf-8").splitlines()
        if not wanted:
            raise InputError("No id was given.", "Name ids, or give --ids-file.")
        delete_passages(index, wanted)
        _show_index(output, index)


@application.command("compact")
def compact(index: Index, as_json: Json = False) -> None:
    """Build an index again from the passages left in it, without encoding them."""
    output = Output(as_json=as_json)
    with output.guarded():
        from indexes.changes import compact_index

        compact_index(index)
        _show_index(output, index)


@application.command("graph")
def graph(index: Index, as_json: Json = False) -> None:
    """Add the graph of names to an index, or make it again after passages have changed."""
    output = Output(as_json=as_json)
    with output.guarded():
        from indexes.graph_build import add_graph

        add_graph(index)
        _show_index(output, index)


def _show_index(output: Output, path: Path, **more: Any) -> None:
    from indexes.index import Index as OpenIndex

    show(output, {"path": str(path), **OpenIndex.open(path).info(), **more})
