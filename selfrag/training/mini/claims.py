"""Claims to be checked: "True or false: the capital of ... is ...".

The answer says first what is the case, then whether the statement is true: so the verdict compares
two sentences that stand there, and the passage supports what is written.
"""

from dataclasses import replace
from random import Random

from selfrag.training.mini.asked import Asked, Step
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
)


def claim(material: Material) -> Asked:
    """A claim about a relation of a thing, true or false with equal chance."""
    rng = material.rng
    entity = material.entity()
    relation = rng.choice(material.asked(entity))
    true = rng.random() < 0.5
    said = entity if true else falsified(material, entity, relation)
    if said is None or "\n" in entity.values[relation.key]:
        return claim(material)
    text = shaped(statement(said, relation, rng), said, rng)
    verdict = "true" if true else "false"
    sentence = concluded(answer_sentence(entity, relation.key), f"so the statement is {verdict}")
    return Asked("claim", text, (Step(entity, relation.key, sentence),))


def statement(entity: Entity, relation: Relation, rng: Random) -> str:
    """A sentence that states the relation."""
    if rng.random() < 0.45 or relation.key == "answer":
        return answer_sentence(entity, relation.key)
    template = rng.choice(relation.statements)
    return capitalised(fill(template, entity, entity.values[relation.key]))


def shaped(sentence: str, entity: Entity, rng: Random) -> str:
    """The sentence inside a request."""
    weights = [weight for weight, _ in SHAPES]
    shape = rng.choices([shape for _, shape in SHAPES], weights)[0]
    clause = embedded(sentence, entity).rstrip(".")
    text = shape.format(claim=sentence, clause=clause)
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
