"""What training and judging need of a critic's model, and what both kinds of model share.

Two kinds: `heads.HeadsNetwork` and `language.LanguageNetwork`. Both give the exact log-probability
of every label that may answer a question; neither generates freely.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import torch

from selfrag.training.critic.features import QuestionReader, ReadQuestion
from selfrag.training.critic.questions import CriticQuestion
from selfrag.training.errors import UnusableBase

WEIGHTS = "model.safetensors"


@dataclass(frozen=True, slots=True)
class Example:
    """A question, read, with its label. weight: of its loss in the batch's mean."""

    read: ReadQuestion
    question: CriticQuestion
    label: str
    weight: float = 1.0


class Network(Protocol):
    """A model that scores labels.

    Attributes:
        module: what the Trainer trains.
        reader: makes prompts for it, in training and in judging.
        tokenizer: saved with it.
    """

    module: Any
    reader: QuestionReader
    tokenizer: Any

    def collate(self, examples: Sequence[Example]) -> dict[str, torch.Tensor]:
        """A training batch on the CPU; `weight` (batch,) float among its tensors."""

    def losses(self, module: Any, batch: Mapping[str, torch.Tensor]) -> torch.Tensor:
        """-log p(label) of each example: (batch,) float32. module: `module`, perhaps wrapped."""

    def scores(
        self, reads: Sequence[ReadQuestion], labels: Sequence[str], group: str
    ) -> list[list[float]]:
        """For each question, the log-probabilities of its labels, normalised over them.

        All questions are of one group and have the same labels."""

    def save(self, folder: Path, state: Mapping[str, torch.Tensor]) -> None:
        """Write configuration, tokenizer and the weights in `state`; no pickle."""


def pad_left(rows: Sequence[Sequence[int]], filler: int) -> tuple[torch.Tensor, torch.Tensor]:
    """Ids and attention mask, (rows, longest) int64, filled up on the left."""
    return _pad(rows, filler, left=True)


def pad_right(rows: Sequence[Sequence[int]], filler: int) -> tuple[torch.Tensor, torch.Tensor]:
    """Ids and attention mask, (rows, longest) int64, filled up on the right."""
    return _pad(rows, filler, left=False)


def _pad(
    rows: Sequence[Sequence[int]], filler: int, *, left: bool
) -> tuple[torch.Tensor, torch.Tensor]:
    longest = max(map(len, rows))
    ids = torch.full((len(rows), longest), filler, dtype=torch.long)
    mask = torch.zeros((len(rows), longest), dtype=torch.long)
    for number, row in enumerate(rows):
        place = slice(longest - len(row), None) if left else slice(0, len(row))
        ids[number, place] = torch.tensor(list(row), dtype=torch.long)
        mask[number, place] = 1
    return ids, mask


def check_context(context: int, config: Any, tokenizer: Any | None = None) -> None:
    """UnusableBase where a model with learnt positions reads fewer tokens than `context`."""
    limits = [getattr(config, "max_position_embeddings", None)]
    if tokenizer is not None:
        limits.append(tokenizer.model_max_length)
    known = [limit for limit in limits if isinstance(limit, int) and 0 < limit < 10**9]
    if known and context > min(known):
        raise UnusableBase(
            f"The plan's context is {context} tokens; the base model reads {min(known)}.",
            f"Set context to at most {min(known)}, or use a base with a longer context.",
        )
