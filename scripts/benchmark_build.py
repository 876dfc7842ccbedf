"""Measures the peak memory of builds of different sizes, with a stub encoder.

python scripts/benchmark_build.py [--rows 100000 2000000] [--dimension 384] [--factory IVF1024,SQ8]

Each build runs in a process of its own. Passages are generated in a stream, of a fixed
vocabulary; what grows with a real corpus besides is its vocabulary.
"""

import argparse
import json
import resource
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import numpy.typing as npt

from indexes.build import build_index
from indexes.passage import Passage
from selfrag.evaluation.sizes import ONE, measure_each

_VOCABULARY = 50_000


class StubEncoder:
    """Vectors that depend on the passage's id, around a few hundred centres."""

    name = "stub"
    folder: Path | None = None
    fingerprint = "stub-1"
    similarity = "cosine"
    query_prefix = ""
    passage_prefix = ""
    normalise = True
    pooling: str | None = None

    def __init__(self, dimension: int) -> None:
        self.dimension = dimension
        self._centres = np.random.default_rng(0).standard_normal((256, dimension), np.float32)

    def encode_passages(self, passages: list[Passage]) -> npt.NDArray[np.float32]:
        """One vector per passage, shape [len(passages), dimension]."""
        numbers = np.array([int(passage.id) for passage in passages])
        noise = np.random.default_rng(int(numbers[0])).standard_normal(
            (len(passages), self.dimension), np.float32
        )
        matrix = self._centres[numbers % 256] + 0.5 * noise
        return np.asarray(matrix / np.linalg.norm(matrix, axis=1, keepdims=True), np.float32)


def main() -> None:
    """Reads the options and prints one line of JSON for each size."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=int, nargs="+", default=[100_000, 2_000_000])
    parser.add_argument("--dimension", type=int, default=384)
    parser.add_argument("--factory", default="IVF1024,SQ8")
    parser.add_argument("--rows-per-file", type=int, default=100_000)
    parser.add_argument("--folder", type=Path, help="Where to build; a temporary one if left out.")
    parser.add_argument(ONE, action="store_true", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.one:
        print(json.dumps(measure(options)))
        return
    measure_each(__file__, sys.argv[1:], options.rows)


def measure(options: argparse.Namespace) -> dict[str, float]:
    """Build once; seconds, and the peak of resident memory in MB."""
    began = time.perf_counter()
    with tempfile.TemporaryDirectory(dir=options.folder) as folder:
        manifest = build_index(
            passages(options.rows[0]),
            Path(folder) / "index",
            encoder=StubEncoder(options.dimension),
            factory=options.factory,
            rows_per_file=options.rows_per_file,
        )
    recall = manifest.vectors.recall if manifest.vectors is not None else None
    return {
        "rows": options.rows[0],
        "seconds": round(time.perf_counter() - began, 1),
        "peak_resident_mb": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024,
        "recall_at_10": recall if recall is not None else float("nan"),
    }


def passages(rows: int) -> Iterator[Passage]:
    """Generated passages of twenty words."""
    chance = np.random.default_rng(1)
    for first in range(0, rows, 1000):
        words = (chance.zipf(1.3, (1000, 20)) % _VOCABULARY).tolist()
        for number, numbers in enumerate(words[: rows - first], start=first):
            yield Passage(str(number), f"Title {number // 5}", " ".join(f"w{n}" for n in numbers))


if __name__ == "__main__":
    main()
