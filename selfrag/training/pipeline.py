"""The whole pipeline, from sources to a measured generator, in one folder; resumable at any moment.

    1-sources         rows, split into `train` and `held-out`
    2-index           where passages come from
    3-critic-data     judgements, split again
    4-critic          a model that judges, and how well it does
    5-generator-data  rows with reflection tokens
    6-generator       the training, and the exported model
    7-evaluation      what the model answers to the rows that were held out

A stage that is complete holds `stage.json`, and is not run again as long as the recipe and its
inputs are the same. After a kill, a full disk or a server that is gone the same call goes on where
it stopped. Every stage lists what it dropped in files `dropped.jsonl`, with ids and reasons.

This module knows nothing of what stages do.
"""

from __future__ import annotations

import json
import os
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Literal

from selfrag.training.errors import StageChanged, StageFailed, TrainingError
from selfrag.training.generator.plan import CHANGEABLE
from selfrag.training.recipe import STAGES, Recipe
from selfrag.training.recipe_parts import InvalidRecipe
from selfrag.training.stages import write_atomically
from selfrag.training.steps.critics import critic_data_inputs, run_critic, run_critic_data
from selfrag.training.steps.examining import evaluation_inputs, run_evaluation
from selfrag.training.steps.generators import (
    generator_inputs,
    run_generator,
    run_generator_data,
    storage_failure,
)
from selfrag.training.steps.record import Outcome, StageRecord
from selfrag.training.steps.run import Progress, Report, Run, folder_of
from selfrag.training.steps.sources import (
    index_inputs,
    run_index,
    run_sources,
    source_inputs,
)
from selfrag.training.steps.status import under_way

RECIPE_FILE = "recipe.yaml"
State = Literal["complete", "under way", "open", "left out"]


@dataclass(frozen=True, slots=True)
class StageStatus:
    """How far a stage is.

    Attributes:
        stage: its name. state: "left out" where the recipe does not ask for it.
        ran: whether the call that tells it ran the stage.
        seconds: of its last run. outcome: what it did; of a stage under way, how far it is.
    """

    stage: str
    state: State
    ran: bool = False
    seconds: float | None = None
    outcome: Outcome = field(default_factory=Outcome)


@dataclass(frozen=True, slots=True)
class PipelineReport:
    """All stages in order. work: the folder."""

    work: Path
    stages: tuple[StageStatus, ...]

    def stage(self, name: str) -> StageStatus:
        """The stage with this name; KeyError where there is none."""
        return {one.stage: one for one in self.stages}[name]

    def to_dict(self) -> dict[str, Any]:
        """JSON values."""
        stages = {}
        for one in self.stages:
            values = asdict(one)
            outcome = values.pop("outcome")
            stages[values.pop("stage")] = {**values, **outcome}
        return {"work": str(self.work), "stages": stages}


@dataclass(frozen=True, slots=True)
class _Stage:
    """inputs: fingerprints of files. parts: of the recipe, that decide what it makes. after: the
    stages whose work it reads."""

    parts: tuple[str, ...]
    after: tuple[str, ...]
    inputs: Callable[[Run], dict[str, str]]
    run: Callable[[Run], Outcome]


_STAGES = {
    "sources": _Stage(("sources",), (), source_inputs, run_sources),
    "index": _Stage(("index",), (), index_inputs, run_index),
    "critic-data": _Stage(
        ("critic_data", "chat"), ("sources", "index"), critic_data_inputs, run_critic_data
    ),
    "critic": _Stage(("critic",), ("critic-data",), lambda run: {}, run_critic),
    "generator-data": _Stage(
        ("generator_data", "chat"),
        ("sources", "index", "critic"),
        lambda run: {},
        run_generator_data,
    ),
    "generator": _Stage(
        ("generator", "tokenizer", "rows"), ("generator-data",), generator_inputs, run_generator
    ),
    "evaluation": _Stage(
        ("evaluation",), ("sources", "index", "generator"), evaluation_inputs, run_evaluation
    ),
}
_HOW = ("workers", "timeout", "attempts", "backoff", "key_variable", "batch")
_LIMITS = ("input_price", "output_price", "max_cost", "max_requests")
"""Settings that do not decide what is made."""


def run_pipeline(
    recipe: Recipe,
    work: Path,
    until: str | None = None,
    report: Report = lambda progress: None,
) -> PipelineReport:
    """Run the stages of a recipe to their end, from where an earlier call stopped.

    Args:
        recipe: what to make; it is kept in the folder as `recipe.yaml`.
        work: the folder; made where it is absent.
        until: the last stage to run; by default all. Where several processes train together
            (`accelerate launch`), those before the training must be complete, and it is the last.
        report: is told what goes on.

    Raises:
        InvalidRecipe: `until` is no stage of the recipe, or a corpus is not there.
        StageChanged: a stage was made with another recipe or other inputs; its name is said.
        StageFailed: a disk is full, a file cannot be read, a server is gone, or another run works
            on the folder; what is done is kept.
        TrainingError, StorageError, RetrieverError: a stage cannot do its work.
    """
    if until is not None and until not in recipe.stages:
        raise InvalidRecipe(
            f"The recipe has no stage {until!r}.", f"Its stages: {', '.join(recipe.stages)}."
        )
    many = int(os.environ.get("WORLD_SIZE", "1")) > 1
    first = int(os.environ.get("RANK", "0")) == 0
    run = Run(recipe, work, report)
    ran: set[str] = set()
    with ExitStack() as stack:
        if first:
            stack.enter_context(_alone(work))
            _check(run)
            with _naming("recipe"):
                _keep(recipe, work / RECIPE_FILE)
        for name in recipe.stages:
            if _complete(run, name):
                report(Progress(name, "complete already"))
            elif many and name != "generator":
                raise StageFailed(
                    f"Stage {name} is not complete, and it runs in one process only.",
                    f"Run it without a launcher first: `selfrag train run ... --until {name}`.",
                )
            else:
                report(Progress(name, "begins"))
                _run(run, name, keep=first)
                ran.add(name)
            if name == until or (many and name == "generator"):
                break
    status = pipeline_status(work)
    stages = tuple(
        StageStatus(one.stage, one.state, one.stage in ran, one.seconds, one.outcome)
        for one in status.stages
    )
    return PipelineReport(work, stages)


def pipeline_status(work: Path) -> PipelineReport:
    """How far the stages in a folder are; nothing runs, and nothing is written.

    Raises:
        InvalidRecipe: the folder holds no pipeline.
    """
    if not (work / RECIPE_FILE).is_file():
        raise InvalidRecipe(
            f"{work} holds no pipeline: there is no {RECIPE_FILE}.",
            "Name the folder that `selfrag train run RECIPE --work FOLDER` was given.",
        )
    wanted = Recipe.load(work / RECIPE_FILE).stages
    return PipelineReport(work, tuple(_status(work, name, name in wanted) for name in STAGES))


def _status(work: Path, name: str, wanted: bool) -> StageStatus:
    folder = folder_of(work, name)
    if not wanted:
        return StageStatus(name, "left out")
    record = StageRecord.load(folder)
    if record is not None:
        return StageStatus(name, "complete", False, record.seconds, record.outcome)
    counts = under_way(folder)
    return StageStatus(name, "under way" if counts else "open", outcome=Outcome(counts))


def _run(run: Run, name: str, *, keep: bool) -> None:
    """Run a stage, and note that it is complete."""
    folder = run.folder(name)
    began = time.monotonic()
    with _naming(name):
        folder.mkdir(parents=True, exist_ok=True)
        configuration, inputs = _identity(run, name)
        outcome = _STAGES[name].run(run)
        if keep:
            seconds = round(time.monotonic() - began, 3)
            StageRecord(name, configuration, inputs, seconds, outcome).save(folder)
    run.report(Progress(name, f"complete after {time.monotonic() - began:.1f} s"))


def _complete(run: Run, name: str) -> bool:
    """Whether a stage is complete. StageChanged where it is, and was made of something else."""
    record = StageRecord.load(run.folder(name))
    if record is None:
        return False
    configuration, inputs = _identity(run, name)
    changed = record.changed(configuration, inputs)
    if name == "generator" and changed and _goes_on(record, configuration, inputs):
        return False
    if changed:
        raise _changed(run, name, changed)
    return True


def _check(run: Run) -> None:
    """Compare the recipe with all complete stages before anything runs."""
    prolonged = False
    for name in run.recipe.stages:
        record = StageRecord.load(run.folder(name))
        if record is None:
            continue
        configuration = _configuration(run.recipe, name)
        changed = record.changed(configuration)
        if name == "generator" and changed and _goes_on(record, configuration, None):
            prolonged = True
            continue
        if name == "evaluation" and prolonged:
            changed.append("generator")
        if changed:
            raise _changed(run, name, changed)


def _changed(run: Run, name: str, changed: list[str]) -> StageChanged:
    later = run.recipe.stages[run.recipe.stages.index(name) :]
    folders = ", ".join(run.folder(one).name for one in later)
    return StageChanged(
        f"Stage {name} in {run.work} was made with another {' and '.join(changed)}.",
        f"Choose another folder, or delete of this one, to make them again: {folders}.",
    )


def _goes_on(
    record: StageRecord, configuration: Mapping[str, Any], inputs: Mapping[str, str] | None
) -> bool:
    """Whether a training differs only in what may change when it is taken up again."""

    def fixed(values: Mapping[str, Any]) -> dict[str, Any]:
        return {name: one for name, one in values.items() if name not in CHANGEABLE}

    old, new = record.configuration, configuration
    same = fixed(old["generator"]) == fixed(new["generator"])
    others = {**old, "generator": None} == {**new, "generator": None}
    return same and others and (inputs is None or record.inputs == inputs)


def _identity(run: Run, name: str) -> tuple[dict[str, Any], dict[str, str]]:
    """What decides the work of a stage: parts of the recipe, and fingerprints."""
    inputs = _STAGES[name].inputs(run)
    for before in _STAGES[name].after:
        if before in run.recipe.stages:
            record = StageRecord.load(run.folder(before))
            inputs[f"stage {before}"] = record.fingerprint if record else ""
    return _configuration(run.recipe, name), inputs


def _configuration(recipe: Recipe, name: str) -> dict[str, Any]:
    values = recipe.to_dict()
    parts = {part: values.get(part) for part in _STAGES[name].parts}
    judges = {
        "critic-data": recipe.critic_data.judge if recipe.critic_data else (),
        "generator-data": recipe.generator_data_critics,
    }.get(name, ())
    if "chat" in parts and "chat" not in judges:
        del parts["chat"]
    for part in ("chat", "evaluation"):
        if chosen := parts.get(part):
            parts[part] = {key: one for key, one in chosen.items() if key not in (*_HOW, *_LIMITS)}
    return dict(json.loads(json.dumps(parts)))


@contextmanager
def _naming(name: str) -> Iterator[None]:
    """Errors of the disk become `StageFailed`, with the stage's name."""
    try:
        yield
    except TrainingError:
        raise
    except Exception as error:
        failure = storage_failure(error)
        if failure is None:
            raise
        message = failure.message.replace("The stage", f"Stage {name}", 1)
        raise StageFailed(message, failure.hint) from error


@contextmanager
def _alone(work: Path) -> Iterator[None]:
    """Hold the folder for one run; the lock ends with the process, however it ends."""
    from indexes.errors import IndexBusy
    from indexes.publish import locked

    with ExitStack() as stack:
        with _naming("recipe"):
            work.mkdir(parents=True, exist_ok=True)
        try:
            stack.enter_context(locked(work))
        except IndexBusy as error:
            raise StageFailed(
                f"Another run is working on {work}.",
                "Wait until it ends, or choose another folder.",
            ) from error
        yield


def _keep(recipe: Recipe, path: Path) -> None:
    import yaml

    text = yaml.safe_dump(recipe.to_dict(), sort_keys=False, allow_unicode=True)
    write_atomically(path, text)
