"""Whether ten thousand questions in a row grow the process, and the cache keeps its limit.

    python scripts/benchmark_memory.py --questions 10000
    python scripts/benchmark_memory.py --questions 1000 --every 100 --model embedded --json

Asks made-up questions, all different, with retrieval from the embedded index, two passages, a beam
of two and two segments of eight tokens, eight at a time. The model is a tiny random one, since what
could grow is around it, or selfrag-mini. Prints the resident size of the process after every
thousand (`--every`), the first of which are the warm-up, and the most that the cache of keys and
values has held after any step, with its limit, which is small so that it has to evict.

`--json` prints one object: {"model", "questions", "after": […], "resident": […], "cache_limit",
"cache_highest", "growth", "holds"}, sizes in bytes; growth is that of the size furthest from the
one after the warm-up.

Exit codes: 0, within 5 % and within the limit; 1, not; 2, an option cannot be used; others as in
`selfrag.errors`; 130, interrupted.
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
    """Ask and print; returns the exit code."""
    from selfrag.evaluation.exits import run_to_exit_code

    parser = _parser()
    options = parser.parse_args(arguments)
    if options.every > options.questions:
        parser.error(f"--every {options.every} is more than the {options.questions} questions")
    return run_to_exit_code(lambda: _run(options))


def _parser() -> argparse.ArgumentParser:
    from selfrag.evaluation.arguments import count

    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    parser.add_argument("--questions", type=count, default=10_000, metavar="N")
    parser.add_argument("--every", type=count, default=1_000, metavar="N", help="measure so often")
    parser.add_argument("--model", choices=("tiny", "embedded"), default="tiny")
    parser.add_argument(
        "--cache", default="8MB", metavar="SIZE", help="limit of keys and values (default: 8MB)"
    )
    return parser


def _run(options: argparse.Namespace) -> int:
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TimeRemainingColumn

    from decoding.codec import PromptCodec
    from decoding.config import DecodingConfig
    from decoding.prompt import PromptBuilder
    from indexes.choice import parse_memory
    from retrievers import open_retriever
    from selfrag.backends.checkpoint import load_checkpoint
    from selfrag.cli.loading import quiet_libraries
    from selfrag.evaluation.memory_benchmark import WatchedEngine, measure, tiny_model
    from selfrag.rag import EMBEDDED_INDEX, EMBEDDED_MODEL, EMBEDDED_RETRIEVER, SelfRAG

    quiet_libraries()
    limit = parse_memory(options.cache)
    tiny = options.model == "tiny"
    mini = load_checkpoint(EMBEDDED_MODEL, weights=not tiny)
    model = tiny_model(mini) if tiny else mini.model
    engine = WatchedEngine(model, fingerprint=options.model, cache_bytes=limit)
    prompts = PromptBuilder(PromptCodec(mini.tokenizer, mini.vocabulary), mini.vocabulary)
    config = DecodingConfig(mode="always", passages=2, max_segments=2, max_segment_tokens=8)
    retriever = open_retriever(EMBEDDED_INDEX, EMBEDDED_RETRIEVER)
    columns = ("{task.description}", BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with (
        SelfRAG(engine, prompts, retriever, config=config) as rag,
        Progress(*columns, console=Console(stderr=True)) as progress,
    ):
        task = progress.add_task("asking", total=options.questions)
        report = measure(
            rag,
            engine,
            limit,
            questions=options.questions,
            every=options.every,
            advance=lambda done: progress.advance(task, done),
        )
    values = {"model": options.model, **report.to_dict()}
    print(json.dumps(values)) if options.json else _print(values)
    return 0 if report.holds else 1


def _print(values: dict[str, Any]) -> None:
    first = values["resident"][0]
    for done, size in zip(values["after"], values["resident"], strict=True):
        print(f"{done:>7,} questions: {size / 1e6:,.1f} MB ({(size - first) / first:+.1%})")
    highest, limit = (values[key] / 1e6 for key in ("cache_highest", "cache_limit"))
    print(f"cache: at most {highest:.2f} MB of {limit:.2f} MB")
    print("both hold" if values["holds"] else "this does NOT hold")


if __name__ == "__main__":
    sys.exit(main())
