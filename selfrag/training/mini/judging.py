"""One question with many passages, as retrieval would bring them: which of them answer it?

Each passage is a branch of its own after the question; branches do not see each other. So a
question is read once and judged with up to eight passages: the one that answers, what else the
corpus says about the thing, what it says about others, and where the thing is only mentioned.
An example of the ordinary form spends three times as many tokens on each judgement.
"""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from random import Random

from selfrag.training.mini.asked import Asked
from selfrag.training.mini.chains import chain
from selfrag.training.mini.choices import choice
from selfrag.training.mini.claims import claim
from selfrag.training.mini.example import (
    FULLY,
    RELEVANT,
    RETRIEVAL,
    Judged,
    Passage,
    Segment,
    helpless,
)
from selfrag.training.mini.material import Material, closed_keys, same_person
from selfrag.training.mini.parts import steps_told
from selfrag.training.mini.reading import Fact, Reader, Section
from selfrag.training.mini.schemas.questions import plain_question, question, with_habits
from selfrag.training.mini.schemas.relation import Entity, Relation, answer_sentence
from selfrag.training.mini.sorts import KINDS_BY_KEY

MOST = 7
"""Passages of a question."""

MENTIONS: dict[str, tuple[tuple[str, str], ...]] = {
    "country": (
        ("city", "country"),
        ("lake", "countries"),
        ("mountain", "countries"),
        ("river", "countries"),
        ("person", "country"),
        ("landmark", "country"),
        ("record", "answer"),
    ),
    "person": (
        ("work", "creator"),
        ("invention", "who"),
        ("element", "discoverer"),
        ("moon", "discoverer"),
        ("landmark", "builder"),
    ),
    "city": (
        ("person", "birthplace"),
        ("landmark", "city"),
        ("event", "place"),
        ("country", "largest_city"),
        ("record", "answer"),
    ),
    "planet": (("moon", "planet"), ("record", "answer")),
    "river": (("river", "mouth"), ("record", "answer")),
    "lake": (("river", "mouth"), ("record", "answer")),
    "mountain": (("country", "feature"), ("record", "answer")),
    "animal": (("record", "answer"),),
    "work": (("person", "known_for"),),
    "invention": (("person", "known_for"),),
    "element": (("invention", "description"), ("record", "answer")),
}
"""Kind of a thing -> kinds and relations whose value may be such a thing."""
ANSWERED_BY_MENTION = {"field", "known_for", "description", "who", "creator", "sort", "country"}
"""Relations that a passage which mentions the thing may answer after all."""


class Judging:
    """Draws questions with many passages. All that is random comes from the reader's material."""

    def __init__(self, reader: Reader) -> None:
        self.reader = reader
        self.material: Material = reader.material
        self.rng: Random = reader.rng
        self.by_kind = {section.kind: section for section in reader.sections if section.kind}

    def example(self) -> Judged:
        """The next example."""
        while True:
            made = self.rng.choices(MAKERS, MAKER_WEIGHTS)[0](self)
            if made is not None and made.branches:
                branches = list(made.branches)
                self.rng.shuffle(branches)
                return replace(made, branches=tuple(branches))

    def others_about(self, entity: Entity, relation: Relation | None, most: int) -> list[Segment]:
        """Passages about the thing that leave the relation open: those of the corpus's plans, and
        facts that no table has."""
        closed = closed_keys(relation.key) if relation else set()
        found: list[Segment] = []
        plans = list(entity.kind.plans.values())
        self.rng.shuffle(plans)
        for plan in plans:
            keys = [key for key in plan if key in entity.values]
            if self.rng.random() < 0.25 and len(keys) > 1:
                keys = [self.rng.choice(keys)]
            if keys and not closed.intersection(keys):
                found.append(self.unhelpful(entity, keys))
        section = self.by_kind.get(entity.kind.key)
        if section is not None and (relation is None or self.rng.random() < 0.4):
            found.insert(0, self.extra_fact(section, entity))
        return found[:most]

    def unhelpful(self, entity: Entity, keys: Sequence[str]) -> Segment:
        """A passage that states these relations, none of them asked for."""
        asked = [key for key in keys if entity.kind.relation(key).asked]
        aside = answer_sentence(entity, self.rng.choice(asked)) if asked else ""
        return helpless(self.material.passage(entity, keys), aside)

    def extra_fact(self, section: Section, entity: Entity) -> Segment:
        """A passage with a fact that no table has."""
        fact = self.rng.choice(section.facts)
        return fact_beside(self.reader, fact, {"x": entity.spoken}, entity)

    def mentions(self, entity: Entity, most: int) -> list[Segment]:
        """Passages about other things that name this one as a value."""
        choices = MENTIONS.get(entity.kind.key, ())
        found = []
        for kind, key in self.rng.sample(choices, min(most, len(choices))):
            other = self.material.inventor.entity(KINDS_BY_KEY[kind], self.rng)
            if key not in other.values:
                continue
            name = entity.spoken
            if key in ("known_for", "description"):
                name = f"the {entity.slots.get('noun', entity.kind.noun)} {entity.name}"
            kept = {} if kind == "record" else other.values  # a record's sentence has its answer
            other = replace(other, values={**kept, key: name})
            found.append(self.unhelpful(other, self.material.company(other, key)))
        return found

    def strangers(self, entity: Entity, relation: Relation, most: int) -> list[Segment]:
        """Passages that state the relation of other things, mostly with similar names."""
        found = []
        for _ in range(most):
            other = self.material.stranger(entity)
            if other.name.lower() == entity.name.lower() or same_person(entity, other.name):
                continue
            if relation.key in other.values:
                keys = self.material.company(other, relation.key)
                found.append(self.unhelpful(other, keys))
        return found


def _told(judging: Judging, text: str, right: list[Segment], wrong: list[Segment]) -> Judged:
    """The right passages and some of the others."""
    return Judged(text, (*right, *wrong[: MOST - len(right)]))


def known(judging: Judging) -> Judged | None:
    """A relation of the tables."""
    material, rng = judging.material, judging.rng
    entity = material.entity()
    relation = rng.choice(material.asked(entity))
    text = plain_question(entity, relation, rng, entity.spoken)
    text = with_habits(text, rng) if rng.random() < 0.5 else text
    right = [material.known(entity, relation.key) for _ in range(rng.choice((1, 2)))]
    wrong = judging.others_about(entity, relation, rng.choice((2, 3, 4)))
    if relation.key not in ANSWERED_BY_MENTION:
        wrong += judging.mentions(entity, rng.choice((0, 1, 1)))
    wrong += judging.strangers(entity, relation, 4 if not wrong else rng.choice((0, 0, 1, 1)))
    return _told(judging, text, right, wrong)


def inverse(judging: Judging) -> Judged | None:
    """The question names the value."""
    material, rng = judging.material, judging.rng
    entity, relation = material.invertible()
    text = question(entity, relation, rng, inverse=True)
    right = [material.known(entity, relation.key)]
    wrong = judging.strangers(entity, relation, 3)
    if entity.name.lower() not in text.lower():
        wrong += judging.others_about(entity, relation, 2)
    asked = [value.lower() for value in entity.values.values() if value.lower() in text.lower()]
    wrong = [one for one in wrong if one.passage and not _names(one.passage, asked)]
    return _told(judging, text, right, wrong)


def _names(passage: Passage, values: Iterable[str]) -> bool:
    """Whether the text has one of the values, which are in lower case."""
    return any(value in passage[1].lower() for value in values)


def read(judging: Judging) -> Judged | None:
    """A fact of the reading exercises."""
    reader, rng = judging.reader, judging.rng
    section, fact, values, thing = reader.draw()
    slot, text = reader.asked(fact, values)
    sentence = reader.stated(fact, values)
    beside = reader.beside(section, fact, values, thing)
    sentences = [sentence, *(beside if rng.random() < 0.4 else [])]
    passage = reader.passage(fact, values, sentences, thing)
    right = [Segment(RETRIEVAL, sentence, passage, RELEVANT, FULLY)]
    if rng.random() < 0.5:
        again = reader.stated(fact, values)
        passage = reader.passage(fact, values, [again], thing)
        right.append(Segment(RETRIEVAL, again, passage, RELEVANT, FULLY))
    wrong: list[Segment] = []
    if slot != "x" and section.sort:
        others = [other for other in section.facts if other is not fact]
        for other in rng.sample(others, min(len(others), rng.choice((1, 2, 3)))):
            wrong.append(fact_beside(reader, other, {"x": values["x"]}, thing))
        if thing is not None:
            wrong += judging.others_about(thing, None, 1)
    for _ in range(1 if wrong else 3):
        strange = reader.stranger(section, fact, values)
        shared = {value.lower() for value in values.values()}
        if not shared & {value.lower() for value in strange.values()}:
            wrong.append(fact_beside(reader, fact, strange, None))
    if not section.sort:
        wrong += _loose(reader, fact, values, 2)
    return _told(judging, text, right, wrong)


def fact_beside(
    reader: Reader, fact: Fact, values: dict[str, str], thing: Entity | None
) -> Segment:
    """A passage with a fact that is not asked for; values of slots that are not given are drawn."""
    filled = reader.completed(fact, values)
    passage = reader.passage(fact, filled, [reader.stated(fact, filled)], thing)
    return helpless(passage, reader.stated(fact, filled))


def _loose(reader: Reader, fact: Fact, values: dict[str, str], count: int) -> list[Segment]:
    """Other facts of any general section, about one of the same values where the slots allow."""
    general = [section for section in reader.sections if not section.sort]
    found = []
    for _ in range(count):
        other = reader.rng.choice(reader.rng.choice(general).facts)
        if other is fact:
            continue
        same = {slot: value for slot, value in values.items() if slot not in ("name", "number")}
        found.append(fact_beside(reader, other, same, None))
    return found


def unasked(judging: Judging) -> Judged | None:
    """A question that no passage about the thing answers."""
    reader, rng = judging.reader, judging.rng
    section, _, values, thing = reader.draw()
    if not section.unasked:
        return None
    if rng.random() < 0.6 and thing is None:
        return None
    text = reader.unasked_question(section, values)
    others = rng.sample(section.facts, min(len(section.facts), 2))
    wrong = [fact_beside(reader, other, {"x": values["x"]}, thing) for other in others]
    if thing is not None:
        wrong = judging.others_about(thing, None, 4) + wrong[:1] + judging.mentions(thing, 1)
    return _told(judging, text, [], wrong)


def requested(judging: Judging, asked: Asked) -> Judged | None:
    """A request of one or several steps, judged at one of them."""
    material, rng = judging.material, judging.rng
    place = rng.randrange(len(asked.steps))
    step = asked.steps[place]
    relation = step.entity.kind.relation(step.key)
    right = [replace(material.known(step.entity, step.key), sentence=step.sentence)]
    wrong = judging.others_about(step.entity, relation, rng.choice((1, 2, 3)))
    if step.key not in ANSWERED_BY_MENTION:
        wrong += judging.mentions(step.entity, rng.choice((0, 1)))
    wrong += judging.strangers(step.entity, relation, 3 if not wrong else rng.choice((0, 1, 2)))
    if place:
        before = asked.steps[place - 1]
        keys = material.company(before.entity, before.key)
        if before.entity is not step.entity or step.key not in keys:
            wrong.append(judging.unhelpful(before.entity, keys))
    path = steps_told(material, asked.steps[:place])
    made = _told(judging, asked.text, right, wrong)
    return replace(made, path=path, last=place == len(asked.steps) - 1)


def chained(judging: Judging) -> Judged | None:
    """A question of two or three steps."""
    return requested(judging, chain(judging.material, 2 if judging.rng.random() < 0.65 else 3))


def claimed(judging: Judging) -> Judged | None:
    """A claim to be checked."""
    return requested(judging, claim(judging.material))


def chosen(judging: Judging) -> Judged | None:
    """A question with options."""
    return requested(judging, choice(judging.material))


Maker = Callable[[Judging], Judged | None]
MAKERS: tuple[Maker, ...] = (known, inverse, read, unasked, chained, claimed, chosen)
MAKER_WEIGHTS = (30, 14, 12, 18, 28, 18, 14)
