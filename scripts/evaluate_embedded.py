"""Measure the embedded model, or another, on evaluation questions.

    python scripts/evaluate_embedded.py
    python scripts/evaluate_embedded.py --json --modes adaptive --limit 100
    python scripts/evaluate_embedded.py --questions mine.jsonl --details details.jsonl
    python scripts/evaluate_embedded.py --questions mine.jsonl --judgements labelled.jsonl --compare

Asks every question in the modes adaptive, always and never, and prints for each: accuracy (an
acceptable answer as whole words within at most 25 words), citation_accuracy (a cited passage of a
right answer contains it), decision_accuracy, refusal_accuracy, false_refusal_rate,
retrieval_rate, and passages, generated tokens and seconds a question; proportions with 95 %
Wilson intervals. These are about single-hop questions. Then a section for each capability, in the
first mode: single_hop, two_hop, three_hop, long_form, fact_check, multiple_choice, decision,
is_rel_auroc, is_sup_accuracy, calibration, unanswerable (docs/embedded.md says how each is judged).

`--json` prints one object: {"questions", "kinds", "description", "modes": {"adaptive":
{"accuracy", …, "intervals", "n", "accuracy_by_relation", …, "sections"}, …}, "sections_mode",
"sections": {"two_hop": {"accuracy": {"value", "interval", "n"}, …}, …}, "comparisons"}.

A file of questions has one JSON object a line: `question`, and `answers` (a list of acceptable
texts) or `answer` (one); `kind` is "single_hop" (default, "answerable" is its old name), "two_hop",
"three_hop", "long_form", "fact_check", "multiple_choice", "no_retrieval" or "unanswerable", and
the last two need no answers; `parts`, `evidence`, `options`, `id`, `relation`, `entity` and
`phrasing` are optional (selfrag/evaluation/questions.py). A file of judgements, for IsSup, has
`question`, `passage` ({"title", "text"}), `sentence` and `label` ("fully", "partially", "no").

`--compare` asks the answerable questions once more, in the adaptive mode, with beam 2, with beam 1
(greedy) and with the retriever's first passage alone, and prints paired differences.

Exit codes: 0, measured; 2, the questions or an option cannot be used; others as in
`selfrag.errors` (3 index, 4 model, 5 retrieval); 130, interrupted.
"""

from __future__ import annotations

import argparse
import json
import sys
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

if __name__ == "__main__":
    sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from decoding.config import Mode
from selfrag.evaluation import judgements as judgements_module
from selfrag.evaluation.comparisons import Comparison, comparable, compare, configurations
from selfrag.evaluation.embedded import (
    MODES,
    SAMPLE,
    Evaluation,
    ask_all,
    count_questions,
    evaluate,
    merged_sections,
    report,
)
from selfrag.evaluation.judgements import LabelledSentence, read_judgements
from selfrag.evaluation.questions import (
    EVALUATION_FILES,
    EvaluationQuestion,
    UnusableFile,
    read_question_files,
    spread,
)
from selfrag.evaluation.sections import Section
from selfrag.evaluation.support import judge_support, support_sections

if TYPE_CHECKING:
    from rich.progress import Progress

    from selfrag.rag import SelfRAG


def main(arguments: list[str] | None = None) -> int:
    """Run the evaluation; returns the exit code."""
    from selfrag.evaluation.exits import run_to_exit_code

    options = _parser().parse_args(arguments)
    return run_to_exit_code(lambda: _run(options))


def _parser() -> argparse.ArgumentParser:
    from selfrag.evaluation.arguments import count, whole

    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        "--questions", type=Path, metavar="FILE", help="questions as jsonl (default: the shipped)"
    )
    parser.add_argument(
        "--judgements",
        type=Path,
        metavar="FILE",
        help="labelled sentences as jsonl (default: the shipped, where there are any)",
    )
    parser.add_argument(
        "--compare", action="store_true", help="compare beam 2, greedy and top-1 on the questions"
    )
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    parser.add_argument(
        "--limit", type=count, metavar="N", help="ask N questions, spread evenly over the file"
    )
    parser.add_argument(
        "--modes", type=_modes, default=MODES, metavar="LIST", help="default: adaptive,always,never"
    )
    parser.add_argument("--model", help="checkpoint folder or hub name (default: the embedded)")
    parser.add_argument("--index", type=Path, help="index folder (default: the embedded)")
    parser.add_argument("--engine", choices=("batched", "reference"), default="batched")
    parser.add_argument(
        "--details", type=Path, metavar="FILE", help="write one JSON line per question and mode"
    )
    parser.add_argument(
        "--sample",
        type=whole,
        default=SAMPLE,
        metavar="N",
        help=f"questions asked one by one for the time of a single one (default: {SAMPLE})",
    )
    return parser


def _run(options: argparse.Namespace) -> int:
    files = EVALUATION_FILES if options.questions is None else (options.questions,)
    questions = spread(read_question_files(files), options.limit)
    sentences = _sentences(options.judgements)
    if options.details:
        _write_details(options.details, [])
    evaluations, comparisons, description = _evaluate(options, questions)
    if options.details:
        _write_details(options.details, evaluations)
    support = _judge_support(options, sentences) if sentences else None
    if options.json:
        data = report(evaluations, description, support, comparisons)
        print(json.dumps(data, ensure_ascii=False))
    else:
        _print_tables(evaluations, support, comparisons)
    return 0


def _sentences(path: Path | None) -> list[LabelledSentence]:
    """The labelled sentences of the file that was given, or of the shipped one if there is one."""
    if path is None and not judgements_module.EMBEDDED_JUDGEMENTS.is_file():
        return []
    return read_judgements(path or judgements_module.EMBEDDED_JUDGEMENTS)


def _judge_support(
    options: argparse.Namespace, sentences: list[LabelledSentence]
) -> tuple[Section, Section]:
    """IsSup of labelled sentences; the model is loaded for it, as nothing else runs by now."""
    from selfrag.evaluation.judge import open_judge

    backend, prompts = open_judge(options.model, options.engine)
    judged = judge_support(backend, prompts, sentences)
    unread = [one.item.id for one in judged if one.is_sup is None]
    if unread:
        ids = ", ".join(unread[:5])
        print(
            f"warning: {len(unread)} of {len(judged)} sentences are not judged, since they do not "
            f"fit the context or have no IsSup probability: {ids}{' …' if unread[5:] else ''}",
            file=sys.stderr,
        )
    return support_sections(judged)


def _evaluate(
    options: argparse.Namespace, questions: list[EvaluationQuestion]
) -> tuple[list[Evaluation], list[Comparison], dict[str, object]]:
    """Every mode, with a progress bar on standard error."""
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TimeRemainingColumn

    from selfrag.rag import SelfRAG

    columns = ("{task.description}", BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with (
        SelfRAG.from_pretrained(options.model, index=options.index, engine=options.engine) as rag,
        Progress(*columns, console=Console(stderr=True)) as progress,
    ):
        evaluations = []
        for mode in options.modes:
            total = count_questions(len(questions), options.sample)
            task = progress.add_task(mode, total=total)
            evaluations.append(
                evaluate(
                    rag,
                    questions,
                    mode,
                    sample=options.sample,
                    advance=partial(progress.advance, task),
                )
            )
        comparisons = _compare(rag, questions, progress) if options.compare else []
        return evaluations, comparisons, rag.describe()


def _compare(
    rag: SelfRAG, questions: list[EvaluationQuestion], progress: Progress
) -> list[Comparison]:
    total = len(comparable(questions)) * len(configurations(rag.config))
    task = progress.add_task("compare", total=total)
    advance = partial(progress.advance, task)
    return compare(
        lambda asked, config: ask_all(rag, asked, config, advance), questions, rag.config
    )


def _write_details(path: Path, evaluations: list[Evaluation]) -> None:
    """Write the outcomes; called empty at first, so that a bad path is found before the work."""
    try:
        with path.open("w", encoding="utf-8") as out:
            for item in evaluations:
                for outcome in item.outcomes:
                    row = {"mode": item.figures.mode, **outcome.to_dict()}
                    out.write(json.dumps(row, ensure_ascii=False) + "\n")
    except OSError as error:
        raise UnusableFile(
            f"Cannot write the details to {path}: {error.strerror}.", "Check the path."
        ) from error


def _print_tables(
    evaluations: list[Evaluation],
    support: tuple[Section, Section] | None,
    comparisons: list[Comparison],
) -> None:
    from rich.console import Console

    from selfrag.evaluation import table

    console, first = Console(), evaluations[0].figures
    sections = merged_sections(first.sections, support)
    console.print(table.figures_table([item.figures for item in evaluations]))
    console.print(table.groups_table(first))
    console.print(table.sections_table(sections, first.mode))
    if sections["calibration"].curves:
        console.print(table.reliability_table(sections["calibration"]))
    if comparisons:
        console.print(table.comparisons_table(comparisons))


def _modes(text: str) -> tuple[Mode, ...]:
    names = [name.strip() for name in text.split(",")]
    known: dict[str, Mode] = {mode: mode for mode in MODES}
    for name in names:
        if name not in known:
            raise argparse.ArgumentTypeError(f"{name!r} is no mode; allowed: {', '.join(MODES)}")
    return tuple(dict.fromkeys(known[name] for name in names))


if __name__ == "__main__":
    sys.exit(main())
