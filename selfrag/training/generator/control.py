"""What a run notes while it goes: time, log, checkpoints, its gate and its end.

This module knows nothing of batches and losses; it asks the trainer for their sums.
"""

from __future__ import annotations

import json
import shutil
import time
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from transformers import TrainerCallback, TrainerControl, TrainerState, TrainingArguments

from selfrag.training.errors import GateFailed
from selfrag.training.stages import write_atomically

if TYPE_CHECKING:
    from selfrag.training.generator.trainer import GeneratorTrainer

PROGRESS = "progress.json"


@dataclass(slots=True)
class Progress:
    """How far a run is. steps: of the optimiser; tokens: read, without padding; seconds: of
    training, over all its resumptions; losses: of the last logged steps by token group."""

    steps: int = 0
    tokens: int = 0
    seconds: float = 0.0
    loss: float | None = None
    losses: dict[str, float] | None = None


def newest_checkpoint(folder: Path) -> Path | None:
    """The newest complete checkpoint in a folder; one that a kill cut short is not complete."""
    found = [path.parent for path in folder.glob(f"checkpoint-*/{PROGRESS}")]
    return max(found, key=lambda path: int(path.name.rpartition("-")[2]), default=None)


class RunControl(TrainerCallback):
    """Time, log, checkpoints and the end of a run."""

    def __init__(self, trainer: GeneratorTrainer) -> None:
        self.trainer = trainer
        self._last = self._saved = self._marked = 0.0
        self._tokens = 0
        self._steps_here = 0
        self._gate_passed = False

    def on_train_begin(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **_: Any
    ) -> None:
        """Start the clock where an earlier call stopped it."""
        progress = self.trainer.progress
        self._last = time.monotonic()
        self._saved = self._marked = progress.seconds
        self._tokens = progress.tokens

    def on_step_end(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **_: Any
    ) -> None:
        """Count time, and say what is due: a line of the log, a checkpoint, the end."""
        trainer, progress, plan = self.trainer, self.trainer.progress, self.trainer.plan
        now = time.monotonic()
        spent, self._last = now - self._last, now
        self._steps_here += 1
        if plan.compiled and self._steps_here <= 20:
            spent = min(spent, 5.0)  # the first steps of a process compile
        progress.steps = state.global_step
        progress.seconds = self._agreed(progress.seconds + spent)
        over = trainer.share >= 1.0
        if over or progress.steps % plan.log_steps == 0:
            self._log(float(trainer._get_learning_rate()))
        if over or progress.seconds - self._saved > 60 * plan.checkpoint_minutes:
            self._saved = progress.seconds
            control.should_save = True
        if over:
            control.should_training_stop = True

    def on_save(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **_: Any
    ) -> None:
        """Complete the checkpoint with how far the run is."""
        self._last = time.monotonic()  # saving is no training
        if args.process_index == 0:
            folder = self.trainer.folder / f"checkpoint-{state.global_step}"
            write_atomically(folder / PROGRESS, json.dumps(asdict(self.trainer.progress)) + "\n")

    def _agreed(self, seconds: float) -> float:
        """The first process's clock, which decides for all when to save and to stop."""
        if self.trainer.args.world_size == 1:
            return seconds
        from accelerate.utils import broadcast

        table = torch.tensor([seconds], dtype=torch.float64, device=self.trainer.args.device)
        return float(broadcast(table)[0])

    def _check_gate(self, progress: Progress) -> None:
        """Stop a run that is not worth its time, once, where the plan has a gate."""
        plan = self.trainer.plan
        if plan.gate_minutes is None or self._gate_passed:
            return
        if progress.seconds < 60 * plan.gate_minutes:
            return
        words = (progress.losses or {}).get("words", 0.0)
        if words > plan.gate_loss:
            raise GateFailed(
                f"After {progress.seconds / 60:.1f} minutes the loss of words is {words:.3f}; "
                f"the gate asks for {plan.gate_loss:g}.",
                "Change data or rate, or raise `gate_loss` and run it again: it goes on.",
            )
        self._gate_passed = True

    def _log(self, rate: float) -> None:
        trainer, progress = self.trainer, self.trainer.progress
        sums = trainer.take_sums()
        if sums is None:
            return
        progress.loss, progress.losses = sums
        self._check_gate(progress)
        seconds = progress.seconds - self._marked
        tokens = progress.tokens - self._tokens
        self._marked, self._tokens = progress.seconds, progress.tokens
        if trainer.args.process_index:
            return
        speed = tokens / seconds if seconds else 0.0
        line = {
            "step": progress.steps,
            "minutes": round(progress.seconds / 60, 3),
            "million_tokens": round(progress.tokens / 1e6, 4),
            "tokens_per_second": round(speed),
            "rate": rate,
            "loss": progress.loss,
            "losses": progress.losses,
        }
        with trainer.log_file.open("a", encoding="utf-8") as file:
            file.write(json.dumps(line) + "\n")
        groups = ", ".join(f"{name} {loss:.3f}" for name, loss in progress.losses.items())
        trainer.report(
            f"step {progress.steps} ({trainer.share:.0%}, {progress.seconds / 60:.1f} min, "
            f"{speed:.0f} tokens/s): loss {progress.loss:.4f} ({groups})"
        )


def remove_incomplete(folder: Path) -> None:
    """Remove checkpoints that a kill cut short: they would count among the newest that are kept."""
    for path in folder.glob("checkpoint-*"):
        if not (path / PROGRESS).exists():
            shutil.rmtree(path)


def cut_log(path: Path, steps: int) -> None:
    """Remove what a run logged behind the checkpoint from which it is taken up."""
    if not path.exists():
        return
    kept = []
    for line in path.read_text(encoding="utf-8").splitlines():
        try:
            if json.loads(line)["step"] <= steps:
                kept.append(line + "\n")
        except (ValueError, KeyError, TypeError):
            continue  # a line that a kill cut short
    write_atomically(path, "".join(kept))
