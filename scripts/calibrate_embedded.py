"""Choose the embedded model's thresholds: python scripts/calibrate_embedded.py [--model FOLDER].

Asks questions of the calibration split with the model and the embedded index, and writes
`calibration.json` into the model's folder.
"""

from __future__ import annotations

import argparse
from pathlib import Path

from selfrag import SelfRAG
from selfrag.evaluation.thresholds import choose_thresholds, scored
from selfrag.rag import EMBEDDED_MODEL
from selfrag.training.mini.calibration_split import calibration_questions
from selfrag.training.mini.schemas import read_entities


def main() -> None:
    """Ask, choose, write, and print what the thresholds do on the split."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--model", type=Path, default=EMBEDDED_MODEL)
    parser.add_argument("--answerable", type=int, default=600)
    parser.add_argument("--unanswerable", type=int, default=400)
    parser.add_argument("--false-refusals", type=float, default=0.03, help="at most this share")
    parser.add_argument("--seed", type=int, default=7)
    given = parser.parse_args()
    split = list(
        calibration_questions(read_entities(), given.answerable, given.unanswerable, given.seed)
    )
    with SelfRAG.from_pretrained(given.model) as rag:
        answers = rag.ask_many([question for question, _ in split])
    report = choose_thresholds(
        [scored(a, answerable=known) for a, (_, known) in zip(answers, split, strict=True)],
        max_false_refusals=given.false_refusals,
        split=f"{given.answerable} answerable and {given.unanswerable} unanswerable questions "
        f"of scripts/calibrate_embedded.py, seed {given.seed}",
    )
    report.calibration.save(given.model)
    print(f"s_rel at least {report.calibration.relevance:.3f}")
    print(f"s_sup at least {report.calibration.support:.3f}")
    print(f"unanswerable questions refused: {report.refused_unanswerable:.1%}")
    print(f"answerable questions refused:   {report.refused_answerable:.1%}")


if __name__ == "__main__":
    main()
