"""Fits how a group's probabilities are to be read, on readings whose truth is known.

Vector scaling (Guo et al., 2017, section 4.2): the temperature and offsets that make the truths
most probable, with a penalty that keeps them near 1 and 0 where readings are few. A truth may be
several labels (IsUse: 4 or 5), whose shares are added. This module knows nothing of models and
files.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch

from decoding.distributions import ReflectionDistribution
from decoding.scaling import Scaling
from selfrag.evaluation.critiques import Reading
from selfrag.evaluation.support import JudgedSentence

PENALTY = 1.0
"""Of log-temperature and offsets, squared, against the summed log-loss of all readings."""
STEPS = 200
FLOOR = -30.0
"""Of a log-share: one unlucky reading of probability zero must not decide everything."""


@dataclass(frozen=True, slots=True)
class Known:
    """A distribution and the labels that are right there."""

    distribution: ReflectionDistribution
    right: tuple[str, ...]


def known_readings(readings: Sequence[Reading]) -> list[Known]:
    """Readings with their distributions; where the labels asked about are wrong, the others are
    right."""
    found = []
    for one in readings:
        if one.distribution is not None:
            others = tuple(label for label in one.distribution.labels if label not in one.labels)
            found.append(Known(one.distribution, one.labels if one.truth else others))
    return found


def known_sentences(judged: Sequence[JudgedSentence]) -> list[Known]:
    """Labelled sentences that the model judged."""
    return [Known(one.is_sup, (one.item.label,)) for one in judged if one.is_sup is not None]


def fit_scaling(known: Sequence[Known]) -> Scaling:
    """The scaling that makes what is right most probable.

    The distributions must be unscaled, of one group.

    Raises:
        ValueError: there is none.
    """
    if not known:
        raise ValueError("a scaling cannot be fitted to no reading")
    labels = known[0].distribution.labels
    logs = torch.tensor([one.distribution.log_probabilities for one in known], dtype=torch.float64)
    logs = (logs - logs.logsumexp(dim=1, keepdim=True)).clamp(min=FLOOR)
    right = torch.tensor([[label in one.right for label in labels] for one in known])
    cold = torch.zeros((), dtype=torch.float64, requires_grad=True)
    offsets = torch.zeros(len(labels), dtype=torch.float64, requires_grad=True)
    optimiser = torch.optim.LBFGS([cold, offsets], max_iter=STEPS, line_search_fn="strong_wolfe")

    def loss() -> torch.Tensor:
        optimiser.zero_grad()
        scaled = (logs * cold.exp() + offsets).log_softmax(dim=1)
        lost = -scaled.masked_fill(~right, -torch.inf).logsumexp(dim=1).sum()
        lost = lost + PENALTY * (cold.square() + offsets.square().sum())
        lost.backward()  # type: ignore[no-untyped-call]
        return lost

    optimiser.step(loss)  # type: ignore[no-untyped-call]
    moved = offsets.detach() - offsets.detach().mean()
    return Scaling(float((-cold.detach()).exp()), tuple(moved.tolist()))
