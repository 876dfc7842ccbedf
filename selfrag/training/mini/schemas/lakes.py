"""Lakes: where they lie, how large and of what sort they are."""

from selfrag.training.mini.schemas.cells import Row, lands, measured, values
from selfrag.training.mini.schemas.relation import Entity, Kind, Relation

LAKE = Kind(
    key="lake",
    noun="lake",
    naming="lake",
    relations=(
        Relation(
            "countries",
            "countries",
            "{S} is in {v}.",
            (
                "{S} is in {v}.",
                "{S} lies in {v}.",
                "{S} is a {noun} in {v}.",
                "{S} is located in {v}.",
                "The shores of {s} are in {v}.",
            ),
            ("It is in {v}.", "It lies in {v}.", "The lake is located in {v}."),
            (
                "the country of {s}",
                "the location of {s}",
                "+the countries around {s}",
                "+the countries that share {s}",
                "the country where {s} is",
            ),
            (
                "Where is {s}?",
                "In which country is {s}?",
                "Which countries share {s}?",
                "Which country is {s} in?",
                "Where does {s} lie?",
                "Where is {s} located?",
                "In which countries does {s} lie?",
                "What country is {s} in?",
                "Where can I find {s}?",
                "{S} is in which country?",
                "On the territory of which countries is {s}?",
            ),
            (
                "where {s} is",
                "in which country {s} is",
                "which countries share {s}",
                "where {s} lies",
            ),
        ),
        Relation(
            "area",
            "area",
            "{S} has an area of {v}.",
            (
                "{S} has an area of about {v}.",
                "The area of {s} is about {v}.",
                "{S} covers about {v}.",
                "The surface of {s} measures about {v}.",
            ),
            ("Its area is about {v}.", "It covers about {v}.", "It has an area of about {v}."),
            (
                "the area of {s}",
                "the size of {s}",
                "{s}'s area",
                "the surface area of {s}",
                "the area of {s} in square kilometres",
            ),
            (
                "How big is {s}?",
                "How large is {s}?",
                "What area does {s} cover?",
                "How many square kilometres does {s} cover?",
                "What area does {s} have?",
                "How many square kilometers is {s}?",
                "{S} is how big?",
                "How much area has {s}?",
            ),
            ("how big {s} is", "how large {s} is", "what area {s} covers"),
        ),
        Relation(
            "sort",
            "lake_sort",
            "{S} is a {v}.",
            ("{S} is a {v}.", "{S} is known as a {v}."),
            ("It is a {v}.", "The lake is a {v}."),
            ("the type of {s}", "the kind of lake that {s} is", "the type of lake of {s}"),
            (
                "What kind of lake is {s}?",
                "What type of lake is {s}?",
                "What sort of lake is {s}?",
                "What kind of water is in {s}?",
                "Which type of lake is {s}?",
            ),
            ("what kind of lake {s} is", "what type of lake {s} is"),
        ),
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
