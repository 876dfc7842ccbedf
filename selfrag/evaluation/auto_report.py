"""The figures of the benchmark of `auto` as tables and as plots."""

from __future__ import annotations

from importlib import import_module
from pathlib import Path
from typing import Any

from rich.table import Table

from selfrag.evaluation.retrieval_report import require_plots

GOALS = {"recall": 0.95, "single": 20.0, "batch": 5.0}
_NAMES = {"faiss exact": "FAISS IndexFlatIP", "flat": "the project's Flat", "auto": "auto"}


def tables(values: dict[str, Any]) -> list[Table]:
    """Searches, curves, memory and extrapolation, for people."""
    return [_searches(values), *_curves(values), _memory(values), _large(values)]


def plot(values: dict[str, Any], folder: Path) -> list[Path]:
    """Draw `auto-curves.png` and `auto-speed.png` to a folder; the files.

    Raises:
        MissingExtra: matplotlib is not installed.
    """
    require_plots()
    figures: Any = import_module("matplotlib.figure")
    folder.mkdir(parents=True, exist_ok=True)
    splits = values["match"]["splits"]
    figure = figures.Figure(figsize=(12, 3.6 * len(splits)), layout="constrained")
    grid = figure.subplots(len(splits), len(splits[0]["curves"]), squeeze=False)
    for row, split in zip(grid, splits, strict=True):
        for axes, curve in zip(row, split["curves"], strict=True):
            for kind, label in (("real", "real"), ("made", f"made of {split['made_of']:,} others")):
                axes.plot(curve["efforts"], curve[kind], marker="o", label=label)
            axes.set_xscale("log", base=2)
            axes.set_title(f"{curve['name']}, {split['compared']:,} vectors", fontsize=9)
            axes.set_ylabel("recall@10")
            axes.legend(loc="lower right")
    files = [folder / "auto-curves.png", folder / "auto-speed.png"]
    figure.savefig(files[0], dpi=120)
    speeds = values["searches"]["speeds"]
    figure = figures.Figure(figsize=(8, 4), layout="constrained")
    for axes, kind in zip(figure.subplots(1, 2), ("single", "batch"), strict=True):
        rates = [speeds[name][f"{kind}_queries_per_second"] for name in speeds]
        bars = axes.bar([_NAMES[name] for name in speeds], rates)
        axes.bar_label(bars, fmt="%.1f")
        axes.set_yscale("log")
        axes.set_ylabel("queries per second")
        axes.set_title("one at a time" if kind == "single" else "in batches of 64")
        axes.tick_params(axis="x", labelsize=7)
    figure.savefig(files[1], dpi=120)
    return files


def _searches(values: dict[str, Any]) -> Table:
    about, auto, searches = values["benchmark"], values["auto"], values["searches"]
    shown = Table(
        title=f"{about['rows']:,} vectors of {about['dimension']} ({about['real']:,} real), "
        f"{about['questions']:,} questions, {about['threads']} threads",
        caption=f"auto: {auto['factory']} {auto['parameters']}. {auto['reason']}",
    )
    for column in ("", *(_NAMES[name] for name in searches["speeds"]), "ratio", "goal"):
        shown.add_column(column, justify="left" if not column else "right")
    recall = searches["recall"]
    blanks = [""] * (len(searches["speeds"]) - 1)
    shown.add_row("recall@10 against exact", *blanks, f"{recall:.4f}", "", f"{GOALS['recall']}")
    for kind, label in (("single", "one at a time"), ("batch", "in batches of 64")):
        for what, unit in (("", "ms a query"), ("_processor", "processor ms a query")):
            cells = [
                f"{1e3 * speed[f'{kind}{what}_seconds']:.2f}"
                for speed in searches["speeds"].values()
            ]
            goal = f"{GOALS[kind]:.0f}x" if not what else ""
            ratio = f"{searches['ratios'][f'{kind}{what}']:.1f}x"
            shown.add_row(f"{label}, {unit}", *cells, ratio, goal)
    return shown


def _curves(values: dict[str, Any]) -> list[Table]:
    made = []
    for split in values["match"]["splits"]:
        shown = Table(
            title=f"recall@10: {split['compared']:,} real vectors, and as many made of "
            f"{split['made_of']:,} others",
            caption=f"largest difference {split['difference']:.3f}; "
            f"{values['match']['neighbours']} neighbours and residual "
            f"{values['match']['residual']}, fitted with other questions",
        )
        for column in ("index", "effort", "real", "made", "difference"):
            shown.add_column(column, justify="left" if column == "index" else "right")
        for curve in split["curves"]:
            rows = zip(curve["efforts"], curve["real"], curve["made"], strict=True)
            for effort, real, other in rows:
                shown.add_row(
                    curve["name"],
                    str(effort),
                    f"{real:.3f}",
                    f"{other:.3f}",
                    f"{other - real:+.3f}",
                )
            shown.add_section()
        made.append(shown)
    return made


def _memory(values: dict[str, Any]) -> Table:
    shown = Table(title="building, disk and memory of auto")
    shown.add_column("")
    shown.add_column("", justify="right")
    auto, resident = values["auto"], values["resident"]
    seconds = auto["build_seconds"]
    shown.add_row("import, s", "gone on with" if seconds is None else f"{seconds:.0f}")
    for name, size in auto["bytes"].items():
        shown.add_row(f"{name.replace('_', ' ')}, MB", f"{size / 1e6:.1f}")
    for moment in ("before", "open", "asked"):
        all_, own = (resident[f"{moment}_{kind}"] / 1e6 for kind in ("all", "own"))
        shown.add_row(f"resident, {moment}, MB (without files)", f"{all_:.0f} ({own:.0f})")
    return shown


def _large(values: dict[str, Any]) -> Table:
    large = values["large"]
    shown = Table(
        title=f"expected of {large['passages']:,} x {large['dimension']} with "
        f"{large['memory'] / 1e9:.0f} GB (rates of {large['measured_on']})"
    )
    shown.add_column("figure")
    shown.add_column("value", justify="right")
    shown.add_column("derived from")
    for figure in large["figures"]:
        value = figure["value"]
        text = f"{value / 1e9:.3f} GB" if figure["unit"] == "bytes" else f"{1e3 * value:.2f} ms"
        shown.add_row(figure["name"], text, figure["derivation"])
    return shown
