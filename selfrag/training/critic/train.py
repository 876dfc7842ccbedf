"""Trains a critic on judgements, resumable at any checkpoint.

Beside the critic's folder NAME stands NAME-run while it is trained: the identity of the run (plan
and fingerprint of the data) and the Trainer's checkpoints, which hold its own pickles. A run that
was killed goes on from the newest whole checkpoint, with the losses it would have had. When it is
complete, the folder is written, `training.json` last, and NAME-run is deleted. This module knows
nothing of how models score labels.
"""

from __future__ import annotations

import json
import shutil
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from selfrag.training.critic.base import open_base
from selfrag.training.critic.card import CriticCard
from selfrag.training.critic.errors import EmptySplit, MissingExtra, QuestionTooLong
from selfrag.training.critic.judgements import (
    DroppedJudgement,
    PlacedJudgement,
    absent_labels,
    class_weights,
    label_counts,
    read_judgements,
)
from selfrag.training.critic.network import Example, Network
from selfrag.training.critic.plan import CriticPlan
from selfrag.training.errors import StageChanged, StageFailed
from selfrag.training.stages import fingerprint, write_atomically

RECORD, DROPPED, IDENTITY = "training.json", "dropped.jsonl", "identity.json"
LOG_STEPS = 10


@dataclass(frozen=True, slots=True)
class CriticTraining:
    """What a complete training did; `training.json`.

    Attributes:
        plan: see `CriticPlan`. input: SHA-256 of the training files, in order.
        read: lines. used: judgements trained on. dropped: reason -> lines; `dropped.jsonl` names
            each.
        cut: prompts whose passage or preceding text was cut. cut_tokens: by how much in sum.
        counts: group -> label -> judgements trained on.
        warnings: groups and labels that never occur, prompts that were cut, lines dropped.
        steps: updates of the weights. losses: (step, mean loss of the steps since the last).
    """

    plan: Mapping[str, Any]
    input: str
    read: int
    used: int
    dropped: Mapping[str, int]
    cut: int
    cut_tokens: int
    counts: Mapping[str, Mapping[str, int]]
    warnings: Sequence[str]
    steps: int
    losses: Sequence[Sequence[float]] = field(default_factory=tuple)


def train_critic(
    plan: CriticPlan, training: Sequence[Path], folder: Path, *, name: str = ""
) -> CriticTraining:
    """Train a critic and save it, from where an earlier call stopped.

    Args:
        plan: what to train and how.
        training: JSON Lines files of `Judgement.to_dict()`.
        folder: where the critic goes; one that is complete already is not trained again.
        name: of the critic; the folder's by default.

    Raises:
        EmptySplit: no judgement can be used.
        UnusableBase: the base model cannot be trained as asked.
        StageChanged: the folder was begun with another plan or other data.
        StageFailed: a file cannot be read or written, or the disk is full; checkpoints are kept.
        MissingExtra: accelerate is not installed.
    """
    identity = {"plan": plan.to_dict(), "input": fingerprint(training)}
    if (folder / RECORD).exists():
        values = json.loads((folder / RECORD).read_text(encoding="utf-8"))
        _same(identity, values, folder)
        return CriticTraining(**values)
    _require_accelerate()
    run = folder.with_name(f"{folder.name}-run")
    try:
        run.mkdir(parents=True, exist_ok=True)
        if (run / IDENTITY).exists():
            _same(identity, json.loads((run / IDENTITY).read_text(encoding="utf-8")), run)
        else:
            write_atomically(run / IDENTITY, json.dumps(identity))
        return _train(plan, training, folder, run, name or folder.name, str(identity["input"]))
    except Exception as error:
        if not _is_of_storage(error):
            raise
        raise StageFailed(
            f"The training of {folder} stopped: {error}.",
            "Make room or mend the path, and run the same command again: it goes on from there.",
        ) from error


def _train(
    plan: CriticPlan, training: Sequence[Path], folder: Path, run: Path, name: str, digest: str
) -> CriticTraining:
    placed, dropped = read_judgements(training)
    read = len(placed) + len(dropped)
    network = open_base(plan, [one.judgement for one in placed], run)
    examples, too_long = _examples(plan, network, placed)
    dropped = sorted([*dropped, *too_long], key=lambda drop: drop.place)
    reasons = Counter(drop.reason for drop in dropped)
    if not examples:
        raise EmptySplit(
            f"None of {read} lines can be trained on: {dict(reasons)}.",
            "Check the files, and the context of the plan.",
        )
    trainer = _trainer(plan, network, examples, run)
    trainer.train(resume_from_checkpoint=_newest_checkpoint(run))
    counts = label_counts(examples)
    cut = [example.read.cut for example in examples if example.read.cut]
    warnings = absent_labels(counts)
    if cut:
        warnings.append(f"{len(cut)} of {len(examples)} prompts were cut, by {sum(cut)} tokens.")
    warnings += [f"{count} lines were dropped: {reason}." for reason, count in reasons.items()]
    record = CriticTraining(
        plan=plan.to_dict(),
        input=digest,
        read=read,
        used=len(examples),
        dropped=dict(sorted(reasons.items())),
        cut=len(cut),
        cut_tokens=sum(cut),
        counts=counts,
        warnings=warnings,
        steps=trainer.state.global_step,
        losses=[
            [entry["step"], entry["loss"]] for entry in trainer.state.log_history if "loss" in entry
        ],
    )
    state = trainer.accelerator.get_state_dict(trainer.model_wrapped)
    if trainer.is_world_process_zero():
        network.save(folder, state)
        CriticCard(name, plan.kind, plan.base, plan.context, counts).save(folder)
        lines = [json.dumps(drop.to_dict()) + "\n" for drop in dropped]
        write_atomically(folder / DROPPED, "".join(lines))
        write_atomically(folder / RECORD, json.dumps(asdict(record), indent=2) + "\n")
        shutil.rmtree(run)
    trainer.accelerator.wait_for_everyone()
    return record


def _examples(
    plan: CriticPlan, network: Network, placed: Sequence[PlacedJudgement]
) -> tuple[list[Example], list[DroppedJudgement]]:
    """What can be trained on, weighted as the plan says, and what is too long."""
    kept, too_long = [], []
    for one in placed:
        try:
            kept.append((one.judgement, network.reader.read(one.judgement.question)))
        except QuestionTooLong as error:
            drop = DroppedJudgement(one.place, one.judgement.row, "too long", error.message)
            too_long.append(drop)
    judgements = [judgement for judgement, _ in kept]
    weights = class_weights(judgements) if plan.balance else [1.0] * len(kept)
    examples = [
        Example(read, judgement.question, judgement.label, weight)
        for (judgement, read), weight in zip(kept, weights, strict=True)
    ]
    return examples, too_long


def _trainer(plan: CriticPlan, network: Network, examples: list[Example], run: Path) -> Any:
    """The Trainer of transformers with the network's own loss: the batch's mean of weight times
    -log p(label)."""
    import torch
    from transformers import Trainer, TrainingArguments

    class CriticTrainer(Trainer):  # type: ignore[misc, unused-ignore]
        loss_is_scaled_for_ga = False

        def compute_loss(self, model: Any, inputs: Any, *_: Any, **__: Any) -> Any:
            return (network.losses(model, inputs) * inputs["weight"]).mean()

    arguments = TrainingArguments(
        output_dir=str(run),
        num_train_epochs=plan.epochs,
        per_device_train_batch_size=plan.batch,
        gradient_accumulation_steps=plan.accumulation,
        learning_rate=plan.rate,
        lr_scheduler_type="cosine",
        warmup_steps=plan.warmup,
        weight_decay=0.0,
        seed=plan.seed,
        bf16=plan.precision == "bfloat16",
        use_cpu=not torch.accelerator.is_available(),
        save_strategy="steps",
        save_steps=plan.save_every,
        save_total_limit=2,
        logging_steps=LOG_STEPS,
        logging_nan_inf_filter=False,
        remove_unused_columns=False,
        dataloader_pin_memory=torch.cuda.is_available(),
        report_to=[],
    )
    trainer: Any = CriticTrainer(
        model=network.module,
        args=arguments,
        train_dataset=examples,  # type: ignore[arg-type, unused-ignore]
        data_collator=network.collate,  # type: ignore[arg-type, unused-ignore]
    )
    # The loss is a mean over the batch, so that the Trainer divides it by the accumulated steps.
    trainer.model_accepts_loss_kwargs = False
    return trainer


def _newest_checkpoint(run: Path) -> str | None:
    """The newest checkpoint that was written to its end; its state is what the Trainer writes
    last."""
    found = []
    for folder in run.glob("checkpoint-*"):
        try:
            json.loads((folder / "trainer_state.json").read_text(encoding="utf-8"))
            found.append((int(folder.name.rpartition("-")[2]), str(folder)))
        except (OSError, ValueError):
            continue
    return max(found)[1] if found else None


def _is_of_storage(error: Exception) -> bool:
    """Whether files could not be written, whichever library found out."""
    from safetensors import SafetensorError

    from_torch = isinstance(error, RuntimeError) and "PytorchStreamWriter" in str(error)
    return isinstance(error, OSError | SafetensorError) or from_torch


def _require_accelerate() -> None:
    from importlib.util import find_spec

    if find_spec("accelerate") is None:
        raise MissingExtra(
            "The Trainer of transformers needs accelerate.",
            'Install the extra: pip install "selfrag[train]".',
        )


def _same(identity: Mapping[str, Any], other: Mapping[str, Any], folder: Path) -> None:
    changed = [key for key, value in identity.items() if other.get(key) != value]
    if changed:
        raise StageChanged(
            f"{folder} was begun with another {' and '.join(changed)}.",
            "Choose another folder, or delete this one to begin again.",
        )
