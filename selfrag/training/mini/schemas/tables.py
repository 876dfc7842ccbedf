"""The fact tables as entities: reads the TSV files and turns rows into `Entity` values.

Tables that are absent are skipped, so that the package works with some of them only. A value that a
row leaves empty is absent from the entity.
"""

import csv
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

from selfrag.training.mini.schemas import culture, geography, science
from selfrag.training.mini.schemas.relation import (
    Entity,
    Kind,
    capitalised,
    joined,
    with_indefinite,
)

FACTS = Path(__file__).parent.parent / "facts"
KINDS: tuple[Kind, ...] = (*geography.KINDS, *science.KINDS, *culture.KINDS)
ORDINALS = (
    "zeroth",
    "first",
    "second",
    "third",
    "fourth",
    "fifth",
    "sixth",
    "seventh",
    "eighth",
    "ninth",
    "tenth",
)
WORK_WORDS = {
    "painting": ("painter", "painted", "painted"),
    "fresco": ("painter", "painted", "painted"),
    "sculpture": ("sculptor", "made", "made"),
    "film": ("director", "directed", "directed"),
    "woodblock print": ("artist", "made", "made"),
    "print": ("artist", "made", "made"),
}
MUSIC = (
    "symphony",
    "opera",
    "ballet",
    "concerto",
    "sonata",
    "suite",
    "song",
    "oratorio",
    "music",
    "requiem",
    "overture",
    "waltz",
    "rhapsody",
    "cantata",
    "musical",
    "quartet",
    "march",
    "piece",
    "mass",
    "tone poem",
    "cycle",
    "composition",
    "étude",
    "nocturne",
    "prelude",
    "operetta",
    "anthem",
    "bagatelle",
    "serenade",
    "quintet",
    "chorale",
    "motet",
    "album",
    "orchestr",
)

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


def work_slots(kind: str) -> dict[str, str]:
    """The words for the maker and the making of a work of this kind."""
    agent, did, made = WORK_WORDS.get(kind, ("author", "wrote", "written"))
    if kind not in WORK_WORDS:
        if any(word in kind.lower() for word in MUSIC):
            agent, did, made = "composer", "composed", "composed"
        elif "painting" in kind or "fresco" in kind or "portrait" in kind:
            agent, did, made = "painter", "painted", "painted"
        elif "sculpture" in kind or "statue" in kind:
            agent, did, made = "sculptor", "made", "made"
    return {"noun": kind, "a_noun": with_indefinite(kind), "agent": agent, "did": did, "made": made}


def invention_slots(kind: str) -> dict[str, str]:
    """The words for inventions or discoveries."""
    if kind.startswith("discover"):
        return {"noun": "discovery", "verb": "discovered", "agent": "discoverer"}
    return {"noun": "invention", "verb": "invented", "agent": "inventor"}


def person_slots(pronoun: str, living: bool) -> dict[str, str]:
    """The pronouns of a person, and the tense in which to speak of them."""
    they, their = ("she", "her") if pronoun.lower() == "she" else ("he", "his")
    return {"they": they, "their": their, "is_was": "is" if living else "was"}


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


def number(text: str) -> str:
    """A count with thousands separated; other text as it is."""
    return f"{int(text):,}" if text.isdigit() and len(text) > 4 - (len(text) == 4) else text


def year(text: str) -> str:
    """A year as written in a sentence; years before our era are negative in the tables."""
    return f"{text[1:]} BC" if text.startswith("-") else text


def _listed(text: str) -> str:
    return joined([item.strip() for item in text.split(";") if item.strip()])


def _lands(text: str) -> str:
    """A list of countries as said in a sentence, with their articles."""
    names = [name.strip() for name in text.split(";") if name.strip()]
    return joined([f"the {name}" if name in WITH_ARTICLE else name for name in names])


def _values(**values: str) -> dict[str, str]:
    return {key: text for key, text in values.items() if text}


def _unit(text: str, unit: str) -> str:
    return f"{number(text)} {unit}" if text else ""


def _country(row: Row) -> Entity:
    return Entity(
        geography.COUNTRY,
        row["name"],
        row["article"],
        _values(
            capital=row["capital"],
            currency=_listed(row["currency"]),
            languages=_listed(row["languages"]),
            continent=_listed(row["continent"]),
            largest_city=row["largest_city"],
            neighbours=_lands(row["neighbours"]),
            feature=row["feature"],
            demonym=row["demonym"],
        ),
        {"feature_noun": row["feature_kind"]},
    )


def _river(row: Row) -> Entity:
    name = row["name"]
    bare = name.removesuffix(" River")
    return Entity(
        geography.RIVER,
        name,
        "the",
        _values(
            length=_unit(row["length_km"], "kilometres"),
            mouth=row["mouth"],
            countries=_lands(row["countries"]),
        ),
        aliases=(f"the river {bare}", f"the {bare} River", f"the {bare}"),
        heading=name if "River" in name or "Rio" in name else f"{name} River",
    )


def _mountain(row: Row) -> Entity:
    name = row["name"]
    bare = name.removeprefix("Mount ")
    return Entity(
        geography.MOUNTAIN,
        name,
        "",
        _values(
            height=_unit(row["height_m"], "metres"),
            countries=_lands(row["countries"]),
            range=row["range"],
        ),
        aliases=(bare,) if bare != name else (),
    )


def _lake(row: Row) -> Entity:
    article = "" if row["name"].startswith(("Lake", "Loch")) else "the"
    if row["name"].split()[-1] not in ("Sea", "Reservoir", "Lake", "Lagoon"):
        article = ""
    return Entity(
        geography.LAKE,
        row["name"],
        article,
        _values(
            countries=_lands(row["countries"]),
            area=_unit(row["area_km2"], "square kilometres"),
            sort=f"{row['kind']} lake" if row["kind"] else "",
        ),
    )


def _city(row: Row) -> Entity:
    return Entity(
        geography.CITY,
        row["name"],
        "",
        _values(country=_lands(row["country"]), region=row["region"], known_for=row["known_for"]),
    )


def _element(row: Row) -> Entity:
    return Entity(
        science.ELEMENT,
        row["name"],
        "",
        _values(
            symbol=row["symbol"],
            number=row["number"],
            discoverer=_listed(row["discoverer"]),
            year=year(row["year"]),
            period_known=row["period_known"],
            use=row["use"],
            category=row["category"],
            named_after=row["named_after"],
        ),
    )


def _planet(row: Row) -> Entity:
    order = ORDINALS[int(row["order"])] if row["order"].isdigit() else row["order"]
    return Entity(
        science.PLANET,
        row["name"],
        "",
        _values(
            order=order,
            diameter=_unit(row["diameter_km"], "kilometres"),
            year_length=row["year_length"],
            moons=row["moons"],
            discoverer=_listed(row["discoverer"]),
            discovery_year=row["discovery_year"],
            note=row["note"],
        ),
        {"noun": row["kind"]},
    )


def _moon(row: Row) -> Entity:
    return Entity(
        science.MOON,
        row["name"],
        row["article"],
        _values(
            planet=row["planet"],
            diameter=_unit(row["diameter_km"], "kilometres"),
            discoverer=_listed(row["discoverer"]),
            year=year(row["year"]),
            note=row["note"],
        ),
        heading="Moon of Earth" if row["name"] == "Moon" else f"{row['name']} (moon)",
    )


def _invention(row: Row) -> Entity:
    return Entity(
        science.INVENTION,
        row["name"],
        row["article"],
        _values(who=_listed(row["who"]), year=year(row["year"]), description=row["description"]),
        invention_slots(row["kind"]),
    )


def _animal(row: Row) -> Entity:
    return Entity(
        science.ANIMAL,
        row["name"],
        "the",
        _values(
            **{"class": row["class"]},
            diet=row["diet"],
            young=row["young"],
            group=row["group"],
            habitat=row["habitat"],
        ),
        {"plural": plural(row["name"])},
    )


def _record(row: Row) -> Entity:
    return Entity(
        science.RECORD,
        row["subject"],
        "the",
        _values(answer=row["answer"], detail=row["detail"]),
    )


def _term(row: Row) -> Entity:
    subject = row["subject"].removesuffix(" called")
    name = subject.removeprefix("the ")
    return Entity(
        science.TERM,
        name,
        "the" if name != subject else "",
        _values(answer=row["answer"], sentence=row["sentence"]),
        {"is_called": "is called" if subject != row["subject"] else "is"},
    )


def _person(row: Row) -> Entity:
    name = row["name"]
    last = name.split()[-1]
    return Entity(
        culture.PERSON,
        name,
        "",
        _values(
            field=f"{row['nationality']} {row['field']}".strip(),
            country=_lands(row["country"]),
            birth_year=year(row["birth_year"]),
            birthplace=row["birthplace"],
            death_year=year(row["death_year"]),
            known_for=row["known_for"],
        ),
        person_slots(row["pronoun"], living=not row["death_year"]),
        aliases=(last,) if last != name and last.isalpha() and len(last) > 3 else (),
    )


def _work(row: Row) -> Entity:
    return Entity(
        culture.WORK,
        row["title"],
        "",
        _values(
            creator=_listed(row["creator"]),
            year=year(row["year"]),
            sort=row["kind"],
            note=row["note"],
        ),
        work_slots(row["kind"]),
    )


def _event(row: Row) -> Entity:
    return Entity(
        culture.EVENT,
        row["name"],
        row["article"],
        _values(
            year=year(row["year"]),
            end_year=year(row["end_year"]),
            place=row["place"],
            description=row["description"],
        ),
        {"took_place": "began" if row["end_year"] else "took place"},
    )


def _landmark(row: Row) -> Entity:
    return Entity(
        culture.LANDMARK,
        row["name"],
        row["article"],
        _values(
            city=row["city"],
            country=_lands(row["country"]),
            year=year(row["year"]),
            builder=_listed(row["builder"]),
        ),
        {"noun": row["kind"], "a_noun": with_indefinite(row["kind"])} if row["kind"] else {},
    )


READERS: Mapping[str, Callable[[Row], Entity]] = {
    "countries": _country,
    "rivers": _river,
    "mountains": _mountain,
    "lakes": _lake,
    "cities": _city,
    "superlatives_geo": _record,
    "superlatives_science": _record,
    "elements": _element,
    "planets": _planet,
    "moons": _moon,
    "inventions": _invention,
    "animals": _animal,
    "terms": _term,
    "sports_and_misc": _term,
    "people": _person,
    "works": _work,
    "events": _event,
    "landmarks": _landmark,
}


def read_rows(path: Path) -> Iterator[dict[str, str]]:
    """The rows of one table with their cells stripped. ValueError when a row has other columns."""
    with path.open(encoding="utf-8", newline="") as handle:
        for row in csv.DictReader(handle, delimiter="\t", quoting=csv.QUOTE_NONE):
            if None in row or None in row.values():
                raise ValueError(f"{path.name}: a row does not fit the header: {row}")
            yield {key: text.strip() for key, text in row.items()}


def read_entities(facts: Path = FACTS) -> list[Entity]:
    """All entities of all tables, in the order of tables and rows."""
    entities: list[Entity] = []
    for name, reader in READERS.items():
        path = facts / f"{name}.tsv"
        if path.exists():
            entities.extend(reader(row) for row in read_rows(path))
    return entities


__all__ = ["FACTS", "KINDS", "capitalised", "read_entities", "read_rows"]
