"""Adds to single-hop questions the passages of the embedded corpus that state the fact asked for.

python scripts/add_evidence.py selfrag/assets/development.jsonl

The fact is read from a question's `relation` and `entity`; nothing is searched for. A question that
asks for the thing itself ("countries.name") has as evidence the passages that state a value of the
thing which stands in the question. Lines without such a fact stay as they are.
"""

import argparse
import json
from collections import defaultdict
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from selfrag.training.mini.corpus import statements
from selfrag.training.mini.schemas import read_entities
from selfrag.training.mini.schemas.relation import Entity

KINDS = {
    "people": "person",
    "countries": "country",
    "cities": "city",
    "sports_and_misc": "term",
} | {name: "record" for name in ("superlatives_geo", "superlatives_science")}
"""Kinds of tables whose names are no plurals with "s"."""
THING = ("name", "title")

Thing = tuple[str, str]
"""Kind and bare name."""
Stated = tuple[str, Entity, tuple[str, ...]]
"""A passage's id, its thing, and the relations that it states."""


def main() -> None:
    """Rewrite the file."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("file", type=Path, help="JSON Lines of questions")
    path: Path = parser.parse_args().file
    stated: defaultdict[Thing, list[Stated]] = defaultdict(list)
    for one in statements(read_entities()):
        stated[one[1].kind.key, bare(one[1].name)].append(one)
    rows = [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]
    asked = [row for row in rows if row["kind"] == "answerable"]
    for row in asked:
        if found := evidence(row, stated):
            row["evidence"] = [found]
    lines = (json.dumps(row, ensure_ascii=False) + "\n" for row in rows)
    path.write_text("".join(lines), encoding="utf-8")
    known = sum("evidence" in row for row in asked)
    print(f"{known} of {len(asked)} answerable questions have evidence.")


def evidence(row: Mapping[str, Any], stated: Mapping[Thing, list[Stated]]) -> list[str]:
    """Ids of the passages that state what a question asks for; [] where that is not known."""
    table, _, column = row["relation"].partition(".")
    kind = KINDS.get(table, table.removesuffix("s"))
    question = row["question"].lower()
    found = []
    for passage_id, entity, keys in stated.get((kind, bare(row["entity"])), ()):
        if column in THING:
            hit = any(entity.values[key].lower() in question for key in keys)
        else:
            hit = not keys_of(column).isdisjoint(keys)
        if hit:
            found.append(passage_id)
    return found


def keys_of(column: str) -> set[str]:
    """The relations that hold what a table has in this column; units are no part of a relation."""
    others = {"answer": "sentence", "kind": "sort"}
    return {column, column.rsplit("_", 1)[0], others.get(column, column)}


def bare(name: str) -> str:
    """A name without what only a sentence needs."""
    return name.lower().strip().removeprefix("the ").removesuffix(" called").strip()


if __name__ == "__main__":
    main()
