"""Mountains: how high they are, where they stand, to which range they belong."""

from selfrag.training.mini.schemas.cells import Row, lands, measured, values
from selfrag.training.mini.schemas.relation import Entity, Kind, Relation

MOUNTAIN = Kind(
    key="mountain",
    noun="mountain",
    naming="mountain",
    relations=(
        Relation(
            "height",
            "metres",
            "{S} is {v} high.",
            (
                "{S} is {v} high.",
                "{S} has a height of {v}.",
                "{S} rises to {v}.",
                "The summit of {s} is at {v}.",
                "The height of {s} is {v}.",
            ),
            ("It is {v} high.", "Its height is {v}.", "The mountain rises to {v}."),
            (
                "the height of {s}",
                "{s}'s height",
                "the elevation of {s}",
                "the altitude of {s}",
                "the height of {s} in metres",
                "the height above sea level of {s}",
            ),
            (
                "How high is {s}?",
                "How tall is {s}?",
                "How many metres high is {s}?",
                "What height does {s} reach?",
                "How high does {s} rise?",
                "{S} is how high?",
                "How high above sea level is {s}?",
                "How tall is {s} in meters?",
                "At what altitude is the summit of {s}?",
                "How high is the top of {s}?",
            ),
            (
                "how high {s} is",
                "how tall {s} is",
                "what height {s} has",
                "how many metres {s} rises",
            ),
        ),
        Relation(
            "countries",
            "countries",
            "{S} is in {v}.",
            (
                "{S} is in {v}.",
                "{S} stands in {v}.",
                "{S} is a mountain in {v}.",
                "{S} is located in {v}.",
                "The mountain {s} lies in {v}.",
            ),
            ("It is in {v}.", "It stands in {v}.", "The mountain is located in {v}."),
            (
                "the country of {s}",
                "the location of {s}",
                "the country where {s} is",
                "the country in which {s} stands",
                "{s}'s location",
            ),
            (
                "Where is {s}?",
                "In which country is {s}?",
                "Which country is {s} in?",
                "What country is {s} in?",
                "Where is {s} located?",
                "Where does {s} stand?",
                "In what country does {s} lie?",
                "{S} is in which country?",
                "Where can I find {s}?",
                "Which country would I travel to in order to see {s}?",
                "Where can you climb {s}?",
            ),
            (
                "where {s} is",
                "in which country {s} is",
                "which country {s} is in",
                "where {s} is located",
            ),
        ),
        Relation(
            "range",
            "range",
            "{S} belongs to {v}.",
            (
                "{S} belongs to {v}.",
                "{S} is part of {v}.",
                "{S} is a peak of {v}.",
                "{S} rises in {v}.",
            ),
            ("It belongs to {v}.", "It is part of {v}.", "It is a peak of {v}."),
            (
                "the mountain range of {s}",
                "the range of {s}",
                "{s}'s mountain range",
                "the range that {s} belongs to",
            ),
            (
                "Which mountain range does {s} belong to?",
                "In which mountain range is {s}?",
                "What range is {s} part of?",
                "To which range does {s} belong?",
                "Which mountains does {s} belong to?",
                "What mountain range is {s} in?",
                "{S} is part of which mountain range?",
                "Which range includes {s}?",
            ),
            (
                "which mountain range {s} belongs to",
                "what range {s} is part of",
                "in which mountain range {s} is",
            ),
        ),
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
