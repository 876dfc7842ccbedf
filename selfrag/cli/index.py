"""`selfrag index build | info | verify`."""

from __future__ import annotations

import warnings
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Annotated, Any, Literal

import typer

from selfrag.cli.failures import InputError
from selfrag.cli.loading import encoder_folder, index_folder, quiet_libraries
from selfrag.cli.output import Output, note

application = typer.Typer(
    help="Build and check indexes.", no_args_is_help=True, rich_markup_mode=None
)

Json = Annotated[bool, typer.Option("--json", help="Print one JSON object.")]
Folder = Annotated[
    Path | None, typer.Argument(help="Folder of an index; the embedded one if left out.")
]

Factory = Annotated[
    str, typer.Option("--factory", help='FAISS index_factory string; "auto" chooses.')
]
Memory = Annotated[
    str | None,
    typer.Option("--memory", help='Budget for searching, as 4GB; the factory "auto" fits it.'),
]
Overwrite = Annotated[bool, typer.Option("--overwrite", help="Replace an index that is in OUT.")]
Restart = Annotated[
    bool, typer.Option("--restart", help="Discard an interrupted build instead of resuming.")
]

Format = Annotated[
    str,
    typer.Option(
        "--format",
        help="auto (by the file's name), jsonl, beir, contriever, flashrag, tsv, dpr, kilt "
        "or text (documents).",
    ),
]
ChunkWords = Annotated[
    int | None,
    typer.Option(
        "--chunk-words",
        min=1,
        help="Most words of a passage cut from a document or KILT page; 100 if left out.",
    ),
]
ChunkOverlap = Annotated[
    int | None,
    typer.Option(
        "--chunk-overlap",
        min=0,
        help="Sentences that it repeats of the passage before it; 0 if left out.",
    ),
]
OnError = Annotated[
    Literal["stop", "skip"],
    typer.Option(
        "--on-error",
        help='At a bad row or a duplicate id: "stop", or "skip" it and list what was skipped.',
    ),
]


@application.command("build")
def build(
    source: Annotated[
        Path,
        typer.Argument(
            help="Corpus: a jsonl, DPR tsv, KILT or FlashRAG file, a BEIR folder, or text, "
            "Markdown, HTML and PDF files or a folder of them."
        ),
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
    factory: Factory = "auto",
    memory: Memory = None,
    overwrite: Overwrite = False,
    format: Format = "auto",
    chunk_words: ChunkWords = None,
    chunk_overlap: ChunkOverlap = None,
    on_error: OnError = "stop",
    restart: Restart = False,
    ray: Annotated[
        str | None,
        typer.Option(
            "--ray",
            metavar="ADDRESS",
            help='Encode on a Ray cluster: "local" starts one here, "auto" joins the one of this '
            "machine, or host:port.",
        ),
    ] = None,
    ray_workers: Annotated[
        int | None,
        typer.Option(
            "--ray-workers", min=1, help="Encoders at work; left out: as many as there is room for."
        ),
    ] = None,
    ray_gpus: Annotated[
        float | None,
        typer.Option(
            "--ray-gpus-per-worker",
            min=0,
            help="May be a fraction; left out: 1 if the cluster has any.",
        ),
    ] = None,
    as_json: Json = False,
) -> None:
    """Build an index from a corpus; the same command goes on with a build that was interrupted."""
    output = Output(as_json=as_json)
    with output.guarded():
        quiet_libraries()
        from indexes.build import build_index
        from indexes.choice import parse_memory
        from indexes.cluster import RayCluster
        from indexes.errors import SkippedPassages
        from indexes.index import Index
        from indexes.readers import read_passages
        from retrievers.encoders import Encoder

        if ray is None and (ray_workers is not None or ray_gpus is not None):
            raise InputError("Workers were described, and no cluster.", "Add --ray local.")
        cluster = None if ray is None else RayCluster(ray, ray_workers, ray_gpus)
        reading: dict[str, Any] = {
            "format": format,
            "chunk_words": chunk_words,
            "chunk_overlap": chunk_overlap,
            "on_error": on_error,
        }
        passages = read_passages(source, **reading)
        model = None if encoder == "none" else Encoder(encoder_folder(encoder))
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore", SkippedPassages)  # noted below, also on failure
                build_index(
                    passages,
                    out,
                    encoder=model,
                    factory=factory,
                    memory=None if memory is None else parse_memory(memory),
                    overwrite=overwrite,
                    restart=restart,
                    reading=reading,
                    corpus_path=source,
                    ray=cluster,
                )
        finally:
            if passages.skipped:
                note(f"{source}: {passages.skipped.describe()}")
        # A resumed build does not read a corpus again that was read to its end.
        skipped = passages.skipped.to_dict() if passages.finished else None
        show(output, {"path": str(out), **Index.open(out).info(), "skipped": skipped})


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
