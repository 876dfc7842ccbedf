"""What decides a critic's training: base model, schedule, seed.

Defaults are those of the released critic's script where it has them (3 epochs, batches of 8, rate
2e-5, cosine, 1 % warm-up, no decay, 512 tokens). This module trains nothing.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from typing import Any, Literal

from selfrag.training.errors import InvalidOptions

Kind = Literal["language", "encoder"]
KINDS: tuple[Kind, ...] = ("language", "encoder")
PRECISIONS = ("float32", "bfloat16")


@dataclass(frozen=True, slots=True)
class CriticPlan:
    """How a critic is made.

    Attributes:
        kind: "language": a causal or sequence-to-sequence model that writes the label; "encoder":
            a body with a head for each group.
        base: folder or hub name of the model to start from; "" for a body of fresh weights.
        fresh: with `base=""`, kind "encoder": configuration values of the body, `model_type`
            among them, such as {"model_type": "bert", "hidden_size": 64, ...}.
        tokenizer: folder or hub name; "" takes the base's, or for a fresh body trains one on the
            data.
        pieces: pieces of a byte-level BPE that is trained.
        context: tokens of a prompt with its label.
        epochs, batch, accumulation, rate, warmup, seed: the schedule; warmup is a share of all
            steps, the rate then falls as a cosine.
        balance: whether labels weigh the same within their group, however often each occurs.
        precision: "bfloat16" computes in it; weights stay float32.
        gradient_checkpointing: less memory for a fifth more time; kind "language" only.
        save_every: steps between checkpoints.

    Raises:
        InvalidOptions: a value is not allowed.
    """

    kind: Kind
    base: str = ""
    fresh: Mapping[str, Any] | None = None
    tokenizer: str = ""
    pieces: int = 8000
    context: int = 512
    epochs: float = 3.0
    batch: int = 8
    accumulation: int = 1
    rate: float = 2e-5
    warmup: float = 0.01
    seed: int = 1
    balance: bool = False
    precision: str = "float32"
    gradient_checkpointing: bool = False
    save_every: int = 500

    def __post_init__(self) -> None:
        _require(self.kind in KINDS, "kind", self.kind, f"one of {KINDS}")
        _require(self.precision in PRECISIONS, "precision", self.precision, f"one of {PRECISIONS}")
        _require(
            bool(self.base) == (self.fresh is None),
            "base",
            self.base,
            "a folder or hub name, or '' with `fresh` given",
        )
        _require(
            self.fresh is None or (self.kind == "encoder" and "model_type" in self.fresh),
            "fresh",
            self.fresh,
            "values with a `model_type`, for an encoder only",
        )
        _require(
            not self.gradient_checkpointing or self.kind == "language",
            "gradient_checkpointing",
            self.gradient_checkpointing,
            "false for an encoder",
        )
        for name in ("pieces", "context", "batch", "accumulation", "save_every"):
            value = getattr(self, name)
            _require(isinstance(value, int) and value > 0, name, value, "a positive whole number")
        _require(self.epochs > 0, "epochs", self.epochs, "more than 0")
        _require(self.rate > 0, "rate", self.rate, "more than 0")
        _require(0 <= self.warmup < 1, "warmup", self.warmup, "a share from 0 to less than 1")

    def to_dict(self) -> dict[str, Any]:
        """JSON values."""
        values = asdict(self)
        values["fresh"] = None if self.fresh is None else dict(self.fresh)
        return values

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> CriticPlan:
        """The plan that `to_dict` wrote. InvalidOptions for unknown or missing keys."""
        known = {field.name for field in fields(cls)}
        if unknown := sorted(set(values) - known):
            raise InvalidOptions(
                f"A plan has unknown keys {unknown}.", f"Allowed: {sorted(known)}."
            )
        try:
            return cls(**values)
        except TypeError as error:
            raise InvalidOptions(f"A plan is not complete: {error}.", "`kind` is needed.") from None


def _require(allowed: bool, name: str, got: Any, hint: str) -> None:
    if not allowed:
        raise InvalidOptions(f"{name} is {got!r}.", f"Allowed: {hint}.")
