"""People: profession, country, birth, death and what they are known for."""

from selfrag.training.mini.schemas.cells import Row, lands, values, year
from selfrag.training.mini.schemas.person_careers import COUNTRY_OF_ORIGIN, FIELD, KNOWN_FOR
from selfrag.training.mini.schemas.person_lives import BIRTH_YEAR, BIRTHPLACE, DEATH_YEAR
from selfrag.training.mini.schemas.relation import Entity, Kind

PERSON = Kind(
    key="person",
    noun="person",
    naming="person",
    relations=(FIELD, COUNTRY_OF_ORIGIN, BIRTH_YEAR, BIRTHPLACE, DEATH_YEAR, KNOWN_FOR),
    plans={
        "work": ("field", "known_for"),
        "birth": ("birth_year",),
        "birthplace": ("birthplace",),
        "death": ("death_year",),
        "country": ("country", "field"),
    },
    described=("field", "birth_year", "known_for", "country"),
)


def person_slots(pronoun: str, living: bool) -> dict[str, str]:
    """The pronouns of a person, and the tense in which to speak of them."""
    they, their = ("she", "her") if pronoun.lower() == "she" else ("he", "his")
    return {"they": they, "their": their, "is_was": "is" if living else "was"}


def family_aliases(name: str) -> tuple[str, ...]:
    """The family name, where it may stand for the person."""
    last = name.split()[-1]
    return (last,) if last != name and last.isalpha() and len(last) > 3 else ()


def read_person(row: Row) -> Entity:
    """One row of the table as a person."""
    name = row["name"]
    return Entity(
        PERSON,
        name,
        "",
        values(
            field=f"{row['nationality']} {row['field']}".strip(),
            country=lands(row["country"]),
            birth_year=year(row["birth_year"]),
            birthplace=row["birthplace"],
            death_year=year(row["death_year"]),
            known_for=row["known_for"],
        ),
        person_slots(row["pronoun"], living=not row["death_year"]),
        aliases=family_aliases(name),
    )
