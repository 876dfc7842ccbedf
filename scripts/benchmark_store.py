"""Measures a passage store of generated short passages: opening time, memory, random reads.

python scripts/benchmark_store.py FOLDER [--rows 21015324]

The store is written once; opening and reading are measured in a process of their own.
"""

import argparse
import json
import random
import resource
import subprocess
import sys
import time
from pathlib import Path

from indexes.passage import Passage
from indexes.store import COUNTS_FILE, PassageStore
from indexes.writer import PassageStoreWriter

_READS = 2000


def main() -> None:
    """Reads the options, writes the store where it is missing, and prints the measurements."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--rows", type=int, default=21_015_324)
    parser.add_argument("--measure-only", action="store_true", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.measure_only:
        print(json.dumps(measure(options.folder)))
        return
    if not (options.folder / COUNTS_FILE).exists():
        began = time.perf_counter()
        write(options.folder, options.rows)
        print(f"written in {time.perf_counter() - began:.1f} s")
    command = [sys.executable, __file__, str(options.folder), "--measure-only"]
    print(subprocess.run(command, check=True, capture_output=True, text=True).stdout, end="")


def write(folder: Path, rows: int) -> None:
    """A store of short passages; the n-th has the id n."""
    with PassageStoreWriter(folder) as writer:
        for number in range(rows):
            text = f"Passage {number} says {number * 7919 % 104729} about topic {number % 997}."
            writer.add(Passage(str(number), f"Title {number // 5}", text))


def measure(folder: Path) -> dict[str, float]:
    """Seconds to open, milliseconds a random read by row and by id, MB resident afterwards."""
    import pyarrow  # noqa: F401  # the library's own start is not the store's

    began = time.perf_counter()
    store = PassageStore.open(folder)
    opened = time.perf_counter() - began
    after_opening = _resident()
    chance = random.Random(0)
    rows = [chance.randrange(len(store)) for _ in range(_READS)]
    began = time.perf_counter()
    for row in rows:
        assert store[row].id == str(row)
    by_row = (time.perf_counter() - began) / _READS
    began = time.perf_counter()
    for row in rows:
        assert store.row_of(str(row)) == row
    by_id = (time.perf_counter() - began) / _READS
    return {
        "rows": len(store),
        "open_seconds": round(opened, 4),
        "resident_mb_after_opening": after_opening,
        "read_by_row_ms": round(by_row * 1000, 4),
        "read_by_id_ms": round(by_id * 1000, 4),
        "peak_resident_mb": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024,
    }


def _resident() -> int:
    status = Path("/proc/self/status").read_text(encoding="utf-8")
    return int(status.split("VmRSS:")[1].split()[0]) // 1024


if __name__ == "__main__":
    main()
