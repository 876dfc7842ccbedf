"""The cells of the fact tables as words of a sentence: lists, countries, years, counts."""

from collections.abc import Mapping

from selfrag.training.mini.schemas.relation import joined

WITH_ARTICLE = frozenset(
    (
        "United States",
        "United Kingdom",
        "United Arab Emirates",
        "Netherlands",
        "Philippines",
        "Maldives",
        "Bahamas",
        "Comoros",
        "Gambia",
        "Seychelles",
        "Solomon Islands",
        "Marshall Islands",
        "Central African Republic",
        "Dominican Republic",
        "Czech Republic",
        "Republic of the Congo",
        "Democratic Republic of the Congo",
    )
)

Row = Mapping[str, str]


def number(text: str) -> str:
    """A count with thousands separated; other text as it is."""
    return f"{int(text):,}" if text.isdigit() and len(text) > 4 - (len(text) == 4) else text


def year(text: str) -> str:
    """A year as written in a sentence; years before our era are negative in the tables."""
    return f"{text[1:]} BC" if text.startswith("-") else text


def listed(text: str) -> str:
    """A list of the tables as said in a sentence."""
    return joined([item.strip() for item in text.split(";") if item.strip()])


def lands(text: str) -> str:
    """A list of countries as said in a sentence, with their articles."""
    names = [name.strip() for name in text.split(";") if name.strip()]
    return joined([f"the {name}" if name in WITH_ARTICLE else name for name in names])


def values(**cells: str) -> dict[str, str]:
    """The values that a row holds; empty cells are left out."""
    return {key: text for key, text in cells.items() if text}


def measured(text: str, unit: str) -> str:
    """A count with its unit; nothing for an empty cell."""
    return f"{number(text)} {unit}" if text else ""
