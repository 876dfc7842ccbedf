"""Examples of one passage that does not answer the question, or not as the sentence says."""

from collections.abc import Sequence
from dataclasses import replace

from selfrag.training.mini.example import (
    NO_SUPPORT,
    PARTIALLY,
    RELEVANT,
    RETRIEVAL,
    Example,
    Segment,
    helpless,
)
from selfrag.training.mini.foreign import foreign_phrase, foreign_question
from selfrag.training.mini.material import Material, same_person
from selfrag.training.mini.names import mutated
from selfrag.training.mini.schemas.questions import question
from selfrag.training.mini.schemas.relation import (
    Entity,
    answer_sentence,
    capitalised,
    embedded,
    joined,
)


def foreign_unstated(material: Material) -> Example:
    """A relation that no table has; the passage states something else about the thing."""
    rng = material.rng
    entity = material.entity()
    text = foreign_question(material, entity, foreign_phrase(material))
    relation = rng.choice(material.asked(entity))
    passage = material.passage(entity, material.company(entity, relation.key))
    return Example("unstated", text, (helpless(passage),), 1)


def unstated(material: Material) -> Example:
    """The passage states other relations of the thing."""
    rng = material.rng
    entity = material.entity()
    relation = rng.choice(material.asked(entity))
    keys = material.other_keys(entity, relation.key)
    if not keys:
        return unstated(material)
    text = question(entity, relation, rng)
    segment = helpless(material.passage(entity, keys))
    return Example("unstated", text, (segment,), 1)


def inverse_wrong(material: Material) -> Example:
    """A question that names a value; the passage does not state it."""
    rng = material.rng
    entity, relation = material.invertible()
    text = question(entity, relation, rng, inverse=True)
    other = material.inventor.entity(entity.kind, rng)
    if rng.random() < 0.3:
        keys = material.other_keys(entity, relation.key)
        other = entity if keys else other
    else:
        keys = material.company(other, relation.key) if relation.key in other.values else ()
    if not keys or (
        other.values.get(relation.key) == entity.values[relation.key] != ""
        and (other is not entity)
    ):
        return inverse_wrong(material)
    segment = helpless(material.passage(other, keys))
    return Example("irrelevant", text, (segment,), 1)


def other_thing(material: Material) -> Example:
    """The passage is about another thing of the same kind, mostly with a similar name."""
    rng = material.rng
    entity = material.entity()
    other = material.stranger(entity)
    relation = rng.choice(material.asked(entity))
    if rng.random() < 0.75 and relation.key in other.values:
        keys = material.company(other, relation.key)
    else:
        keys = (rng.choice(material.asked(other)).key,)
    if other.name.lower() == entity.name.lower() or same_person(entity, other.name):
        return other_thing(material)
    if rng.random() < 0.12:
        other = mentioning(other, entity, keys)
    text = question(entity, relation, rng)
    segment = helpless(material.passage(other, keys))
    return Example("irrelevant", text, (segment,), 1)


def unrelated(material: Material) -> Example:
    """Another kind of thing: with a similar name, the same name, or none of it."""
    rng = material.rng
    entity, other = material.entity(), material.entity()
    if entity.kind is other.kind or entity.kind.key in ("record", "term"):
        return unrelated(material)
    chance, named = rng.random(), False
    if other.kind.key not in ("record", "term") and chance < 0.7:
        named = chance < 0.2
        name = entity.name if named else mutated(entity.name, rng, material.inventor.lexicon.model)
        if not named and name.lower() == entity.name.lower():
            return unrelated(material)
        if other.kind.key in ("country", "person", "work", "city") or rng.random() < 0.5:
            name = " ".join(capitalised(word) for word in name.split())
        other = material.inventor.entity(other.kind, rng, name)
    text = question(entity, rng.choice(material.asked(entity)), rng)
    passage = material.passage(other, (rng.choice(material.asked(other)).key,))
    segment = helpless(passage)
    return Example("unstated" if named else "irrelevant", text, (segment,), 1)


def mentioning(other: Entity, entity: Entity, keys: Sequence[str]) -> Entity:
    """The other thing, with the first thing's name as one of its values."""
    key = keys[0]
    sort = other.kind.relation(key).value
    if sort not in ("names", "countries", "country", "city", "thing", "place"):
        return other
    value = entity.spoken
    if sort in ("names", "countries") and " and " not in other.values[key]:
        value = joined([value, other.values[key]])
    return replace(other, values={**other.values, key: value})


def wrong_sentence(material: Material) -> Example:
    """A sentence that the passage contradicts or supports in part: to judge, not to write."""
    rng = material.rng
    entity = material.entity()
    relation = rng.choice(material.asked(entity))
    true = entity.values[relation.key]
    false = material.inventor.entity(entity.kind, rng).values.get(relation.key, true)
    if rng.random() < 0.4:
        false = mutated(true, rng, material.inventor.lexicon.model)
    if false.lower() == true.lower():
        return wrong_sentence(material)
    text = question(entity, relation, rng)
    passage = material.passage(entity, material.company(entity, relation.key))
    wrong = Entity(entity.kind, entity.name, entity.article, {relation.key: false}, entity.slots)
    sentence = answer_sentence(wrong, relation.key)
    if rng.random() < 0.3:
        keys = [r.key for r in material.asked(entity) if r.key != relation.key]
        if keys and (keys := [k for k in keys if entity.values[k] not in passage[1]]):
            more = embedded(answer_sentence(entity, rng.choice(keys)), entity)
            sentence = f"{answer_sentence(entity, relation.key)[:-1]}, and {more}"
            segment = Segment(RETRIEVAL, sentence, passage, RELEVANT, PARTIALLY, learnt=False)
            return Example("partial", text, (segment,), 3)
    segment = Segment(RETRIEVAL, sentence, passage, RELEVANT, NO_SUPPORT, learnt=False)
    return Example("contradicted", text, (segment,), 2)
