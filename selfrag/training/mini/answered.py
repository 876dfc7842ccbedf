"""Examples of one passage that answers the question, wholly or in part."""

from selfrag.training.mini.example import FULLY, PARTIALLY, RELEVANT, RETRIEVAL, Example, Segment
from selfrag.training.mini.foreign import foreign_phrase, foreign_question
from selfrag.training.mini.material import OVERLAPS, Material
from selfrag.training.mini.schemas.questions import noun_question, question, with_habits
from selfrag.training.mini.schemas.relation import (
    Entity,
    Relation,
    answer_sentence,
    embedded,
    fill,
    passage_text,
)
from selfrag.training.mini.schemas.wrappers import NOUN_WRAPPERS


def answered(material: Material) -> Example:
    """A question for a value that the passage states."""
    rng = material.rng
    entity = material.entity()
    relation = rng.choice(material.asked(entity))
    text = question(entity, relation, rng)
    return Example("answered", text, (material.known(entity, relation.key),), 5)


def inverse(material: Material) -> Example:
    """A question that names the value and asks for the thing."""
    rng = material.rng
    entity, relation = material.invertible()
    text = question(entity, relation, rng, inverse=True)
    return Example("inverse", text, (material.known(entity, relation.key),), 5)


def foreign(material: Material) -> Example:
    """A relation that no table has, stated and asked for in its own words."""
    rng = material.rng
    entity = material.entity()
    phrase = foreign_phrase(material)
    sort = rng.choice(("city", "year", "thing", "persons", "small_number", "metres"))
    value = material.inventor.values.draw(sort, rng)
    sentence = fill(f"The {phrase} of {{s}} is {{v}}.", entity, value)
    stated = rng.choice(
        (
            sentence,
            fill(f"{{S}} has {{v}} as its {phrase}.", entity, value),
            sentence,
        )
    )
    keys = [r.key for r in material.asked(entity)]
    if rng.random() < 0.3:
        more = passage_text(entity, [rng.choice(keys)], rng)
        stated = f"{stated} {more}" if rng.random() < 0.5 else f"{more} {stated}"
    text = foreign_question(material, entity, phrase)
    segment = Segment(RETRIEVAL, sentence, (entity.title, stated), RELEVANT, FULLY)
    return Example("answered", text, (segment,), 5)


def two_asked(material: Material) -> Example:
    """Two relations of one thing asked in one phrase; the passage states one or both."""
    rng = material.rng
    pair = _pair(material)
    if pair is None:
        return two_asked(material)
    entity, first, second, nouns = pair
    wrapper = rng.choice(NOUN_WRAPPERS).replace("{is}", "are").replace("{was}", "were")
    shape = rng.choice(("{} and {} of {{s}}", "{} and {} of {{s}}", "{{s}}'s {} and {}"))
    if shape.startswith("{{s}}"):
        nouns = [noun.removeprefix("the ") for noun in nouns]
    text = noun_question(wrapper, "+" + shape.format(*nouns), entity, "", entity.spoken)
    text = with_habits(text, rng)
    if rng.random() < 0.5:
        keys = [first.key, second.key]
        rng.shuffle(keys)
        one, two = (answer_sentence(entity, key) for key in (first.key, second.key))
        sentence = f"{one[:-1]}, and {embedded(two, entity)}"
        passage = material.passage(entity, keys)
        segment = Segment(RETRIEVAL, sentence, passage, RELEVANT, FULLY)
        return Example("answered", text, (segment,), 5)
    stated, missing = rng.sample((first, second), 2)
    keys = [stated.key, *material.other_keys(entity, missing.key)]
    keys = [key for key in dict.fromkeys(keys) if key != missing.key][:2]
    segment = Segment(
        RETRIEVAL,
        answer_sentence(entity, stated.key),
        material.passage(entity, keys),
        RELEVANT,
        PARTIALLY,
    )
    return Example("partial", text, (segment,), 4)


def _pair(material: Material) -> tuple[Entity, Relation, Relation, list[str]] | None:
    """A thing, two of its relations and their nouns; None where it has no two that fit."""
    rng = material.rng
    entity = material.entity()
    asked = [
        (r, noun)
        for r in material.asked(entity)
        for noun in r.nouns
        if noun.lstrip("+@").startswith("the ")
        and noun.endswith(" of {s}")
        and "{" not in noun[: -len("{s}")]
    ]
    if not asked:
        return None
    one, first = rng.choice(asked)
    others = [
        (r, noun)
        for r, noun in asked
        if r.key != one.key and not any({r.key, one.key} <= group for group in OVERLAPS)
    ]
    if not others:
        return None
    two, second = rng.choice(others)
    nouns = [noun.lstrip("+@").removesuffix(" of {s}") for noun in (first, second)]
    return entity, one, two, nouns
