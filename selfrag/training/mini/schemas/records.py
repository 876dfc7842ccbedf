"""Records: the largest, the highest, the first of something."""

from selfrag.training.mini.schemas.cells import Row, values
from selfrag.training.mini.schemas.relation import Entity, Kind, Relation

RECORD = Kind(
    key="record",
    noun="record",
    naming="record",
    relations=(
        Relation(
            "answer",
            "thing",
            "{S} is {v}.",
            ("{S} is {v}.", "{v} is {s}.", "{S} is called {v}."),
            (),
            ("{s}", "{s}", "the name of {s}"),
            (
                "Which is {s}?",
                "What is {s} called?",
                "{S} is what?",
                "What is the name of {s}?",
                "Which one is {s}?",
                "What do you call {s}?",
                "What counts as {s}?",
                "Which is {s} called?",
                "What is considered {s}?",
            ),
            ("what {s} is", "which is {s}", "what {s} is called"),
        ),
        Relation("detail", "sentence", "{v}", ("{v}",), ("{v}",), asked=False),
    ),
    plans={"record": ("answer", "detail")},
)


def read_record(row: Row) -> Entity:
    """One row of the table as a record."""
    return Entity(
        RECORD,
        row["subject"],
        "the",
        values(answer=row["answer"], detail=row["detail"]),
    )
