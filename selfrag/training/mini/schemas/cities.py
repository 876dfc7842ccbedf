"""Cities: where they lie and what they are known for."""

from selfrag.training.mini.schemas.cells import Row, lands, values
from selfrag.training.mini.schemas.relation import Entity, Kind, Relation

CITY = Kind(
    key="city",
    noun="city",
    naming="city",
    relations=(
        Relation(
            "country",
            "country",
            "{S} is in {v}.",
            (
                "{S} is a city in {v}.",
                "{S} lies in {v}.",
                "{S} is located in {v}.",
                "The city of {s} is in {v}.",
                "{S} is one of the cities of {v}.",
            ),
            ("It lies in {v}.", "The city is in {v}.", "It is located in {v}."),
            (
                "the country of {s}",
                "the country that {s} is in",
                "the country where {s} is",
                "{s}'s country",
                "the country in which {s} lies",
            ),
            (
                "In which country is {s}?",
                "Which country is {s} in?",
                "What country is {s} in?",
                "Where is {s}?",
                "Where is {s} located?",
                "In what country is the city of {s}?",
                "{S} is a city in which country?",
                "To which country does {s} belong?",
                "Which country does the city {s} belong to?",
                "In which country does {s} lie?",
                "Which country do I have to visit to see {s}?",
                "The city {s} is in which country?",
                "In which country would I find the city of {s}?",
                "{S} belongs to which country?",
            ),
            (
                "in which country {s} is",
                "which country {s} is in",
                "where {s} is",
                "which country {s} belongs to",
                "where {s} is located",
            ),
        ),
        Relation(
            "region",
            "region",
            "{S} is in the region of {v}.",
            (
                "{S} is in the region of {v}.",
                "{S} belongs to the region of {v}.",
                "The region of {s} is {v}.",
            ),
            ("It is in the region of {v}.", "The city belongs to the region of {v}."),
            (
                "the region of {s}",
                "{s}'s region",
                "the region that {s} is in",
                "the state or province of {s}",
                "the province of {s}",
            ),
            (
                "In which region is {s}?",
                "Which region is {s} in?",
                "What region does {s} belong to?",
                "In which part of the country is {s}?",
                "Which state or province is {s} in?",
            ),
            ("in which region {s} is", "which region {s} belongs to"),
        ),
        Relation(
            "known_for",
            "fame",
            "{S} is known for {v}.",
            (
                "{S} is known for {v}.",
                "{S} is famous for {v}.",
                "People know {s} for {v}.",
                "The city of {s} is well known for {v}.",
            ),
            ("It is known for {v}.", "The city is famous for {v}.", "It is best known for {v}."),
            (
                "the thing {s} is known for",
                "the reason why {s} is famous",
                "{s}'s claim to fame",
                "the fame of {s}",
            ),
            (
                "What is {s} known for?",
                "What is {s} famous for?",
                "Why is {s} famous?",
                "For what is {s} known?",
                "Why is {s} well known?",
                "What makes {s} famous?",
                "What made {s} known?",
                "What do people know {s} for?",
                "Why do people know {s}?",
                "For what is the city of {s} famous?",
                "{S} is known for what?",
            ),
            ("what {s} is known for", "what {s} is famous for", "why {s} is famous"),
        ),
    ),
    plans={"location": ("country", "region"), "fame": ("known_for",)},
    described=("country", "region", "known_for"),
)


def read_city(row: Row) -> Entity:
    """One row of the table as a city."""
    return Entity(
        CITY,
        row["name"],
        "",
        values(country=lands(row["country"]), region=row["region"], known_for=row["known_for"]),
    )
