"""Events of history: when and where they took place and what happened."""

from selfrag.training.mini.schemas.cells import Row, values, year
from selfrag.training.mini.schemas.relation import Entity, Kind, Relation

EVENT = Kind(
    key="event",
    noun="event",
    naming="event",
    relations=(
        Relation(
            "year",
            "year",
            "{S} {took_place} in {v}.",
            (
                "{S} {took_place} in {v}.",
                "In {v}, {s} {took_place}.",
                "{S} {took_place} in the year {v}.",
            ),
            ("It {took_place} in {v}.", "It {took_place} in the year {v}."),
            (
                "the year of {s}",
                "the date of {s}",
                "{s}'s year",
                "the year in which {s} took place",
                "the year when {s} happened",
                "the start of {s}",
                "the beginning of {s}",
            ),
            (
                "When was {s}?",
                "When did {s} happen?",
                "In which year was {s}?",
                "In what year did {s} take place?",
                "When did {s} take place?",
                "{S} was when?",
                "What year was {s}?",
                "When did {s} begin?",
                "In which year did {s} start?",
                "{S} happened in which year?",
                "From when does {s} date?",
                "When did {s} start?",
                "In what year was {s}?",
                "When did {s} occur?",
                "What year did {s} happen?",
            ),
            (
                "when {s} was",
                "when {s} happened",
                "in which year {s} took place",
                "what year {s} was in",
                "when {s} took place",
                "when {s} began",
            ),
        ),
        Relation(
            "end_year",
            "year",
            "{S} ended in {v}.",
            (
                "{S} ended in {v}.",
                "{S} came to an end in {v}.",
                "The end of {s} came in {v}.",
                "{S} was over in {v}.",
            ),
            ("It ended in {v}.", "It came to an end in {v}."),
            (
                "the end of {s}",
                "the year in which {s} ended",
                "the last year of {s}",
                "the final year of {s}",
            ),
            (
                "When did {s} end?",
                "In which year did {s} end?",
                "When was {s} over?",
                "In what year did {s} end?",
                "Until when did {s} last?",
                "What year did {s} end?",
                "When did {s} finish?",
                "When did {s} stop?",
            ),
            (
                "when {s} ended",
                "in which year {s} ended",
                "until when {s} lasted",
                "when {s} was over",
            ),
        ),
        Relation(
            "place",
            "place",
            "{S} took place in {v}.",
            (
                "{S} took place in {v}.",
                "The place of {s} was {v}.",
                "{S} happened in {v}.",
                "The scene of {s} was {v}.",
            ),
            ("It took place in {v}.", "The place was {v}."),
            (
                "the place of {s}",
                "the location of {s}",
                "the scene of {s}",
                "the place where {s} happened",
            ),
            (
                "Where did {s} take place?",
                "Where was {s}?",
                "Where did {s} happen?",
                "In which place did {s} happen?",
                "{S} took place where?",
                "Where did {s} occur?",
                "In what country or city was {s}?",
                "In which city or country did {s} take place?",
            ),
            (
                "where {s} took place",
                "where {s} was",
                "where {s} happened",
                "in which place {s} happened",
            ),
        ),
        Relation(
            "description",
            "happening",
            "{v}",
            ("{v}",),
            ("{v}",),
            ("the meaning of {s}", "a description of {s}", "the definition of {s}"),
            (
                "What was {s}?",
                "What happened in {s}?",
                "What happened during {s}?",
                "What is {s}?",
                "Describe {s}.",
                "Explain {s}.",
                "What kind of event was {s}?",
                "What was {s} about?",
            ),
            ("what {s} was", "what happened in {s}", "what {s} was about"),
        ),
    ),
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
