"""The stages `generator-data` and `generator`: rows with reflection tokens, and their training."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from dataclasses import replace
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from selfrag.training.errors import StageFailed
from selfrag.training.generator.data import STEPS, make_generator_data
from selfrag.training.generator.plan import GeneratorPlan
from selfrag.training.recipe import MADE
from selfrag.training.stages import fingerprint, read_lines, read_manifest
from selfrag.training.steps.critics import open_critic
from selfrag.training.steps.record import Outcome
from selfrag.training.steps.run import Progress, Run, shipped

MODEL_SHIPPED = "selfrag-mini"


def run_generator_data(run: Run) -> Outcome:
    """Make rows; see `selfrag.training.generator.data`."""
    part = run.recipe.generator_data
    assert part is not None
    folder = run.folder("generator-data")
    total = sum(1 for _ in read_lines([run.rows("train")]))
    counted: dict[str, int] = {}

    def advance(step: str, further: int) -> None:
        counted[step] = counted.get(step, 0) + further
        run.report(Progress("generator-data", "", step, counted[step], total))

    with open_critic(run, run.recipe.generator_data_critics) as critic:
        last = make_generator_data(
            [run.rows("train")],
            folder,
            critic,
            run.retriever,
            part.options,
            advance=advance,
        )
    manifests = [read_manifest(folder / step) for step in STEPS]
    dropped: dict[str, int] = {}
    for manifest in manifests:
        for reason, count in (manifest.dropped if manifest else {}).items():
            dropped[reason] = dropped.get(reason, 0) + count
    read = manifests[0].read if manifests[0] else 0
    return Outcome({"read": read, "rows": last.written}, dropped, last.balance)


def generator_inputs(run: Run) -> dict[str, str]:
    """The fingerprints of rows that exist already."""
    return {name: fingerprint([Path(name)]) for name in run.recipe.rows}


def run_generator(run: Run) -> Outcome:
    """Train, export and plot; see `selfrag.training.generator.training`."""
    from selfrag.training.generator.training import train_generator

    folder = run.folder("generator")
    rows = [Path(name) for name in run.recipe.rows]
    if run.recipe.generator_data is not None:
        rows.insert(0, run.folder("generator-data") / STEPS[-1] / "rows.jsonl")
    report = train_generator(rows, folder, plan_of(run), run.teller("generator"))
    counts = {
        "read": report.rows.read,
        "rows": report.rows.kept,
        "cut": report.rows.cut,
        "steps": report.steps,
        "tokens": report.tokens,
    }
    figures = {
        "model": str(model_folder(run)),
        "training_seconds": report.seconds,
        "loss": report.loss,
        "losses": report.losses,
    }
    return Outcome(counts, report.rows.dropped, {}, figures, tuple(_plot(folder)))


def model_folder(run: Run) -> Path:
    """The folder of the exported model."""
    return run.folder("generator") / "model"


def plan_of(run: Run) -> GeneratorPlan:
    """The recipe's plan with the folders that its names stand for."""
    plan = run.recipe.generator
    assert plan is not None
    if plan.tokenizer == MADE:
        return replace(plan, tokenizer=str(_tokenizer(run)))
    if plan.tokenizer:
        return replace(plan, tokenizer=shipped(plan.tokenizer, MODEL_SHIPPED))
    return replace(plan, base=shipped(plan.base, MODEL_SHIPPED))


def _tokenizer(run: Run) -> Path:
    """The folder of the tokenizer that is made of the run's own texts, once."""
    folder = run.folder("generator") / "tokenizer"
    if folder.exists():
        return folder
    from selfrag.training.mini.tokenizer import train_tokenizer

    part = run.recipe.tokenizer
    assert part is not None
    scratch = folder.with_name("tokenizer.part")
    shutil.rmtree(scratch, ignore_errors=True)
    train_tokenizer(_texts(run), part.pieces).save_pretrained(scratch)
    scratch.rename(folder)
    return folder


def _texts(run: Run) -> Iterator[str]:
    """Instructions, outputs and passages, without what is held out, and the prompt's own words."""
    yield "### Instruction:\n### Input:\n### Response:\n"
    for line in read_lines([run.rows("train")]):
        row: Any = line.row
        yield row["instruction"]
        yield row.get("input", "")
        yield row.get("output", "")
        for segment in row.get("segments", ()):
            yield segment["text"]
        for passage in row.get("passages", ()):
            yield f"{passage['title']}\n{passage['text']}"
    if run.store is not None:
        for passage in run.store:
            yield f"{passage.title}\n{passage.text}"


def _plot(folder: Path) -> list[str]:
    """Draw the curves; a note where matplotlib is not there."""
    if find_spec("matplotlib") is None:
        return ["No curves.png: matplotlib is not installed (extra `train`)."]
    from selfrag.training.generator.curves import plot_curves

    if not (folder / "log.jsonl").exists():
        return ["No curves.png: nothing was logged; lower `log_steps`."]
    plot_curves(folder / "log.jsonl", folder / "curves.png")
    return []


def storage_failure(error: Exception) -> StageFailed | None:
    """The error of a disk that is full, whichever library found out; None for other errors."""
    from safetensors import SafetensorError

    from_torch = isinstance(error, RuntimeError) and "PytorchStreamWriter" in str(error)
    if not (isinstance(error, OSError | SafetensorError) or from_torch):
        return None
    reason = getattr(error, "strerror", None) or error
    return StageFailed(
        f"The stage stopped: {reason}.",
        "Make room or mend the path, and run the same command again: it goes on from there.",
    )
