"""Questions of two and three steps: "What is the currency of the country whose capital is ...?"

A thing is described instead of named: by one of its values ("the river that flows into ..."), or as
the value of another thing ("the author of ..."), which may be described itself. Each description
costs one step, the last step is the relation that is asked for.
"""

import re
from collections.abc import Mapping
from dataclasses import replace
from random import Random

from selfrag.training.mini.asked import Asked, Step
from selfrag.training.mini.material import OVERLAPS, Material
from selfrag.training.mini.schemas.questions import (
    inverses_of,
    plain_question,
    slots_of,
    with_habits,
)
from selfrag.training.mini.schemas.relation import Entity, Relation, fill
from selfrag.training.mini.schemas.wordings import wordings
from selfrag.training.mini.sorts import KINDS_BY_KEY

BRIDGES: Mapping[str, tuple[tuple[str, str], ...]] = {
    "city": (
        ("country", "capital"),
        ("country", "largest_city"),
        ("landmark", "city"),
        ("person", "birthplace"),
        ("event", "place"),
        ("record", "answer"),
    ),
    "country": (
        ("city", "country"),
        ("mountain", "countries"),
        ("lake", "countries"),
        ("river", "countries"),
        ("landmark", "country"),
        ("person", "country"),
        ("record", "answer"),
    ),
    "person": (
        ("work", "creator"),
        ("invention", "who"),
        ("element", "discoverer"),
        ("moon", "discoverer"),
        ("landmark", "builder"),
    ),
    "planet": (("moon", "planet"), ("record", "answer")),
    "moon": (("record", "answer"),),
    "river": (("record", "answer"),),
    "lake": (("river", "mouth"), ("record", "answer")),
    "mountain": (("record", "answer"),),
    "animal": (("record", "answer"),),
    "element": (("record", "answer"),),
}
"""Kind of a thing -> kinds and relations of which such a thing may be the value."""

OFTEN_DESCRIBED: Mapping[str, float] = {
    "country": 4.0,
    "person": 5.0,
    "city": 2.0,
    **dict.fromkeys(("river", "planet", "moon", "lake", "mountain", "animal", "element"), 1.0),
}
"""How often people describe a thing of each kind instead of naming it, by our judgement."""
OFTEN_NAMED: Mapping[tuple[str, str], float] = {
    ("work", "creator"): 5.0,
    ("country", "capital"): 2.0,
}
"""The same for what it is a value of; 1 for all others."""
RECORD_WORDS: Mapping[str, tuple[str, ...]] = {
    "city": ("city", "capital", "town"),
    "country": ("country", "state"),
    "planet": ("planet",),
    "moon": ("moon",),
    "river": ("river",),
    "lake": ("lake",),
    "mountain": ("mountain", "peak", "volcano"),
    "animal": ("animal", "mammal", "bird", "fish", "reptile", "species", "rodent", "cat"),
    "element": ("element", "metal", "gas"),
}
"""Words of which a record has one when such a thing holds it: "the longest river in ..."."""
VAGUE = ("location", "place of", "place where", "course", "home of", "{plural}", "{name}")
"""A noun phrase with one of these does not say what sort of thing it means."""
NOT_TELLING = {"class", "diet", "category", "sort", "country", "continent", "field", "description"}
"""Relations whose value belongs to many things."""
SUBJECT_FIRST = {"does", "do", "did", "can", "could", "would", "will", "may", "might", "must"}
LINKING = {"is", "was", "are", "were"}
PARTICIPLES = {"known", "written", "made", "{made}", "{verb}", "built", "called", "part", "found"}
NOUNS = {
    "element": ("element", "chemical element"),
    "planet": ("planet",),
    "person": ("person", "man or woman"),
    "invention": ("invention",),
}


def chain(material: Material, hops: int) -> Asked:
    """A question that takes `hops` steps, two or three."""
    rng = material.rng
    for _ in range(200):
        entity = describable(material)
        found = described(material, entity, hops - 1)
        if found is None:
            continue
        phrase, steps = found
        known = {step.key for step in steps if step.entity is entity}
        relations = [r for r in material.asked(entity) if not _closed(r.key, known)]
        if not relations:
            continue
        relation = rng.choice(relations)
        text = _question(entity, relation, phrase, rng)
        if text is not None:
            last = Step.of(entity, relation.key)
            return Asked(f"chain{hops}", with_habits(text, rng), (*steps, last))
    raise AssertionError("no chain in 200 draws")


def describable(material: Material) -> Entity:
    """A thing that a question may describe, mostly of a kind that people describe."""
    rng = material.rng
    if rng.random() < 0.25:
        return material.entity()
    key = rng.choices(list(OFTEN_DESCRIBED), list(OFTEN_DESCRIBED.values()))[0]
    return material.inventor.entity(KINDS_BY_KEY[key], rng)


def described(material: Material, entity: Entity, steps: int) -> tuple[str, list[Step]] | None:
    """A phrase that means the thing without naming it, and the steps that find it; None where this
    kind of thing has no such phrase. Without steps it is the name."""
    rng = material.rng
    if steps == 0:
        return entity.spoken, []
    bridges = BRIDGES.get(entity.kind.key, ())
    if steps == 1 and (not bridges or rng.random() < 0.5):
        return _by_value(material, entity)
    if not bridges:
        return None
    kind, key = rng.choices(bridges, [OFTEN_NAMED.get(bridge, 1.0) for bridge in bridges])[0]
    other = _bridge(material, entity, kind, key)
    if other is None:
        return None
    relation = other.kind.relation(key)
    nouns = [noun for noun in _nouns(other, relation) if not any(word in noun for word in VAGUE)]
    inner = described(material, other, steps - 1)
    if not nouns or inner is None:
        return None
    phrase, found = inner
    noun = "{s}" if kind == "record" and rng.random() < 0.8 else rng.choice(nouns)
    if steps > 1 and "{s}'s" in noun:
        noun = next((one for one in nouns if "{s}'s" not in one), noun)
    text = fill(noun, other, entity.spoken, phrase)
    if entity.name.lower() in text.lower() or _doubled(text):
        return None
    return text, [*found, Step.of(other, key)]


def _bridge(material: Material, entity: Entity, kind: str, key: str) -> Entity | None:
    """Another thing of which this one is the value."""
    for _ in range(40):
        other = material.inventor.entity(KINDS_BY_KEY[kind], material.rng)
        if kind == "record":
            words = other.name.lower().split()
            if not any(word in words for word in RECORD_WORDS[entity.kind.key]):
                continue
            return replace(other, values={key: entity.spoken})
        if key in other.values:
            return replace(other, values={**other.values, key: entity.spoken})
    return None


def _nouns(entity: Entity, relation: Relation) -> list[str]:
    """Noun phrases for one value, without their markers."""
    nouns = relation.nouns + wordings(entity.kind.key, relation.key).nouns
    return [
        noun.lstrip("@") for noun in nouns if noun.lstrip("@").startswith(("the ", "{s}'s ", "{s}"))
    ]


def _by_value(material: Material, entity: Entity) -> tuple[str, list[Step]] | None:
    """The thing by one of its values: "the country whose capital is ..."."""
    rng = material.rng
    relations = [
        r
        for r in material.asked(entity)
        if r.key not in NOT_TELLING and " and " not in entity.values[r.key]
    ]
    rng.shuffle(relations)
    for relation in relations:
        phrases = _clauses(entity, relation)
        if not phrases:
            continue
        value = entity.values[relation.key]
        text = fill(rng.choice(phrases), entity, value)
        if entity.name.lower() not in text.lower() and not _doubled(text):
            return text, [Step.of(entity, relation.key)]
    return None


def _clauses(entity: Entity, relation: Relation) -> list[str]:
    """Templates of noun phrases with a relative clause that names the value."""
    kind = entity.kind
    found = []
    for noun in _nouns(entity, relation):
        if noun.startswith("the ") and noun.endswith(" of {s}"):
            bare = noun.removeprefix("the ").removesuffix(" of {s}")
            if "{" not in bare and len(bare.split()) < 4:
                found.append(f"the {{noun}} whose {bare} is {{v}}")
    found = found[:6]
    heads = ("{noun}", kind.noun, *NOUNS.get(kind.key, ()))
    for inverse in inverses_of(entity, relation):
        if slots_of(inverse) - {"v", "noun", "made", "verb", "did", "a_v", "s_v", "is_v"}:
            continue
        clause = _relative(inverse, heads)
        if clause:
            found.append(clause)
    return found


def _relative(inverse: str, heads: tuple[str, ...]) -> str | None:
    """The question "Which river flows into {v}?" as "the river that flows into {v}"; None where it
    does not ask for the subject."""
    bare = inverse.rstrip("?.")
    if bare.startswith("Who "):
        head, rest, pronoun = "person", bare.removeprefix("Who "), "who"
    else:
        start = next((word for word in ("Which ", "What ") if bare.startswith(word)), None)
        if start is None:
            return None
        bare = bare.removeprefix(start)
        named = next((one for one in heads if bare.startswith(one + " ")), None)
        if named is None:
            return None
        head, rest, pronoun = named, bare.removeprefix(named + " "), "that"
    words = rest.split()
    if len(words) < 2 or words[0] in SUBJECT_FIRST or words[0] in ("of", "and", "or"):
        return None
    if words[0] in LINKING and not (words[1] in PARTICIPLES or words[1].endswith("ed")):
        return None
    return f"the {head} {pronoun} {rest}"


def _question(entity: Entity, relation: Relation, phrase: str, rng: Random) -> str | None:
    """A question for the relation of what the phrase means; None where none fits."""
    for _ in range(8):
        text = plain_question(entity, relation, rng, phrase)
        if entity.name.lower() in text.lower() or _doubled(text):
            continue
        if phrase.lower() not in text.lower():
            continue
        if f"{phrase}'s" in text and len(phrase.split()) > 4:
            continue
        return text
    return None


def _doubled(text: str) -> bool:
    """Whether an article or a noun stands in front of a phrase that has its own."""
    lower = text.lower()
    if re.search(r"\b(\w+) the (?:\w+ )?\1\b", lower):
        return True
    return any(pair in lower for pair in ("the the ", "a the ", "an the ", "the a ", "the an "))


def _closed(key: str, known: set[str]) -> bool:
    """Whether the relation is known already, or means nearly the same as one that is."""
    return any(
        key == other or any(key in group and other in group for group in OVERLAPS)
        for other in known
    )
