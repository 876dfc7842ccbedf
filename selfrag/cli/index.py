"""`selfrag index build | info | verify`."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Annotated, Any

import typer

from selfrag.cli.loading import encoder_folder, index_folder, quiet_libraries
from selfrag.cli.output import Output

application = typer.Typer(
    help="Build and check indexes.", no_args_is_help=True, rich_markup_mode=None
)

Json = Annotated[bool, typer.Option("--json", help="Print one JSON object.")]
Folder = Annotated[
    Path | None, typer.Argument(help="Folder of an index; the embedded one if left out.")
]


@application.command("build")
def build(
    source: Annotated[
        Path, typer.Argument(help="Corpus: jsonl, DPR tsv, a BEIR folder or a FlashRAG file.")
    ],
    out: Annotated[Path, typer.Argument(help="Folder of the new index.")],
    encoder: Annotated[
        str | None,
        typer.Option(
            "--encoder",
            help="Folder or name of a sentence-transformers model; the embedded one if left out; "
            '"none" builds BM25 only.',
        ),
    ] = None,
    factory: Annotated[
        str, typer.Option("--factory", help='FAISS index_factory string; "auto" chooses.')
    ] = "auto",
    memory: Annotated[
        str | None,
        typer.Option("--memory", help='Budget for searching, as 4GB; the factory "auto" fits it.'),
    ] = None,
    overwrite: Annotated[
        bool, typer.Option("--overwrite", help="Replace an index that is in OUT.")
    ] = False,
    restart: Annotated[
        bool, typer.Option("--restart", help="Discard an interrupted build instead of resuming.")
    ] = False,
    as_json: Json = False,
) -> None:
    """Build an index from a corpus; the same command goes on with a build that was interrupted."""
    output = Output(as_json=as_json)
    with output.guarded():
        quiet_libraries()
        from indexes.build import build_index
        from indexes.choice import parse_memory
        from indexes.index import Index
        from retrievers.encoders import Encoder

        model = None if encoder == "none" else Encoder(encoder_folder(encoder))
        build_index(
            source,
            out,
            encoder=model,
            factory=factory,
            memory=None if memory is None else parse_memory(memory),
            overwrite=overwrite,
            restart=restart,
        )
        show(output, {"path": str(out), **Index.open(out).info()})


@application.command("info")
def info(folder: Folder = None, as_json: Json = False) -> None:
    """Print what an index holds and how it was made."""
    output = Output(as_json=as_json)
    with output.guarded():
        from indexes.index import Index

        path = index_folder(folder)
        show(output, {"path": str(path), **Index.open(path).info()})


@application.command("verify")
def verify(folder: Folder = None, as_json: Json = False) -> None:
    """Read every byte of an index; problems are listed and end with exit code 3."""
    output = Output(as_json=as_json)
    with output.guarded():
        from indexes.verify import verify_index

        report = verify_index(index_folder(folder))
        if as_json:
            output.line(report.to_dict())
        else:
            for problem in report.problems:
                output.raw(f"{problem}\n")
            state = "sound" if report.ok else f"{len(report.problems)} problems"
            output.raw(f"{report.path}: {state}, {report.files} files, {report.bytes} bytes\n")
        if not report.ok:
            raise typer.Exit(3)


def show(output: Output, values: dict[str, Any]) -> None:
    """Print values, as one JSON object or a line each."""
    if output.as_json:
        output.line(values)
        return
    for name, value in _flat("", values):
        output.raw(f"{name}: {'-' if value is None else value}\n")


def _flat(prefix: str, values: Mapping[str, Any]) -> Iterator[tuple[str, Any]]:
    """Nested values under names like `corpus passages`."""
    for key, value in values.items():
        name = f"{prefix} {key}".strip().replace("_", " ")
        if isinstance(value, Mapping):
            yield from _flat(name, value)
        else:
            yield name, value
