"""Moons: their planet, size and discovery. They are asked for much as planets are."""

from dataclasses import replace

from selfrag.training.mini.schemas.cells import Row, listed, measured, values, year
from selfrag.training.mini.schemas.planets import DIAMETER, DISCOVERER, DISCOVERY_YEAR
from selfrag.training.mini.schemas.relation import Entity, Kind, Relation

MOON = Kind(
    key="moon",
    noun="moon",
    naming="moon",
    relations=(
        Relation(
            "planet",
            "planet",
            "{S} is a moon of {v}.",
            (
                "{S} is a moon of {v}.",
                "{S} orbits {v}.",
                "{S} is one of the moons of {v}.",
                "{S} goes around {v}.",
            ),
            ("It orbits {v}.", "It is a moon of {v}."),
            (
                "the planet of {s}",
                "the planet that {s} orbits",
                "{s}'s planet",
                "the planet around which {s} moves",
            ),
            (
                "Which planet does {s} orbit?",
                "What does {s} orbit?",
                "Around which planet does {s} go?",
                "{S} is a moon of which planet?",
                "Of which planet is {s} a moon?",
                "Which planet has the moon {s}?",
                "What planet does {s} belong to?",
                "What planet does the moon {s} orbit?",
                "To which planet does the moon {s} belong?",
                "Around what does {s} revolve?",
                "Which planet has a moon called {s}?",
            ),
            (
                "which planet {s} orbits",
                "what planet {s} belongs to",
                "around which planet {s} goes",
                "which planet has the moon {s}",
            ),
        ),
        replace(
            DIAMETER,
            followups=("Its diameter is about {v}.", "It is about {v} across."),
            nouns=(
                "the diameter of {s}",
                "the size of {s}",
                "{s}'s diameter",
                "the size of the moon {s}",
                "the diameter of the moon {s}",
            ),
            questions=(
                "How big is {s}?",
                "How large is {s}?",
                "How wide is {s}?",
                "How big is the moon {s}?",
                "What diameter does {s} have?",
                "How many kilometres across is {s}?",
            ),
            clauses=("how big {s} is", "how large {s} is", "what diameter {s} has"),
        ),
        replace(
            DISCOVERER,
            nouns=(
                "@the discoverer of {s}",
                "@the astronomer who discovered {s}",
                "@{s}'s discoverer",
                "@the discoverer of the moon {s}",
            ),
            questions=(
                "Who discovered {s}?",
                "By whom was {s} discovered?",
                "Which astronomer discovered {s}?",
                "Who found {s}?",
                "Who discovered the moon {s}?",
                "{S} was discovered by whom?",
            ),
            inverses=("Which moon was discovered by {v}?", "Which moon did {v} discover?"),
        ),
        replace(
            DISCOVERY_YEAR,
            key="year",
            questions=(
                "When was {s} discovered?",
                "In which year was {s} discovered?",
                "When was {s} found?",
                "What year was {s} discovered?",
                "When was the moon {s} discovered?",
            ),
        ),
        Relation("note", "", "{v}", ("{v}",), asked=False),
    ),
    plans={
        "planet": ("planet", "diameter"),
        "discovery": ("discoverer", "year"),
        "note": ("note",),
    },
    described=("planet", "diameter", "discoverer"),
)


def read_moon(row: Row) -> Entity:
    """One row of the table as a moon."""
    return Entity(
        MOON,
        row["name"],
        row["article"],
        values(
            planet=row["planet"],
            diameter=measured(row["diameter_km"], "kilometres"),
            discoverer=listed(row["discoverer"]),
            year=year(row["year"]),
            note=row["note"],
        ),
        heading="Moon of Earth" if row["name"] == "Moon" else f"{row['name']} (moon)",
    )
