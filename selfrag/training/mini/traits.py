"""What a name alone does not say of an invented thing: its article, other names, further words."""

from collections.abc import Callable, Mapping, Sequence
from random import Random

from selfrag.training.mini.lexicon import Lexicon
from selfrag.training.mini.schemas.animals import plural
from selfrag.training.mini.schemas.countries import feature_slots
from selfrag.training.mini.schemas.inventions import invention_slots
from selfrag.training.mini.schemas.people import family_aliases, person_slots
from selfrag.training.mini.schemas.relation import Entity, Kind, with_indefinite
from selfrag.training.mini.schemas.rivers import river_aliases
from selfrag.training.mini.schemas.works import work_slots
from selfrag.training.mini.vocabulary import FEATURES, LANDMARK_SORTS, WORK_SORTS


def unvalued(kind: Kind, name: str, lexicon: Lexicon, rng: Random) -> Entity:
    """A thing of this kind and name that has no values yet."""
    maker = MAKERS.get(kind.key)
    return maker(kind, name, lexicon, rng) if maker else Entity(kind, name)


def _country(kind: Kind, name: str, lexicon: Lexicon, rng: Random) -> Entity:
    article = "the" if rng.random() < 0.08 or name.endswith(("Islands", "Republic")) else ""
    return Entity(kind, name, article, slots=feature_slots(rng.choice(FEATURES)))


def _river(kind: Kind, name: str, lexicon: Lexicon, rng: Random) -> Entity:
    heading = name if "River" in name else f"{name} River"
    return Entity(kind, name, "the", aliases=river_aliases(name), heading=heading)


def _mountain(kind: Kind, name: str, lexicon: Lexicon, rng: Random) -> Entity:
    bare = name.removeprefix("Mount ")
    return Entity(kind, name, aliases=(bare,) if bare != name else ())


def _lake(kind: Kind, name: str, lexicon: Lexicon, rng: Random) -> Entity:
    return Entity(kind, name, "" if name.startswith("Lake") else "the")


def _moon(kind: Kind, name: str, lexicon: Lexicon, rng: Random) -> Entity:
    return Entity(kind, name, heading=f"{name} (moon)")


def _planet(kind: Kind, name: str, lexicon: Lexicon, rng: Random) -> Entity:
    noun = "dwarf planet" if rng.random() < 0.3 else "planet"
    return Entity(kind, name, slots={"noun": noun})


def _animal(kind: Kind, name: str, lexicon: Lexicon, rng: Random) -> Entity:
    return Entity(kind, name, "the", slots={"plural": plural(name)})


def _invention(kind: Kind, name: str, lexicon: Lexicon, rng: Random) -> Entity:
    slots = invention_slots(rng.choice(("invention", "discovery")))
    return Entity(kind, name, "the" if rng.random() < 0.6 else "", slots=slots)


def _record(kind: Kind, name: str, lexicon: Lexicon, rng: Random) -> Entity:
    return Entity(kind, name, "the")


def _term(kind: Kind, name: str, lexicon: Lexicon, rng: Random) -> Entity:
    return Entity(kind, name, "the", slots={"is_called": rng.choice(("is", "is called"))})


def _person(kind: Kind, name: str, lexicon: Lexicon, rng: Random) -> Entity:
    slots = person_slots(rng.choice(("he", "she")), living=rng.random() < 0.3)
    return Entity(kind, name, slots=slots, aliases=family_aliases(name))


def _work(kind: Kind, name: str, lexicon: Lexicon, rng: Random) -> Entity:
    true = lexicon.truths.get(name.lower(), set())
    sort = _sort([sort for sort in WORK_SORTS if sort not in true], "work", lexicon, rng)
    return Entity(kind, name, slots=work_slots("tapestry" if sort in true else sort))


def _landmark(kind: Kind, name: str, lexicon: Lexicon, rng: Random) -> Entity:
    sort = _sort(LANDMARK_SORTS, "landmark", lexicon, rng)
    article = "the" if rng.random() < 0.5 and not name.lower().startswith("the") else ""
    return Entity(kind, name, article, slots={"noun": sort, "a_noun": with_indefinite(sort)})


def _event(kind: Kind, name: str, lexicon: Lexicon, rng: Random) -> Entity:
    article = "the" if rng.random() < 0.75 else ""
    return Entity(kind, name, article, slots={"took_place": rng.choice(("took place", "began"))})


def _sort(choices: Sequence[str], kind: str, lexicon: Lexicon, rng: Random) -> str:
    """A sort of work or landmark: one of the tables, or one of the choices."""
    real = lexicon.slots.get(kind)
    return rng.choice(real) if real and rng.random() < 0.5 else rng.choice(choices)


MAKERS: Mapping[str, Callable[[Kind, str, Lexicon, Random], Entity]] = {
    "country": _country,
    "river": _river,
    "mountain": _mountain,
    "lake": _lake,
    "moon": _moon,
    "planet": _planet,
    "animal": _animal,
    "invention": _invention,
    "record": _record,
    "term": _term,
    "person": _person,
    "work": _work,
    "landmark": _landmark,
    "event": _event,
}
