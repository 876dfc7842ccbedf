"""Makes the first course of selfrag-mini: rows for scripts/train_generator.py, and a tokenizer.

python scripts/make_course.py runs/mini/course.jsonl --rows 60000 --tokenizer runs/mini/tokenizer
"""

import argparse
from pathlib import Path

from rich.console import Console
from rich.progress import track

from selfrag.training.mini.course import FIRST, CoursePlan, course_rows, write_course
from selfrag.training.mini.mixture import Shares
from selfrag.training.mini.schemas import FACTS, read_entities
from selfrag.training.mini.texts import tokenizer_texts
from selfrag.training.mini.tokenizer import train_tokenizer

SHARES = ("judged", "reading", "primer", "requests", "long")


def main() -> None:
    """Read the options, make the tokenizer where there is none, and write the rows."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("out", type=Path, help="JSON Lines of training rows")
    parser.add_argument("--rows", type=int, required=True)
    parser.add_argument("--seed", type=int, default=1)
    for name in SHARES:
        parser.add_argument(
            f"--{name}-share", type=float, default=getattr(FIRST, name), help="see mini/mixture.py"
        )
    parser.add_argument("--facts", type=Path, default=FACTS)
    parser.add_argument("--tokenizer", type=Path, help="folder of a tokenizer to be made")
    parser.add_argument("--pieces", type=int, default=900, help="of text, in that tokenizer")
    options = parser.parse_args()
    entities = read_entities(options.facts)
    console = Console(stderr=True)
    try:
        shares = Shares(*(getattr(options, f"{name}_share") for name in SHARES))
        plan = CoursePlan(options.rows, options.seed, shares)
    except ValueError as error:
        parser.error(str(error))
    if options.tokenizer is not None and not options.tokenizer.exists():
        with console.status("tokenizer"):
            made = train_tokenizer(tokenizer_texts(entities), options.pieces)
            made.save_pretrained(options.tokenizer)
    rows = track(course_rows(plan, entities), "rows", total=plan.rows, console=console)
    kinds = write_course(rows, options.out)
    print(f"{kinds.total()} rows in {options.out}: {dict(kinds.most_common())}")


if __name__ == "__main__":
    main()
