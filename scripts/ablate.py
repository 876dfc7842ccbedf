"""The paper's ablations at the size of the embedded model.

    python scripts/ablate.py --json                            # what is left out when asking
    python scripts/ablate.py --rows data/rows.jsonl --plan plan.yaml --work runs/ablations

Without `--rows` the model is asked with parts of the procedure left out: retrieval, hard instead of
soft constraints, the first passage only, IsSup, all critique, the retriever's score, the beam. What
several of these ask the model alike is asked once.

With `--rows` a model is trained for each of: full, no retriever, no critic, and shares of the data
(an eighth, a quarter, half), all by the same plan, so with equal time; each run resumes. Plan: YAML
of a GeneratorPlan; `max_minutes` or `epochs` is each run's. Figures are accuracies on the shipped
questions (or `--questions`), with 95 % Wilson intervals and paired differences to the full
procedure with 95 % bootstrap intervals by question.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
from collections.abc import Iterable, Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

if __name__ == "__main__":
    sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from selfrag.evaluation.ablations import (
    AFTER_TRAINING,
    Ablation,
    ablate_at_test,
    ablation,
    markdown,
)
from selfrag.evaluation.embedded import ask_all
from selfrag.evaluation.questions import (
    EVALUATION_FILES,
    EvaluationQuestion,
    read_questions,
    spread,
)
from selfrag.training.rows import TrainingRow
from selfrag.training.stages import read_lines, write_atomically

if TYPE_CHECKING:
    from selfrag.evaluation.outcomes import Outcome

SHARES = (0.125, 0.25, 0.5)


def main() -> int:
    """Measure, print, and write the report where one is asked for."""
    from selfrag.evaluation.exits import run_to_exit_code

    options = _parser().parse_args()
    return run_to_exit_code(lambda: _run(options))


def _run(options: argparse.Namespace) -> int:
    made = _measure(options)
    if options.json:
        data = {name: [one.to_dict() for one in group] for name, group in made.items()}
        print(json.dumps(data, ensure_ascii=False))
    else:
        for name, group in made.items():
            print(f"\n{name}\n\n{markdown(group)}")
    if options.plots:
        _plot(made, options.plots)
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--questions", type=Path, nargs="+", default=EVALUATION_FILES)
    parser.add_argument("--limit", type=int, help="ask so many questions, spread evenly")
    parser.add_argument("--model", help="folder or hub name (default: the embedded)")
    parser.add_argument("--index", type=Path, help="index folder (default: the embedded)")
    parser.add_argument("--rows", type=Path, nargs="+", help="training rows: train the variants")
    parser.add_argument("--plan", type=Path, help="YAML of a GeneratorPlan, for --rows")
    parser.add_argument("--work", type=Path, default=Path("runs/ablations"))
    parser.add_argument("--plots", type=Path, metavar="PNG", help="draw the accuracies")
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    return parser


def _measure(options: argparse.Namespace) -> dict[str, list[Ablation]]:
    questions = [question for file in options.questions for question in read_questions(file)]
    asked = spread([question for question in questions if question.answerable], options.limit)
    if options.rows is None:
        from selfrag.rag import SelfRAG

        with (
            tempfile.TemporaryDirectory() as folder,
            SelfRAG.from_pretrained(
                options.model, index=options.index, record=Path(folder) / "recording.sqlite"
            ) as rag,
        ):
            ask = partial(ask_all, rag)
            return {"when asking": ablate_at_test(ask, asked, rag.config, _say)}
    if options.plan is None:
        raise SystemExit("error: --rows needs --plan, the YAML of a GeneratorPlan")
    return {"in training": _train_variants(options, asked)}


def _train_variants(
    options: argparse.Namespace, questions: Sequence[EvaluationQuestion]
) -> list[Ablation]:
    """A model for each variant, asked in its own way; the full one first."""
    from selfrag.rag import SelfRAG
    from selfrag.training.generator.plan import GeneratorPlan
    from selfrag.training.generator.training import train_generator

    plan = GeneratorPlan.load(options.plan)
    made: list[Ablation] = []
    full: Sequence[Outcome] = ()
    for name, file in _variant_files(options.rows, options.work):
        _say(f"training: {name}")
        report = train_generator([file], file.parent, plan, _say)
        with SelfRAG.from_pretrained(report.model, index=options.index) as rag:
            config = rag.config.replace(**{"mode": "adaptive", **AFTER_TRAINING.get(name, {})})
            outcomes = ask_all(rag, questions, config)
        full = full or outcomes
        made.append(ablation(name, outcomes, full))
    return made


def _variant_files(rows: Sequence[Path], work: Path) -> Iterator[tuple[str, Path]]:
    """The rows of each variant, written once."""
    from selfrag.training.generator.variants import part_of, without_critic, without_retriever

    variants: dict[str, Any] = {
        "full": lambda given: given,
        "no retriever": without_retriever,
        "no critic": without_critic,
        **{f"{share:g} of the data": partial(part_of, share=share) for share in SHARES},
    }
    for name, change in variants.items():
        folder = work / name.replace(" ", "-")
        folder.mkdir(parents=True, exist_ok=True)
        file = folder / "rows.jsonl"
        if not file.exists():
            lines = (json.dumps(row.to_dict(), ensure_ascii=False) for row in change(_read(rows)))
            write_atomically(file, "".join(f"{line}\n" for line in lines))
        yield name, file


def _read(rows: Iterable[Path]) -> Iterator[TrainingRow]:
    for line in read_lines(rows):
        if line.row is None:
            raise SystemExit(f"error: line {line.number}: {line.problem}")
        yield TrainingRow.from_dict(line.row)


def _plot(made: dict[str, list[Ablation]], path: Path) -> None:
    """Accuracy of every variant with its interval, one panel for each kind of question."""
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot

    (group,) = made.values()
    kinds = list(group[0].accuracy)
    figure, axes = pyplot.subplots(1, len(kinds), figsize=(2.6 * len(kinds), 3.6), sharey=True)
    for axis, kind in zip(axes, kinds, strict=True):
        for place, one in enumerate(reversed(group)):
            share = one.accuracy[kind]
            if share.value is None or share.interval is None:
                continue
            low, high = share.interval
            axis.plot([100 * low, 100 * high], [place, place], color="tab:blue")
            axis.plot(100 * share.value, place, "o", color="tab:blue")
        axis.set_title(kind.replace("_", " "))
        axis.set_xlim(0, 100)
        axis.set_xlabel("accuracy, %")
        axis.grid(axis="x", alpha=0.3)
    axes[0].set_yticks(range(len(group)), [one.name for one in reversed(group)])
    figure.tight_layout()
    figure.savefig(path, dpi=120)


def _say(text: str) -> None:
    print(text, file=sys.stderr, flush=True)


if __name__ == "__main__":
    sys.exit(main())
