"""Landmarks: where they stand, when they were built and by whom."""

from selfrag.training.mini.schemas.cells import Row, lands, listed, values, year
from selfrag.training.mini.schemas.landmark_location import CITY_OF_LANDMARK, COUNTRY_OF_LANDMARK
from selfrag.training.mini.schemas.landmark_origin import BUILDER, YEAR
from selfrag.training.mini.schemas.relation import Entity, Kind, with_indefinite

LANDMARK = Kind(
    key="landmark",
    noun="landmark",
    naming="landmark",
    relations=(CITY_OF_LANDMARK, COUNTRY_OF_LANDMARK, YEAR, BUILDER),
    plans={"location": ("city", "country"), "origin": ("year", "builder")},
    described=("city", "year", "builder"),
)


def read_landmark(row: Row) -> Entity:
    """One row of the table as a landmark."""
    return Entity(
        LANDMARK,
        row["name"],
        row["article"],
        values(
            city=row["city"],
            country=lands(row["country"]),
            year=year(row["year"]),
            builder=listed(row["builder"]),
        ),
        {"noun": row["kind"], "a_noun": with_indefinite(row["kind"])} if row["kind"] else {},
    )
