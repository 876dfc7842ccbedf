"""Train a generator: from files of rows to a model folder, resumable at any moment.

A run's folder holds

- `run.json`: the plan and the fingerprint of the rows;
- `encoded/`: the rows as token ids, with `dropped.jsonl` and `cut.jsonl` (`encoded.encode_files`);
- `checkpoints/`: the newest two; `log.jsonl`: loss by token group, rate and throughput;
- `model/`: the exported model; `report.json`: when the run is complete.

The same call on the same folder goes on where it stopped.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Sequence
from contextlib import nullcontext
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from selfrag.training.errors import StageChanged, UnusableBase
from selfrag.training.generator.control import newest_checkpoint
from selfrag.training.generator.encoded import EncodingCounts, encode_files
from selfrag.training.generator.encoding import RowEncoder
from selfrag.training.generator.export import export_checkpoint
from selfrag.training.generator.model import load_trainee
from selfrag.training.generator.plan import CHANGEABLE, GeneratorPlan
from selfrag.training.generator.trainer import GeneratorTrainer
from selfrag.training.stages import fingerprint, write_atomically


@dataclass(frozen=True, slots=True)
class GeneratorReport:
    """What a complete run did.

    Attributes:
        model: the exported folder.
        rows: what became of the rows.
        steps, tokens, seconds: of training; tokens without padding.
        loss, losses: of the last logged steps, of all counted tokens and by token group.
    """

    model: Path
    rows: EncodingCounts
    steps: int
    tokens: int
    seconds: float
    loss: float | None = None
    losses: dict[str, float] = field(default_factory=dict)

    def to_dict(self) -> dict[str, Any]:
        """JSON values."""
        return {**asdict(self), "model": str(self.model)}


def train_generator(
    rows: Sequence[Path],
    folder: Path,
    plan: GeneratorPlan,
    report: Callable[[str], None] = print,
) -> GeneratorReport:
    """Train to the plan's end, from where an earlier call stopped, and export.

    Args:
        rows: JSON Lines files of `TrainingRow` or of the paper's form, read as one.
        folder: of the run; made where it is absent.
        report: is told, in sentences, what goes on.

    Raises:
        StageChanged: the folder was begun with other rows or another plan.
        StageFailed, InvalidRow: see `encode_files`. UnusableBase: see `load_trainee`.
    """
    _need_accelerate()
    from accelerate import PartialState

    state = PartialState()
    folder.mkdir(parents=True, exist_ok=True)
    first = state.is_main_process
    say = report if first else _silent
    trainee = load_trainee(plan)
    encoder = RowEncoder(trainee.tokenizer)
    context = trainee.model.config.max_position_embeddings
    if plan.max_length > context:
        raise UnusableBase(
            f"max_length is {plan.max_length}, but the model has {context} positions.",
            f"Set max_length to at most {context}.",
        )
    with state.main_process_first() if state.num_processes > 1 else nullcontext():
        _begin(rows, folder, plan, write=first)
        encoded = encode_files(
            rows,
            folder / "encoded",
            encoder,
            max_length=plan.max_length,
            identity={"tokenizer": _tokenizer_fingerprint(trainee.tokenizer)},
            report=say,
        )
    counts = encoded.counts
    say(
        f"{counts.kept} of {counts.read} rows, {counts.tokens} tokens, {counts.counted} of them "
        f"counted by the loss; {counts.cut} rows cut, dropped: {counts.dropped or 'none'}"
    )
    checkpoints = folder / "checkpoints"
    trainer = GeneratorTrainer(
        plan, trainee, encoded, encoder.vocabulary, checkpoints, folder / "log.jsonl", say
    )
    progress = trainer.run()
    if first:
        newest = newest_checkpoint(checkpoints)
        assert newest is not None
        export_checkpoint(newest, plan, trainee.tokenizer, folder / "model")
    state.wait_for_everyone()
    made = GeneratorReport(
        model=folder / "model",
        rows=counts,
        steps=progress.steps,
        tokens=progress.tokens,
        seconds=progress.seconds,
        loss=progress.loss,
        losses=progress.losses or {},
    )
    if first:
        write_atomically(folder / "report.json", json.dumps(made.to_dict(), indent=2) + "\n")
    return made


def _begin(rows: Sequence[Path], folder: Path, plan: GeneratorPlan, *, write: bool) -> None:
    """Note what the run is made of, or check that it still is."""
    path = folder / "run.json"
    wanted = json.loads(json.dumps({"plan": plan.to_dict(), "rows": fingerprint(rows)}))
    if path.exists():
        found = json.loads(path.read_text(encoding="utf-8"))
        changed = [
            name
            for name, value in wanted["plan"].items()
            if name not in CHANGEABLE and found["plan"].get(name) != value
        ]
        changed += ["rows"] if found["rows"] != wanted["rows"] else []
        if changed:
            raise StageChanged(
                f"{folder} was begun with another {', '.join(changed)}.",
                f"Choose another folder, or delete this one. May change: {', '.join(CHANGEABLE)}.",
            )
    if write:
        write_atomically(path, json.dumps(wanted, indent=2) + "\n")


def _tokenizer_fingerprint(tokenizer: Any) -> str:
    return hashlib.sha256(tokenizer.backend_tokenizer.to_str().encode()).hexdigest()


def _need_accelerate() -> None:
    try:
        import accelerate  # noqa: F401
    except ImportError as error:
        raise UnusableBase(
            "Training needs accelerate, which is not installed.",
            'Install it with pip install "selfrag[train]".',
        ) from error


def _silent(line: str) -> None:
    pass
