"""Claims to be checked: "True or false: the capital of ... is ...".

The answer says first what is the case, then whether the statement is true: so the verdict compares
two sentences that stand there, and the passage supports what is written.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import replace
from random import Random

from selfrag.training.mini.asked import Asked, Step
from selfrag.training.mini.chains import describable, described
from selfrag.training.mini.material import Material
from selfrag.training.mini.names import mutated
from selfrag.training.mini.schemas.relation import (
    Entity,
    Relation,
    answer_sentence,
    capitalised,
    embedded,
    fill,
)

PUBLISHED = (
    "Is the following statement correct or not? Say true if it's correct; otherwise say false."
)
"""The instruction of the published model (reference: `TASK_INST["fever"]`)."""

SHAPES: tuple[tuple[float, str], ...] = (
    (5, "{claim}"),
    (5, PUBLISHED + "## Input:\n\n{claim}"),
    (4, PUBLISHED + "\n\n## Input:\n\n{claim}"),
    (6, "True or false: {claim}"),
    (3, "True or false? {claim}"),
    (3, "{claim} True or false?"),
    (4, "Is it true that {clause}?"),
    (4, "Is it correct that {clause}?"),
    (2, "Is this true: {claim}"),
    (2, "Is this correct? {claim}"),
    (2, "Is this statement true or false? {claim}"),
    (2, "Is the following claim true? {claim}"),
    (2, "Is the following statement true or false: {claim}"),
    (2, "Fact check: {claim}"),
    (2, "Check this claim: {claim}"),
    (2, "Please check whether {clause}."),
    (2, "Verify this statement: {claim}"),
    (1, "Somebody told me that {clause}. Is that true?"),
    (1, "I read that {clause}. Is that right?"),
    (1, "Can you confirm that {clause}?"),
    (1, "Statement: {claim} Correct or not?"),
    (1, 'Someone claims: "{claim}" Is that true or false?'),
    (1, "Say true or false. {claim}"),
    (1, "Answer with true or false: {claim}"),
    (1, "Does it hold that {clause}?"),
    (1, "Right or wrong: {claim}"),
    (1, "Is it a fact that {clause}?"),
    (1, "Am I right that {clause}?"),
    (1, "{claim} Is this right?"),
    (1, "{claim} Is that correct?"),
    (1, "{claim} Yes or no?"),
    (1, "Would it be true to say that {clause}?"),
    (1, "Evaluate the claim. {claim}"),
    (1, "Claim: {claim}"),
    (1, "Can it be true that {clause}?"),
    (1, "Correct me if I am wrong, but {clause}."),
    (2, "{bare} - true or false?"),
    (2, "I believe {clause}. Am I right? Answer true or false."),
    (2, "I think that {clause}. True or false?"),
    (2, '"{claim}" Correct? Reply true or false.'),
    (2, "Could you tell me if it's true that {clause}?"),
    (2, "Can you tell me whether it is true that {clause}?"),
    (2, "Tell me true or false: {claim}"),
    (1, "Check this for me please, true or false: {claim}"),
    (1, "{bare}, true or false?"),
    (1, "Do you agree that {clause}? Say true or false."),
    (1, "My friend says {clause}. Is my friend right?"),
    (1, "A quiz says: {claim} True or false?"),
    (1, "Please judge this statement as true or false: {claim}"),
    (1, "Reply with true or false only. {claim}"),
    (1, "Supposedly {clause}. Is that so?"),
    (1, "Is the claim right that {clause}?"),
)
COMPARED: Mapping[tuple[str, str], tuple[str, str]] = {
    ("river", "length"): ("{s} is longer than {v}.", "{s} is shorter than {v}."),
    ("mountain", "height"): ("{s} is higher than {v}.", "{s} is lower than {v}."),
    ("lake", "area"): ("{s} covers more than {v}.", "{s} covers less than {v}."),
    ("planet", "diameter"): ("{s} is more than {v} wide.", "{s} is less than {v} wide."),
    ("moon", "diameter"): ("{s} is more than {v} across.", "{s} is less than {v} across."),
    ("person", "birth_year"): ("{s} was born after {v}.", "{s} was born before {v}."),
    ("person", "death_year"): ("{s} died after {v}.", "{s} died before {v}."),
    ("work", "year"): ("{s} is from after {v}.", "{s} is from before {v}."),
    ("event", "year"): ("{s} took place after {v}.", "{s} took place before {v}."),
    ("landmark", "year"): ("{s} was built after {v}.", "{s} was built before {v}."),
}
"""Claims that a value is above, and below, another."""
AMOUNT = re.compile(r"(\d{1,3}(?:,\d{3})+|\d+)((?: [a-z]+)*)")
NUMBERS = (
    *("no", "one", "two", "three", "four", "five", "six"),
    *("seven", "eight", "nine", "ten", "eleven", "twelve", "thirteen"),
    *("fourteen", "fifteen", "sixteen", "seventeen", "eighteen", "nineteen", "twenty"),
)
"""Small numbers in words, by their value."""


def claim(material: Material) -> Asked:
    """A claim about a relation of a thing, true or false with equal chance; the thing may be
    described instead of named, which takes a step of its own."""
    rng = material.rng
    chance = rng.random()
    if chance < 0.1:
        made = compared(material)
    elif chance < 0.3:
        made = stated(material, describable(material), steps=1)
    else:
        made = stated(material, material.entity(), steps=0)
    return claim(material) if made is None else made


def stated(material: Material, entity: Entity, steps: int) -> Asked | None:
    """A claim that names a value, right or wrong, of a thing that takes so many steps to find; None
    where nothing fits."""
    rng = material.rng
    found = described(material, entity, steps)
    relations = material.asked(entity)
    if found is None or not relations:
        return None
    phrase, before = found
    relation = rng.choice(relations)
    true = rng.random() < 0.5
    said = entity if true else falsified(material, entity, relation)
    known = any(step.entity is entity and step.key == relation.key for step in before)
    if said is None or known or "\n" in entity.values[relation.key]:
        return None
    sentence = statement(said, relation, rng, phrase if before else None)
    if before and phrase.lower() not in sentence.lower():
        return None
    return _asked(material, sentence, said, relation, entity, before, true)


def compared(material: Material) -> Asked | None:
    """A claim that an amount or a year is above or below another; None where nothing fits."""
    rng = material.rng
    entity = material.entity()
    relations = [r for r in material.asked(entity) if (entity.kind.key, r.key) in COMPARED]
    if not relations:
        return None
    relation = rng.choice(relations)
    amount = AMOUNT.fullmatch(entity.values[relation.key])
    if amount is None:
        return None
    value, unit = int(amount[1].replace(",", "")), amount[2]
    other = _other_amount(value, rng) if unit else value + rng.choice((-1, 1)) * rng.randint(3, 90)
    if other == value or other <= 0:
        return None
    above = rng.random() < 0.5
    template = COMPARED[entity.kind.key, relation.key][0 if above else 1]
    shown = f"{other:,}{unit}" if unit else str(other)
    sentence = capitalised(fill(template, entity, shown))
    return _asked(material, sentence, entity, relation, entity, [], (value > other) == above)


def _other_amount(value: int, rng: Random) -> int:
    """A round number that is clearly less or more."""
    other = value * (rng.uniform(0.3, 0.9) if rng.random() < 0.5 else rng.uniform(1.1, 3.0))
    return int(float(f"{other:.2g}"))


def _asked(
    material: Material,
    sentence: str,
    said: Entity,
    relation: Relation,
    entity: Entity,
    before: Sequence[Step],
    true: bool,
) -> Asked:
    """The claim with the steps that decide it."""
    text = shaped(sentence, said, material.rng)
    verdict = f"so the statement is {'true' if true else 'false'}"
    told = concluded(answer_sentence(entity, relation.key), verdict)
    return Asked("claim", text, (*before, Step(entity, relation.key, told)))


def statement(entity: Entity, relation: Relation, rng: Random, spoken: str | None = None) -> str:
    """A sentence that states the relation. spoken: what stands for the thing; its name where
    None."""
    value = entity.values[relation.key]
    if entity.kind.key == "record" and spoken is None and rng.random() < 0.5:
        return f"{capitalised(value)} is {entity.spoken}."
    if spoken is None and (rng.random() < 0.45 or relation.key == "answer"):
        return in_words(answer_sentence(entity, relation.key), value, rng)
    templates = (relation.answer, *relation.statements)
    return in_words(capitalised(fill(rng.choice(templates), entity, value, spoken)), value, rng)


def in_words(sentence: str, value: str, rng: Random) -> str:
    """The sentence, with a small whole number, which is its value, now and then in words."""
    if not value.isdecimal() or int(value) >= len(NUMBERS) or rng.random() < 0.4:
        return sentence
    return re.sub(rf"(?<![\d,.]){value}(?![\d,]|\.\d)", NUMBERS[int(value)], sentence)


def shaped(sentence: str, entity: Entity, rng: Random) -> str:
    """The sentence inside a request."""
    weights = [weight for weight, _ in SHAPES]
    shape = rng.choices([shape for _, shape in SHAPES], weights)[0]
    clause = embedded(sentence, entity).rstrip(".")
    text = shape.format(claim=sentence, clause=clause, bare=sentence.rstrip("."))
    if rng.random() < 0.1:
        text = text.lower()
    return text.rstrip(".?") if rng.random() < 0.08 else text


def concluded(sentence: str, conclusion: str) -> str:
    """The sentence with what follows from it."""
    return f"{sentence.rstrip('.')}, {conclusion}."


def falsified(material: Material, entity: Entity, relation: Relation) -> Entity | None:
    """The thing with another value of the same sort."""
    rng = material.rng
    true = entity.values[relation.key]
    if rng.random() < 0.2:
        false = mutated(true, rng, material.inventor.lexicon.model)
    else:
        false = material.inventor.entity(entity.kind, rng).values.get(relation.key, true)
    if (
        false.lower() == true.lower()
        or false.lower() in true.lower()
        or true.lower() in false.lower()
    ):
        return None
    values = {**entity.values, relation.key: false}
    if "sentence" in values:
        if true not in values["sentence"]:
            return None
        values["sentence"] = values["sentence"].replace(true, false)
    return replace(entity, values=values)
