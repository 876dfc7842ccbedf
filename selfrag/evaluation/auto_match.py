"""Fits the interpolation to real vectors, and measures on others how well the curves match.

Vectors are never compared with what was made of them: in each step real ones are split into those
that are compared and those that others are made of. Fitting takes a smaller part, by another draw,
and every second question; measuring takes the other questions.
"""

from __future__ import annotations

from typing import Any, TypedDict

import numpy as np
import numpy.typing as npt

from selfrag.evaluation.interpolation import Floats, Interpolation, extended, nearest_neighbours
from selfrag.evaluation.real_vectors import Tick
from selfrag.evaluation.recall_curves import Points, curves_of, matched

NEIGHBOURS = (3, 8)
RESIDUALS = (0.35, 0.5, 0.65, 0.8)
_COMPARED_ROWS = 100_000
_FITTED_ROWS = 20_000
_FIFTH = 5
# By the part of the real vectors that is compared, at most. In "fifth", five times as many are made
# as they are made of, about as in a million.
_SPLITS = {"half": 0.54, "fifth": 5 / 6}


class Match(TypedDict):
    """The settings that fitted best, how far each one tried was off, and what was measured."""

    neighbours: int
    residual: float
    tried: list[dict[str, float]]
    splits: list[dict[str, Any]]


def match(real: Floats, asked: Floats, seed: int, tick: Tick) -> Match:
    """Choose the settings whose curves differ least, and compare them on other vectors.

    Args:
        real: of length 1, shape [n, dimension].
        asked: questions, likewise; odd ones fit, even ones measure.
        seed: of what is made.
        tick: told of the indexes that are made.
    """
    fitting, measuring = asked[1::2], asked[::2]
    # As in "fifth": a sixth is what vectors are made of, the rest is compared.
    rows = np.random.default_rng(2).permutation(len(real))[: _FITTED_ROWS * (_FIFTH + 1) // _FIFTH]
    compared = real[rows[: len(rows) * _FIFTH // (_FIFTH + 1)]]
    base = real[rows[len(compared) :]]
    truth = curves_of(compared, fitting)
    near = nearest_neighbours(base, max(NEIGHBOURS))
    tried = []
    candidates = [Interpolation(n, residual, seed) for n in NEIGHBOURS for residual in RESIDUALS]
    for number, settings in enumerate(candidates, 1):
        off = _distance(truth, _made(base, near, len(compared), settings, fitting))
        one = {"neighbours": settings.neighbours, "residual": settings.residual, "off": off}
        tried.append(one)
        tick("fitting", number, len(candidates))
    best = min(range(len(tried)), key=lambda place: tried[place]["off"])
    chosen = candidates[best]
    splits = []
    for number, (name, share) in enumerate(_SPLITS.items(), 1):
        first, second = split_rows(len(real), share)
        base = real[second]
        if name == "fifth":
            base = base[: max(chosen.neighbours + 1, len(first) // _FIFTH)]
        near = nearest_neighbours(base, chosen.neighbours)
        made = _made(base, near, len(first), chosen, measuring)
        curves = matched(curves_of(real[first], measuring), made)
        splits.append(
            {
                "split": name,
                "compared": len(first),
                "made_of": len(base),
                "questions": len(measuring),
                "curves": [curve.to_dict() for curve in curves],
                "difference": max(curve.difference for curve in curves),
            }
        )
        tick("matching", number, len(_SPLITS))
    return {
        "neighbours": chosen.neighbours,
        "residual": chosen.residual,
        "tried": tried,
        "splits": splits,
    }


def split_rows(count: int, share: float) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]:
    """Two disjoint sets of rows: those compared, a share of all or 100,000, and the rest."""
    order = np.random.default_rng(1).permutation(count)
    compared = min(_COMPARED_ROWS, int(count * share))
    return np.sort(order[:compared]), np.sort(order[compared:])


def _made(
    base: Floats,
    near: npt.NDArray[np.int32],
    rows: int,
    settings: Interpolation,
    questions: Floats,
) -> Points:
    return curves_of(np.concatenate(list(extended(base, near, rows, settings))), questions)


def _distance(real: Points, made: Points) -> float:
    """The mean over all points of all curves of how far the recalls are apart."""
    gaps = [
        abs(one - other)
        for curve in matched(real, made)
        for one, other in zip(curve.real, curve.made, strict=True)
    ]
    return float(np.mean(gaps))
