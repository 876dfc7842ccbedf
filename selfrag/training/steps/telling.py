"""A pipeline's report as text for human eyes; the JSON form has every number.

It works on JSON values, and knows nothing of stages.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

_WIDTH = 16


def report_text(report: Mapping[str, Any]) -> str:
    """The stages with counts, drops, labels and figures, a line each."""
    lines = [f"{report['work']}"]
    for name, stage in report["stages"].items():
        seconds = "" if stage["seconds"] is None else f", {stage['seconds']:.1f} s"
        lines.append(f"{name:<{_WIDTH}}{stage['state']}{seconds}{_listed(stage['counts'], '; ')}")
        if stage["dropped"]:
            lines.append(f"  dropped{_listed(stage['dropped'], ': ')}")
        lines += [f"  {line}" for line in _labels(stage["balance"])]
        lines += [f"  {line}" for line in _figures(stage["figures"])]
        lines += [f"  note: {text}" for text in stage["notes"]]
    return "\n".join(lines) + "\n"


def _listed(counts: Mapping[str, Any], before: str) -> str:
    listed = ", ".join(f"{name} {_number(count)}" for name, count in counts.items())
    return f"{before}{listed}" if listed else ""


def _number(value: Any) -> str:
    return f"{value:,}" if isinstance(value, int) and not isinstance(value, bool) else str(value)


def _labels(balance: Mapping[str, Any]) -> Iterator[str]:
    """Counts below names: data sets and labels. What is nested deeper is summed up."""
    for name, counts in balance.items():
        if not isinstance(counts, Mapping):
            continue
        flat = {key: count for key, count in counts.items() if isinstance(count, int) and count}
        if flat:
            yield f"{name}{_listed(flat, ': ')}"
        for group, sets in counts.items():
            if not isinstance(sets, Mapping):
                continue
            summed: dict[str, int] = {}
            for key, inner in sets.items():
                pairs = inner.items() if isinstance(inner, Mapping) else ((key, inner),)
                for label, count in pairs:
                    if isinstance(count, int):
                        summed[label] = summed.get(label, 0) + count
            if summed:
                yield f"{name}, {group}{_listed(summed, ': ')}"


def _figures(figures: Mapping[str, Any]) -> Iterator[str]:
    for name, value in figures.items():
        if not isinstance(value, Mapping):
            yield f"{name}: {_value(value)}"
        elif all(isinstance(one, Mapping) and "hits" not in one for one in value.values()):
            for inner, row in value.items():
                yield f"{name}, {inner}: {_row(row)}"
        else:
            yield f"{name}: {_row(value)}"


def _row(values: Mapping[str, Any]) -> str:
    return "; ".join(f"{name} {_value(value)}" for name, value in values.items())


def _value(value: Any) -> str:
    """A number, or a share as `61 % (17/28, 42 to 76)`."""
    if isinstance(value, Mapping) and "hits" in value:
        if value["value"] is None:
            return "-"
        low, high = value["interval"]
        return (
            f"{value['value']:.0%} ({value['hits']}/{value['n']}, {100 * low:.0f} to "
            f"{100 * high:.0f} %)"
        )
    if isinstance(value, float):
        return f"{value:.3g}"
    return "-" if value is None else str(value)
