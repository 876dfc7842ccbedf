"""`selfrag train run | status`: the whole training pipeline, by a recipe."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from selfrag.cli.loading import quiet_libraries
from selfrag.cli.output import Output, note

if TYPE_CHECKING:
    from selfrag.training.pipeline import PipelineReport
    from selfrag.training.steps.run import Progress, Report

application = typer.Typer(
    help="Train a critic and a generator of your own, from source rows to a measured model.",
    no_args_is_help=True,
    rich_markup_mode=None,
)

Json = Annotated[bool, typer.Option("--json", help="Print one JSON object.")]


@application.command("run")
def run(
    recipe: Annotated[
        Path,
        typer.Argument(help="YAML file; scripts/recipes/ has some, docs/training.md all keys."),
    ],
    work: Annotated[Path, typer.Option("--work", help="Folder of the run; made if absent.")],
    until: Annotated[
        str | None,
        typer.Option(
            "--until",
            metavar="STAGE",
            help="Last stage to run: sources, index, critic-data, critic, generator-data, "
            "generator or evaluation.",
        ),
    ] = None,
    as_json: Json = False,
) -> None:
    """Run a recipe; the same command goes on with a run that was interrupted.

    Stages that are complete are not run again. What was dropped stands in files dropped.jsonl in
    the stages' folders, with ids and reasons.
    """
    output = Output(as_json=as_json)
    with output.guarded():
        quiet_libraries()
        from selfrag.training.pipeline import run_pipeline
        from selfrag.training.recipe import Recipe

        with _progress() as report:
            done = run_pipeline(Recipe.load(recipe), work, until, report)
        _show(output, done)


@application.command("status")
def status(
    folder: Annotated[Path, typer.Argument(help="Folder of a run.")], as_json: Json = False
) -> None:
    """Print which stages are complete, what they counted and dropped, and what was measured."""
    output = Output(as_json=as_json)
    with output.guarded():
        from selfrag.training.pipeline import pipeline_status

        _show(output, pipeline_status(folder))


@contextmanager
def _progress() -> Iterator[Report]:
    """Sentences on standard error; on a terminal also a bar for each step of a stage."""
    import sys

    if not sys.stderr.isatty():
        yield _say
        return
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, TextColumn, TimeElapsedColumn
    from rich.progress import Progress as Bars

    columns = (
        TextColumn("{task.description}", markup=False),
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
    )
    console = Console(stderr=True, highlight=False, markup=False)
    with Bars(*columns, console=console, transient=True) as bars:
        tasks: dict[str, Any] = {}

        def report(progress: Progress) -> None:
            if progress.text:
                console.print(f"{progress.stage}: {progress.text}", soft_wrap=True)
                return
            name = f"{progress.stage} {progress.step}"
            if name not in tasks:
                tasks[name] = bars.add_task(name, total=progress.total)
            bars.update(tasks[name], completed=progress.done)

        yield report


def _say(progress: Progress) -> None:
    from selfrag.rendering import printable

    if progress.text:
        note(printable(f"{progress.stage}: {progress.text}"))


def _show(output: Output, report: PipelineReport) -> None:
    if output.as_json:
        output.line(report.to_dict())
        return
    from selfrag.rendering import printable
    from selfrag.training.steps.telling import report_text

    output.raw(printable(report_text(report.to_dict())))
