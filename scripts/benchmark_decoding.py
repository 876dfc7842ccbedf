"""Measure Self-RAG's decoding by several engines side by side.

    python scripts/benchmark_decoding.py [--quick] [--json] [--output FOLDER] \\
        [--only short,long_64] [--systems vllm,ours] [--questions N] [--published N] \\
        [--repeats N] [--threads N]

All systems answer the same questions with the same passages, retrieved once, in turn (A B A B),
each turn with empty caches; medians count.

published     the published procedure: every prompt prefilled whole, the log-probabilities of 5,000
              (short form) or 32,000 tokens a token, one question at a time, to the end of text; on
              vLLM where it is installed, else on transformers (`benchmark.published_on`)
vllm          the same search as ours on vLLM: chosen ids only, prefix cache, all questions at
              once, in a process of its own with as many threads as this one
transformers  the same search on transformers' own `generate`, one batch a level
ours          the engine of this package; `ours_without_…` one point less: shared prefixes,
              batching, stopping when it is known, pruning; `ours_from_store` asks a second time;
              `ours_int8` has weights of 8 bits, and its answers may differ

Workloads: `short` and `short_64` (10 passages, 1 and 64 questions at once) with questions of one
fact, `long_64` (5 passages, beam 2, 7 segments) with those of several steps or several facts, all
with selfrag-mini grown to 134 million weights; `random` and `random_64` with random weights of
that shape, where nothing can be pruned. float32 throughout.

`--json` prints one object: {"short": {"published", "vllm", "transformers", "ours", "same_answers",
"times_floor", …}, "short_64": …, "long_64": …, "limit_share", "tokens", "decode_step", "machine",
"benchmark"}: questions per second, null for what was not run. `times_floor` is the time over the
floor, which selfrag/evaluation/decoding_benchmark/floor.py defines; `limit_share` how much of the
engine's decode step at batch 32 is matrix products and memory at the machine's measured rates.

`--quick` asks few questions once (fewer than 64 at once: `in_flight` says how many). With --output
the same command goes on where it was stopped, and prints the same figures when all is done.

Exit codes: 0, measured; 2, an option cannot be used; others as in `selfrag.errors`; 130,
interrupted.
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
    values = _run(options)
    if options.json:
        print(json.dumps(values))
    else:
        _print_table(values)
    return 0


def _parser() -> argparse.ArgumentParser:
    from selfrag.evaluation.arguments import count

    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--quick", action="store_true", help="at most ten minutes on two cores")
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    parser.add_argument("--output", type=Path, metavar="FOLDER", help="keep what is measured there")
    parser.add_argument("--only", type=_names, default=(), metavar="NAMES", help="workloads")
    parser.add_argument("--systems", type=_systems, default=(), metavar="NAMES")
    parser.add_argument("--questions", type=count, metavar="N", help="of each workload")
    parser.add_argument("--published", type=count, metavar="N", help="questions of `published`")
    parser.add_argument("--repeats", type=count, metavar="N", help="turns (default: 3; quick: 1)")
    parser.add_argument("--threads", type=count, metavar="N", help="default: all cores")
    return parser


def _run(options: argparse.Namespace) -> dict[str, Any]:
    import torch
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TimeElapsedColumn

    from retrievers import open_retriever
    from selfrag.cli.loading import quiet_libraries
    from selfrag.evaluation.decoding_benchmark.running import make_plans, run_benchmark
    from selfrag.evaluation.decoding_benchmark.workloads import LONG_SECTIONS
    from selfrag.evaluation.questions import (
        DEVELOPMENT_QUESTIONS,
        DEVELOPMENT_TASKS,
        read_questions,
    )
    from selfrag.rag import EMBEDDED_INDEX, EMBEDDED_RETRIEVER

    quiet_libraries()
    if options.threads:
        torch.set_num_threads(options.threads)
    plans = make_plans(
        [question.asked for question in read_questions(DEVELOPMENT_QUESTIONS)],
        [
            question.asked
            for question in read_questions(DEVELOPMENT_TASKS)
            if question.section in LONG_SECTIONS
        ],
        quick=options.quick,
        only=options.only,
        count=options.questions,
        published=options.published,
        systems=options.systems,
        repeats=options.repeats,
    )
    retriever = open_retriever(EMBEDDED_INDEX, EMBEDDED_RETRIEVER)
    columns = ("{task.description}", BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    with Progress(*columns, console=Console(stderr=True)) as progress:
        task = progress.add_task("measuring", total=sum(len(plan.turns) for plan in plans))

        def advance(name: str) -> None:
            progress.update(task, description=name, advance=1)

        return run_benchmark(plans, retriever, options.output, advance=advance)


def _print_table(values: dict[str, Any]) -> None:
    from rich.console import Console

    from selfrag.evaluation.decoding_benchmark.report import table

    console = Console(width=120 if not sys.stdout.isatty() else None)
    console.print(table(values))
    share = values["limit_share"]
    if share is not None:
        console.print(f"Decode step at batch 32: {share:.0%} of the machine's measured limit")


def _names(text: str) -> tuple[str, ...]:
    from selfrag.evaluation.decoding_benchmark.workloads import WORKLOADS

    return _known(text, "workload", tuple(WORKLOADS))


def _systems(text: str) -> tuple[str, ...]:
    from selfrag.evaluation.decoding_benchmark.systems import SYSTEMS

    return _known(text, "system", SYSTEMS)


def _known(text: str, kind: str, known: tuple[str, ...]) -> tuple[str, ...]:
    names = tuple(text.split(","))
    for name in names:
        if name not in known:
            raise argparse.ArgumentTypeError(f"{name!r} is no {kind}; known: {', '.join(known)}")
    return names


if __name__ == "__main__":
    sys.exit(main())
