"""Animals: class, diet, young, groups and habitat."""

from selfrag.training.mini.schemas.cells import Row, values
from selfrag.training.mini.schemas.relation import Entity, Kind, Relation

ANIMAL = Kind(
    key="animal",
    noun="animal",
    naming="animal",
    relations=(
        Relation(
            "class",
            "animal_class",
            "{S} is {a_v}.",
            (
                "{S} is {a_v}.",
                "{S} belongs to the {v}s.",
                "Zoologists class {s} as {a_v}.",
                "Among animals, {s} is {a_v}.",
            ),
            ("It is {a_v}.", "It is classed as {a_v}."),
            (
                "the class of {s}",
                "the animal class of {s}",
                "the type of animal that {s} is",
                "the animal group of {s}",
                "the class of animals that {s} belongs to",
            ),
            (
                "What kind of animal is {s}?",
                "What type of animal is {s}?",
                "Which class of animals does {s} belong to?",
                "To which class does {s} belong?",
                "What class of animal is {s}?",
                "How is {s} classed?",
                "What sort of animal is {s}?",
                "What is {s}?",
                "What animal class is {s}?",
            ),
            ("what kind of animal {s} is", "which class {s} belongs to", "what {s} is"),
        ),
        Relation(
            "diet",
            "diet",
            "{S} is {a_v}.",
            (
                "By diet, {s} is {a_v}.",
                "{S} is {a_v} by its diet.",
                "As an eater, {s} is {a_v}.",
                "In what it eats, {s} is {a_v}.",
            ),
            ("By diet, it is {a_v}.", "In what it eats, it is {a_v}."),
            ("the diet of {s}", "{s}'s diet", "the diet type of {s}", "the diet of {plural}"),
            (
                "What does {s} eat?",
                "What do {plural} eat?",
                "What kind of eater is {s}?",
                "What diet does {s} have?",
                "What kind of diet do {plural} have?",
                "Is {s} a carnivore or a herbivore?",
                "Are {plural} herbivores or carnivores?",
                "Is {s} a herbivore, a carnivore or an omnivore?",
                "Do {plural} eat meat or plants?",
                "What do {plural} feed on?",
                "Does {s} eat plants or meat?",
            ),
            (
                "what {s} eats",
                "what {plural} eat",
                "what kind of diet {s} has",
                "whether {s} eats meat or plants",
            ),
        ),
        Relation(
            "young",
            "animal_word",
            "A young {name} is called a {v}.",
            (
                "A young {name} is called a {v}.",
                "The young of {s} is called a {v}.",
                "A baby {name} is called a {v}.",
                "The word for a young {name} is {v}.",
            ),
            ("Its young is called a {v}.", "A young one is called a {v}."),
            (
                "the name for a young {name}",
                "the word for a baby {name}",
                "the name of the young of {s}",
                "the young of {s}",
                "the term for a young {name}",
            ),
            (
                "What is a young {name} called?",
                "What is a baby {name} called?",
                "What do you call a baby {name}?",
                "What do you call a young {name}?",
                "What are the young of {s} called?",
                "How do you call a young {name}?",
                "What are baby {plural} called?",
                "What are young {plural} called?",
            ),
            (
                "what a young {name} is called",
                "what you call a baby {name}",
                "what baby {plural} are called",
            ),
        ),
        Relation(
            "group",
            "animal_word",
            "A group of {plural} is called a {v}.",
            (
                "A group of {plural} is called a {v}.",
                "The word for a group of {plural} is {v}.",
                "Several {plural} together are called a {v}.",
                "{Plural} live together in a {v}.",
            ),
            ("A group of them is called a {v}.",),
            (
                "the name for a group of {plural}",
                "the word for a group of {plural}",
                "the collective noun for {plural}",
                "the name of a group of {plural}",
                "the term for several {plural}",
            ),
            (
                "What is a group of {plural} called?",
                "What do you call a group of {plural}?",
                "How do you call a group of {plural}?",
                "Many {plural} together are called what?",
                "What are many {plural} together called?",
                "What is the group of {s} called?",
            ),
            ("what a group of {plural} is called", "what you call a group of {plural}"),
        ),
        Relation(
            "habitat",
            "habitat",
            "{S} lives in {v}.",
            (
                "{S} lives in {v}.",
                "The habitat of {s} is {v}.",
                "{S} is found in {v}.",
                "The home of {s} is {v}.",
            ),
            ("It lives in {v}.", "Its habitat is {v}.", "It is found in {v}."),
            ("the habitat of {s}", "{s}'s habitat", "the home of {s}", "the place where {s} lives"),
            (
                "Where does {s} live?",
                "Where do {plural} live?",
                "Where is {s} found?",
                "Where can you find {s}?",
                "In what habitat does {s} live?",
                "Where do you find {plural}?",
                "Where are {plural} found?",
                "{Plural} live where?",
                "What is the home of {s}?",
            ),
            (
                "where {s} lives",
                "where {plural} live",
                "where {s} is found",
                "where to find {plural}",
            ),
        ),
    ),
    plans={
        "class": ("class",),
        "diet": ("diet",),
        "young": ("young",),
        "group": ("group",),
        "habitat": ("habitat",),
    },
    described=("class", "diet", "habitat"),
)


def plural(noun: str) -> str:
    """The regular plural of an animal's name, with the irregular ones that the tables hold."""
    head, _, last = noun.rpartition(" ")
    irregular = {
        "mouse": "mice",
        "goose": "geese",
        "wolf": "wolves",
        "ox": "oxen",
        "fish": "fish",
        "sheep": "sheep",
        "deer": "deer",
        "bison": "bison",
        "moose": "moose",
        "salmon": "salmon",
        "squid": "squid",
        "octopus": "octopuses",
        "calf": "calves",
        "trout": "trout",
        "tuna": "tuna",
        "reindeer": "reindeer",
        "swordfish": "swordfish",
    }
    if last in irregular:
        word = irregular[last]
    elif last.endswith(("s", "x", "ch", "sh", "z")):
        word = last + "es"
    elif last.endswith("y") and last[-2:-1] not in "aeiou":
        word = last[:-1] + "ies"
    else:
        word = last + "s"
    return f"{head} {word}".strip()


def read_animal(row: Row) -> Entity:
    """One row of the table as an animal."""
    return Entity(
        ANIMAL,
        row["name"],
        "the",
        values(
            **{"class": row["class"]},
            diet=row["diet"],
            young=row["young"],
            group=row["group"],
            habitat=row["habitat"],
        ),
        {"plural": plural(row["name"])},
    )
