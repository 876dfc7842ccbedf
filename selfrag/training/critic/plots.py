"""The reliability curves of a critic as a picture. Needs matplotlib (extra `train`)."""

from __future__ import annotations

from importlib import import_module
from pathlib import Path
from typing import Any

from selfrag.training.critic.errors import EmptySplit, MissingExtra
from selfrag.training.critic.metrics import CriticReport


def plot_reliability(report: CriticReport, file: Path) -> Path:
    """Draw the curve of each group, with 95 % intervals, to a PNG file; the file.

    Raises:
        MissingExtra: matplotlib is not installed.
        EmptySplit: no group has probabilities.
    """
    try:
        figures: Any = import_module("matplotlib.figure")
    except ImportError as error:
        raise MissingExtra(
            "Plots need matplotlib.", 'Install the extra: pip install "selfrag[train]".'
        ) from error
    curves = [(one.group, one.reliability) for one in report.groups if one.reliability is not None]
    if not curves:
        raise EmptySplit(
            f"{report.critic} gave no probabilities, so there is no reliability to draw.",
            "Measure a critic that gives them, such as a model.",
        )
    figure = figures.Figure(figsize=(3.4 * len(curves), 3.6), layout="constrained")
    for axes, (group, curve) in zip(
        figure.subplots(1, len(curves), squeeze=False)[0], curves, strict=True
    ):
        axes.plot([0, 1], [0, 1], color="grey", linewidth=0.8, linestyle="--")
        bins = [one for one in curve.bins if one.right.n]
        confidences = [one.confidence for one in bins]
        shares = [one.right.value or 0.0 for one in bins]
        intervals = [one.right.interval or (0.0, 1.0) for one in bins]
        below = [share - low for share, (low, _) in zip(shares, intervals, strict=True)]
        above = [high - share for share, (_, high) in zip(shares, intervals, strict=True)]
        # At the ends rounding may make a length of an error bar a hair negative.
        errors = [[max(0.0, length) for length in row] for row in (below, above)]
        axes.errorbar(confidences, shares, yerr=errors, marker="o", markersize=3, capsize=2)
        axes.set(xlim=(0, 1), ylim=(0, 1), xlabel="confidence", ylabel="share right")
        axes.set_title(f"{group}: ECE {curve.error:.3f}", fontsize=10)
    file.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(file, dpi=120)
    return file
