"""Calibrate the embedded model: python scripts/calibrate_embedded.py [--model FOLDER].

Asks the answerable and the unanswerable questions of the development sets (phrased by hand, none of
them trained on, none of them in the evaluation sets) with the embedded index; later retrievals ask
for what is still open. Fits how the probabilities of IsRel, IsSup (on labelled sentences) and
IsUse are read; chooses the share from which a passage is read as relevant, the weight of the
retriever's score, and the share from which an answer ends, with which most answerable ones are
right, then the thresholds below which an answer counts as unsupported. All of it is written into
`calibration.json` in the model's folder. What several passes ask the model alike is asked once.
"""

from __future__ import annotations

import argparse
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from decoding.config import LaterQuery
from selfrag import SelfRAG
from selfrag.calibration import Calibration
from selfrag.evaluation.critiques import relevance_readings, utility_readings
from selfrag.evaluation.embedded import ask_all
from selfrag.evaluation.judge import open_judge
from selfrag.evaluation.judgements import read_judgements
from selfrag.evaluation.outcomes import Outcome
from selfrag.evaluation.questions import (
    DEVELOPMENT_FILES,
    EvaluationQuestion,
    read_questions,
)
from selfrag.evaluation.scaling_fit import fit_scaling, known_readings, known_sentences
from selfrag.evaluation.support import judge_support
from selfrag.evaluation.thresholds import choose_thresholds, scored
from selfrag.rag import EMBEDDED_MODEL

QUERY: LaterQuery = "open"
WEIGHTS = (0.0, 1.0, 2.0, 3.0, 6.0)
RELEVANT = (0.3, 0.1)
ENDS = (None, 0.8, 0.9, 0.95)
FIRST: Mapping[str, Any] = {
    "query": QUERY,
    "w_ret": 3.0,
    "end_threshold": 0.9,
    "relevance_threshold": 0.3,
}
"""Of the pass over every second question that the scalings are fitted on."""
SENTENCES = DEVELOPMENT_FILES[0].parent / "development_judgements.jsonl"


def main() -> None:
    """Ask, fit, choose, write, and print what the calibration does on the split."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--model", type=Path, default=EMBEDDED_MODEL)
    parser.add_argument("--questions", type=Path, nargs="+", default=DEVELOPMENT_FILES)
    parser.add_argument("--sentences", type=Path, default=SENTENCES)
    parser.add_argument("--false-refusals", type=float, default=0.03, help="at most this share")
    given = parser.parse_args()
    asked = [question for file in given.questions for question in read_questions(file)]
    split = [question for question in asked if question.kind != "no_retrieval"]
    with tempfile.TemporaryDirectory() as folder:
        record = Path(folder) / "recording.sqlite"
        outcomes = ask(given.model, record, Calibration(), split[::2], FIRST)
        print(f"read as it is: {right_of(outcomes)} right")
        calibration = fitted(given.model, outcomes, given.sentences)
        settings = dict(FIRST)
        for name, values in (
            ("relevance_threshold", RELEVANT),
            ("w_ret", WEIGHTS),
            ("end_threshold", ENDS),
        ):
            best = -1
            for value in values:
                tried = settings | {name: value}
                found = ask(given.model, record, calibration, split, tried)
                right = right_of(found)
                print(f"{name} {value}: {right} right")
                if right > best:
                    best, chosen, outcomes = right, tried, found
            settings = chosen
    known = sum(one.question.answerable for one in outcomes)
    report = choose_thresholds(
        [scored(one.answer, answerable=one.question.answerable) for one in outcomes],
        max_false_refusals=given.false_refusals,
        split=f"{known} answerable and {len(outcomes) - known} unanswerable questions "
        f"of {', '.join(file.name for file in given.questions)}",
    )
    thresholds = report.calibration
    replace(thresholds, scalings=calibration.scalings, **settings).save(given.model)
    print(f"s_rel at least {thresholds.relevance:.3f}")
    print(f"s_sup at least {thresholds.support:.3f}")
    print(f"unanswerable questions refused: {report.refused_unanswerable:.1%}")
    print(f"answerable questions refused:   {report.refused_answerable:.1%}")


def right_of(outcomes: Sequence[Outcome]) -> int:
    """How many answerable questions are answered rightly, refused afterwards or not."""
    return sum(one.written_right for one in outcomes if one.question.answerable)


def ask(
    model: Path,
    record: Path,
    calibration: Calibration,
    split: Sequence[EvaluationQuestion],
    settings: Mapping[str, Any],
) -> tuple[Outcome, ...]:
    """All questions under some settings."""
    with SelfRAG.from_pretrained(model, calibration=calibration, record=record) as rag:
        return ask_all(rag, split, rag.config.replace(**settings))


def fitted(model: Path, outcomes: Sequence[Outcome], sentences: Path) -> Calibration:
    """How the groups are to be read, from answers and sentences that were read as they are."""
    backend, prompts = open_judge(str(model), "batched", calibrated=False)
    known = {
        "IsRel": known_readings(relevance_readings(outcomes)),
        "IsSup": known_sentences(judge_support(backend, prompts, read_judgements(sentences))),
        "IsUse": known_readings(utility_readings(outcomes)),
    }
    scalings = {name: fit_scaling(group) for name, group in known.items() if group}
    for name, scaling in scalings.items():
        offsets = ", ".join(f"{offset:+.2f}" for offset in scaling.offsets)
        print(f"{name} ({len(known[name])}): T {scaling.temperature:.2f}, offsets {offsets}")
    return Calibration(scalings=scalings)


if __name__ == "__main__":
    main()
