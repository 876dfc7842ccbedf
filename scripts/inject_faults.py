"""Kills builds at random moments and flips random bytes; nothing may be lost and all be found.

python scripts/inject_faults.py [--kills 200] [--flips 1000] [--seed 0] [--folder FOLDER]

A kill is a SIGKILL of a build in a process of its own, with a stub encoder; the build is repeated
until it comes to its end, and must have given the same bytes as one that nobody disturbed. A flip
is one bit of one byte of an index, manifest included: `verify` must find it, and opening with
checksums must refuse it.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import multiprocessing
import os
import random
import signal
import sys
import tempfile
import time
import warnings
from pathlib import Path

import bm25s  # noqa: F401
import faiss  # noqa: F401
import numpy as np
import numpy.typing as npt
import pyarrow  # noqa: F401

from indexes.build import build_index
from indexes.errors import ResumedBuild, StorageError
from indexes.index import Index
from indexes.manifest import Manifest
from indexes.passage import Passage, text_for_search
from indexes.publish import JOURNAL_FILE
from indexes.verify import verify_index

ROWS = 600
ROWS_PER_FILE = 90
FACTORY = "IVF8,SQ8"
DATE = "1700000000"


class StubEncoder:
    """Vectors from hashes of texts."""

    name = "stub"
    folder: Path | None = None
    fingerprint = "stub-1"
    dimension = 16
    similarity = "cosine"
    query_prefix = ""
    passage_prefix = ""
    normalise = True
    pooling: str | None = None

    def encode_passages(self, passages: list[Passage]) -> npt.NDArray[np.float32]:
        """One vector per passage, shape [len(passages), 16]."""
        digests = [hashlib.sha512(text_for_search(p).encode()).digest()[:64] for p in passages]
        numbers = np.frombuffer(b"".join(digests), np.int32).reshape(len(passages), 16)
        matrix = numbers.astype(np.float32)
        return np.asarray(matrix / np.linalg.norm(matrix, axis=1, keepdims=True))


def main() -> None:
    """Reads the options, injects the faults, prints what came of them; fails if any did harm."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--kills", type=int, default=200)
    parser.add_argument("--flips", type=int, default=1000)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--folder", type=Path, help="Where to work; a temporary one if left out.")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(dir=options.folder) as name:
        chance = random.Random(options.seed)
        report = inject(Path(name), options.kills, options.flips, chance)
    print(json.dumps(report))
    if report["harmful_kills"] or report["unnoticed_flips"]:
        sys.exit(1)


def inject(folder: Path, kills: int, flips: int, chance: random.Random) -> dict[str, int]:
    """Inject the faults in a folder; counts of what was done and of what went wrong."""
    os.environ["SOURCE_DATE_EPOCH"] = DATE
    corpus = folder / "corpus.jsonl"
    rows = [{"id": str(n), "title": f"T{n % 9}", "text": f"word{n} w{n % 31}"} for n in range(ROWS)]
    corpus.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    whole = folder / "whole"
    began = time.monotonic()
    run_build(corpus, whole)
    seconds = time.monotonic() - began
    expected = contents(whole)
    killed, resumed, harmful = 0, 0, 0
    while killed < kills:
        out = folder / "killed"
        moments: list[bool] = []
        while run_build(corpus, out, chance.uniform(0, seconds) if killed < kills else None):
            moments.append((out / JOURNAL_FILE).exists())
            killed += 1
        resumed += sum(moments)
        harmful += contents(out) != expected
        remove(out)
    unnoticed = sum(not noticed(whole, chance) for _ in range(flips))
    return {
        "kills": killed,
        "kills_with_a_journal": resumed,
        "harmful_kills": harmful,
        "flips": flips,
        "unnoticed_flips": unnoticed,
    }


def run_build(corpus: Path, out: Path, kill_after: float | None = None) -> bool:
    """Build in a process of its own; whether it was killed before its end.

    The process is forked, so that it begins with the build and not with loading libraries.
    """
    process = multiprocessing.get_context("fork").Process(target=build, args=(corpus, out))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # other threads: none holds a lock
        process.start()
    process.join(kill_after)
    if process.is_alive():
        process.kill()
        process.join()
    if process.exitcode not in (0, -signal.SIGKILL):
        raise RuntimeError(f"a build ended with {process.exitcode}")
    return process.exitcode != 0


def build(corpus: Path, out: Path) -> None:
    """The build that is killed; where it was killed after its end nothing is left to do."""
    if (out / "manifest.json").exists():
        return
    warnings.simplefilter("ignore", ResumedBuild)
    build_index(
        corpus,
        out,
        encoder=StubEncoder(),
        factory=FACTORY,
        batch_size=32,
        rows_per_file=ROWS_PER_FILE,
        progress=lambda progress: None,
    )


def contents(folder: Path) -> dict[str, str]:
    """Checksums of the manifest and of all files that it names."""
    names = ["manifest.json", *Manifest.read(folder).files]
    return {name: hashlib.sha256((folder / name).read_bytes()).hexdigest() for name in names}


def noticed(index: Path, chance: random.Random) -> bool:
    """Flip one bit of the index, look whether `verify` and opening see it, and flip it back."""
    file = chance.choice(sorted(file for file in index.rglob("*") if file.is_file()))
    whole = file.read_bytes()
    position = chance.randrange(len(whole))
    changed = bytearray(whole)
    changed[position] ^= 1 << chance.randrange(8)
    file.write_bytes(changed)
    try:
        found = not verify_index(index).ok
    except StorageError:
        found = True
    try:
        Index.open(index, full_check=True)
        opened = True
    except StorageError:
        opened = False
    file.write_bytes(whole)
    return found and not opened


def remove(folder: Path) -> None:
    """Remove a folder and all that is in it."""
    for entry in sorted(folder.rglob("*"), reverse=True):
        entry.rmdir() if entry.is_dir() else entry.unlink()
    folder.rmdir()


if __name__ == "__main__":
    main()
