"""Chemical elements: symbol, number, discovery, use, category and name."""

from selfrag.training.mini.schemas.cells import Row, listed, values, year
from selfrag.training.mini.schemas.element_discovery import (
    DISCOVERER,
    PERIOD_KNOWN,
    YEAR_DISCOVERED,
)
from selfrag.training.mini.schemas.element_symbols import (
    CATEGORY,
    NUMBER,
    SYMBOL,
)
from selfrag.training.mini.schemas.element_uses import (
    NAMED_AFTER,
    USE,
)
from selfrag.training.mini.schemas.relation import Entity, Kind

ELEMENT = Kind(
    key="element",
    noun="chemical element",
    naming="element",
    pronouns=("it", "its"),
    relations=(
        SYMBOL,
        NUMBER,
        DISCOVERER,
        YEAR_DISCOVERED,
        PERIOD_KNOWN,
        USE,
        CATEGORY,
        NAMED_AFTER,
    ),
    plans={
        "symbol": ("symbol", "number"),
        "discovery": ("discoverer", "year"),
        "known": ("period_known",),
        "use": ("use",),
        "name": ("named_after",),
        "category": ("category", "number"),
    },
    described=("category", "symbol", "use"),
)


def read_element(row: Row) -> Entity:
    """One row of the table as an element."""
    return Entity(
        ELEMENT,
        row["name"],
        "",
        values(
            symbol=row["symbol"],
            number=row["number"],
            discoverer=listed(row["discoverer"]),
            year=year(row["year"]),
            period_known=row["period_known"],
            use=row["use"],
            category=row["category"],
            named_after=row["named_after"],
        ),
    )
