"""Planets and dwarf planets: order, size, year, moons and discovery."""

from selfrag.training.mini.schemas.cells import Row, listed, measured, values
from selfrag.training.mini.schemas.relation import Entity, Kind, Relation

DIAMETER = Relation(
    "diameter",
    "kilometres",
    "The diameter of {s} is about {v}.",
    (
        "The diameter of {s} is about {v}.",
        "{S} has a diameter of about {v}.",
        "{S} measures about {v} across.",
        "{S} is about {v} across.",
    ),
    (
        "Its diameter is about {v}.",
        "It is about {v} across.",
        "It has a diameter of about {v}.",
    ),
    (
        "the diameter of {s}",
        "the size of {s}",
        "{s}'s diameter",
        "the diameter of {s} in kilometres",
        "the width of {s}",
    ),
    (
        "How big is {s}?",
        "How large is {s}?",
        "How wide is {s}?",
        "What size is {s}?",
        "What diameter does {s} have?",
        "How many kilometres across is {s}?",
        "How large is the diameter of {s}?",
        "{S} is how big?",
        "How far across is {s}?",
    ),
    ("how big {s} is", "how large {s} is", "what diameter {s} has", "how wide {s} is"),
)

DISCOVERER = Relation(
    "discoverer",
    "persons",
    "{S} was discovered by {v}.",
    (
        "{S} was discovered by {v}.",
        "{v} discovered {s}.",
        "The discovery of {s} is credited to {v}.",
        "The discoverer{s_v} of {s} {was_v} {v}.",
    ),
    ("It was discovered by {v}.", "{v} discovered it."),
    (
        "@the discoverer of {s}",
        "@the astronomer who discovered {s}",
        "@{s}'s discoverer",
        "@the person who discovered {s}",
    ),
    (
        "Who discovered {s}?",
        "By whom was {s} discovered?",
        "Which astronomer discovered {s}?",
        "Who found {s}?",
        "Who first saw {s}?",
        "{S} was discovered by whom?",
    ),
    ("who discovered {s}", "which astronomer discovered {s}", "who found {s}"),
    ("Which {noun} was discovered by {v}?", "Which {noun} did {v} discover?"),
)

DISCOVERY_YEAR = Relation(
    "discovery_year",
    "year",
    "{S} was discovered in {v}.",
    (
        "{S} was discovered in {v}.",
        "The discovery of {s} was made in {v}.",
        "The year of the discovery of {s} is {v}.",
    ),
    ("It was discovered in {v}.", "The discovery was made in {v}."),
    (
        "the year of the discovery of {s}",
        "the year in which {s} was discovered",
        "the discovery date of {s}",
        "the year {s} was found",
    ),
    (
        "When was {s} discovered?",
        "In which year was {s} discovered?",
        "In what year was {s} found?",
        "What year was {s} discovered?",
        "When did astronomers discover {s}?",
        "When was {s} first seen?",
    ),
    ("when {s} was discovered", "in which year {s} was discovered", "when {s} was found"),
)

ORDINALS = (
    "zeroth",
    "first",
    "second",
    "third",
    "fourth",
    "fifth",
    "sixth",
    "seventh",
    "eighth",
    "ninth",
    "tenth",
)

PLANET = Kind(
    key="planet",
    noun="planet",
    naming="planet",
    relations=(
        Relation(
            "order",
            "ordinal",
            "{S} is the {v} planet from the Sun.",
            (
                "{S} is the {v} planet from the Sun.",
                "Counted from the Sun, {s} is the {v} planet.",
                "{S} orbits the Sun as the {v} planet.",
            ),
            ("It is the {v} planet from the Sun.",),
            (
                "the position of {s} in the Solar System",
                "the place of {s} counted from the Sun",
                "the order of {s} from the Sun",
                "{s}'s position from the Sun",
            ),
            (
                "Which position does {s} have from the Sun?",
                "What number planet is {s}?",
                "Which planet from the Sun is {s}?",
                "Where is {s} in the Solar System?",
                "In what place from the Sun does {s} orbit?",
                "How many planets from the Sun is {s}?",
            ),
            ("which planet from the Sun {s} is", "what number planet {s} is"),
            (
                "Which planet is {v} from the Sun?",
                "What is the {v} planet from the Sun?",
                "Which is the {v} planet from the Sun?",
                "Which planet comes {v} from the Sun?",
                "What is the {v} planet of the Solar System?",
            ),
        ),
        DIAMETER,
        Relation(
            "year_length",
            "duration",
            "{S} takes {v} to orbit the Sun.",
            (
                "{S} takes {v} to orbit the Sun.",
                "A year on {s} lasts {v}.",
                "One orbit of {s} around the Sun takes {v}.",
                "{S} goes around the Sun once in {v}.",
            ),
            ("It takes {v} to orbit the Sun.", "A year there lasts {v}."),
            (
                "the length of a year on {s}",
                "the orbital period of {s}",
                "{s}'s orbital period",
                "the time {s} needs to orbit the Sun",
                "the duration of a year on {s}",
            ),
            (
                "How long is a year on {s}?",
                "How long does {s} take to orbit the Sun?",
                "How long does a year last on {s}?",
                "How much time does {s} need for one orbit?",
                "In what time does {s} go around the Sun?",
                "How many days or years is a year on {s}?",
                "How long does {s} need to go around the Sun?",
            ),
            (
                "how long a year on {s} is",
                "how long {s} takes to orbit the Sun",
                "how long a year lasts on {s}",
            ),
        ),
        Relation(
            "moons",
            "small_number",
            "The number of known moons of {s} is {v}.",
            (
                "The number of known moons of {s} is {v}.",
                "{S} has {v} known moons.",
                "Astronomers know {v} moons of {s}.",
            ),
            ("It has {v} known moons.", "The number of its known moons is {v}."),
            (
                "the number of moons of {s}",
                "{s}'s number of moons",
                "the number of moons around {s}",
                "the count of {s}'s moons",
                "the moon count of {s}",
            ),
            (
                "How many moons does {s} have?",
                "How many moons has {s}?",
                "How many moons orbit {s}?",
                "How many known moons does {s} have?",
                "How many satellites does {s} have?",
                "{S} has how many moons?",
                "How many moons go around {s}?",
            ),
            ("how many moons {s} has", "how many moons orbit {s}"),
            dated=True,
        ),
        DISCOVERER,
        DISCOVERY_YEAR,
        Relation("note", "", "{v}", ("{v}",), asked=False),
    ),
    plans={
        "order": ("order",),
        "size": ("diameter",),
        "year": ("year_length",),
        "moons": ("moons",),
        "discovery": ("discoverer", "discovery_year"),
        "note": ("note",),
    },
    described=("order", "diameter", "year_length", "moons"),
)


def read_planet(row: Row) -> Entity:
    """One row of the table as a planet."""
    order = ORDINALS[int(row["order"])] if row["order"].isdigit() else row["order"]
    return Entity(
        PLANET,
        row["name"],
        "",
        values(
            order=order,
            diameter=measured(row["diameter_km"], "kilometres"),
            year_length=row["year_length"],
            moons=row["moons"],
            discoverer=listed(row["discoverer"]),
            discovery_year=row["discovery_year"],
            note=row["note"],
        ),
        {"noun": row["kind"]},
    )
