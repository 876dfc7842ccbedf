"""Calibrate the embedded model: python scripts/calibrate_embedded.py [--model FOLDER].

Asks the answerable and the unanswerable questions of the development sets (phrased by hand, none of
them trained on, none of them in the evaluation sets) with the embedded index; later retrievals ask
for what is still open. Chooses the weight of the retriever's score with which most answerable ones
are right, then the thresholds below which an answer counts as unsupported, and writes them into
`calibration.json` in the model's folder. What several weights ask the model alike is asked once.
"""

from __future__ import annotations

import argparse
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path

from decoding.config import LaterQuery
from selfrag import SelfRAG
from selfrag.answer import Answer
from selfrag.evaluation.outcomes import is_right_answer
from selfrag.evaluation.questions import (
    DEVELOPMENT_FILES,
    EvaluationQuestion,
    read_questions,
)
from selfrag.evaluation.thresholds import choose_thresholds, scored
from selfrag.rag import EMBEDDED_MODEL

BATCH = 32
QUERY: LaterQuery = "open"
WEIGHTS = (0.0, 1.0, 3.0, 6.0)


def answers_by_weight(
    model: Path, split: Sequence[EvaluationQuestion]
) -> Iterator[tuple[float, list[Answer]]]:
    """The answers to all questions under each weight of the retriever's score."""
    with tempfile.TemporaryDirectory() as folder:
        record = Path(folder) / "recording.sqlite"
        with SelfRAG.from_pretrained(model, record=record) as rag:
            for weight in WEIGHTS:
                config = rag.config.replace(w_ret=weight, query=QUERY)
                answers: list[Answer] = []
                for start in range(0, len(split), BATCH):
                    texts = [question.asked for question in split[start : start + BATCH]]
                    answers += rag.ask_many(texts, config=config)
                yield weight, answers


def main() -> None:
    """Ask, choose, write, and print what weight and thresholds do on the split."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--model", type=Path, default=EMBEDDED_MODEL)
    parser.add_argument("--questions", type=Path, nargs="+", default=DEVELOPMENT_FILES)
    parser.add_argument("--false-refusals", type=float, default=0.03, help="at most this share")
    given = parser.parse_args()
    asked = [question for file in given.questions for question in read_questions(file)]
    split = [question for question in asked if question.kind != "no_retrieval"]
    best: tuple[int, float, list[Answer]] = (-1, 0.0, [])
    for weight, answers in answers_by_weight(given.model, split):
        right = sum(
            is_right_answer(question, answer.draft or answer.text, max(1, len(answer.segments)))
            for answer, question in zip(answers, split, strict=True)
            if question.answerable
        )
        print(f"w_ret {weight:g}: {right} right")
        best = (right, weight, answers) if right > best[0] else best
    _, weight, answers = best
    known = [question.answerable for question in split]
    report = choose_thresholds(
        [scored(answer, answerable=known) for answer, known in zip(answers, known, strict=True)],
        max_false_refusals=given.false_refusals,
        split=f"{sum(known)} answerable and {len(known) - sum(known)} unanswerable questions "
        f"of {', '.join(file.name for file in given.questions)}",
    )
    replace(report.calibration, w_ret=weight, query=QUERY).save(given.model)
    print(f"s_rel at least {report.calibration.relevance:.3f}")
    print(f"s_sup at least {report.calibration.support:.3f}")
    print(f"unanswerable questions refused: {report.refused_unanswerable:.1%}")
    print(f"answerable questions refused:   {report.refused_answerable:.1%}")


if __name__ == "__main__":
    main()
