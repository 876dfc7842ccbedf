"""Further wordings of the questions for a relation, kept as text in `wordings/`.

    ## country.currency                        kind and relation
    Q Which banknotes come out of an ATM in {s}?
    N the cash that {s} prints                 a noun phrase, as in `Relation.nouns`
    C what you hand over at the till in {s}    a clause, as in `Relation.clauses`
    I Which country prints the {v}?            names the value, as in `Relation.inverses`
    I Which country in {continent} prints {v}? names another value of the thing as well

Templates have the slots of `relation.fill`. What a schema lists itself is not repeated here.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path

WORDINGS = Path(__file__).parent.parent / "wordings"
MARKS = {"Q ": "questions", "N ": "nouns", "C ": "clauses", "I ": "inverses"}


@dataclass(frozen=True)
class Wordings:
    """The further templates of one relation, by the place where the schema has its own."""

    questions: tuple[str, ...] = ()
    nouns: tuple[str, ...] = ()
    clauses: tuple[str, ...] = ()
    inverses: tuple[str, ...] = ()


NONE = Wordings()


def read_wordings(folder: Path) -> dict[tuple[str, str], Wordings]:
    """The wordings by kind and relation. ValueError for a line that fits no form."""
    lists: dict[tuple[str, str], dict[str, list[str]]] = {}
    for path in sorted(folder.glob("*.txt")):
        current: dict[str, list[str]] | None = None
        for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), 1):
            if line.startswith("## "):
                kind, _, relation = line[3:].strip().partition(".")
                names = {name: [] for name in MARKS.values()}  # type: dict[str, list[str]]
                current = lists.setdefault((kind, relation), names)
            elif current is not None and line[:2] in MARKS and line[2:].strip():
                current[MARKS[line[:2]]].append(line[2:].strip())
            elif line.strip():
                raise ValueError(f"{path.name}, line {number} fits no form: {line!r}")
    return {
        key: Wordings(**{name: tuple(dict.fromkeys(texts)) for name, texts in found.items()})
        for key, found in lists.items()
    }


@cache
def _known() -> Mapping[tuple[str, str], Wordings]:
    return read_wordings(WORDINGS)


def wordings(kind: str, relation: str) -> Wordings:
    """The further wordings of a relation; empty ones where there are none."""
    return _known().get((kind, relation), NONE)
