"""Lakes: where they lie, how large and of what sort they are."""

from selfrag.training.mini.schemas.cells import Row, lands, measured, values
from selfrag.training.mini.schemas.lake_places import (
    COUNTRIES,
)
from selfrag.training.mini.schemas.lake_traits import (
    AREA,
    SORT,
)
from selfrag.training.mini.schemas.relation import Entity, Kind

LAKE = Kind(
    key="lake",
    noun="lake",
    naming="lake",
    relations=(
        COUNTRIES,
        AREA,
        SORT,
    ),
    plans={"location": ("countries",), "area": ("area", "sort")},
    described=("countries", "area", "sort"),
)


def read_lake(row: Row) -> Entity:
    """One row of the table as a lake."""
    article = "" if row["name"].startswith(("Lake", "Loch")) else "the"
    if row["name"].split()[-1] not in ("Sea", "Reservoir", "Lake", "Lagoon"):
        article = ""
    return Entity(
        LAKE,
        row["name"],
        article,
        values(
            countries=lands(row["countries"]),
            area=measured(row["area_km2"], "square kilometres"),
            sort=f"{row['kind']} lake" if row["kind"] else "",
        ),
    )
