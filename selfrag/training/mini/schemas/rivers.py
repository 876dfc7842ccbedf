"""Rivers: how long they are, where they end, through which countries they flow."""

from selfrag.training.mini.schemas.cells import Row, lands, measured, values
from selfrag.training.mini.schemas.relation import Entity, Kind, Relation

RIVER = Kind(
    key="river",
    noun="river",
    naming="river",
    relations=(
        Relation(
            "length",
            "kilometres",
            "{S} is {v} long.",
            (
                "{S} is about {v} long.",
                "{S} has a length of about {v}.",
                "The length of {s} is about {v}.",
                "{S} runs for about {v}.",
                "From source to mouth, {s} measures about {v}.",
            ),
            ("It is about {v} long.", "Its length is about {v}.", "The river runs for about {v}."),
            (
                "the length of {s}",
                "{s}'s length",
                "the total length of {s}",
                "the length in kilometres of {s}",
                "the length of {s} in km",
            ),
            (
                "How long is {s}?",
                "How many kilometres long is {s}?",
                "What length does {s} have?",
                "How far does {s} run?",
                "How many kilometers does {s} run?",
                "How long does {s} get?",
                "How long is {s} in kilometres?",
                "How long, in km, is {s}?",
                "{S} is how long?",
                "How many km is {s}?",
                "How many kilometres does {s} measure?",
            ),
            ("how long {s} is", "how many kilometres {s} runs", "how far {s} flows"),
        ),
        Relation(
            "mouth",
            "water",
            "{S} flows into {v}.",
            (
                "{S} flows into {v}.",
                "{S} empties into {v}.",
                "The mouth of {s} is at {v}.",
                "{S} ends in {v}.",
                "The waters of {s} reach {v}.",
            ),
            ("It flows into {v}.", "It ends in {v}.", "The river empties into {v}."),
            (
                "the mouth of {s}",
                "{s}'s mouth",
                "the sea that {s} flows into",
                "the body of water {s} flows into",
                "the place where {s} ends",
            ),
            (
                "Where does {s} end?",
                "Into what does {s} flow?",
                "Where does {s} flow into?",
                "Which sea does {s} flow into?",
                "What does {s} empty into?",
                "Where does {s} flow?",
                "Into which body of water does {s} flow?",
                "Where is the mouth of {s}?",
                "Which body of water does {s} empty into?",
                "What sea or lake does {s} run into?",
                "In what sea does {s} end?",
                "{S} flows into which sea?",
                "What does {s} flow into?",
                "Into which sea does {s} empty?",
                "What ocean does {s} reach?",
            ),
            (
                "where {s} ends",
                "what {s} flows into",
                "which sea {s} flows into",
                "into which body of water {s} empties",
                "where the mouth of {s} is",
            ),
        ),
        Relation(
            "countries",
            "countries",
            "{S} flows through {v}.",
            (
                "{S} flows through {v}.",
                "{S} is a river in {v}.",
                "{S} runs through {v}.",
                "The course of {s} lies in {v}.",
                "{S} crosses {v}.",
            ),
            ("It flows through {v}.", "It runs through {v}.", "Its course lies in {v}."),
            (
                "+the countries that {s} flows through",
                "+the countries on {s}",
                "the country that {s} flows through",
                "the course of {s}",
                "+the countries crossed by {s}",
            ),
            (
                "Which countries does {s} flow through?",
                "Through which countries does {s} flow?",
                "In which country is {s}?",
                "Which country does {s} flow through?",
                "Where is {s}?",
                "What countries does {s} cross?",
                "Where does {s} run?",
                "Where is {s} found?",
                "In which countries is {s}?",
                "What country is {s} in?",
                "Through what does {s} run?",
                "Which countries does {s} pass through?",
                "{S} is in which country?",
            ),
            (
                "which countries {s} flows through",
                "where {s} is",
                "which country {s} is in",
                "through which countries {s} runs",
            ),
        ),
    ),
    plans={"length": ("length",), "mouth": ("mouth",), "course": ("countries",)},
    described=("countries", "mouth", "length"),
)


def river_aliases(name: str) -> tuple[str, ...]:
    """What else a river is called."""
    bare = name.removesuffix(" River")
    return f"the river {bare}", f"the {bare} River", f"the {bare}"


def read_river(row: Row) -> Entity:
    """One row of the table as a river."""
    name = row["name"]
    return Entity(
        RIVER,
        name,
        "the",
        values(
            length=measured(row["length_km"], "kilometres"),
            mouth=row["mouth"],
            countries=lands(row["countries"]),
        ),
        aliases=river_aliases(name),
        heading=name if "River" in name or "Rio" in name else f"{name} River",
    )
