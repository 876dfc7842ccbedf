"""Plots of a run's log: loss by token group, learning rate and throughput over the steps.

This module reads `log.jsonl` and knows nothing of training.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from selfrag.training.errors import TrainingError


def read_log(path: Path) -> list[dict[str, Any]]:
    """The lines of a run's `log.jsonl`.

    Raises:
        TrainingError: there is no such file, or nothing is in it yet.
    """
    try:
        lines = [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]
    except (OSError, ValueError) as error:
        raise TrainingError(
            f"{path} cannot be read: {error}.", "Give the log of a run (log.jsonl)."
        ) from error
    if not lines:
        raise TrainingError(f"{path} is empty.", "Wait for the run's first logged step.")
    return lines


def plot_curves(log: Path, image: Path) -> Path:
    """Write the plots of a log as an image (PNG, or whatever its name ends with); returns it.

    Raises:
        TrainingError: matplotlib is not installed, or there is nothing to plot.
    """
    lines = read_log(log)
    try:
        from matplotlib.figure import Figure
    except ImportError as error:
        raise TrainingError(
            "Plots need matplotlib, which is not installed.",
            'Install it with pip install "selfrag[train]".',
        ) from error
    figure = Figure(figsize=(8, 9), layout="constrained")
    loss, rate, speed = figure.subplots(3, 1, sharex=True, height_ratios=(3, 1, 1))
    steps = [line["step"] for line in lines]
    loss.plot(steps, [line["loss"] for line in lines], color="black", label="all counted tokens")
    for name in dict.fromkeys(name for line in lines for name in line["losses"]):
        points = [(line["step"], line["losses"].get(name)) for line in lines]
        known = [(step, value) for step, value in points if value is not None]
        loss.plot(*zip(*known, strict=True), linewidth=1, label=name)
    loss.set(ylabel="loss (nats per token)", yscale="log")
    loss.legend()
    rate.plot(steps, [line["rate"] for line in lines])
    rate.set(ylabel="learning rate")
    speed.plot(steps, [line["tokens_per_second"] for line in lines])
    speed.set(ylabel="tokens per second", xlabel="step")
    for axes in (loss, rate, speed):
        axes.grid(alpha=0.3)
    figure.savefig(image, dpi=120)
    return image
