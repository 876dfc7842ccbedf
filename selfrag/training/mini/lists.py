"""Requests for several facts in one sentence, as people write them.

Facts of one thing ("the capital and the currency of ..."), one fact of several things ("Who painted
... and ...?"), and facts that have nothing to do with each other, as noun phrases or as questions.
This module knows the words only, not the passages.
"""

from selfrag.training.mini.asked import Step
from selfrag.training.mini.material import Material
from selfrag.training.mini.schemas.questions import plain_question
from selfrag.training.mini.schemas.relation import Relation, capitalised, fill, joined

LISTS = (
    "What are {}?",
    "Tell me {}.",
    "I would like to know {}.",
    "Please tell me {}.",
    "Can you tell me {}?",
    "Name {}.",
    "I need {}.",
    "Give me {}.",
    "What is {}?",
    "{}?",
    "Could you look up {}?",
    "Do you know {}?",
    "I want to know {}.",
    "Find {}.",
    "Please look up {}.",
    "For a quiz I need {}.",
    "Write down {}.",
    "Help me with {}.",
)
ABOUT = (
    "Tell me about {s}: {k}.",
    "{S}: {k}?",
    "For {s}, give me {k}.",
    "What are {k} of {s}?",
    "Tell me {k} of {s}.",
    "A friend asked me about {s}. Tell me {k}.",
    "I need a few facts on {s}: {k}.",
    "About {s} I would like to know {k}.",
    "{S} - {k}, please.",
    "Please answer for {s}: {k}.",
    "Give me {s}'s {b}.",
    "Tell me {s}'s {b}.",
    "What are {s}'s {b}?",
    "Name {s}'s {b}.",
)
TWICE = (
    "{a} And {b}",
    "{a} {b}",
    "{a} Also, {b_low}",
    "Two questions: {a} {b}",
    "Please answer both: {a} {b}",
    "{a} Then tell me: {b}",
    "First: {a} Second: {b}",
    "1. {a} 2. {b}",
)
WH = ("who ", "what ", "which ", "when ", "where ", "how ", "in which ", "in what ")


def several(material: Material) -> tuple[str, list[Step]]:
    """A request for two to five facts and the facts in their order."""
    while True:
        made = material.rng.choices((apart, one_thing, one_fact, asked_twice), (4, 4, 6, 3))[0](
            material
        )
        if made is not None:
            return made


def apart(material: Material) -> tuple[str, list[Step]] | None:
    """Facts of several things, some of them of one, as a list of noun phrases."""
    rng = material.rng
    wanted = rng.choices((2, 3, 4, 5), (4, 4, 2, 1))[0]
    phrases: list[str] = []
    steps: list[Step] = []
    entity = material.entity()
    for _ in range(40):
        if len(steps) == wanted:
            return rng.choice(LISTS).format(joined(phrases)), steps
        chance = rng.random()
        if chance > 0.25:
            kind = entity.kind
            entity = material.entity() if chance > 0.6 else material.inventor.entity(kind, rng)
        relation = rng.choice(material.asked(entity))
        nouns = _nouns(relation)
        step = Step.of(entity, relation.key)
        if nouns and all(step.sentence != other.sentence for other in steps):
            phrases.append(fill(rng.choice(nouns), entity, entity.values[relation.key]))
            steps.append(step)
    return None


def one_thing(material: Material) -> tuple[str, list[Step]] | None:
    """Facts of one thing."""
    rng = material.rng
    entity = material.entity()
    relations = material.asked(entity)
    rng.shuffle(relations)
    found: list[tuple[str, Step]] = []
    for relation in relations:
        bare = _bare(relation)
        if bare:
            found.append((rng.choice(bare), Step.of(entity, relation.key)))
    wanted = rng.choice((2, 2, 3, 3, 4))
    if len(found) < min(wanted, 2):
        return None
    found = found[:wanted]
    with_article = joined([f"the {bare}" for bare, _ in found])
    its = joined([f"its {bare}" for bare, _ in found])
    shape = rng.choice(ABOUT)
    shown = with_article if "of {s}" in shape or rng.random() < 0.5 else its
    text = shape.format(
        s=entity.spoken, S=capitalised(entity.spoken), k=shown, b=joined([b for b, _ in found])
    )
    return text, [step for _, step in found]


def one_fact(material: Material) -> tuple[str, list[Step]] | None:
    """The same fact of two to four things."""
    rng = material.rng
    first = material.entity()
    relation = rng.choice(material.asked(first))
    things = [first]
    wanted = rng.choice((2, 2, 3, 3, 4))
    while len(things) < wanted:
        other = material.inventor.entity(first.kind, rng)
        if relation.key not in other.values or other.slots != first.slots:
            return None
        things.append(other)
    names = joined([thing.spoken for thing in things])
    bare = _bare(relation)
    if bare and rng.random() < 0.6:
        text = rng.choice(LISTS).format(f"the {_plural(rng.choice(bare))} of {names}")
    else:
        text = plain_question(first, relation, rng, names)
        if names not in text:
            return None
    return text, [Step.of(thing, relation.key) for thing in things]


def asked_twice(material: Material) -> tuple[str, list[Step]] | None:
    """Two questions, one after the other or joined by "and"."""
    rng = material.rng
    questions: list[str] = []
    steps: list[Step] = []
    entity = material.entity()
    for place in range(2):
        if place and rng.random() < 0.6:
            entity = material.inventor.entity(entity.kind, rng)
        relation = rng.choice(material.asked(entity))
        if any(step.entity is entity and step.key == relation.key for step in steps):
            return None
        questions.append(plain_question(entity, relation, rng, entity.spoken))
        steps.append(Step.of(entity, relation.key))
    first, second = (capitalised(text) for text in questions)
    if all(text.lower().startswith(WH) for text in questions) and rng.random() < 0.6:
        return f"{first.rstrip('?')} and {_lowered(second)}", steps
    shape = rng.choice(TWICE)
    return shape.format(a=first, b=second, b_low=_lowered(second)), steps


def _nouns(relation: Relation) -> list[str]:
    """Noun phrases that ask for the value, without their markers."""
    nouns = [noun.lstrip("+@") for noun in relation.nouns]
    return [noun for noun in nouns if noun.startswith("the ")]


def _bare(relation: Relation) -> list[str]:
    """What stands between "the" and the thing: "capital"."""
    found = []
    for noun in _nouns(relation):
        if noun.endswith(" of {s}"):
            bare = noun.removeprefix("the ").removesuffix(" of {s}")
            if "{" not in bare and len(bare.split()) < 4:
                found.append(bare)
    return found


def _plural(noun: str) -> str:
    if noun.endswith("s"):
        return noun
    return f"{noun[:-1]}ies" if noun.endswith("y") and noun[-2:-1] not in "aeiou" else f"{noun}s"


def _lowered(text: str) -> str:
    return text[:1].lower() + text[1:]
