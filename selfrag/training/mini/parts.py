"""Examples of several segments: lists of facts, overviews of a thing."""

from collections.abc import Sequence
from dataclasses import dataclass

from selfrag.training.mini.asked import Asked, Step
from selfrag.training.mini.example import (
    CONTINUE,
    FULLY,
    NO_RETRIEVAL,
    RELEVANT,
    RETRIEVAL,
    Example,
    Passage,
    Segment,
    helpless,
)
from selfrag.training.mini.lists import several
from selfrag.training.mini.material import Material, same_person
from selfrag.training.mini.schemas.questions import with_habits
from selfrag.training.mini.schemas.relation import Entity, answer_sentence

OVERVIEWS = (
    "Tell me about {}.",
    "Tell me something about {}.",
    "Give me an overview of {}.",
    "Write a few sentences about {}.",
    "Describe {} in a few sentences.",
    "Give me some facts about {}.",
    "Write a short text about {}.",
    "I want to learn about {}.",
    "What should I know about {}?",
    "Introduce {}.",
)
COUNTED_OVERVIEWS = (
    "Tell me {n} facts about {}.",
    "Give me {n} facts about {}.",
    "State {n} facts about {}.",
    "Write {n} sentences about {}.",
    "Name {n} things about {}.",
    "I would like to know {n} facts about {}.",
    "List {n} facts about {}.",
    "What are {n} facts about {}?",
    "Tell me {n} things about {}.",
)
GREETINGS = ("Greet me first. ", "Say hello, then answer: ", "Start with a greeting. ")
GOODBYES = (" Say goodbye at the end.", " End with a goodbye.", " Then say goodbye.")


@dataclass(frozen=True)
class Part:
    """One thing asked for: a fact, what the passage that states it says, the sentence that answers.
    key: of the fact; keys: of all that the passage states."""

    keys: tuple[str, ...]
    entity: Entity
    sentence: str
    key: str


def many_parts(material: Material) -> Example:
    """Two to five facts asked in one sentence."""
    text, steps = several(material)
    parts = [
        Part(material.company(step.entity, step.key), step.entity, step.sentence, step.key)
        for step in steps
    ]
    return told(material, "parts", with_habits(text, material.rng), parts)


def many_asked(material: Material) -> Asked:
    """The same as a request without passages."""
    text, steps = several(material)
    return Asked("parts", with_habits(text, material.rng), tuple(steps))


def told(material: Material, kind: str, text: str, parts: Sequence[Part]) -> Example:
    """The segments that answer the parts in order; now and then the last passage is no help."""
    rng = material.rng
    segments: list[Segment] = []
    if rng.random() < 0.12:
        text = rng.choice(GREETINGS) + text
        segments.append(Segment(NO_RETRIEVAL, "Hello!"))
    fails = rng.random() < 0.12
    answered = 0
    for index, part in enumerate(parts):
        if fails and index == len(parts) - 1:
            segments.append(_failure(material, part))
            break
        passage = material.passage(part.entity, part.keys)
        previous = next((s for s in reversed(segments) if s.passage), None)
        if (
            previous is not None
            and index
            and part.entity is parts[index - 1].entity
            and (
                any(key in parts[index - 1].keys for key in part.keys)
                and _states(previous.passage, part)
            )
        ):
            segments.append(Segment(CONTINUE, part.sentence))
        else:
            segments.append(Segment(RETRIEVAL, part.sentence, passage, RELEVANT, FULLY))
        answered += 1
    whole = answered == len(parts)
    if whole and rng.random() < 0.1:
        text += rng.choice(GOODBYES)
        segments.append(Segment(NO_RETRIEVAL, "Goodbye!"))
    utility = 5 if whole else 4 if 2 * answered >= len(parts) else 3 if answered else 1
    return Example(kind, text, tuple(segments), utility)


def steps_told(material: Material, steps: Sequence[Step]) -> tuple[Segment, ...]:
    """A segment for each step, with a passage that states it; a step that the passage of the one
    before states as well goes on with it."""
    segments: list[Segment] = []
    stated: tuple[Entity, tuple[str, ...]] | None = None
    for step in steps:
        if stated is not None and stated[0] is step.entity and step.key in stated[1]:
            segments.append(Segment(CONTINUE, step.sentence))
            continue
        keys = material.company(step.entity, step.key)
        passage = material.passage(step.entity, keys)
        stated = (step.entity, keys)
        segments.append(Segment(RETRIEVAL, step.sentence, passage, RELEVANT, FULLY))
    return tuple(segments)


def requested(material: Material, asked: Asked) -> Example:
    """A request with the segments that answer it; now and then a passage does not help, and the
    answer ends there."""
    rng = material.rng
    if rng.random() < 0.12:
        place = rng.randrange(len(asked.steps))
        step = asked.steps[place]
        failed = _failure(material, Part((step.key,), step.entity, step.sentence, step.key))
        segments = (*steps_told(material, asked.steps[:place]), failed)
        return Example(asked.kind, asked.text, segments, 1)
    return Example(asked.kind, asked.text, steps_told(material, asked.steps), 5)


def _failure(material: Material, part: Part) -> Segment:
    """A passage that does not help with this part."""
    rng = material.rng
    other = material.stranger(part.entity)
    if other.name.lower() != part.entity.name.lower() and not same_person(part.entity, other.name):
        keys = [key for key in part.keys if key in other.values]
        if keys:
            return helpless(material.passage(other, keys))
    other = _entity_unlike(material, part.entity)
    keys = [rng.choice(material.asked(other)).key]
    return helpless(material.passage(other, keys))


def _entity_unlike(material: Material, entity: Entity) -> Entity:
    """A thing of another kind."""
    while True:
        other = material.entity()
        if other.kind is not entity.kind:
            return other


def overview(material: Material) -> Example:
    """Several facts about one thing: as many as asked for, three when no number is given."""
    return told(material, "overview", *_overview(material))


def overview_asked(material: Material) -> Asked:
    """The same as a request without passages."""
    text, parts = _overview(material)
    return Asked("overview", text, tuple(Step(p.entity, p.key, p.sentence) for p in parts))


def _overview(material: Material) -> tuple[str, list[Part]]:
    """The request and its parts."""
    rng = material.rng
    entity = material.entity()
    asked = material.asked(entity)
    if len(asked) < 3:
        return _overview(material)
    number = rng.randint(2, min(7, len(asked)))
    words = ("two", "three", "four", "five", "six", "seven")[number - 2]
    name = entity.spoken
    if rng.random() < 0.4:
        number = 3
        text = rng.choice(OVERVIEWS).format(name)
    else:
        text = rng.choice(COUNTED_OVERVIEWS).format(name, n=words if rng.random() < 0.7 else number)
    keys = rng.sample([r.key for r in asked], number)
    parts: list[Part] = []
    while keys:
        size = min(len(keys), rng.choices((1, 2, 3), (5, 3, 1))[0])
        group, keys = tuple(keys[:size]), keys[size:]
        parts += [Part(group, entity, answer_sentence(entity, key), key) for key in group]
    return with_habits(text, rng), parts


def _states(passage: Passage | None, part: Part) -> bool:
    """Whether the passage states the part's value."""
    if passage is None:
        return False
    return any(
        answer_sentence(part.entity, key) == part.sentence and part.entity.values[key] in passage[1]
        for key in part.keys
    )
