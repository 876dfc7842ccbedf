"""Mountains: how high they are, where they stand, to which range they belong."""

from selfrag.training.mini.schemas.cells import Row, lands, measured, values
from selfrag.training.mini.schemas.mountain_heights import (
    HEIGHT,
)
from selfrag.training.mini.schemas.mountain_places import (
    COUNTRIES,
    RANGE,
)
from selfrag.training.mini.schemas.relation import Entity, Kind

MOUNTAIN = Kind(
    key="mountain",
    noun="mountain",
    naming="mountain",
    relations=(
        HEIGHT,
        COUNTRIES,
        RANGE,
    ),
    plans={"height": ("height",), "location": ("countries", "range")},
    described=("countries", "height", "range"),
)


def read_mountain(row: Row) -> Entity:
    """One row of the table as a mountain."""
    name = row["name"]
    bare = name.removeprefix("Mount ")
    return Entity(
        MOUNTAIN,
        name,
        "",
        values(
            height=measured(row["height_m"], "metres"),
            countries=lands(row["countries"]),
            range=row["range"],
        ),
        aliases=(bare,) if bare != name else (),
    )
