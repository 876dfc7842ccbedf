"""Measure all retrievers side by side on a corpus with questions.

    python scripts/benchmark_retrieval.py --corpus corpus.jsonl.gz --questions questions.jsonl.gz \\
        [--qrels qrels.jsonl.gz] [--json] [--limit N] [--shuffles 3] [--plot FOLDER]

Prints for bm25, dense, hybrid, graph and `best` (one configuration for all corpora): recall@2,
recall@5, recall@10 and nDCG@10 with 95 % intervals, how likely the difference in recall@5 to
`best` is chance, queries per second one at a time, the bytes of the index, peak memory of the
process and the time to open; and the ceilings, since a question with more gold passages than k
cannot reach 1. `--json` prints one object: {"bm25": {"recall@2", …}, …, "best": …, "benchmark":
{"questions", "ceilings", …}}, recall as fractions.

Gold passages are `gold_ids` in the qrels or in the questions, or else `gold_titles`. The passages
are shuffled with a seed and given new ids before they are indexed. Vectors are cached, so that a
second run on a corpus does not encode it again. The encoder is all-MiniLM-L6-v2 if the extra
"benchmark" is installed, else the embedded one, which is weaker.

Exit codes: 0, measured; 2, the files or an option cannot be used; others as in `selfrag.errors`;
130, interrupted.
"""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path
from typing import Any, cast

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
        print(json.dumps(values, ensure_ascii=False))
    else:
        _print_table(values)
    return 0


def _parser() -> argparse.ArgumentParser:
    from selfrag.evaluation.arguments import count

    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--corpus", type=Path, required=True, metavar="FILE", help="passages")
    parser.add_argument("--questions", type=Path, required=True, metavar="FILE", help="jsonl")
    parser.add_argument("--qrels", type=Path, metavar="FILE", help="jsonl of id and gold_ids")
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    parser.add_argument(
        "--encoder", metavar="NAME_OR_FOLDER", help="default: all-MiniLM-L6-v2 if installed"
    )
    parser.add_argument(
        "--limit", type=count, metavar="N", help="ask N questions, spread evenly over the file"
    )
    parser.add_argument(
        "--shuffles", type=count, default=1, metavar="N", help="orders of the corpus (default: 1)"
    )
    parser.add_argument("--plot", type=Path, metavar="FOLDER", help="draw recall.png there")
    return parser


def _run(options: argparse.Namespace) -> dict[str, Any]:
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress

    from indexes.readers import read_passages
    from retrievers.dense import QueryEncoder
    from retrievers.encoders import Encoder
    from selfrag.cli.loading import quiet_libraries
    from selfrag.evaluation.questions import spread
    from selfrag.evaluation.retrieval_benchmark import NAMES, run_benchmark
    from selfrag.evaluation.retrieval_questions import GoldQuestions, read_gold_questions
    from selfrag.evaluation.retrieval_report import plot, report, require_plots
    from selfrag.evaluation.retrieval_vectors import CachedEncoder, cache_folder, choose_encoder

    if options.plot:
        require_plots()
    quiet_libraries()
    corpus = list(read_passages(options.corpus))
    read = read_gold_questions(options.questions, options.qrels, corpus)
    questions = GoldQuestions(tuple(spread(read.questions, options.limit)), read.left_out)
    chosen = choose_encoder(options.encoder)
    print(f"Encoder: {chosen.description}", file=sys.stderr)
    if read.left_out:
        print(f"{read.left_out} questions left out: gold not in the corpus", file=sys.stderr)
    cached = CachedEncoder(Encoder(chosen.location), corpus, cache_folder())
    columns = ("{task.description}", BarColumn(), MofNCompleteColumn())
    with Progress(*columns, console=Console(stderr=True)) as progress:
        total = len(NAMES) * len(questions.questions) * options.shuffles
        task = progress.add_task("asking", total=total)
        runs = run_benchmark(
            corpus,
            questions.questions,
            cast(QueryEncoder, cached),
            shuffles=options.shuffles,
            advance=lambda name: progress.advance(task),
        )
    about = {
        "corpus": options.corpus.name,
        "passages": len(corpus),
        "encoder": chosen.description,
        "vectors_from_cache": cached.from_cache,
        "shuffles": options.shuffles,
    }
    values = report(runs, questions, about)
    if options.plot:
        print(f"Drawn: {plot(values, options.plot)}", file=sys.stderr)
    return values


def _print_table(values: dict[str, Any]) -> None:
    from rich.console import Console

    from selfrag.evaluation.retrieval_report import table

    Console(width=120 if not sys.stdout.isatty() else None).print(table(values))


if __name__ == "__main__":
    sys.exit(main())
