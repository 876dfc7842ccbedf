"""What a training run of a generator does: one value, mirrored by a YAML file.

This module knows nothing of models and files of rows.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields
from pathlib import Path
from typing import Any, Literal

from selfrag.errors import EXIT_INPUT
from selfrag.training.errors import TrainingError

CHANGEABLE = (
    "epochs",
    "max_minutes",
    "checkpoint_minutes",
    "log_steps",
    "card",
    "export_dtype",
    "gate_minutes",
    "gate_loss",
)
"""Settings that may differ when a run is taken up again."""


class InvalidPlan(TrainingError, ValueError):
    """A plan has an unknown key or a value that is not allowed."""

    exit_code = EXIT_INPUT


@dataclass(frozen=True, slots=True)
class LlamaSize:
    """A Llama with fresh weights. heads: of queries and of keys; context: positions."""

    layers: int = 6
    hidden: int = 256
    heads: int = 8
    feed_forward: int = 704
    context: int = 2048

    def __post_init__(self) -> None:
        for item in fields(self):
            _require(getattr(self, item.name) > 0, item.name, self, "greater than 0")
        _require(self.hidden % self.heads == 0, "hidden", self, "a multiple of heads")


@dataclass(frozen=True, slots=True)
class LoraPlan:
    """Low-rank updates of all linear layers; the rows of the new tokens are trained in full."""

    rank: int = 64
    alpha: int = 16
    dropout: float = 0.0

    def __post_init__(self) -> None:
        _require(self.rank > 0, "rank", self, "greater than 0")
        _require(self.alpha > 0, "alpha", self, "greater than 0")
        _require(0 <= self.dropout < 1, "dropout", self, "at least 0 and below 1")


@dataclass(frozen=True, slots=True)
class GeneratorPlan:
    """A training run.

    Attributes:
        base: folder or hub name of a causal model with its tokenizer; or "" with
        size, tokenizer: a model to be made, and the folder of its tokenizer.
        epochs, max_minutes: when it ends; exactly one is given. Minutes are of training, without
            loading and compiling, and are kept when a run is taken up again.
        tokens: of a batch on one device, padding included; accumulate: batches of one step.
        packed: rows one after the other in one sequence, in the place of padded rows.
        max_length: of a row; longer ones are cut at a segment's end.
        optimiser: "muon" is for the matrices of the layers, with AdamW for the rest.
        rate: the highest learning rate. schedule: from there, "linear" and "cosine" fall at once,
            "constant" falls, linearly, in the last `decay` of the run; all down to `lowest` times
            the rate. warmup_steps, warmup_share: of the run; the steps count where given.
        control_weight: of a control token's loss against a word's; relevant_weight: of
            `[Relevant]` against other control tokens; word_weights: of some tokens of the text, by
            their string, against other words: few tokens may decide an answer (a letter).
        text_weight: of the loss on prompts and passages in the first `text_until` of the run. To
            predict a passage from its question is to learn which passages fit.
        precision: "auto" is bfloat16 where the device computes in it. attention: "auto", or an
            implementation of transformers. compiled: through torch.compile.
        gate_minutes, gate_loss: after so many minutes the mean loss of words in the last logged
            steps must be at most this, or the run stops before hours are spent; None for no gate.
            In rows about invented things words can only be copied: a model that has not learnt
            that by then never judges well either.
        export_dtype: of the exported weights. card: text of the exported model's README.md.
    """

    base: str = ""
    size: LlamaSize | None = None
    tokenizer: str = ""
    epochs: int | None = None
    max_minutes: float | None = None
    tokens: int = 2048
    accumulate: int = 1
    packed: bool = False
    max_length: int = 2048
    optimiser: Literal["adamw", "muon"] = "adamw"
    rate: float = 2e-5
    schedule: Literal["linear", "cosine", "constant"] = "linear"
    decay: float = 0.33
    lowest: float = 0.0
    warmup_share: float = 0.03
    warmup_steps: int | None = None
    weight_decay: float = 0.0
    beta2: float = 0.999
    clip: float = 1.0
    control_weight: float = 1.0
    relevant_weight: float = 1.0
    word_weights: Mapping[str, float] = field(default_factory=dict, hash=False)
    text_weight: float = 0.0
    text_until: float = 0.5
    lora: LoraPlan | None = None
    gradient_checkpointing: bool = False
    precision: Literal["auto", "float32", "bfloat16"] = "auto"
    attention: str = "auto"
    compiled: bool = False
    seed: int = 1
    checkpoint_minutes: float = 10.0
    log_steps: int = 50
    gate_minutes: float | None = None
    gate_loss: float = 1.0
    export_dtype: Literal["float32", "bfloat16"] = "bfloat16"
    card: str = ""

    def __post_init__(self) -> None:
        own = self.size is not None
        _require(bool(self.base) != own, "base", self, "given, or else `size` is", shown=self.base)
        _require(bool(self.tokenizer) == own, "tokenizer", self, "given exactly with `size`")
        ends = (self.epochs is None) != (self.max_minutes is None)
        _require(ends, "epochs", self, "given, or else `max_minutes` is, and not both")
        _require(self.lora is None or not own, "lora", self, "absent where `size` is given")
        positive = ["epochs", "max_minutes", "tokens", "accumulate", "max_length", "rate", "clip"]
        positive += ["control_weight", "relevant_weight", "checkpoint_minutes", "log_steps"]
        positive += ["gate_minutes", "gate_loss"]
        for name in positive:
            value = getattr(self, name)
            _require(value is None or value > 0, name, self, "greater than 0")
        for token, weight in self.word_weights.items():
            right = isinstance(token, str) and isinstance(weight, int | float) and weight > 0
            _require(right, "word_weights", self, "tokens with numbers greater than 0")
        for name in ("decay", "lowest", "warmup_share", "text_until"):
            _require(0 <= getattr(self, name) <= 1, name, self, "between 0 and 1")
        for name in ("weight_decay", "text_weight"):
            _require(getattr(self, name) >= 0, name, self, "at least 0")
        _require(0 < self.beta2 < 1, "beta2", self, "between 0 and 1")
        choices = {
            "optimiser": ("adamw", "muon"),
            "schedule": ("linear", "cosine", "constant"),
            "precision": ("auto", "float32", "bfloat16"),
            "export_dtype": ("float32", "bfloat16"),
        }
        for name, allowed in choices.items():
            _require(getattr(self, name) in allowed, name, self, f"one of {allowed}")

    def to_dict(self) -> dict[str, Any]:
        """JSON values."""
        return asdict(self)

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> GeneratorPlan:
        """The plan that `to_dict`, or a YAML file, describes.

        Raises:
            InvalidPlan: a key is unknown, or a value is not allowed.
        """
        given = dict(values)
        for name, kind in (("size", LlamaSize), ("lora", LoraPlan)):
            if isinstance(given.get(name), Mapping):
                given[name] = _made(kind, given[name], f"{name} of a plan")
        plan = _made(cls, given, "plan")
        assert isinstance(plan, cls)
        return plan

    @classmethod
    def load(cls, path: Path, **changes: Any) -> GeneratorPlan:
        """The plan of a YAML file, with some settings changed.

        Raises:
            InvalidPlan: as `from_dict`, or the file cannot be read.
        """
        import yaml

        try:
            values = yaml.safe_load(path.read_text(encoding="utf-8"))
        except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
            raise InvalidPlan(f"{path} cannot be read: {error}.", "Give a YAML file.") from error
        if not isinstance(values, Mapping):
            raise InvalidPlan(f"{path} holds no settings.", "Write `name: value` lines.")
        return cls.from_dict({**values, **changes})

    def rate_at(self, step: int, share: float, steps: int | None) -> float:
        """The learning rate of a step, as a share of `rate`.

        step: from 0. share: of the run that is over. steps: of the whole run, None where minutes
        end it; the warm-up's share is then one of the minutes.
        """
        if self.warmup_steps is not None:
            warm = min(1.0, (step + 1) / max(1, self.warmup_steps))
            begin = self.warmup_steps / steps if steps else 0.0
        elif steps is not None:
            warm = min(1.0, (step + 1) / max(1.0, self.warmup_share * steps))
            begin = self.warmup_share
        else:
            warm = min(1.0, max(share, 1e-3) / self.warmup_share) if self.warmup_share else 1.0
            begin = self.warmup_share
        left = max(0.0, 1.0 - share)
        if self.schedule == "constant":
            fall = left / self.decay if self.decay else 1.0
        else:
            fall = left / (1.0 - begin) if begin < 1 else 1.0
        fall = min(1.0, fall)
        if self.schedule == "cosine":
            from math import cos, pi

            fall = 0.5 * (1.0 - cos(pi * fall))
        return warm * (self.lowest + (1.0 - self.lowest) * fall)


def _made(kind: type[Any], values: Mapping[str, Any], name: str) -> Any:
    known = {item.name for item in fields(kind)}
    if unknown := sorted(set(map(str, values)) - known):
        raise InvalidPlan(f"The {name} has unknown keys {unknown}.", f"Allowed: {sorted(known)}.")
    try:
        return kind(**values)
    except TypeError as error:
        raise InvalidPlan(f"The {name} has a value of a wrong type: {error}.", "Mend it.") from None


def _require(holds: bool, name: str, plan: Any, allowed: str, shown: Any = None) -> None:
    if not holds:
        value = getattr(plan, name) if shown is None else shown
        raise InvalidPlan(f"{name} is {value!r}.", f"It must be {allowed}.")
