"""Chooses a FAISS index for a number of passages and a memory budget, and says why.

The sizes are those of the codes and lists when all of them have been read once; all but graphs
and fast scans are memory-mapped, so an index that does not fit is slow and not refused.
"""

from __future__ import annotations

import math
import re
from dataclasses import dataclass

from indexes.errors import InvalidSetting

EXACT_LIMIT = 200_000
# Graphs and fast scans are built, and opened, in memory.
_IN_MEMORY_LIMIT = 1_000_000
_GRAPH_LINKS = 32
_ROW_NUMBER_BYTES = 8
_UNITS = {"": 1, "k": 10**3, "m": 10**6, "g": 10**9, "t": 10**12}
_UNITS |= {f"{unit}i": 1024**power for power, unit in enumerate("kmgt", start=1)}
_MEMORY = re.compile(r"\s*(\d+(?:\.\d+)?)\s*([kmgt]?i?)b?\s*", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Choice:
    """A FAISS factory string, and in a sentence why it was chosen."""

    factory: str
    reason: str


def choose_factory(passages: int, dimension: int, memory: int | None = None) -> Choice:
    """The index for so many vectors.

    Args:
        passages: how many vectors.
        dimension: numbers per vector.
        memory: bytes that searching may keep resident; None for no limit.
    """
    flat, half = passages * dimension * 4, passages * dimension * 2
    if passages <= EXACT_LIMIT:
        if memory is None or flat <= memory:
            return Choice("Flat", f"{passages:,} passages are few enough for exact search.")
        if half <= memory:
            return Choice(
                "SQfp16",
                f"{passages:,} passages are few enough for exact search, and {_size(half)} of "
                f"float16 fit {_size(memory)}.",
            )
    lists = lists_for(passages)
    centroids = lists * dimension * 4
    graph = passages * (dimension + 2 * _GRAPH_LINKS * 4)
    if memory is not None and passages <= _IN_MEMORY_LIMIT and 4 * graph <= memory:
        return Choice(
            f"HNSW{_GRAPH_LINKS}_SQ8",
            f"A graph of {_size(graph)} is fastest, and is at most a quarter of {_size(memory)}.",
        )
    # Four bits for every two numbers. Scanning takes about a fifth of the time of one byte a
    # number, with the same recall, as candidates get exact scores (docs/benchmarks/auto.md).
    quick = passages * (dimension // 4 + _ROW_NUMBER_BYTES) + centroids
    fits = memory is None or quick <= memory
    if passages <= _IN_MEMORY_LIMIT and dimension % 2 == 0 and fits:
        within = "" if memory is None else f", {_size(quick)}, fits {_size(memory)}"
        return Choice(
            f"IVF{lists},PQ{dimension // 2}x4fsr",
            f"{passages:,} passages are too many for exact search; two bits a number, scanned in "
            f"registers{within}.",
        )
    bytewise = passages * (dimension + _ROW_NUMBER_BYTES) + centroids
    if memory is None or bytewise <= memory:
        within = "" if memory is None else f", {_size(bytewise)}, fits {_size(memory)}"
        return Choice(
            f"IVF{lists},SQ8",
            f"{passages:,} passages are too many for exact search; one byte a number{within}.",
        )
    pieces = [dimension // n for n in (2, 4, 8, 16, 32) if dimension % n == 0] or [1]
    for count in pieces:
        size = passages * (count + _ROW_NUMBER_BYTES) + centroids
        if size <= memory:
            return Choice(
                f"IVF{lists},PQ{count}",
                f"{_size(bytewise)} of bytes do not fit {_size(memory)}; {count} bytes a vector, "
                f"{_size(size)}, do.",
            )
    size = passages * (pieces[-1] + _ROW_NUMBER_BYTES) + centroids
    return Choice(
        f"IVF{lists},PQ{pieces[-1]}",
        f"Nothing fits {_size(memory)}; this is smallest, {_size(size)}, and memory-mapped.",
    )


def lists_for(passages: int) -> int:
    """How many inverted lists so many passages are divided into: about twice the square root."""
    return int(1 << max(4, round(math.log2(2 * math.sqrt(max(passages, 1))))))


def parse_memory(text: str) -> int:
    """Bytes of an amount such as "4GB", "500 MB", "1.5GiB" or "1000000".

    Raises:
        InvalidSetting: it is no amount, or none above 0.
    """
    found = _MEMORY.fullmatch(text)
    amount = int(float(found[1]) * _UNITS.get(found[2].lower(), 0)) if found else 0
    if amount < 1:
        raise InvalidSetting(
            f"{text!r} is no amount of memory.", "Write it as 4GB, 500MB or 1.5GiB."
        )
    return amount


def _size(count: int) -> str:
    for unit, bytes_ in (("GB", 10**9), ("MB", 10**6)):
        if count >= bytes_:
            return f"{count / bytes_:.1f} {unit}"
    return f"{count / 1000:.0f} kB"
