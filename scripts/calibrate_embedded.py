"""Choose the embedded model's thresholds: python scripts/calibrate_embedded.py [--model FOLDER].

Asks the answerable and the unanswerable questions of the development set (phrased by hand, none of
them trained on, none of them in the evaluation set) with the embedded index, and writes
`calibration.json` into the model's folder.
"""

from __future__ import annotations

import argparse
from pathlib import Path

from selfrag import SelfRAG
from selfrag.evaluation.questions import DEVELOPMENT_QUESTIONS, read_questions
from selfrag.evaluation.thresholds import choose_thresholds, scored
from selfrag.rag import EMBEDDED_MODEL


def main() -> None:
    """Ask, choose, write, and print what the thresholds do on the split."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--model", type=Path, default=EMBEDDED_MODEL)
    parser.add_argument("--questions", type=Path, default=DEVELOPMENT_QUESTIONS)
    parser.add_argument("--false-refusals", type=float, default=0.03, help="at most this share")
    given = parser.parse_args()
    split = [q for q in read_questions(given.questions) if q.kind != "no_retrieval"]
    with SelfRAG.from_pretrained(given.model) as rag:
        answers = rag.ask_many([question.text for question in split])
    known = [question.kind == "answerable" for question in split]
    report = choose_thresholds(
        [scored(answer, answerable=known) for answer, known in zip(answers, known, strict=True)],
        max_false_refusals=given.false_refusals,
        split=f"{sum(known)} answerable and {len(known) - sum(known)} unanswerable questions "
        f"of {given.questions.name}",
    )
    report.calibration.save(given.model)
    print(f"s_rel at least {report.calibration.relevance:.3f}")
    print(f"s_sup at least {report.calibration.support:.3f}")
    print(f"unanswerable questions refused: {report.refused_unanswerable:.1%}")
    print(f"answerable questions refused:   {report.refused_answerable:.1%}")


if __name__ == "__main__":
    main()
