"""Events of history: when and where they took place and what happened."""

from selfrag.training.mini.schemas.cells import Row, values, year
from selfrag.training.mini.schemas.event_accounts import DESCRIPTION, PLACE
from selfrag.training.mini.schemas.event_times import END_YEAR, YEAR
from selfrag.training.mini.schemas.relation import Entity, Kind

EVENT = Kind(
    key="event",
    noun="event",
    naming="event",
    relations=(YEAR, END_YEAR, PLACE, DESCRIPTION),
    plans={
        "time": ("year", "end_year"),
        "place": ("place",),
        "description": ("year", "description"),
    },
    described=("description", "year", "place"),
)


def read_event(row: Row) -> Entity:
    """One row of the table as an event."""
    return Entity(
        EVENT,
        row["name"],
        row["article"],
        values(
            year=year(row["year"]),
            end_year=year(row["end_year"]),
            place=row["place"],
            description=row["description"],
        ),
        {"took_place": "began" if row["end_year"] else "took place"},
    )
