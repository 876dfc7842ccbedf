"""Animals: class, diet, young, groups and habitat."""

from selfrag.training.mini.schemas.animal_homes import (
    HABITAT,
)
from selfrag.training.mini.schemas.animal_traits import (
    ANIMAL_CLASS,
    DIET,
)
from selfrag.training.mini.schemas.animal_words import (
    GROUP,
    YOUNG,
)
from selfrag.training.mini.schemas.cells import Row, values
from selfrag.training.mini.schemas.relation import Entity, Kind

ANIMAL = Kind(
    key="animal",
    noun="animal",
    naming="animal",
    relations=(
        ANIMAL_CLASS,
        DIET,
        YOUNG,
        GROUP,
        HABITAT,
    ),
    plans={
        "class": ("class",),
        "diet": ("diet",),
        "young": ("young",),
        "group": ("group",),
        "habitat": ("habitat",),
    },
    described=("class", "diet", "habitat"),
)


def plural(noun: str) -> str:
    """The regular plural of an animal's name, with the irregular ones that the tables hold."""
    head, _, last = noun.rpartition(" ")
    irregular = {
        "mouse": "mice",
        "goose": "geese",
        "wolf": "wolves",
        "ox": "oxen",
        "fish": "fish",
        "sheep": "sheep",
        "deer": "deer",
        "bison": "bison",
        "moose": "moose",
        "salmon": "salmon",
        "squid": "squid",
        "octopus": "octopuses",
        "calf": "calves",
        "trout": "trout",
        "tuna": "tuna",
        "reindeer": "reindeer",
        "swordfish": "swordfish",
    }
    if last in irregular:
        word = irregular[last]
    elif last.endswith(("s", "x", "ch", "sh", "z")):
        word = last + "es"
    elif last.endswith("y") and last[-2:-1] not in "aeiou":
        word = last[:-1] + "ies"
    else:
        word = last + "s"
    return f"{head} {word}".strip()


def read_animal(row: Row) -> Entity:
    """One row of the table as an animal."""
    return Entity(
        ANIMAL,
        row["name"],
        "the",
        values(
            **{"class": row["class"]},
            diet=row["diet"],
            young=row["young"],
            group=row["group"],
            habitat=row["habitat"],
        ),
        {"plural": plural(row["name"])},
    )
