"""Inventions and discoveries: who made them, when, and what they are."""

from selfrag.training.mini.schemas.cells import Row, listed, values, year
from selfrag.training.mini.schemas.invention_origins import WHO, YEAR
from selfrag.training.mini.schemas.relation import Entity, Kind, Relation

DESCRIPTION = Relation(
    "description",
    "definition",
    "{S} is {v}.",
    (
        "{S} is {v}.",
        "{S} can be described as {v}.",
        "By {s} people mean {v}.",
    ),
    (
        "It is {v}.",
        "It can be described as {v}.",
    ),
    (
        "the purpose of {s}",
        "the meaning of {s}",
        "the definition of {s}",
        "a description of {s}",
        "the nature of {s}",
        "the point of {s}",
        "the idea behind {s}",
        "the use of {s}",
        "the function of {s}",
        "the principle of {s}",
        "the sense of the words {name}",
        "an explanation of {s}",
        "a definition of {s}",
        "a short description of {s}",
        "the explanation of {s}",
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
        "What exactly is {s}?",
        "What is {s} in simple words?",
        "What is {s}, in short?",
        "What is the idea of {s}?",
        "What is the purpose of {s}?",
        "What is the use of {s}?",
        "What is the function of {s}?",
        "What is the meaning of {name}?",
        "What is so useful about {s}?",
        "What is understood by {s}?",
        "What is behind the words {name}?",
        "What do people mean by {s}?",
        "What do people use {s} for?",
        "What do you understand by {s}?",
        "What do scientists and engineers mean by {s}?",
        "What do we need {s} for?",
        "What would a dictionary say about {s}?",
        "What should I imagine when I hear of {s}?",
        "What sort of {noun} is {s}?",
        "What type of thing is {s}?",
        "What makes {s} useful?",
        "What can {s} be described as?",
        "What can one say that {s} is?",
        "What are people talking about when they mention {s}?",
        "How can {s} be described?",
        "How do you define {s}?",
        "How is {s} defined?",
        "How would you describe {s}?",
        "How would you explain {s} to a child?",
        "In a few words, what is {s}?",
        "In plain English, what is {s}?",
        "In science and technology, what is {s}?",
        "As what can {s} be described?",
        "For what purpose do people use {s}?",
        "I have never heard of {s}; what is it?",
        "I read the words {name}. What do they mean?",
        "My teacher mentioned {s}; what is that?",
        "My book mentions {s} without explaining it. What is it?",
        "Could somebody describe {s} to me?",
        "Can you explain {s} to me?",
        "{S} is what?",
        "{S} is what kind of thing?",
        "{S} serves what purpose?",
        "{S}: what is that?",
        "{S}: what is it for?",
        "Say what {s} is.",
        "Give me a definition of {s}.",
        "Give a short explanation of {s}.",
        "Tell me what {s} is about.",
        "Do you know what {s} does or what it is for?",
    ),
    (
        "what {s} is",
        "what {s} does",
        "what {s} is for",
        "what is meant by {s}",
        "what exactly {s} is",
        "what sort of thing {s} is",
        "what {s} is used for",
        "what people mean by {s}",
        "what is understood by {s}",
        "what kind of {noun} {s} is",
        "how {s} is defined",
        "how {s} can be described",
    ),
)

INVENTION = Kind(
    key="invention",
    noun="invention",
    naming="thing",
    relations=(WHO, YEAR, DESCRIPTION),
    plans={"origin": ("who", "year"), "description": ("description",)},
    described=("description", "who", "year"),
)


def invention_slots(kind: str) -> dict[str, str]:
    """The words for inventions or discoveries."""
    if kind.startswith("discover"):
        return {
            "noun": "discovery",
            "verb": "discovered",
            "agent": "discoverer",
            "invent": "discover",
            "inventing": "discovering",
            "found": "found",
        }
    return {
        "noun": "invention",
        "verb": "invented",
        "agent": "inventor",
        "invent": "invent",
        "inventing": "inventing",
        "found": "devised",
    }


def read_invention(row: Row) -> Entity:
    """One row of the table as an invention."""
    return Entity(
        INVENTION,
        row["name"],
        row["article"],
        values(who=listed(row["who"]), year=year(row["year"]), description=row["description"]),
        invention_slots(row["kind"]),
    )
