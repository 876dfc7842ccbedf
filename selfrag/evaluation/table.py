"""Figures as a table for people."""

from __future__ import annotations

from collections.abc import Sequence

from rich.table import Table

from selfrag.evaluation.figures import HEADLINES, Figures
from selfrag.evaluation.intervals import Proportion


def figures_table(figures: Sequence[Figures]) -> Table:
    """One column per mode; proportions in per cent with their 95 % interval and count."""
    table = Table(title=f"{figures[0].questions} questions; 95 % Wilson intervals")
    table.add_column("measure")
    for item in figures:
        table.add_column(item.mode, justify="right")
    for name in HEADLINES:
        table.add_row(_words(name), *(_percent(item.proportions[name]) for item in figures))
    table.add_section()
    table.add_row("passages a question", *(f"{item.passages:.2f}" for item in figures))
    table.add_row(
        "generated tokens a question", *(f"{item.generated_tokens:.1f}" for item in figures)
    )
    table.add_row("seconds a question, one by one", *(_seconds(item)[0] for item in figures))
    table.add_row("processor seconds, one by one", *(_seconds(item)[1] for item in figures))
    table.add_row(
        "seconds a question, in batches",
        *(f"{item.batch_seconds / item.questions:.3f}" for item in figures),
    )
    return table


def groups_table(figures: Figures) -> Table:
    """Accuracy of one mode by kind, phrasing and relation."""
    table = Table(title=f"accuracy by group, {figures.mode}")
    table.add_column("group")
    table.add_column("accuracy", justify="right")
    for group in ("kind", "phrasing", "relation"):
        for name, share in figures.groups[group].items():
            table.add_row(f"{group}: {name}", _percent(share))
        table.add_section()
    return table


def _percent(share: Proportion | None) -> str:
    if share is None or share.value is None:
        return "-"
    low, high = share.interval or (0.0, 1.0)
    return f"{share.value:.1%} [{low:.1%}, {high:.1%}] n={share.n}"


def _seconds(figures: Figures) -> tuple[str, str]:
    latency = figures.latency
    if latency is None:
        return "-", "-"
    count = latency.questions
    return f"{latency.seconds / count:.3f}", f"{latency.processor_seconds / count:.3f}"


def _words(name: str) -> str:
    return name.replace("_", " ")
