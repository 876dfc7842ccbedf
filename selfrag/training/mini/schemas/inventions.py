"""Inventions and discoveries: who made them, when, and what they are."""

from selfrag.training.mini.schemas.cells import Row, listed, values, year
from selfrag.training.mini.schemas.relation import Entity, Kind, Relation

INVENTION = Kind(
    key="invention",
    noun="invention",
    naming="thing",
    relations=(
        Relation(
            "who",
            "persons",
            "{S} was {verb} by {v}.",
            (
                "{S} was {verb} by {v}.",
                "{v} {verb} {s}.",
                "{S} is credited to {v}.",
                "The {noun} of {s} is credited to {v}.",
            ),
            ("It was {verb} by {v}.", "{v} {verb} it.", "It is credited to {v}."),
            (
                "@the {agent} of {s}",
                "@{s}'s {agent}",
                "@the person who {verb} {s}",
                "@the man or woman who {verb} {s}",
                "@the person behind {s}",
            ),
            (
                "Who {verb} {s}?",
                "By whom was {s} {verb}?",
                "Who first {verb} {s}?",
                "Who came up with {s}?",
                "{S} was {verb} by whom?",
                "Who is credited with {s}?",
                "Who gave us {s}?",
                "To whom do we owe {s}?",
                "Whose {noun} is {s}?",
                "Which person {verb} {s}?",
                "Who was it that {verb} {s}?",
                "Who created {s}?",
                "Who developed {s}?",
                "Who made the first {name}?",
                "Who is behind {s}?",
            ),
            (
                "who {verb} {s}",
                "by whom {s} was {verb}",
                "who came up with {s}",
                "which person {verb} {s}",
                "who is credited with {s}",
            ),
            (
                "What was {verb} by {v}?",
                "Which {noun} is credited to {v}?",
                "What is {v} credited with?",
            ),
        ),
        Relation(
            "year",
            "year",
            "{S} was {verb} in {v}.",
            (
                "{S} was {verb} in {v}.",
                "The {noun} of {s} dates from {v}.",
                "{S} dates from {v}.",
                "{S} goes back to {v}.",
            ),
            ("It was {verb} in {v}.", "It dates from {v}."),
            (
                "the year of the {noun} of {s}",
                "the year in which {s} was {verb}",
                "the date of the {noun} of {s}",
                "the year {s} was {verb}",
            ),
            (
                "When was {s} {verb}?",
                "In which year was {s} {verb}?",
                "What year was {s} {verb}?",
                "In what year was {s} {verb}?",
                "When did {s} first appear?",
                "From when does {s} date?",
                "When was {s} first {verb}?",
                "{S} was {verb} when?",
                "When did somebody first make {s}?",
                "How old is {s}?",
                "When was {s} created?",
            ),
            (
                "when {s} was {verb}",
                "in which year {s} was {verb}",
                "what year {s} was {verb}",
                "from when {s} dates",
            ),
        ),
        Relation(
            "description",
            "definition",
            "{S} is {v}.",
            ("{S} is {v}.", "{S} can be described as {v}.", "By {s} people mean {v}."),
            ("It is {v}.", "It can be described as {v}."),
            (
                "the purpose of {s}",
                "the meaning of {s}",
                "the definition of {s}",
                "a description of {s}",
            ),
            (
                "What is {s}?",
                "What does {s} do?",
                "What is {s} for?",
                "How does {s} work?",
                "What is meant by {s}?",
                "What is {s} used for?",
                "Explain {s}.",
                "Describe {s}.",
                "What is {name}?",
                "What sort of thing is {s}?",
                "Define {s}.",
                "What kind of {noun} is {s}?",
            ),
            ("what {s} is", "what {s} does", "what {s} is for", "what is meant by {s}"),
        ),
    ),
    plans={"origin": ("who", "year"), "description": ("description",)},
    described=("description", "who", "year"),
)


def invention_slots(kind: str) -> dict[str, str]:
    """The words for inventions or discoveries."""
    if kind.startswith("discover"):
        return {"noun": "discovery", "verb": "discovered", "agent": "discoverer"}
    return {"noun": "invention", "verb": "invented", "agent": "inventor"}


def read_invention(row: Row) -> Entity:
    """One row of the table as an invention."""
    return Entity(
        INVENTION,
        row["name"],
        row["article"],
        values(who=listed(row["who"]), year=year(row["year"]), description=row["description"]),
        invention_slots(row["kind"]),
    )
