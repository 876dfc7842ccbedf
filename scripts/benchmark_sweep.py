"""What a sweep over many settings costs, against as many runs of their own.

    python scripts/benchmark_sweep.py --output runs/sweep
    python scripts/benchmark_sweep.py --questions 40 --settings 50 --form short --json

Asks selfrag-mini the development questions under settings of weights, retrieval and end thresholds
and beam that are drawn at random (`--seed`; the first is the model's own), all from one recording.
Counts the requests that went to the model, and those that separate runs would have sent. For
--check of the settings, one question each (drawn by --seed) is asked again, alone, pruned and
without any store, and text, cited passages, status and score (to 1e-5) are compared.

With --output the recording and the counts are kept, and the same command goes on where it was
stopped; --settings and --check may be others than before. Seconds are of processor time. `--json`
prints one object: {"questions", "settings", "model_calls": {"sweep", "separate_runs", "share"},
"generated_tokens": {…}, "first_setting", "later_settings_seconds",
"questions_answered_differently", "check": {"asked", "same", "differences", …}}.

Exit codes: 0, measured, and all of the sample is the same; 1, some of it differs; 2, an option
cannot be used or the folder holds another sweep; others as in `selfrag.errors`; 130, interrupted.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

if __name__ == "__main__":
    sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

if TYPE_CHECKING:
    from selfrag.rag import SelfRAG

FORMS: dict[str, dict[str, Any]] = {
    "short": {"form": "short", "passages": 10},
    "long": {"form": "long", "passages": 5, "beam_width": 2, "max_segments": 7},
}


def main(arguments: list[str] | None = None) -> int:
    """Run the sweep; returns the exit code."""
    from selfrag.evaluation.exits import run_to_exit_code

    options = _parser().parse_args(arguments)
    return run_to_exit_code(lambda: _run(options))


def _parser() -> argparse.ArgumentParser:
    from selfrag.evaluation.arguments import count, whole

    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    parser.add_argument("--output", type=Path, metavar="FOLDER", help="keep what is measured there")
    parser.add_argument("--questions", type=count, default=400, metavar="N", help="default: 400")
    parser.add_argument("--settings", type=count, default=200, metavar="N", help="default: 200")
    parser.add_argument("--form", choices=tuple(FORMS), default="long", help="default: long")
    parser.add_argument("--seed", type=int, default=0, help="of settings and sample (default: 0)")
    parser.add_argument(
        "--check", type=whole, default=60, metavar="N", help="settings checked (default: 60)"
    )
    return parser


def _run(options: argparse.Namespace) -> int:
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TimeRemainingColumn

    from decoding.config import DecodingConfig
    from selfrag.cli.loading import quiet_libraries
    from selfrag.evaluation.questions import DEVELOPMENT_FILES, read_question_files, spread
    from selfrag.evaluation.sweep_benchmark import measure, random_settings

    quiet_libraries()
    found = spread(read_question_files(DEVELOPMENT_FILES), options.questions)
    questions = [question.asked for question in found]
    base = DecodingConfig(**FORMS[options.form])
    settings = random_settings(base, options.settings, options.seed)
    columns = ("{task.description}", BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with (
        tempfile.TemporaryDirectory() as scratch,
        Progress(*columns, console=Console(stderr=True)) as progress,
    ):
        tasks = {
            "sweep": progress.add_task("sweep", total=len(questions) * len(settings)),
            "check": progress.add_task("check", total=options.check),
        }
        values = measure(
            _open,
            questions,
            settings,
            options.output or Path(scratch),
            sample=options.check,
            seed=options.seed,
            advance=lambda stage, done: progress.advance(tasks[stage], done),
        )
    values = {"form": options.form, "seed": options.seed, **values}
    if options.json:
        print(json.dumps(values))
    else:
        _print(values)
    return 1 if values["check"]["differences"] else 0


def _open(recording: Path | None) -> SelfRAG:
    from selfrag.rag import SelfRAG

    return SelfRAG.from_pretrained(record=recording)


def _print(values: dict[str, Any]) -> None:
    first, later, check = (
        values[key] for key in ("first_setting", "later_settings_seconds", "check")
    )
    print(f"{values['settings']} settings, {values['questions']} questions, {values['form']} form")
    for name, key in (("model calls", "model_calls"), ("tokens written", "generated_tokens")):
        cost = values[key]
        share = "" if cost["share"] is None else f": {cost['share']:.2%}"
        print(f"{name}: {cost['sweep']:,} of {cost['separate_runs']:,}{share}")
    print(f"first setting: {first['model_calls']:,} model calls, {first['seconds']:.0f} s")
    if later is not None:
        print(f"every further setting: {later:.2f} s (median)")
    print(f"{values['questions_answered_differently']} questions have more than one answer")
    print(f"asked again without a store: {check['same']} of {check['asked']} the same")


if __name__ == "__main__":
    sys.exit(main())
