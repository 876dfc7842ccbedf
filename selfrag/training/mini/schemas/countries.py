"""Countries: capital, money, languages and people here, the rest in `country_geography`."""

from selfrag.training.mini.schemas.cells import Row, lands, listed, values
from selfrag.training.mini.schemas.country_geography import (
    CONTINENT,
    FEATURE,
    LARGEST_CITY,
    NEIGHBOURS,
)
from selfrag.training.mini.schemas.relation import Entity, Kind, Relation, with_indefinite

CAPITAL = Relation(
    "capital",
    "city",
    "The capital of {s} is {v}.",
    (
        "The capital of {s} is {v}.",
        "{S} has its capital at {v}.",
        "{v} is the capital of {s}.",
        "The capital city of {s} is {v}.",
        "{S} is governed from its capital, {v}.",
    ),
    ("Its capital is {v}.", "The capital is {v}.", "The country's capital city is {v}."),
    (
        "the capital of {s}",
        "the capital city of {s}",
        "{s}'s capital",
        "the {s} capital",
        "{s}'s capital city",
        "the seat of government of {s}",
    ),
    (
        "Which city is the capital of {s}?",
        "What city is the capital of {s}?",
        "{S} has which city as its capital?",
        "{S}: what is its capital?",
        "Which city serves as the capital of {s}?",
        "{S}'s capital is which city?",
        "Where is the capital of {s}?",
        "Which town is {s}'s capital?",
        "From which city is {s} governed?",
        "What is {s}'s capital called?",
        "What do they call the capital of {s}?",
        "Where does the government of {s} sit?",
        "Which city is the seat of government of {s}?",
        "In {s}, which city is the capital?",
        "If I went to the capital of {s}, which city would I be in?",
    ),
    (
        "which city is the capital of {s}",
        "what the capital of {s} is called",
        "what city {s} has as its capital",
        "what {s}'s capital is",
        "which city {s} is governed from",
    ),
    (
        "Which country has {v} as its capital?",
        "Of which country is {v} the capital?",
        "{v} is the capital of which country?",
        "Which country's capital is {v}?",
        "What country has {v} as its capital city?",
        "What country is {v} the capital of?",
        "Which country has its capital at {v}?",
        "Which state is governed from {v}?",
        "What country's capital city is {v}?",
        "In which country is {v} the capital?",
    ),
)

CURRENCY = Relation(
    "currency",
    "currency",
    "The currency of {s} is the {v}.",
    (
        "The currency of {s} is the {v}.",
        "{S} uses the {v} as its currency.",
        "People in {s} pay with the {v}.",
        "The official currency of {s} is the {v}.",
        "In {s}, the currency is the {v}.",
    ),
    (
        "Its currency is the {v}.",
        "The currency is the {v}.",
        "The country uses the {v} as its currency.",
        "People there pay with the {v}.",
    ),
    (
        "the currency of {s}",
        "the official currency of {s}",
        "{s}'s currency",
        "the money of {s}",
        "the currency used in {s}",
        "the national currency of {s}",
        "the {s} currency",
        "the legal tender in {s}",
        "the monetary unit of {s}",
    ),
    (
        "Which currency is used in {s}?",
        "What currency does {s} use?",
        "What money do people use in {s}?",
        "What do people pay with in {s}?",
        "Which currency does {s} have?",
        "What currency do they use in {s}?",
        "In {s}, what money is used?",
        "Which money would I need in {s}?",
        "With what currency do you pay in {s}?",
        "What is the money in {s} called?",
        "What currency should I bring to {s}?",
        "How do people pay in {s}?",
        "What kind of money is used in {s}?",
        "Prices in {s} are in which currency?",
        "{S}: which currency?",
    ),
    (
        "which currency {s} uses",
        "what money people use in {s}",
        "what currency is used in {s}",
        "what people pay with in {s}",
        "which currency I need in {s}",
        "what the money in {s} is called",
    ),
    (
        "Which country uses the {v}?",
        "Which country has the {v} as its currency?",
        "In which country do people pay with the {v}?",
        "The {v} is the currency of which country?",
        "Where is the {v} the currency?",
        "Which country's currency is the {v}?",
    ),
    dated=True,
)

LANGUAGES = Relation(
    "languages",
    "languages",
    "The official language{s_v} of {s} {is_v} {v}.",
    (
        "The official language{s_v} of {s} {is_v} {v}.",
        "{S} has {v} as its official language{s_v}.",
        "In {s}, the official language{s_v} {is_v} {v}.",
        "Officially, people in {s} speak {v}.",
    ),
    (
        "Its official language{s_v} {is_v} {v}.",
        "The official language{s_v} {is_v} {v}.",
        "The country's official language{s_v} {is_v} {v}.",
    ),
    (
        "the official language of {s}",
        "+the official languages of {s}",
        "{s}'s official language",
        "+the languages of {s}",
        "the language of {s}",
        "the language spoken in {s}",
        "the main language of {s}",
        "the national language of {s}",
        "+the languages spoken in {s}",
    ),
    (
        "Which language is spoken in {s}?",
        "What language do people speak in {s}?",
        "Which languages are official in {s}?",
        "What languages are spoken in {s}?",
        "What do people speak in {s}?",
        "Which official languages does {s} have?",
        "What official language does {s} have?",
        "Which language is official in {s}?",
        "What language do they speak in {s}?",
        "In {s}, what language is spoken?",
        "What language should I learn before I go to {s}?",
        "{S}: what language?",
        "What is spoken in {s}?",
        "What tongue do the people of {s} speak?",
    ),
    (
        "which language is spoken in {s}",
        "what language people speak in {s}",
        "which languages are official in {s}",
        "what they speak in {s}",
    ),
)

DEMONYM = Relation(
    "demonym",
    "demonym",
    "The adjective for {s} is {v}.",
    (
        "People and things from {s} are called {v}.",
        "The adjective for {s} is {v}.",
        "What comes from {s} is called {v}.",
        "The word for people from {s} is {v}.",
    ),
    (
        "People and things from there are called {v}.",
        "The adjective is {v}.",
        "What comes from there is called {v}.",
    ),
    (
        "the demonym of {s}",
        "the demonym for {s}",
        "the word for a person from {s}",
        "the name for people from {s}",
        "the adjective for {s}",
        "the nationality of people from {s}",
    ),
    (
        "What are people from {s} called?",
        "What do you call a person from {s}?",
        "What is a person from {s} called?",
        "How are the people of {s} called?",
        "What do we call someone from {s}?",
        "What is someone from {s} called?",
        "What are the inhabitants of {s} called?",
        "How do you call somebody who comes from {s}?",
    ),
    (
        "what people from {s} are called",
        "what you call a person from {s}",
        "how people from {s} are called",
    ),
)

COUNTRY = Kind(
    key="country",
    noun="country",
    naming="country",
    pronouns=("the country", "its"),
    relations=(
        CAPITAL,
        CURRENCY,
        LANGUAGES,
        CONTINENT,
        LARGEST_CITY,
        NEIGHBOURS,
        FEATURE,
        DEMONYM,
    ),
    plans={
        "capital": ("capital",),
        "money": ("currency", "languages"),
        "location": ("continent", "neighbours"),
        "city": ("largest_city",),
        "nature": ("feature",),
        "people": ("demonym", "languages"),
    },
    described=("continent", "capital", "currency"),
)


def natural_feature(row: Row) -> str:
    """The feature as prose names it: "the Rhine", "the Sahara", "Mont Blanc"."""
    with_article = row["feature_kind"] in ("river", "desert")
    return f"the {row['feature']}" if with_article and row["feature"] else row["feature"]


def feature_slots(kind: str) -> dict[str, str]:
    """The words for a kind of natural feature."""
    return {"feature_noun": kind, "a_feature": with_indefinite(kind)}


def read_country(row: Row) -> Entity:
    """One row of the table as a country."""
    return Entity(
        COUNTRY,
        row["name"],
        row["article"],
        values(
            capital=row["capital"],
            currency=listed(row["currency"]),
            languages=listed(row["languages"]),
            continent=listed(row["continent"]),
            largest_city=row["largest_city"],
            neighbours=lands(row["neighbours"]),
            feature=natural_feature(row),
            demonym=row["demonym"],
        ),
        feature_slots(row["feature_kind"]),
    )
