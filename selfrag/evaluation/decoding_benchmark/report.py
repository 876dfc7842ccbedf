"""The figures of a decoding benchmark as JSON values and as tables."""

from __future__ import annotations

from collections.abc import Sequence
from statistics import median
from typing import Any

from rich.table import Table

from selfrag.evaluation.decoding_benchmark.floor import floor_seconds
from selfrag.evaluation.decoding_benchmark.machine import typical
from selfrag.evaluation.decoding_benchmark.measuring import Measured, Plan, Run
from selfrag.evaluation.decoding_benchmark.systems import OTHER_NUMBERS, SYSTEMS

REPORT_VERSION = 2
SCORE_TOLERANCE = 1e-4
"""By how much scores of two engines may differ in float32."""


def workload_entry(plan: Plan, found: Measured) -> dict[str, Any]:
    """One workload: questions per second by system, null for what was not run, and the floor.

    `same_answers` is whether all systems of the same search gave the same texts, with scores
    that differ by at most 1e-4; null with fewer than two of them. `times_floor` is the median
    time of `ours` over the floor.
    """
    runs = list(found.runs.values())
    medians = {name: _median(runs, name) for name in SYSTEMS}
    entry: dict[str, Any] = {
        name: None if seconds is None else len(plan.asked(name)) / seconds
        for name, seconds in medians.items()
    }
    agreement = agreements(runs)
    floor = floor_seconds(found.levels, typical(found.rates))
    ours = medians["ours"]
    same = [share for name, share in agreement.items() if name not in OTHER_NUMBERS]
    entry["same_answers"] = all(share == 1 for share in same) if len(same) > 1 else None
    entry["times_floor"] = None if ours is None or floor <= 0 else ours / floor
    entry["floor_questions_per_second"] = len(plan.questions) / floor if floor > 0 else None
    entry["agreement"] = agreement
    entry["in_flight"] = {
        name: _in_flight(plan, name) for name in SYSTEMS if medians[name] is not None
    }
    entry["questions"] = {name: len(plan.asked(name)) for name in entry["in_flight"]}
    entry["repeats"] = {
        name: sum(turn == name for _, turn in plan.turns) for name in entry["in_flight"]
    }
    entry["processor_seconds"] = {
        name: median(run.processor_seconds for run in runs if run.system == name)
        for name in entry["in_flight"]
    }
    entry["other_answers"] = other_answers(plan.questions, runs)
    entry["peak_bytes"] = {
        name: max(
            (run.peak_bytes for run in runs if run.system == name and run.peak_bytes), default=None
        )
        for name in entry["in_flight"]
    }
    return entry


def tokens_entry(plan: Plan, runs: Sequence[Run]) -> dict[str, Any]:
    """Prompt and generated tokens per question, by system."""
    entry = {}
    for name in plan.systems:
        mine = [run for run in runs if run.system == name]
        asked = sum(run.questions for run in mine)
        if asked:
            entry[name] = {
                "prompt": sum(run.prompt_tokens for run in mine) / asked,
                "generated": sum(run.generated_tokens for run in mine) / asked,
            }
    return entry


def agreements(runs: Sequence[Run]) -> dict[str, float]:
    """By system, the share of questions answered as transformers (or else ours) answered them.

    The published procedure is another search and is left out.
    """
    same = [run for run in runs if run.system != "published"]
    first = _compared_with(runs)
    if first is None:
        return {}
    shares: dict[str, list[bool]] = {}
    for run in same:
        pairs = zip(run.answers, first.answers, strict=True)
        shares.setdefault(run.system, []).extend(_same(*pair) for pair in pairs)
    return {name: sum(values) / len(values) for name, values in shares.items()}


def other_answers(questions: Sequence[str], runs: Sequence[Run]) -> list[dict[str, Any]]:
    """Where a system of the same search answered otherwise than `agreements` compares with.

    Two continuations whose scores are equal up to rounding may change places between engines.
    """
    base = _compared_with(runs)
    if base is None:
        return []
    found: list[dict[str, Any]] = []
    for run in (run for run in runs if run.system not in OTHER_NUMBERS):
        pairs = zip(run.answers, base.answers, strict=True)
        for place, (answer, first) in enumerate(pairs):
            entry = {
                "system": run.system,
                "question": questions[place],
                "answer": list(answer),
                base.system: list(first),
            }
            if not _same(answer, first) and entry not in found:
                found.append(entry)
    return found


def table(values: dict[str, Any]) -> Table:
    """Questions per second of `report` for people."""
    names = [name for name in values if isinstance(values[name], dict) and "ours" in values[name]]
    shown = Table(title="Questions per second (medians)")
    shown.add_column("system")
    for name in names:
        shown.add_column(name, justify="right")
    for system in SYSTEMS:
        cells = [values[name][system] for name in names]
        if any(cell is not None for cell in cells):
            shown.add_row(system, *(_number(cell) for cell in cells))
    shown.add_section()
    for key in ("floor_questions_per_second", "times_floor", "same_answers"):
        shown.add_row(key.replace("_", " "), *(_number(values[name][key]) for name in names))
    return shown


def _compared_with(runs: Sequence[Run]) -> Run | None:
    """The first turn of transformers, or else of ours, or else of any that searches alike."""
    for names in (("transformers",), ("ours",), SYSTEMS):
        for run in runs:
            if run.system in names and run.system not in OTHER_NUMBERS:
                return run
    return None


def _median(runs: Sequence[Run], name: str) -> float | None:
    seconds = [run.seconds for run in runs if run.system == name]
    return float(median(seconds)) if seconds else None


def _in_flight(plan: Plan, name: str) -> int:
    alone = name in ("published", "ours_without_batching")
    return 1 if alone else min(plan.workload.in_flight, len(plan.questions))


def _same(one: tuple[str, float | None], other: tuple[str, float | None]) -> bool:
    if one[1] is None or other[1] is None:
        return one == other
    return one[0] == other[0] and abs(one[1] - other[1]) <= SCORE_TOLERANCE


def _number(value: Any) -> str:
    if value is None:
        return "-"
    if isinstance(value, bool):
        return "yes" if value else "NO"
    return f"{value:.3g}"
