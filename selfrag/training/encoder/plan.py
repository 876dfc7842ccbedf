"""How an encoder is trained: its size, its schedule, how its negatives are found.

This module knows nothing of data and files.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from typing import Any

from selfrag.training.encoder.errors import InvalidEncoderPlan

STATIC_RATE, LAYERED_RATE = 0.1, 2e-5
"""Learning rates where a plan names none: of tables of vectors, and of models with layers."""


@dataclass(frozen=True, slots=True)
class EncoderPlan:
    """Size and schedule of an encoder.

    Attributes:
        base: folder or local name of the sentence-transformers model to fine-tune; "" trains a
            static embedding (one vector per word piece) from nothing.
        pieces: word pieces of a static embedding's tokenizer.
        dimension: length of a static embedding's vectors.
        rounds: how often it is trained; before each but the first, hard negatives are mined with
            the encoder of the round before. With a `base` they are mined before the first as well.
        epochs: passes over the queries in each round.
        batch: queries in a batch; each query sees the passages of all of them.
        mini_batch: texts in one forward pass of a model with layers (gradients are cached, so it
            changes memory and time, not the result); a static embedding ignores it.
        rate: learning rate; None takes 0.1 for static embeddings, 2e-5 for others.
        scale: factor of the cosines inside the softmax, the inverse of its temperature.
        negatives: hard negatives per query.
        depth: the negatives of a query are drawn from its first `depth` admissible passages.
        margin: least difference between the cosine of a query with the worst of its positives and
            with a negative, as a share of the former; None admits all. Give one (0.05) where not
            every passage that answers is known to be a positive.
        duplicate: a passage whose cosine with a positive is at least this is no negative.
        held_out: share of the distinct queries that are only measured with; 0 measures nothing.
        seed: of weights, order, draws and the choice of the held-out queries.

    Raises:
        InvalidEncoderPlan: a value is not allowed.
    """

    base: str = ""
    pieces: int = 8000
    dimension: int = 256
    rounds: int = 2
    epochs: int = 1
    batch: int = 512
    mini_batch: int = 32
    rate: float | None = None
    scale: float = 20.0
    negatives: int = 1
    depth: int = 20
    margin: float | None = None
    duplicate: float = 0.98
    held_out: float = 0.05
    seed: int = 1

    def __post_init__(self) -> None:
        _whole("pieces", self.pieces, 16)
        _whole("dimension", self.dimension, 1)
        _whole("rounds", self.rounds, 1)
        _whole("epochs", self.epochs, 1)
        _whole("batch", self.batch, 2)
        _whole("mini_batch", self.mini_batch, 1)
        _whole("negatives", self.negatives, 0)
        _whole("depth", self.depth, max(self.negatives, 1))
        _whole("seed", self.seed, 0)
        if self.rate is not None:
            _between("rate", self.rate, 0.0, math.inf)
        _between("scale", self.scale, 0.0, math.inf)
        if self.margin is not None:
            _between("margin", self.margin, -1.0, 1.0)
        _between("duplicate", self.duplicate, 0.0, math.inf)
        if self.held_out != 0:
            _between("held_out", self.held_out, 0.0, 1.0)
        if not isinstance(self.base, str):
            raise InvalidEncoderPlan(
                f"base is {self.base!r}.", 'Give a folder or a name, or "" for a static embedding.'
            )

    @property
    def learning_rate(self) -> float:
        """The rate, or the default of the model's sort."""
        if self.rate is not None:
            return self.rate
        return LAYERED_RATE if self.base else STATIC_RATE

    def to_dict(self) -> dict[str, Any]:
        """JSON values."""
        return asdict(self)

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> EncoderPlan:
        """The plan that `to_dict` wrote. InvalidEncoderPlan for unknown settings."""
        known = {field.name for field in fields(cls)}
        if unknown := sorted(set(values) - known):
            raise InvalidEncoderPlan(
                f"A plan has unknown settings {unknown}.", f"Allowed: {sorted(known)}."
            )
        return cls(**values)


def _whole(name: str, value: object, least: int) -> None:
    if not isinstance(value, int) or isinstance(value, bool) or value < least:
        raise InvalidEncoderPlan(
            f"{name} is {value!r}.", f"It must be a whole number of at least {least}."
        )


def _between(name: str, value: object, above: float, below: float) -> None:
    """Strictly between both."""
    number = isinstance(value, int | float) and not isinstance(value, bool)
    if not number or not above < value < below:  # type: ignore[operator]
        limit = "" if below == math.inf else f" and below {below:g}"
        raise InvalidEncoderPlan(f"{name} is {value!r}.", f"It must be above {above:g}{limit}.")
