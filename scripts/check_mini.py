"""Measures a trained selfrag-mini: on invented things of a seed never trained on, then on real
questions with passages found by word overlap (a rough stand-in for the retriever).

    python scripts/check_mini.py runs/mini/export [--questions tests/data/mini_development.tsv]
"""

import argparse
from pathlib import Path

from selfrag.training.mini.checking import Checker, check_examples, check_questions
from selfrag.training.mini.inventor import Inventor
from selfrag.training.mini.schemas import FACTS, read_entities


def main() -> None:
    """Reads the options and prints the measures."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--facts", type=Path, default=FACTS)
    parser.add_argument("--examples", type=int, default=400)
    parser.add_argument("--questions", type=Path)
    parser.add_argument("--corpus", type=Path)
    parser.add_argument("--show", type=int, default=10)
    options = parser.parse_args()
    checker = Checker(options.folder)
    if options.examples:
        inventor = Inventor(read_entities(options.facts))
        for kind, shares in check_examples(
            checker, inventor, options.examples, options.show
        ).items():
            print(kind, shares)
    if options.questions and options.corpus:
        print(check_questions(checker, options.questions, options.corpus, options.show))


if __name__ == "__main__":
    main()
