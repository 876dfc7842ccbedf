"""Terms: what something is called, and single facts that fit no other kind."""

from selfrag.training.mini.schemas.cells import Row, values
from selfrag.training.mini.schemas.relation import Entity, Kind, Relation

TERM = Kind(
    key="term",
    noun="term",
    naming="term",
    relations=(
        Relation(
            "answer",
            "thing",
            "{S} {is_called} {v}.",
            ("{S} {is_called} {v}.", "{v} is {s}.", "The name for {s} is {v}."),
            (),
            ("{s}", "{s}", "the name for {s}", "the term for {s}", "the word for {s}"),
            (
                "{S} is what?",
                "What do you call {s}?",
                "What is the name of {s}?",
                "What is {s} called?",
                "What {is_called} {s}?",
                "How do you call {s}?",
                "What is {s} known as?",
                "Which word means {s}?",
                "What do people call {s}?",
            ),
            ("what {s} is", "what {s} is called", "what you call {s}"),
        ),
        Relation("sentence", "sentence", "{v}", ("{v}",), asked=False),
    ),
    plans={"term": ("sentence",)},
)


def read_term(row: Row) -> Entity:
    """One row of the table as a term."""
    subject = row["subject"].removesuffix(" called")
    name = subject.removeprefix("the ")
    return Entity(
        TERM,
        name,
        "the" if name != subject else "",
        values(answer=row["answer"], sentence=row["sentence"]),
        {"is_called": "is called" if subject != row["subject"] else "is"},
    )
