"""Rivers: how long they are, where they end, through which countries they flow."""

from selfrag.training.mini.schemas.cells import Row, lands, measured, values
from selfrag.training.mini.schemas.relation import Entity, Kind
from selfrag.training.mini.schemas.river_courses import (
    COUNTRIES,
    LENGTH,
)
from selfrag.training.mini.schemas.river_mouths import (
    MOUTH,
)

RIVER = Kind(
    key="river",
    noun="river",
    naming="river",
    relations=(
        LENGTH,
        MOUTH,
        COUNTRIES,
    ),
    plans={"length": ("length",), "mouth": ("mouth",), "course": ("countries",)},
    described=("countries", "mouth", "length"),
)


def river_aliases(name: str) -> tuple[str, ...]:
    """What else a river is called."""
    bare = name.removesuffix(" River")
    return f"the river {bare}", f"the {bare} River", f"the {bare}"


def read_river(row: Row) -> Entity:
    """One row of the table as a river."""
    name = row["name"]
    return Entity(
        RIVER,
        name,
        "the",
        values(
            length=measured(row["length_km"], "kilometres"),
            mouth=row["mouth"],
            countries=lands(row["countries"]),
        ),
        aliases=river_aliases(name),
        heading=name if "River" in name or "Rio" in name else f"{name} River",
    )
