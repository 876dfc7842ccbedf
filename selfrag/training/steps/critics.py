"""The stages `critic-data` and `critic`, and the critics that judge in a pipeline."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

from selfrag.training.critic.answers import ChatLimits
from selfrag.training.critic.asking import AskingPlan
from selfrag.training.critic.chat import ChatCritic
from selfrag.training.critic.data import make_critic_data, part_of
from selfrag.training.critic.fallback import FirstThatKnows
from selfrag.training.critic.gold import gold_critic
from selfrag.training.critic.questions import Critic, Judgement
from selfrag.training.errors import StageFailed, TrainingError
from selfrag.training.sources import SourceRow
from selfrag.training.stages import (
    Drop,
    InputLine,
    Row,
    fingerprint,
    read_lines,
    run_stage,
    write_atomically,
)
from selfrag.training.steps.record import Outcome
from selfrag.training.steps.run import Run

REPORT = "report.json"
_QUESTIONS = "pooled"


def critic_data_inputs(run: Run) -> dict[str, str]:
    """The fingerprints of files of judgements."""
    part = run.recipe.critic_data
    assert part is not None
    names = (*part.files, *(part.scifact or {}).values())
    return {name: fingerprint([Path(name)]) for name in names}


def run_critic_data(run: Run) -> Outcome:
    """Find passages to judge, and judge; see `selfrag.training.critic.data`."""
    part = run.recipe.critic_data
    assert part is not None
    folder = run.folder("critic-data")
    inputs: list[Path] = []
    dropped: dict[str, int] = {}
    if run.recipe.sources is not None:
        inputs.append(_pooled(run, part.pool))
    if part.scifact is not None:
        from selfrag.training.critic.scifact import convert_scifact

        claims, corpus = Path(part.scifact["claims"]), Path(part.scifact["corpus"])
        done = convert_scifact(claims, corpus, folder / "scifact")
        dropped.update(done.dropped)
        inputs.append(folder / "scifact" / "rows.jsonl")
    inputs += [Path(name) for name in part.files]
    with open_critic(run, part.judge) as critic:
        made = make_critic_data(
            folder,
            inputs,
            critic,
            plan=AskingPlan(others=part.others, unsupporting=part.unsupporting),
            find=_finder(run),
            heldout=part.held_out,
            cap=part.cap,
        )
    for manifest in (made.judged, made.train, made.heldout):
        for reason, count in manifest.dropped.items():
            dropped[reason] = dropped.get(reason, 0) + count
    return Outcome(
        {"read": made.judged.read, "train": made.train.written, "held-out": made.heldout.written},
        dropped,
        {"train": made.train.balance, "held-out": made.heldout.balance},
    )


def run_critic(run: Run) -> Outcome:
    """Train the critic, give it temperatures, and measure it.

    The judgements that were held out are parted by a hash of their rows' ids: one half for the
    temperatures, the other to measure on.
    """
    from selfrag.training.critic.metrics import evaluate_critic
    from selfrag.training.critic.model import ModelCritic
    from selfrag.training.critic.tempering import calibrate_critic
    from selfrag.training.critic.train import train_critic

    plan = run.recipe.critic
    assert plan is not None
    data, folder = run.folder("critic-data"), run.folder("critic")
    tell = run.teller("critic")
    folder.mkdir(parents=True, exist_ok=True)
    record = train_critic(plan, [data / "train" / "rows.jsonl"], critic_folder(run), name="trained")
    tell(f"{record.used} judgements, {record.steps} steps")
    held_out = [
        Judgement.from_dict(line.row)
        for line in read_lines([data / "heldout" / "rows.jsonl"])
        if line.row is not None
    ]
    halves: dict[bool, list[Judgement]] = {True: [], False: []}
    for judgement in held_out:
        halves[part_of(f"temperature {judgement.row}", 0.5) == "heldout"].append(judgement)
    notes = list(record.warnings)
    if halves[True]:
        calibrate_critic(critic_folder(run), halves[True])
    figures: dict[str, Any] = {}
    if halves[False]:
        report = evaluate_critic(ModelCritic.from_folder(critic_folder(run)), halves[False])
        values = report.to_dict()
        write_atomically(folder / REPORT, json.dumps(values, indent=2) + "\n")
        figures = {name: _short(group) for name, group in values["groups"].items()}
        notes += [f"Held out: {warning}" for warning in report.warnings]
        notes += _plot(report, folder / "reliability.png")
    else:
        notes.append("Nothing was held out to measure the critic on.")
    counts = {"read": record.read, "used": record.used, "steps": record.steps}
    return Outcome(counts, record.dropped, record.counts, figures, tuple(notes))


def critic_folder(run: Run) -> Path:
    """The folder of the trained critic."""
    return run.folder("critic") / "critic"


@contextmanager
def open_critic(run: Run, judges: Sequence[str]) -> Iterator[Critic]:
    """The critic that a recipe names, or several, of which each is asked what others leave."""
    with ExitStack() as stack:
        critics = [_open(run, judge, stack) for judge in judges]
        yield critics[0] if len(critics) == 1 else FirstThatKnows(critics)


def _open(run: Run, judge: str, stack: ExitStack) -> Critic:
    if judge == "gold":
        return gold_critic([run.rows("train")] if run.recipe.sources else [])
    if judge == "model":
        from selfrag.training.critic.model import ModelCritic

        return ModelCritic.from_folder(critic_folder(run))
    part = run.recipe.chat
    assert part is not None
    key = os.environ.get(part.key_variable) if part.key_variable else None
    if part.key_variable and not key:
        raise StageFailed(
            f"The environment variable {part.key_variable} is not set.",
            "Set it to the server's key, or `chat: {key_variable: ''}` for a server without keys.",
        )
    limits = ChatLimits(part.input_price, part.output_price, part.max_cost, part.max_requests)
    critic = ChatCritic(
        part.base_url,
        part.model,
        key,
        answers=run.work / "chat-answers.sqlite",
        limits=limits,
        workers=part.workers,
        timeout=part.timeout,
        attempts=part.attempts,
        backoff=part.backoff,
    )
    return stack.enter_context(critic)


def _pooled(run: Run, pool: int) -> Path:
    """The source rows, those without passages of their own with those that the retriever finds.

    Without them nothing irrelevant would be judged.
    """
    if run.retriever is None or not pool:
        return run.rows("train")
    retriever = run.retriever

    def process(lines: Sequence[InputLine]) -> list[Sequence[Row] | Drop]:
        rows = [SourceRow.from_dict(line.row or {}, line.id) for line in lines]
        bare = [row for row in rows if not row.passages and row.needs_retrieval is not False]
        found = retriever.search_many([row.prompt for row in bare], pool) if bare else []
        pooled = {
            row.id: [
                {"id": hit.passage.id, "title": hit.passage.title, "text": hit.passage.text}
                for hit in hits
            ]
            for row, hits in zip(bare, found, strict=True)
        }
        return [
            [{**row.to_dict(), "passages": pooled[row.id]} if row.id in pooled else row.to_dict()]
            for row in rows
        ]

    folder = run.folder("critic-data") / _QUESTIONS
    configuration = {"retriever": retriever.fingerprint, "pool": pool}
    run_stage("pooled", folder, [run.rows("train")], process, configuration)
    return folder / "rows.jsonl"


def _finder(run: Run) -> Any:
    """Looks evidence up in the index."""
    store = run.store
    if store is None:
        return lambda passage_id: None
    return lambda passage_id: store.get(passage_id) if passage_id in store else None


def _short(group: Mapping[str, Any]) -> dict[str, Any]:
    """The figures of a group that a report shows; the file has all."""
    reliability = group["reliability"]
    return {
        "accuracy": group["accuracy"],
        "macro_f1": group["macro_f1"],
        "calibration_error": None
        if reliability is None
        else reliability["expected_calibration_error"],
    }


def _plot(report: Any, file: Path) -> list[str]:
    """Draw the reliability curves; a note where that cannot be."""
    from selfrag.training.critic.plots import plot_reliability

    try:
        plot_reliability(report, file)
    except TrainingError as error:
        return [f"No {file.name}: {error.message}"]
    return []
