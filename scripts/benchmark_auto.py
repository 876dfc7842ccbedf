"""Measure what `auto` chooses for a million vectors, against exact search.

    python scripts/benchmark_auto.py --data FOLDER --work FOLDER [--quick] [--json] \\
        [--plots FOLDER] [--real N] [--rows N] [--memory 1GB] [--threads 2]

Collects sentences and questions from the jsonl files in --data, encodes them, extends the vectors
by interpolation (`selfrag/evaluation/interpolation.py`), compares made vectors with real ones,
imports them with the factory "auto" and a memory budget, and searches: FAISS's IndexFlatIP, the
project's Flat and auto in turns, with the same threads. At last it derives what 21,015,324
passages of 768 dimensions will take. What is done is kept in --work: the same command goes on
where it was stopped, and prints the same figures again when all is done.

`--quick` takes 20,000 sentences, 250,000 vectors and 250 MB, which is as much for each vector: up
to 200,000 `auto` is exact search, and with 1 GB it would choose a graph.

Exit codes: 0, measured; 2, the files or an option cannot be used; others as in `selfrag.errors`;
130, interrupted.
"""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path
from typing import Any

if __name__ == "__main__":
    sys.path.insert(0, str(Path(__file__).resolve().parent.parent))


def main(arguments: list[str] | None = None) -> int:
    """Run the benchmark; returns the exit code."""
    from selfrag.evaluation.exits import run_to_exit_code

    options = _parser().parse_args(arguments)
    return run_to_exit_code(lambda: _measure(options))


def _measure(options: argparse.Namespace) -> int:
    values = _resident(options) if options.resident else _run(options)
    if options.json or options.resident:
        print(json.dumps(values, ensure_ascii=False))
    else:
        _print_tables(values)
    return 0


def _parser() -> argparse.ArgumentParser:
    from selfrag.evaluation.arguments import count

    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--data", type=Path, metavar="FOLDER", help="folder of jsonl files")
    parser.add_argument("--work", type=Path, metavar="FOLDER", help="where results are kept")
    parser.add_argument("--quick", action="store_true", help="250,000 vectors, 250MB")
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    parser.add_argument("--plots", type=Path, metavar="FOLDER", help="draw curves and speeds there")
    parser.add_argument("--real", type=count, metavar="N", help="sentences (default: 120,000)")
    parser.add_argument("--rows", type=count, metavar="N", help="vectors (default: 1,000,000)")
    parser.add_argument("--memory", help="budget of auto (default: 1GB; quick: 250MB)")
    parser.add_argument("--threads", type=count, default=2, metavar="N", help="default: 2")
    parser.add_argument(
        "--encoder", metavar="NAME_OR_FOLDER", help="default: all-MiniLM-L6-v2 if installed"
    )
    parser.add_argument(
        "--resident", nargs=2, type=Path, metavar=("INDEX", "QUESTIONS"), help=argparse.SUPPRESS
    )
    return parser


def _run(options: argparse.Namespace) -> dict[str, Any]:
    import torch

    from indexes.choice import parse_memory
    from retrievers.encoders import Encoder
    from selfrag.cli.loading import quiet_libraries
    from selfrag.evaluation.auto_benchmark import Benchmark, run
    from selfrag.evaluation.auto_report import plot
    from selfrag.evaluation.questions import UnusableFile
    from selfrag.evaluation.retrieval_report import require_plots
    from selfrag.evaluation.retrieval_vectors import choose_encoder

    if options.data is None or options.work is None:
        raise UnusableFile("--data and --work are needed.", "Name the corpora and a folder.")
    if options.plots:
        require_plots()
    quiet_libraries()
    torch.set_num_threads(options.threads)
    chosen = choose_encoder(options.encoder)
    print(f"Encoder: {chosen.description}", file=sys.stderr)
    benchmark = Benchmark(
        data=options.data,
        work=options.work,
        real=options.real or (20_000 if options.quick else 120_000),
        rows=options.rows or (250_000 if options.quick else 1_000_000),
        memory=parse_memory(options.memory or ("250MB" if options.quick else "1GB")),
        threads=options.threads,
    )
    values = run(benchmark, Encoder(chosen.location), _told())
    values["benchmark"]["encoder"] = chosen.description
    if options.plots:
        for file in plot(values, options.plots):
            print(f"Drawn: {file}", file=sys.stderr)
    return values


def _resident(options: argparse.Namespace) -> dict[str, Any]:
    import numpy as np

    from selfrag.evaluation.auto_index import resident_memory

    index, questions = options.resident
    asked = np.load(questions, allow_pickle=False)
    return dict(resident_memory(index, asked, options.threads))


def _told() -> Any:
    """Prints at most one line in two seconds, and the end of each stage."""
    import time

    began: dict[str, float] = {}
    said = [0.0]

    def tick(stage: str, done: int, total: int) -> None:
        now = time.monotonic()
        began.setdefault(stage, now)
        if now - said[0] >= 2 or done >= total:
            said[0] = now
            seconds = now - began[stage]
            print(f"{stage}: {done:,} of {total:,}, {seconds:.0f} s", file=sys.stderr, flush=True)

    return tick


def _print_tables(values: dict[str, Any]) -> None:
    from rich.console import Console

    from selfrag.evaluation.auto_report import tables

    console = Console(width=140 if not sys.stdout.isatty() else None)
    for table in tables(values):
        console.print(table)


if __name__ == "__main__":
    sys.exit(main())
