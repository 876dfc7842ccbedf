"""The fact tables as entities: reads the TSV files and turns rows into `Entity` values.

Tables that are absent are skipped, so that the package works with some of them only. A value that a
row leaves empty is absent from the entity.
"""

import csv
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

from selfrag.training.mini.schemas.animals import ANIMAL, read_animal
from selfrag.training.mini.schemas.cells import Row
from selfrag.training.mini.schemas.cities import CITY, read_city
from selfrag.training.mini.schemas.countries import COUNTRY, read_country
from selfrag.training.mini.schemas.elements import ELEMENT, read_element
from selfrag.training.mini.schemas.events import EVENT, read_event
from selfrag.training.mini.schemas.inventions import INVENTION, read_invention
from selfrag.training.mini.schemas.lakes import LAKE, read_lake
from selfrag.training.mini.schemas.landmarks import LANDMARK, read_landmark
from selfrag.training.mini.schemas.moons import MOON, read_moon
from selfrag.training.mini.schemas.mountains import MOUNTAIN, read_mountain
from selfrag.training.mini.schemas.people import PERSON, read_person
from selfrag.training.mini.schemas.planets import PLANET, read_planet
from selfrag.training.mini.schemas.records import RECORD, read_record
from selfrag.training.mini.schemas.relation import Entity, Kind
from selfrag.training.mini.schemas.rivers import RIVER, read_river
from selfrag.training.mini.schemas.terms import TERM, read_term
from selfrag.training.mini.schemas.works import WORK, read_work

FACTS = Path(__file__).parent.parent / "facts"
KINDS: tuple[Kind, ...] = (
    COUNTRY,
    RIVER,
    MOUNTAIN,
    LAKE,
    CITY,
    ELEMENT,
    PLANET,
    MOON,
    INVENTION,
    ANIMAL,
    RECORD,
    TERM,
    PERSON,
    WORK,
    EVENT,
    LANDMARK,
)

READERS: Mapping[str, Callable[[Row], Entity]] = {
    "countries": read_country,
    "rivers": read_river,
    "mountains": read_mountain,
    "lakes": read_lake,
    "cities": read_city,
    "superlatives_geo": read_record,
    "superlatives_science": read_record,
    "elements": read_element,
    "planets": read_planet,
    "moons": read_moon,
    "inventions": read_invention,
    "animals": read_animal,
    "terms": read_term,
    "sports_and_misc": read_term,
    "people": read_person,
    "works": read_work,
    "events": read_event,
    "landmarks": read_landmark,
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
