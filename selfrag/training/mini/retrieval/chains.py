"""Questions with hops: which things lead to which, and what is searched for at each hop.

A link leads to a thing over one fact: forwards, from a thing to the value of its relation ("the
author of Hamlet"), or backwards, from a value to the one thing that has it ("the country whose
capital is Ouagadougou"). A chain is one link or two, and a question about the thing it leads to.
The first search has the question alone, each later one the question and the sentence that answered
the hop before, as `selfrag.controller` searches. This module knows nothing of passages.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from random import Random

from selfrag.training.mini.retrieval.chain_wordings import BACKWARD, FORWARD, FRAMES, THAT
from selfrag.training.mini.retrieval.evidence import Evidence
from selfrag.training.mini.schemas import Entity, Relation, answer_sentence, capitalised
from selfrag.training.mini.schemas.questions import plain_question, with_habits
from selfrag.training.mini.schemas.relation import fill

TARGETS: dict[tuple[str, str], tuple[str, ...]] = {
    ("country", "capital"): ("city",),
    ("country", "largest_city"): ("city",),
    ("country", "feature"): ("river", "mountain", "lake"),
    ("city", "country"): ("country",),
    ("landmark", "city"): ("city",),
    ("landmark", "country"): ("country",),
    ("landmark", "builder"): ("person",),
    ("river", "countries"): ("country",),
    ("river", "mouth"): ("river", "lake"),
    ("lake", "countries"): ("country",),
    ("mountain", "countries"): ("country",),
    ("person", "country"): ("country",),
    ("person", "birthplace"): ("city",),
    ("work", "creator"): ("person",),
    ("invention", "who"): ("person",),
    ("element", "discoverer"): ("person",),
    ("moon", "discoverer"): ("person",),
    ("planet", "discoverer"): ("person",),
    ("moon", "planet"): ("planet",),
    ("event", "place"): ("city", "country"),
    ("record", "answer"): (
        "mountain",
        "river",
        "lake",
        "country",
        "city",
        "planet",
        "moon",
        "element",
        "animal",
        "landmark",
    ),
}
"""Relation -> kinds that its value may name, in the order in which they are tried."""


@dataclass(frozen=True, slots=True)
class Link:
    """One hop: the fact (thing, key), and the thing that it leads to."""

    thing: Entity
    key: str
    target: Entity
    backward: bool


@dataclass(frozen=True, slots=True)
class Hop:
    """One search: the question, the sentences found so far, and the fact (thing, key) that is
    looked for."""

    question: str
    told: tuple[str, ...]
    thing: Entity
    key: str

    @property
    def query(self) -> str:
        """What the search is given: the question and the last sentence."""
        return " ".join((self.question, *self.told[-1:]))


class Chains:
    """Draws chains over these things."""

    def __init__(self, entities: Sequence[Entity], evidence: Evidence) -> None:
        named: dict[tuple[str, str], list[Entity]] = defaultdict(list)
        for entity in entities:
            named[entity.kind.key, entity.name.lower()].append(entity)
            if entity.heading:
                named[entity.kind.key, entity.heading.lower()].append(entity)
        self.into: dict[int, list[Link]] = defaultdict(list)
        links: dict[tuple[str, str, bool], list[Link]] = defaultdict(list)
        for entity in entities:
            for key in entity.values:
                for link in self._links(entity, key, named, evidence):
                    if evidence.of(link.thing, link.key):
                        links[entity.kind.key, key, link.backward].append(link)
                        self.into[id(link.target)].append(link)
        self._links_by_sort = list(links.values())
        self._weights = [len(group) ** 0.5 for group in self._links_by_sort]

    @staticmethod
    def _links(
        entity: Entity,
        key: str,
        named: dict[tuple[str, str], list[Entity]],
        evidence: Evidence,
    ) -> list[Link]:
        found = []
        value = entity.values[key].removeprefix("the ").lower()
        for kind in TARGETS.get((entity.kind.key, key), ()):
            things = named.get((kind, value), [])
            if len(things) == 1 and things[0] is not entity:
                found.append(Link(entity, key, things[0], backward=False))
                break
        if (entity.kind.key, key) in BACKWARD and len(evidence.sharing(entity, key)) == 1:
            found.append(Link(entity, key, entity, backward=True))
        return found

    def draw(self, rng: Random, *, held: bool = False) -> list[Hop]:
        """The searches of one question, two or three.

        Args:
            held: take the wordings that are never trained on.
        """
        while True:
            link = rng.choice(rng.choices(self._links_by_sort, self._weights)[0])
            links = [link]
            before = [one for one in self.into[id(link.thing)] if one.thing is not link.target]
            if before and not link.backward and rng.random() < 0.3:
                links.insert(0, rng.choice(before))
            asked = self._asked(link, rng)
            if asked is None:
                continue
            description = ""
            for one in links:
                description = _described(one, description, rng, held)
            question = _question(link.target, asked, description, rng, held)
            if question is None or _names(question, link.target):
                continue
            told = tuple(_told(one, rng) for one in links)
            facts = [*((one.thing, one.key) for one in links), (link.target, asked.key)]
            return [Hop(question, told[:place], *fact) for place, fact in enumerate(facts)]

    @staticmethod
    def _asked(link: Link, rng: Random) -> Relation | None:
        """A relation of the thing at the end that the link does not tell."""
        target = link.target
        plans = [keys for keys in target.kind.plans.values() if link.backward and link.key in keys]
        told = {key for keys in plans for key in keys}
        relations = [
            relation
            for relation in target.kind.relations
            if relation.asked
            and relation.key in target.values
            and relation.key not in told
            and target.values[relation.key].lower() != link.thing.name.lower()
        ]
        return rng.choice(relations) if relations else None


def _names(question: str, target: Entity) -> bool:
    """Whether the question says the name that it asks to find; a country's is in its adjective's
    neighbourhood too often ("the capital of ... Guinea") to be ruled out."""
    if target.kind.key in ("country", "record"):
        return False
    return target.name.lower() in question.lower()


def _described(link: Link, spoken: str, rng: Random, held: bool) -> str:
    """The thing at the end of the link in other words; `spoken` describes the thing before it."""
    table = BACKWARD if link.backward else FORWARD
    wordings = table[link.thing.kind.key, link.key]
    template = wordings[-1] if held else rng.choice(wordings[:-1])
    value = link.thing.values[link.key].rstrip(".")
    return fill(template, link.thing, value, spoken or None)


def _told(link: Link, rng: Random) -> str:
    """The sentence that answers the hop, mostly in the schema's own words."""
    entity, value = link.thing, link.thing.values[link.key]
    relation = entity.kind.relation(link.key)
    draw, sentence = rng.random(), answer_sentence(entity, link.key)
    if 0.7 < draw < 0.85:
        sentence = capitalised(fill(rng.choice(relation.statements), entity, value))
    if draw < 0.85 and link.target.name.lower() in sentence.lower():
        return sentence
    description = _described(link, "", rng, held=False).rstrip(".")
    return f"{capitalised(description)} is {link.target.spoken}."


def _question(
    target: Entity, relation: Relation, description: str, rng: Random, held: bool
) -> str | None:
    """A question about the described thing; None where every attempt gives its name away."""
    framed = rng.random() < 0.15
    spoken = rng.choice(THAT.get(target.kind.key, ("it",))) if framed else description
    for _ in range(12):
        text = plain_question(target, relation, rng, spoken)
        if f"{spoken}'s" in text or target.name.lower() in text.replace(spoken, "").lower():
            continue
        if framed:
            frame = FRAMES[-1] if held else rng.choice(FRAMES[:-1])
            text = capitalised(text)
            if text[-1] not in "?.!":
                text += "?"
            text = frame.replace("{q}", text).replace("{d}", description)
        return with_habits(text, rng)
    return None
