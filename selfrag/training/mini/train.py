"""Training of selfrag-mini: model, schedule, loop, checkpoints and export.

The schedule runs on the seconds spent in training, kept across resumptions: a constant rate, then a
linear decay over the last part. Checkpoints hold model, optimiser, seconds and steps as tensors.
"""

import json
import shutil
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor
from torch.nn.functional import cross_entropy
from transformers import LlamaConfig, LlamaForCausalLM

from selfrag.training.masking import IGNORED
from selfrag.training.mini.batches import Batches, attention, positions
from selfrag.training.mini.mixture import Shares
from selfrag.training.mini.tokenizer import CONTEXT, CONTROL_TOKENS, load_tokenizer
from selfrag.training.muon import Muon

MODEL_CARD = """# selfrag-mini v1

A small Llama with the control tokens of Self-RAG, made by `scripts/train_mini.py` of this
repository on generated examples with invented names. It reads short passages and judges them; it
knows no facts of its own. It is a demonstration and a test instrument. Weights are in bfloat16.
The labels are defined in `selfrag/training/mini/example.py`. License: MIT.
"""


FIRST_COURSE = Shares(judged=0.0, reading=0.0, primer=0.85, requests=0.0, long=0.0)
"""Of the examples in the beginning."""


@dataclass(frozen=True)
class TrainingPlan:
    """What a run does. minutes: of training in all; decay: the share of them with a falling rate;
    judged_share, reading_share, primer_share, requests_share, long_share: see `mixture.Shares`;
    they hold after the first `short_until` of the time, in which nearly all examples are from the
    first course.
    control_weight: of a control token against a word; the judgements are few among many words.
    relevant_weight: of `[Relevant]` against other control tokens; of the judged passages most are
    not.
    text_weight: of the loss on questions and passages in the first `text_until` of the time. To
    predict a passage from its question is to learn which passages fit; after that only outputs
    count."""

    minutes: float
    tokens: int = 2048
    rate: float = 1e-3
    decay: float = 0.33
    judged_share: float = 0.3
    reading_share: float = 0.1
    primer_share: float = 0.15
    requests_share: float = 0.1
    long_share: float = 0.3
    short_until: float = 0.25
    control_weight: float = 5.0
    relevant_weight: float = 1.5
    text_weight: float = 0.5
    text_until: float = 0.5
    layers: int = 6
    hidden: int = 256
    heads: int = 8
    feed_forward: int = 704
    seed: int = 1
    compiled: bool = True
    checkpoint_minutes: float = 8.0

    @property
    def shares(self) -> Shares:
        """Of the examples after the beginning."""
        return Shares(
            self.judged_share,
            self.reading_share,
            self.primer_share,
            self.requests_share,
            self.long_share,
        )


def new_model(plan: TrainingPlan, vocabulary: int) -> LlamaForCausalLM:
    """A Llama of this size with fresh weights. With bfloat16 units attention is written out: there
    the backward pass of the fused one takes half of the time. In float32 the fused one wins."""
    torch.manual_seed(plan.seed)
    config = LlamaConfig(
        vocab_size=vocabulary,
        hidden_size=plan.hidden,
        intermediate_size=plan.feed_forward,
        num_hidden_layers=plan.layers,
        num_attention_heads=plan.heads,
        num_key_value_heads=plan.heads,
        max_position_embeddings=CONTEXT,
        tie_word_embeddings=False,
        bos_token_id=1,
        eos_token_id=2,
        pad_token_id=vocabulary - 1,
        use_cache=False,
    )
    config._attn_implementation = "eager" if fast_bfloat16() else "sdpa"
    return LlamaForCausalLM(config)


def optimisers(model: LlamaForCausalLM, rate: float) -> tuple[torch.optim.Optimizer, ...]:
    """Muon for the matrices of the layers, AdamW for embeddings, output layer and norms."""
    matrices = [p for p in model.model.layers.parameters() if p.ndim == 2]
    inside = {id(parameter) for parameter in matrices}
    others = [p for p in model.parameters() if id(p) not in inside]
    rest = torch.optim.AdamW(others, lr=rate, betas=(0.9, 0.98), weight_decay=0.05, fused=True)
    return Muon(matrices, lr=rate), rest


def fast_bfloat16() -> bool:
    """Whether the processor multiplies bfloat16 itself; others need ten times as long for it."""
    found = torch.cpu.get_capabilities()
    return bool(found.get("amx_bf16") or found.get("avx512_bf16"))


def rate_at(plan: TrainingPlan, step: int, share: float) -> float:
    """The learning rate after this share of the time: warm-up, constant, linear decay to 2 %."""
    warm = min(1.0, (step + 1) / 200)
    left = max(0.0, 1.0 - share) / plan.decay if plan.decay else 1.0
    return plan.rate * warm * max(0.02, min(1.0, left))


class Trainer:
    """One run in a folder that holds its tokenizer; picks up the newest checkpoint by itself.

    Without a checkpoint it begins with the weights of `start`, an exported model with the same
    tokenizer, or with fresh ones.
    """

    def __init__(
        self,
        plan: TrainingPlan,
        folder: Path,
        facts: Path,
        preview: Path | None,
        start: Path | None = None,
        rank: int = 0,
        processes: int = 1,
    ) -> None:
        self.rank, self.processes = rank, processes
        self.plan, self.folder, self.facts, self.preview = plan, folder, facts, preview
        self.tokenizer_folder = folder / "tokenizer"
        self.vocabulary = len(load_tokenizer(self.tokenizer_folder))
        self.first_control = self.vocabulary - 1 - len(CONTROL_TOKENS)
        self.relevant = self.first_control + CONTROL_TOKENS.index("[Relevant]")
        self.model = new_model(plan, self.vocabulary)
        self.optimisers = optimisers(self.model, plan.rate)
        self.seconds, self.steps, self.tokens_seen, self.resumed = 0.0, 0, 0, 0
        if (folder / "checkpoint.pt").exists():
            self._load()
        elif start is not None:
            exported = LlamaForCausalLM.from_pretrained(start, dtype=torch.float32)
            self.model.load_state_dict(exported.state_dict())

    def _load(self) -> None:
        state = torch.load(self.folder / "checkpoint.pt", weights_only=True)
        self.model.load_state_dict(state["model"])
        for optimiser, saved in zip(self.optimisers, state["optimisers"], strict=True):
            optimiser.load_state_dict(saved)
        self.seconds, self.steps = state["seconds"], state["steps"]
        self.tokens_seen, self.resumed = state["tokens"], state["resumed"] + 1

    def save(self) -> None:
        """Writes the checkpoint in one move, then an export to look at. The first process only."""
        if self.rank:
            return
        state = {
            "model": self.model.state_dict(),
            "optimisers": [optimiser.state_dict() for optimiser in self.optimisers],
            "seconds": self.seconds,
            "steps": self.steps,
            "tokens": self.tokens_seen,
            "resumed": self.resumed,
        }
        part = self.folder / "checkpoint.pt.part"
        torch.save(state, part)
        part.replace(self.folder / "checkpoint.pt")
        export(self.model, self.tokenizer_folder, self.folder / "export")
        if self.preview is not None:
            export(self.model, self.tokenizer_folder, self.preview)

    def _batches(self, shares: Shares) -> Iterator[tuple[Tensor, Tensor, Tensor]]:
        seed = self.plan.seed * 100_000 + self.resumed * 1000 + int(shares.long * 100)
        seed = seed * self.processes + self.rank
        data = Batches(self.tokenizer_folder, self.facts, seed, self.plan.tokens, shares)
        return iter(
            torch.utils.data.DataLoader(data, batch_size=None, num_workers=1, prefetch_factor=32)
        )

    def _shared(self, *numbers: float) -> tuple[float, float, int]:
        """Gradients averaged over the processes, in place; the numbers averaged, tokens summed."""
        if self.processes == 1:
            return numbers[0], numbers[1], int(numbers[2])
        gradients = [p.grad for p in self.model.parameters() if p.grad is not None]
        flat = torch.cat([*(g.flatten() for g in gradients), torch.tensor(numbers)])
        torch.distributed.all_reduce(flat)
        flat /= self.processes
        sizes = [gradient.numel() for gradient in gradients]
        parts = torch.split(flat[: -len(numbers)], sizes)
        for gradient, part in zip(gradients, parts, strict=True):
            gradient.copy_(part.view_as(gradient))
        seconds, loss, tokens = flat[-len(numbers) :].tolist()
        return seconds, loss, round(tokens * self.processes)

    def run(self, report: Callable[[str], None]) -> None:
        """Trains until the plan's minutes are spent."""
        plan = self.plan
        body = torch.compile(self.model.model, dynamic=True) if plan.compiled else self.model.model
        self.model.train()
        share = self.seconds / (60 * plan.minutes)
        short = share < plan.short_until
        batches = self._batches(FIRST_COURSE if short else plan.shares)
        saved = self.seconds
        losses: list[float] = []
        mark = (time.monotonic(), self.tokens_seen)
        started = time.monotonic()
        while share < 1.0:
            if short and share >= plan.short_until:
                short, batches = False, self._batches(plan.shares)
            ids, labels, branches = next(batches)
            for optimiser in self.optimisers:
                for group in optimiser.param_groups:
                    group["lr"] = rate_at(plan, self.steps, share)
            with torch.autocast("cpu", dtype=torch.bfloat16, enabled=fast_bfloat16()):
                states = body(
                    input_ids=ids,
                    attention_mask=attention(branches),
                    position_ids=positions(branches),
                ).last_hidden_state[:, :-1]
                targets = labels[:, 1:]
                counted = targets != IGNORED
                logits = self.model.lm_head(states[counted])
                answers = targets[counted]
                each = cross_entropy(logits.float(), answers, reduction="none")
                control = (answers >= self.first_control).float()
                weights = 1 + (plan.control_weight - 1) * control
                weights[answers == self.relevant] *= plan.relevant_weight
                loss = (each * weights).sum() / weights.sum()
                total = loss
                if share < plan.text_until:
                    texts = (ids[:, 1:] != self.vocabulary - 1) & ~counted
                    logits = self.model.lm_head(states[texts])
                    total = loss + plan.text_weight * cross_entropy(
                        logits.float(), ids[:, 1:][texts]
                    )
                marks = (each * control).detach().sum() / control.sum().clamp(min=1)
            total.backward()  # type: ignore[no-untyped-call]
            # The first steps of a process compile; they do not count as training.
            now = time.monotonic()
            spent, started = min(now - started, 5.0), now
            seconds, mean_loss, tokens = self._shared(spent, marks.item(), ids.numel())
            torch.nn.utils.clip_grad_norm_(self.model.parameters(), 1.0)
            for optimiser in self.optimisers:
                optimiser.step()
                optimiser.zero_grad()
            losses.append(mean_loss)
            self.steps += 1
            self.tokens_seen += tokens
            self.seconds += seconds
            share = self.seconds / (60 * plan.minutes)
            if self.steps % 50 == 0:
                now = time.monotonic()
                speed = (self.tokens_seen - mark[1]) / (now - mark[0])
                mark = (now, self.tokens_seen)
                line = json.dumps(
                    {
                        "step": self.steps,
                        "minutes": round(self.seconds / 60, 2),
                        "million_tokens": round(self.tokens_seen / 1e6, 2),
                        "control_loss": round(sum(losses) / len(losses), 4),
                        "rate": round(rate_at(plan, self.steps, share), 6),
                        "tokens_per_second": round(speed),
                    }
                )
                if self.rank == 0:
                    report(line)
                losses.clear()
            if self.seconds - saved > 60 * plan.checkpoint_minutes:
                saved = self.seconds
                self.save()
        self.save()


def export(model: LlamaForCausalLM, tokenizer_folder: Path, target: Path) -> None:
    """The model and its tokenizer in the Hugging Face format, weights in bfloat16."""
    target.mkdir(parents=True, exist_ok=True)
    copy = LlamaForCausalLM(model.config)
    copy.load_state_dict(model.state_dict())
    copy.bfloat16()
    copy.config.use_cache = True
    copy.save_pretrained(target)
    for path in tokenizer_folder.iterdir():
        shutil.copy(path, target / path.name)
    (target / "README.md").write_text(MODEL_CARD, encoding="utf-8")
