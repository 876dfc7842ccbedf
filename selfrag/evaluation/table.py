"""Figures as tables for people."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from rich.table import Table

from selfrag.evaluation.comparisons import Comparison
from selfrag.evaluation.figures import HEADLINES, Figures
from selfrag.evaluation.intervals import Estimate, Proportion
from selfrag.evaluation.sections import Section


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


def sections_table(sections: Mapping[str, Section], mode: str) -> Table:
    """A row for each figure of each capability that was measured, and how many items it rests on.

    Calibration errors and areas under the curve are numbers from 0 to 1, the rest per cent.
    """
    table = Table(title=f"capabilities, {mode}; 95 % intervals")
    for name in ("section", "measure"):
        table.add_column(name)
    table.add_column("value", justify="right")
    for name, section in sections.items():
        rows = dict(section.measures)
        for group in section.groups.values():
            rows |= {f"  {key}": share for key, share in group.items()}
        shown = [(measure, _measure(figure)) for measure, figure in rows.items() if figure.n]
        for place, (measure, value) in enumerate(shown):
            table.add_row(_words(name) if place == 0 else "", _words(measure), value)
        if shown:
            table.add_section()
    return table


def reliability_table(section: Section) -> Table:
    """The reliability curves: what was promised, and what came of it, bin by bin."""
    table = Table(title="reliability; 95 % Wilson intervals")
    for name in ("group", "confidence in bin", "mean confidence", "right"):
        table.add_column(name, justify="left" if name == "group" else "right")
    for name, curve in section.curves.items():
        for one in curve:
            table.add_row(
                name,
                f"{one.low:.2f} to {one.high:.2f}",
                f"{one.confidence:.1%}",
                _percent(one.accuracy),
            )
        table.add_section()
    return table


def comparisons_table(comparisons: Sequence[Comparison]) -> Table:
    """A row for each comparison and kind: both accuracies and their paired difference in points."""
    table = Table(title="paired comparisons; 95 % bootstrap intervals of left - right, in points")
    table.add_column("questions")
    for name in ("left", "right", "left - right", "only", "McNemar p"):
        table.add_column(name, justify="right", no_wrap=True)
    for item in comparisons:
        table.add_row(f"[bold]{_words(item.name)}[/bold]")
        for kind, one in item.differences.items():
            table.add_row(
                f"  {_words(kind)}, n={one.difference.n}",
                f"{one.left.value:.1%}",
                f"{one.right.value:.1%}",
                _points(one.difference),
                f"{one.only_left} : {one.only_right}",
                "-" if one.p_value is None else f"{one.p_value:.3g}",
            )
        table.add_section()
    return table


def _measure(figure: Proportion | Estimate) -> str:
    if isinstance(figure, Proportion):
        return _percent(figure)
    if figure.value is None:
        return f"- n={figure.n}"
    if figure.interval is None:
        return f"{figure.value:.3f} n={figure.n}"
    low, high = figure.interval
    return f"{figure.value:.3f} [{low:.3f}, {high:.3f}] n={figure.n}"


def _points(difference: Estimate) -> str:
    if difference.value is None:
        return "-"
    if difference.interval is None:
        return f"{100 * difference.value:+.1f}"
    low, high = difference.interval
    return f"{100 * difference.value:+.1f} [{100 * low:+.1f}, {100 * high:+.1f}]"


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
