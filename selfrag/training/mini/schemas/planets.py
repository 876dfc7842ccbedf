"""Planets and dwarf planets: order, size, year, moons and discovery."""

from selfrag.training.mini.schemas.bodies import (
    DIAMETER,
    DISCOVERER,
    DISCOVERY_YEAR,
)
from selfrag.training.mini.schemas.cells import Row, listed, measured, values
from selfrag.training.mini.schemas.planet_orbits import (
    MOONS,
    ORDER,
    YEAR_LENGTH,
)
from selfrag.training.mini.schemas.relation import Entity, Kind, Relation

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
        ORDER,
        DIAMETER,
        YEAR_LENGTH,
        MOONS,
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
