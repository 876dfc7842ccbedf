"""The training loop: transformers' Trainer, with this project's batches, loss and bookkeeping.

A batch reaches the model as token ids and what each token sees; logits are computed only where the
loss counts something, each from the token that predicts it, so that trees, packed rows and chains
are one case. The loss of a step is the weighted mean over all its counted tokens, whatever the
number of batches and devices. Everything that decides the next step is in a checkpoint: a run that
is killed and taken up again goes on with the same losses.

This module knows nothing of text, of rows on disk and of how models are made and exported.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from torch.nn.functional import cross_entropy
from torch.optim.lr_scheduler import LambdaLR
from torch.utils.data import DataLoader
from transformers import (
    PrinterCallback,
    Trainer,
    TrainingArguments,
)

from decoding.vocabulary import ReflectionVocabulary
from selfrag.training.errors import TrainingError, UnusableBase
from selfrag.training.generator.control import (
    PROGRESS,
    Progress,
    RunControl,
    cut_log,
    newest_checkpoint,
    remove_incomplete,
)
from selfrag.training.generator.encoded import EncodedRows
from selfrag.training.generator.encoding import EncodedRow
from selfrag.training.generator.model import Trainee, in_bfloat16
from selfrag.training.generator.optimisers import make_optimiser
from selfrag.training.generator.packing import TokenBatches, attention_mask, joined, padded
from selfrag.training.generator.plan import GeneratorPlan
from selfrag.training.masking import IGNORED

TOKEN_GROUPS = ("words", "Retrieve", "IsRel", "IsSup", "IsUse", "markup")
"""Of which the loss is logged; markup is `<paragraph>` and the end of text."""

ENDLESS = 10**9


class GeneratorTrainer(Trainer):
    """One run; `run` trains from the newest checkpoint of `folder` to the plan's end.

    Args:
        folder: of the checkpoints; `log` is the file that lines are appended to.
        report: is given every line of the log as a sentence, by the first process only.

    Raises:
        UnusableBase: the attention asked for cannot do what the rows need.
        TrainingError: several devices without a launcher.
    """

    def __init__(
        self,
        plan: GeneratorPlan,
        trainee: Trainee,
        rows: EncodedRows,
        vocabulary: ReflectionVocabulary,
        folder: Path,
        log: Path,
        report: Callable[[str], None],
    ) -> None:
        arguments = TrainingArguments(
            output_dir=str(folder),
            per_device_train_batch_size=1,
            gradient_accumulation_steps=plan.accumulate,
            max_steps=ENDLESS,
            max_grad_norm=plan.clip,
            learning_rate=plan.rate,
            seed=plan.seed,
            bf16=in_bfloat16(plan),
            use_cpu=not torch.cuda.is_available(),
            save_strategy="no",
            save_total_limit=2,
            logging_strategy="no",
            logging_nan_inf_filter=False,
            report_to="none",
            disable_tqdm=True,
            remove_unused_columns=False,
            dataloader_pin_memory=False,
        )
        if arguments.n_gpu > 1:
            raise TrainingError(
                f"{arguments.n_gpu} devices are visible to one process.",
                "Start with `accelerate launch`, or show it one device (CUDA_VISIBLE_DEVICES=0).",
            )
        self.plan, self.rows, self.pad_id = plan, rows, trainee.pad_id
        self.batches = TokenBatches(
            rows.lengths,
            plan.tokens,
            packed=plan.packed,
            seed=plan.seed,
            rank=arguments.process_index,
            processes=arguments.world_size,
        )
        self.total_steps: int | None = None
        if plan.epochs is not None:
            self.total_steps = self.batches.steps(plan.epochs, plan.accumulate)
            arguments.max_steps = self.total_steps
        self.plain = not plan.packed and not rows.counts.branched
        self.flash = trainee.model.config._attn_implementation.startswith("flash")
        if self.flash and rows.counts.branched:
            raise UnusableBase(
                f"{rows.counts.branched} rows branch, which {plan.attention} cannot show a model.",
                'Set `attention: sdpa`, or train on rows without branches ("chains").',
            )
        self.progress = Progress()
        self.folder, self.log_file, self.report = folder, log, report
        self._body: Any = None
        self._head: Any = None
        self._begin = 0
        control = RunControl(self)
        super().__init__(model=trainee.model, args=arguments, callbacks=[control])
        self.remove_callback(PrinterCallback)  # the report says it all
        self.loss_is_scaled_for_ga = True
        size = max(len(trainee.tokenizer), max(vocabulary.control_ids) + 1)
        device = self.args.device
        self._weights, self._groups = (
            table.to(device) for table in _label_tables(vocabulary, plan, trainee.tokenizer, size)
        )
        self._sums = torch.zeros(2, len(TOKEN_GROUPS), dtype=torch.float64, device=device)

    def run(self) -> Progress:
        """Train to the end of the plan."""
        checkpoint = newest_checkpoint(self.folder)
        if checkpoint is not None:
            values = json.loads((checkpoint / PROGRESS).read_text(encoding="utf-8"))
            self.progress = Progress(**values)
        if self.args.process_index == 0:
            remove_incomplete(self.folder)
            cut_log(self.log_file, self.progress.steps)
        if self.share < 1.0:
            self.train(resume_from_checkpoint=str(checkpoint) if checkpoint else None)
        return self.progress

    @property
    def share(self) -> float:
        """Of the run that is over, from 0 to 1."""
        if self.total_steps is not None:
            return min(1.0, self.progress.steps / self.total_steps)
        return min(1.0, self.progress.seconds / (60 * (self.plan.max_minutes or 0.0)))

    # What follows is called by transformers' Trainer.

    def get_train_dataloader(self) -> DataLoader[Any]:
        """Every process reads its own share of the batches, so nothing needs to be sharded."""
        return DataLoader(
            self.rows,  # type: ignore[arg-type]
            batch_sampler=self.batches,
            collate_fn=self._collated,
        )

    def create_optimizer(self, model: Any = None) -> torch.optim.Optimizer:
        """The plan's optimiser."""
        if self.optimizer is None:
            if self.plan.optimiser == "muon" and self.is_fsdp_enabled:
                raise UnusableBase(
                    "Muon needs whole matrices, and FSDP gives it parts.",
                    "Set `optimiser: adamw`, or train without FSDP.",
                )
            trained: Any = self.model if model is None else model
            self.optimizer = make_optimiser(trained, self.plan)
        return self.optimizer

    def create_scheduler(
        self, num_training_steps: int, optimizer: torch.optim.Optimizer | None = None
    ) -> LambdaLR:
        """The plan's schedule, by steps or by seconds."""
        if self.lr_scheduler is None:
            found = optimizer or self.optimizer
            assert found is not None
            self.lr_scheduler = LambdaLR(
                found,
                lambda step: self.plan.rate_at(step, self.share, self.total_steps),
            )
            self._created_lr_scheduler = True
        return self.lr_scheduler

    def floating_point_ops(self, inputs: dict[str, Any]) -> int:
        """Not counted: it costs a walk through the model in every step."""
        return 0

    def _get_num_items_in_batch(self, batch_samples: list[Any], device: torch.device) -> Any:
        """The sum of the weights of all counted tokens of a step, on all devices."""
        if not batch_samples:
            return None
        table = self._weights.to(batch_samples[0]["labels"].device)
        total = torch.zeros((), dtype=torch.float32)
        for batch in batch_samples:
            labels = batch["labels"]
            total = total + table[labels[labels != IGNORED]].sum().cpu()
        total = total.to(device)
        if self.args.world_size > 1:
            total = self.accelerator.gather(total).sum()
        return total

    def compute_loss(
        self,
        model: Any,
        inputs: dict[str, Tensor],
        return_outputs: bool = False,
        num_items_in_batch: Any = None,
    ) -> Any:
        """The weighted mean loss of the counted tokens of a step: this batch's part of it."""
        ids, labels, before = inputs["input_ids"], inputs["labels"], inputs["before"]
        with torch.autocast(ids.device.type, dtype=torch.bfloat16, enabled=self.args.bf16):
            rows, columns = torch.nonzero(labels != IGNORED, as_tuple=True)
            targets, counted = labels[rows, columns], len(rows)
            if self.plan.text_weight and self.share < self.plan.text_until:
                others = torch.nonzero((labels == IGNORED) & (before >= 0), as_tuple=True)
                rows, columns = torch.cat([rows, others[0]]), torch.cat([columns, others[1]])
                targets = torch.cat([targets, ids[others]])
            logits = self._logits(model, inputs, rows, before[rows, columns])
        each = cross_entropy(logits.float(), targets, reduction="none")
        weights = self._weights[targets[:counted]]
        total = weights.sum() if num_items_in_batch is None else num_items_in_batch
        loss = (each[:counted] * weights).sum() / total * self.args.world_size
        if len(each) > counted:
            share = self.plan.text_weight / self.plan.accumulate
            loss = loss + share * each[counted:].mean()
        with torch.no_grad():
            groups = self._groups[targets[:counted]]
            self._sums[0].index_add_(0, groups, each[:counted].detach().double())
            self._sums[1].index_add_(0, groups, torch.ones_like(groups, dtype=torch.float64))
        self.progress.tokens += int(inputs["tokens"])
        return (loss, logits) if return_outputs else loss

    def _save(self, output_dir: str | None = None, state_dict: Any = None) -> None:
        """Weights in safetensors and the configuration, without pickled arguments."""
        if not self.args.should_save:
            return
        model = self.accelerator.unwrap_model(self.model, keep_torch_compile=False)
        options: dict[str, Any] = {"save_embedding_layers": False} if self.plan.lora else {}
        model.save_pretrained(output_dir or self.args.output_dir, state_dict=state_dict, **options)

    def _collated(self, rows: Sequence[EncodedRow]) -> dict[str, Tensor]:
        batch = padded([joined(rows)] if self.plan.packed else rows, self.pad_id)
        batch["tokens"] = torch.tensor(sum(len(row) for row in rows))
        return batch

    def _logits(
        self, model: Any, inputs: dict[str, Tensor], rows: Tensor, columns: Tensor
    ) -> Tensor:
        """Logits at the places (rows[i], columns[i]) only."""
        seen: dict[str, Any] = {}
        if not self.plain:
            seen["position_ids"] = inputs["position_ids"]
            if not self.flash:
                dtype = torch.bfloat16 if self.args.bf16 else torch.float32
                seen["attention_mask"] = attention_mask(inputs["ends"], dtype)
        ids = inputs["input_ids"]
        if self._body is None:
            self._prepare_direct(model)
        if self._body is not False:
            states = self._body(input_ids=ids, use_cache=False, **seen).last_hidden_state
            logits: Tensor = self._head(states[rows, columns])
            return logits
        # Sharded and replicated models must be entered by their front door. Of a packed batch,
        # which is one sequence, this gives just the logits that are needed.
        kept, places = torch.unique(columns, return_inverse=True)
        output = model(input_ids=ids, use_cache=False, logits_to_keep=kept, **seen)
        logits = output.logits[rows, places]
        return logits

    def _prepare_direct(self, model: Any) -> None:
        """Find the model's body and head, if they are all of it and one device holds it."""
        self._body = False
        if self.args.world_size > 1:
            return
        base = model.get_base_model() if self.plan.lora else model
        body, head = base.get_decoder(), base.get_output_embeddings()
        if body is None or head is None or body is base:
            return
        probe = torch.arange(8, device=self.args.device)[None]
        training = model.training
        model.eval()
        with torch.no_grad():
            whole = base(input_ids=probe, use_cache=False).logits
            parts = head(body(input_ids=probe, use_cache=False).last_hidden_state)
        model.train(training)
        # Some models scale or cap their logits behind the head.
        if whole.shape == parts.shape and torch.allclose(whole, parts, rtol=1e-3, atol=1e-3):
            self._body = torch.compile(body, dynamic=True) if self.plan.compiled else body
            self._head = head

    def take_sums(self) -> tuple[float, dict[str, float]] | None:
        """Mean loss over counted tokens, of all and by group, since the last call."""
        sums = self._sums
        if self.args.world_size > 1:
            sums = self.accelerator.reduce(sums, "sum")
        losses, numbers = sums.tolist()
        self._sums = torch.zeros_like(self._sums)
        if not sum(numbers):
            return None
        found = {
            name: loss / number
            for name, loss, number in zip(TOKEN_GROUPS, losses, numbers, strict=True)
            if number
        }
        return sum(losses) / sum(numbers), found


def _label_tables(
    vocabulary: ReflectionVocabulary, plan: GeneratorPlan, tokenizer: Any, size: int
) -> tuple[Tensor, Tensor]:
    """Weight and group of each label. UnusableBase where the plan weighs a token that is none."""
    weights = torch.ones(size)
    groups = torch.zeros(size, dtype=torch.long)
    for number, group in enumerate(vocabulary.groups, start=1):
        weights[list(group.ids)] = plan.control_weight
        groups[list(group.ids)] = number
    weights[[vocabulary.paragraph_start, vocabulary.paragraph_end]] = plan.control_weight
    weights[vocabulary.relevant] *= plan.relevant_weight
    tokens = tokenizer.get_vocab()
    for token, weight in plan.word_weights.items():
        if token not in tokens or tokens[token] in vocabulary.control_ids:
            raise UnusableBase(
                f"word_weights names {token!r}, which is no word token of the tokenizer.",
                "Look it up with tokenizer.tokenize(text).",
            )
        weights[tokens[token]] = weight
    groups[[vocabulary.paragraph_start, *vocabulary.eos_ids]] = TOKEN_GROUPS.index("markup")
    return weights, groups
