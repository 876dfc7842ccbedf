"""One round of training: a model, and rows of a query, a positive and its negatives.

The loss is sentence-transformers' `MultipleNegativesRankingLoss`: a softmax over the passages of
the whole batch. Checkpoints are written ten times a round; after a kill the round goes on from the
last one. This module knows nothing of rounds and of where negatives come from.
"""

from __future__ import annotations

import shutil
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from selfrag.training.encoder.batches import BatchRow, distinct_batches
from selfrag.training.encoder.errors import NotEnoughQueries
from selfrag.training.encoder.models import is_static
from selfrag.training.encoder.plan import EncoderPlan

_CHECKPOINTS = 10
_SHOWN_LOSSES = 50


@dataclass(frozen=True, slots=True)
class FitRow:
    """A query, and ids of its passages.

    Attributes:
        positive: the one that is trained on. positives: all that answer.
        negatives: as many in every row.
    """

    query: str
    positive: str
    positives: tuple[str, ...]
    negatives: tuple[str, ...]


def fit(
    model: Any,
    rows: Sequence[FitRow],
    passages: Any,
    folder: Path,
    plan: EncoderPlan,
    *,
    seed: int,
    advance: Callable[[int, int], None] = lambda done, total: None,
) -> list[dict[str, float]]:
    """Train the model in place.

    Args:
        model: a `SentenceTransformer`. rows: at least two. passages: texts by id.
        folder: for checkpoints; deleted at the end.
        plan: epochs, batch, rate and scale. seed: of the order.
        advance: told the steps that are done, and all of them.

    Returns:
        Steps and mean losses since the last one, about fifty of them.

    Raises:
        NotEnoughQueries: there are fewer than two rows.
    """
    from datasets import Dataset
    from sentence_transformers import (
        SentenceTransformerTrainer,
        SentenceTransformerTrainingArguments,
    )
    from sentence_transformers.base.sampler import DefaultBatchSampler
    from sentence_transformers.sentence_transformer.losses import (
        CachedMultipleNegativesRankingLoss,
        MultipleNegativesRankingLoss,
    )
    from transformers import TrainerCallback
    from transformers.trainer_utils import get_last_checkpoint

    if len(rows) < 2:
        raise NotEnoughQueries(
            f"There are {len(rows)} queries to train on.", "In-batch negatives need at least two."
        )
    known = [BatchRow((row.positive, *row.negatives), frozenset(row.positives)) for row in rows]

    class Batches(DefaultBatchSampler):
        """The batches of `distinct_batches`, others in each epoch."""

        def _made(self) -> list[list[int]]:
            if getattr(self, "_kept", (-1, []))[0] != self.epoch:
                batches = list(distinct_batches(known, plan.batch, seed + 7919 * self.epoch))
                self._kept = (self.epoch, batches)
            return self._kept[1]

        def __iter__(self) -> Any:
            return iter(self._made())

        def __len__(self) -> int:
            return len(self._made())

    class Trainer(SentenceTransformerTrainer):
        """With these batches. Named in the arguments they would be written to checkpoints."""

        def get_batch_sampler(self, dataset: Any, batch_size: int, *_: Any, **__: Any) -> Any:
            return Batches(dataset, batch_size=batch_size, drop_last=False)

    class Told(TrainerCallback):
        """Tells how far training has come."""

        def on_step_end(self, args: Any, state: Any, control: Any, **_: Any) -> None:
            advance(min(state.global_step, state.max_steps), state.max_steps)

        def on_train_end(self, args: Any, state: Any, control: Any, **_: Any) -> None:
            # The last epoch may have a batch less than the first, which the total is made of.
            advance(state.max_steps, state.max_steps)

    columns = {
        "query": [row.query for row in rows],
        "positive": [passages[row.positive] for row in rows],
    }
    for number in range(len(rows[0].negatives)):
        columns[f"negative_{number + 1}"] = [passages[row.negatives[number]] for row in rows]
    checkpoints = folder / "checkpoints"
    steps = len(list(distinct_batches(known, plan.batch, seed))) * plan.epochs
    static = is_static(model)
    arguments = SentenceTransformerTrainingArguments(
        output_dir=str(checkpoints),
        num_train_epochs=plan.epochs,
        per_device_train_batch_size=plan.batch,
        learning_rate=plan.learning_rate,
        warmup_steps=0.1,
        seed=seed,
        data_seed=seed,
        prompts=_prompts(model, columns),
        save_strategy="steps",
        save_steps=max(steps // _CHECKPOINTS, 1),
        save_total_limit=1,
        logging_steps=max(steps // _SHOWN_LOSSES, 1),
        report_to=[],
        disable_tqdm=True,
        use_cpu=model.device.type == "cpu",
    )
    loss = (
        MultipleNegativesRankingLoss(model, scale=plan.scale)
        if static
        else CachedMultipleNegativesRankingLoss(
            model, scale=plan.scale, mini_batch_size=plan.mini_batch
        )
    )
    trainer = Trainer(
        model=model,
        args=arguments,
        train_dataset=Dataset.from_dict(columns),
        loss=loss,
        callbacks=[Told()],
    )
    last = None
    if checkpoints.is_dir():
        last = get_last_checkpoint(str(checkpoints))  # type: ignore[no-untyped-call]
    trainer.train(resume_from_checkpoint=last)
    shutil.rmtree(checkpoints, ignore_errors=True)
    return [
        {"step": float(entry["step"]), "loss": float(entry["loss"])}
        for entry in trainer.state.log_history
        if "loss" in entry
    ]


def _prompts(model: Any, columns: Any) -> dict[str, str] | None:
    """The model's own prompts for queries and passages, by column."""
    own = getattr(model, "prompts", None) or {}
    query = own.get("query") or ""
    passage = next((own[key] for key in ("document", "passage", "corpus") if own.get(key)), "")
    if not query and not passage:
        return None
    return {name: query if name == "query" else passage for name in columns}
