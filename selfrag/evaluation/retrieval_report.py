"""The figures of a retrieval benchmark as JSON values, as a table and as plots."""

from __future__ import annotations

from collections.abc import Sequence
from importlib import import_module
from pathlib import Path
from typing import Any

import numpy as np
from rich.table import Table

from selfrag.errors import EXIT_INPUT, SelfRAGError
from selfrag.evaluation.retrieval_benchmark import BEST, RetrieverRun
from selfrag.evaluation.retrieval_measures import CUTOFFS, MEASURES, Estimate, ceiling, p_value
from selfrag.evaluation.retrieval_questions import GoldQuestions

REPORT_VERSION = 1


class MissingExtra(SelfRAGError):
    """A library of an extra is not installed."""

    exit_code = EXIT_INPUT


def report(
    runs: Sequence[RetrieverRun], questions: GoldQuestions, about: dict[str, Any]
) -> dict[str, Any]:
    """All figures: an entry for every retriever by its name and for `best`, and `benchmark`.

    Recall and nDCG are fractions. `p_value` compares recall@5 with that of `best`.
    """
    best = next(run for run in runs if run.name == BEST)
    golds = [question.gold for question in questions.questions]
    entries: dict[str, Any] = {run.name: _entry(run, best) for run in runs}
    entries["best"] = {"retriever": BEST, **entries[BEST]}
    entries["benchmark"] = {
        "schema_version": REPORT_VERSION,
        **about,
        "questions": len(golds),
        "questions_left_out": questions.left_out,
        "ceilings": {f"recall@{k}": ceiling(golds, k) for k in CUTOFFS},
        "confidence": 0.95,
    }
    return entries


def table(values: dict[str, Any]) -> Table:
    """The figures of `report` for people; recall and nDCG in per cent."""
    about = values["benchmark"]
    names = [name for name in values if name not in ("best", "benchmark")]
    best = values["best"]["retriever"]
    shown = Table(
        title=f"{about['questions']} questions, {about['passages']} passages; "
        "95 % bootstrap intervals"
    )
    shown.add_column("measure")
    for name in names:
        shown.add_column(f"{name} (best)" if name == best else name, justify="right")
    shown.add_column("ceiling", justify="right")
    for name in MEASURES:
        cells = [_percent(values[key][name], values[key]["intervals"][name]) for key in names]
        top = about["ceilings"].get(name)
        shown.add_row(name, *cells, "" if top is None else f"{100 * top:.1f}")
    shown.add_section()
    shown.add_row(f"p against {best}", *(f"{values[key]['p_value']:.4f}" for key in names), "")
    for label, key, unit in (
        ("queries per second", "queries_per_second", 1),
        ("index, MB", "index_bytes", 1e6),
        ("peak memory, MB", "peak_memory_bytes", 1e6),
        ("opening, ms", "open_seconds", 1e-3),
    ):
        cells = [
            "-" if values[name][key] is None else f"{values[name][key] / unit:.1f}"
            for name in names
        ]
        shown.add_row(label, *cells, "")
    return shown


def require_plots() -> None:
    """Find out before the work whether plots can be drawn.

    Raises:
        MissingExtra: matplotlib is not installed.
    """
    try:
        import_module("matplotlib")
    except ImportError as error:
        raise MissingExtra(
            "Plots need matplotlib.", 'Install the extra: pip install "selfrag[benchmark]".'
        ) from error


def plot(values: dict[str, Any], folder: Path) -> Path:
    """Draw recall with its intervals to `recall.png` in a folder; the file."""
    require_plots()
    pyplot: Any = import_module("matplotlib.figure")
    names = [name for name in values if name not in ("best", "benchmark")]
    figure = pyplot.Figure(figsize=(8, 4), layout="constrained")
    axes = figure.subplots()
    width = 0.8 / len(names)
    for number, name in enumerate(names):
        means = np.array([values[name][f"recall@{k}"] for k in CUTOFFS])
        known = [values[name]["intervals"][f"recall@{k}"] for k in CUTOFFS]
        bounds = np.array([pair or (mean, mean) for pair, mean in zip(known, means, strict=True)]).T
        places = np.arange(len(CUTOFFS)) + (number - (len(names) - 1) / 2) * width
        errors = np.abs(bounds - means)
        axes.bar(places, means, width * 0.9, yerr=errors, capsize=2, label=name)
    tops = [values["benchmark"]["ceilings"][f"recall@{k}"] for k in CUTOFFS]
    starts, ends = np.arange(len(CUTOFFS)) - 0.42, np.arange(len(CUTOFFS)) + 0.42
    axes.hlines(tops, starts, ends, colors="black", linewidth=1, label="ceiling")
    axes.set_xticks(range(len(CUTOFFS)), [f"recall@{k}" for k in CUTOFFS])
    axes.set_ylim(0, 1.05)
    axes.set_title(f"{values['benchmark']['corpus']}, {values['benchmark']['questions']} questions")
    axes.set_ylabel("mean over questions, with 95 % interval")
    figure.legend(loc="outside right center")
    folder.mkdir(parents=True, exist_ok=True)
    file = folder / "recall.png"
    figure.savefig(file, dpi=120)
    return file


def _entry(run: RetrieverRun, best: RetrieverRun) -> dict[str, Any]:
    estimates = {name: Estimate.of(run.values[name]) for name in MEASURES}
    return {
        **{name: estimate.mean for name, estimate in estimates.items()},
        "intervals": {name: estimate.interval for name, estimate in estimates.items()},
        "by_shuffle": run.by_shuffle,
        "p_value": p_value(run.values["recall@5"], best.values["recall@5"]),
        "queries_per_second": float(len(run.seconds) / run.seconds.sum()),
        "median_query_seconds": float(np.median(run.seconds)),
        "index_bytes": run.index_bytes,
        "peak_memory_bytes": run.peak_memory,
        "open_seconds": run.open_seconds,
    }


def _percent(mean: float, interval: tuple[float, float] | None) -> str:
    if interval is None:
        return f"{100 * mean:.1f}"
    return f"{100 * mean:.1f} [{100 * interval[0]:.1f}, {100 * interval[1]:.1f}]"
