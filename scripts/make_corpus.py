"""Writes the embedded corpus from the fact tables.

python scripts/make_corpus.py [--output selfrag/assets/corpus.jsonl]
"""

import argparse
import json
from pathlib import Path

from selfrag.training.mini.corpus import corpus_rows
from selfrag.training.mini.schemas import FACTS, read_entities

OUTPUT = Path(__file__).parent.parent / "selfrag" / "assets" / "corpus.jsonl"


def main() -> None:
    """Reads the options and writes the file."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--facts", type=Path, default=FACTS)
    parser.add_argument("--output", type=Path, default=OUTPUT)
    options = parser.parse_args()
    rows = list(corpus_rows(read_entities(options.facts)))
    options.output.parent.mkdir(parents=True, exist_ok=True)
    with options.output.open("w", encoding="utf-8") as handle:
        for row in rows:
            handle.write(json.dumps(row, ensure_ascii=False) + "\n")
    print(f"{len(rows)} passages in {options.output.name}")


if __name__ == "__main__":
    main()
