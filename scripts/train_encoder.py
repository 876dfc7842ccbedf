"""Train the embedded encoder: python scripts/train_encoder.py RUN [--copy FOLDER].

RUN holds the rounds; the same command goes on where it stopped. At the end recall on freshly drawn
questions of each sort is printed, for the shipped encoder and for the new one, and written to
RUN/fresh.json. `--copy selfrag/assets/encoder` puts the new one there; then build the index again.
"""

from __future__ import annotations

import argparse
import json
import shutil
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

from selfrag.training.encoder import evaluate_by_sort, load_model, train_encoder
from selfrag.training.mini.retrieval import PLAN, WORDINGS, QueryMaker
from selfrag.training.mini.schemas import read_entities

ASSETS = Path(__file__).parents[1] / "selfrag" / "assets"
FRESH = 1000
"""Questions of each sort that are measured with."""


def main() -> None:
    """Train, measure, and copy where asked to."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("run", type=Path)
    parser.add_argument("--copy", type=Path, help="folder to put the new encoder in")
    parser.add_argument(
        "--wordings", type=int, default=WORDINGS, help="queries of each sort and fact"
    )
    parser.add_argument("--rounds", type=int, default=PLAN.rounds, help="train, mine, train, …")
    parser.add_argument("--seed", type=int, default=PLAN.seed)
    given = parser.parse_args()
    maker = QueryMaker(read_entities())
    data = maker.data(given.wordings, given.seed)
    print(f"{len(maker.facts)} facts, {len(data.passages)} passages, {len(data.queries)} queries")
    plan = replace(PLAN, rounds=given.rounds, seed=given.seed)
    result = train_encoder(data, given.run, plan, report=_report)
    fresh = maker.fresh(FRESH, given.seed + 1000)
    measured: dict[str, Any] = {}
    for name, folder in (("shipped", ASSETS / "encoder"), ("new", result.model)):
        figures = evaluate_by_sort(load_model(folder), fresh)
        measured[name] = {sort: found.to_dict() for sort, found in figures.items()}
        for sort, found in figures.items():
            print(f"{name:8} {sort:10} @1 {found.hit['1']:.3f}  @5 {found.hit['5']:.3f}")
    (given.run / "fresh.json").write_text(json.dumps(measured, indent=2) + "\n", encoding="utf-8")
    if given.copy is not None:
        shutil.copytree(result.model, given.copy, dirs_exist_ok=True)


def _report(what: str, done: int, total: int) -> None:
    end = "\n" if done == total else ""
    print(f"\r{what}: {done} of {total}", end=end, file=sys.stderr, flush=True)


if __name__ == "__main__":
    main()
