"""How often each label occurs, by group and data set; and which rows a cap on labels keeps.

It works on rows of judgements as JSON values, in one pass, and knows nothing of critics.
"""

from __future__ import annotations

import hashlib
import heapq
from collections import defaultdict
from collections.abc import Iterable, Mapping
from typing import Any

from decoding.vocabulary import CONTINUE_EVIDENCE, GROUPS

Row = Mapping[str, Any]
Balance = Mapping[str, Mapping[str, Mapping[str, int]]]
"""Group -> data set -> label -> count. Retrieve stands twice: with two labels and with three."""

ROWS: dict[str, tuple[str, ...]] = {
    "Retrieve, two labels": tuple(s for s in GROUPS["Retrieve"] if s != CONTINUE_EVIDENCE),
    "Retrieve, three labels": GROUPS["Retrieve"],
    **{group: strings for group, strings in GROUPS.items() if group != "Retrieve"},
}


def balance_of(rows: Iterable[Row]) -> dict[str, dict[str, dict[str, int]]]:
    """The counts of rows of judgements; labels that do not occur are 0."""
    counts: dict[str, dict[str, dict[str, int]]] = {name: {} for name in ROWS}
    for row in rows:
        name = balance_name(row)
        labels = counts[name].setdefault(row.get("dataset", ""), dict.fromkeys(ROWS[name], 0))
        labels[row["label"]] += 1
    return {name: dict(sorted(sets.items())) for name, sets in counts.items() if sets}


def balance_name(row: Row) -> str:
    """The row of the report that a judgement is counted in."""
    question = row["question"]
    if question["group"] != "Retrieve":
        return str(question["group"])
    return f"Retrieve, {'two' if question['passage'] is None else 'three'} labels"


def balance_text(balance: Balance, title: str = "") -> str:
    """The counts as lines of text, with each label's share of its data set."""
    lines = [title] if title else []
    for name, sets in balance.items():
        lines.append(name)
        for dataset, labels in sets.items():
            total = sum(labels.values())
            lines.append(f"  {_printable(dataset) or '(no name)'}: {total}")
            lines += [
                f"    {label:<28}{count:>9}{count / total:>8.1%}" for label, count in labels.items()
            ]
    return "\n".join(lines) + "\n"


def caps_of(rows: Iterable[Row], cap: int) -> dict[str, int]:
    """For every label with more than `cap` rows, the highest rank that stays in.

    Keys are `cap_name`s. Ranks are hashes, so that which rows stay depends neither on their order
    nor on chance. Memory grows with labels times `cap`.
    """
    lowest: dict[str, list[int]] = defaultdict(list)
    for row in rows:
        heap = lowest[cap_name(row)]
        rank = -rank_of(row)
        if len(heap) <= cap:
            heapq.heappush(heap, rank)
        else:
            heapq.heappushpop(heap, rank)
    # A heap of cap + 1 has, at its top, the first rank that is too high.
    return {name: -heap[0] - 1 for name, heap in sorted(lowest.items()) if len(heap) > cap}


def cap_name(row: Row) -> str:
    """What a cap counts together: one label of one group."""
    return f"{balance_name(row)}: {row['label']}"


def rank_of(row: Row) -> int:
    """A number that depends on the row's id and its question alone."""
    question = row["question"]
    passage = question["passage"] or {}
    parts = [row.get("row", ""), question["group"], passage.get("id", "")]
    parts += [question[name] for name in ("instruction", "preceding", "sentence")]
    text = "\x1f".join(map(str, parts))
    return int.from_bytes(hashlib.sha256(text.encode("utf-8", "surrogatepass")).digest()[:8])


def _printable(text: str) -> str:
    return "".join(letter if letter.isprintable() else "?" for letter in text)
