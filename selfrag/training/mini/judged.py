"""Sentences to be judged by a passage, in other words than the model's own answers.

A model that only ever judges its own wording learns that its sentences are supported. So a passage
is shown with sentences as people write them: what it states, turned round, shortened or put
together; what it states with something more that it does not; and what it does not state.
"""

from collections.abc import Callable, Sequence
from dataclasses import replace

from selfrag.training.mini.claims import falsified
from selfrag.training.mini.example import FULLY, NO_SUPPORT, PARTIALLY
from selfrag.training.mini.material import Material, closed_keys
from selfrag.training.mini.names import mutated
from selfrag.training.mini.schemas.relation import (
    Entity,
    Relation,
    answer_sentence,
    capitalised,
    embedded,
    fill,
    joined,
)
from selfrag.training.mini.schemas.wordings import wordings

NOUN_SHAPES = ("{N} {is} {v}.", "{V} {is} {n}.", "{V} {is} {n}.", "{N} {is} {v}.")
OPENERS = ("As far as is known, {d}.", "In fact, {d}.", "So {d}.", "Indeed, {d}.", "Yes, {d}.")
AFTERTHOUGHTS = (
    ", which was {participle} in {year}",
    " and was {participle} by {person}",
    ", not far from {place}",
    ", near {place}",
    " since {year}",
    ", as {person} wrote in {year}",
    ", after {person}",
    " together with {place}",
    ", about {number} years ago",
    ", where about {number} people live",
    ", more than any other in {place}",
    ", which makes it the largest in {place}",
    ", the second of its kind",
    ", and it is {number} metres long",
    " and is known for its {word}",
    ", famous for its {word}",
    ", which has a famous {word}",
    ", who came from {place}",
    " and {number} others",
    ", although {person} had tried it before",
    ", on the coast of {place}",
    ", and died in {year}",
    ", born in {place}",
    " when it was still a {word}",
)
OPENINGS = tuple(opener.split()[0] for opener in OPENERS)
PARTICIPLES = ("built", "replaced", "opened", "found", "destroyed", "renamed", "sold", "described")


class SentencesToJudge:
    """Draws sentences about one passage. All that is random comes from the material."""

    def __init__(self, material: Material) -> None:
        self.material, self.rng = material, material.rng
        self._makers: tuple[tuple[str, Callable[..., str], int], ...] = (
            (FULLY, self._full, 5),
            (PARTIALLY, self._partial, 3),
            (NO_SUPPORT, self._unsupported, 1),
        )

    def draw(
        self, entity: Entity, keys: Sequence[str], asked: str, most: int = 5
    ) -> list[tuple[str, str, int]]:
        """Sentences with IsSup tokens and utilities for a passage that states these relations.

        Each is drawn as fully, partially or not supported with equal chance; two in three are about
        the relation that is asked for. A supported one is worth 5 there and 2 elsewhere, one that
        adds something 3, one without support 1. None stands twice.
        """
        stated = [r for r in self.material.asked(entity) if r.key in keys]
        wanted = [r for r in stated if r.key == asked]
        true = {sentence for relation in stated for sentence in _statements(entity, relation)}
        found: dict[str, tuple[str, str, int]] = {}
        for _ in range(most if stated else 0):
            token, make, worth = self.rng.choice(self._makers)
            relation = self.rng.choice(wanted if wanted and self.rng.random() < 0.65 else stated)
            sentence = make(entity, relation, stated)
            if sentence and (token == FULLY or sentence not in true):
                worth = 2 if token == FULLY and relation.key != asked else worth
                found.setdefault(sentence, (sentence, token, worth))
        return list(found.values())

    def wording(self, entity: Entity, relation: Relation) -> str:
        """A sentence that states the relation, in one of many ways, with the thing's name."""
        rng, value = self.rng, entity.values[relation.key]
        spoken = entity.spoken
        if entity.aliases and rng.random() < 0.5:
            spoken = rng.choice(entity.aliases)
        nouns = relation.nouns + wordings(entity.kind.key, relation.key).nouns
        chance = rng.random()
        if entity.kind.key == "record" or chance < 0.15:
            sentence = answer_sentence(entity, relation.key)
        elif nouns and chance < 0.6:
            noun = rng.choice(nouns)
            phrase = fill(noun.lstrip("+@"), entity, value, spoken)
            sentence = rng.choice(NOUN_SHAPES).format(
                n=phrase,
                N=capitalised(phrase),
                v=value,
                V=capitalised(value),
                **{"is": "are" if noun.startswith("+") else "is"},
            )
        else:
            template = rng.choice((relation.answer, *relation.statements))
            sentence = capitalised(fill(template, entity, value, spoken))
        if rng.random() > 0.12:
            return sentence
        return rng.choice(OPENERS).format(d=embedded(sentence.rstrip("."), entity))

    def _full(self, entity: Entity, relation: Relation, stated: Sequence[Relation]) -> str:
        rng = self.rng
        others = [r for r in stated if r.key != relation.key]
        chance = rng.random()
        if others and chance < 0.25:
            return self._both(
                self.wording(entity, relation), self._told(entity, rng.choice(others)), entity
            )
        if relation.followups and chance < 0.4:
            template = rng.choice(relation.followups)
            return capitalised(fill(template, entity, entity.values[relation.key]))
        items = _items(entity, relation)
        if len(items) > 1 and chance < 0.7:
            fewer = rng.sample(items, rng.randint(1, len(items)))
            return self.wording(_with(entity, relation, joined(fewer)), relation)
        return self.wording(entity, relation)

    def _partial(self, entity: Entity, relation: Relation, stated: Sequence[Relation]) -> str:
        rng = self.rng
        known = self.wording(entity, relation)
        chance = rng.random()
        items = _items(entity, relation)
        if (len(items) > 1 and chance < 0.5) or chance < 0.08:
            other = falsified(self.material, entity, relation)
            if other is not None:
                new = _items(other, relation)[0]
                kept = rng.sample(items, rng.randint(1, len(items)))
                if new.lower() not in {item.lower() for item in items}:
                    mixed = [*kept, new]
                    rng.shuffle(mixed)
                    return self.wording(_with(entity, relation, joined(mixed)), relation)
        others = [r for r in stated if r.key != relation.key]
        if others and chance < 0.35:
            wrong = falsified(self.material, entity, rng.choice(others))
            if wrong is not None:
                key = next(k for k in wrong.values if wrong.values[k] != entity.values[k])
                return self._both(known, answer_sentence(wrong, key), entity)
        unstated = self._unstated(entity, stated)
        if unstated and chance < 0.6:
            return self._both(known, self._told(entity, rng.choice(unstated)), entity)
        return known.rstrip(".") + self._afterthought() + "."

    def _unsupported(self, entity: Entity, relation: Relation, stated: Sequence[Relation]) -> str:
        rng = self.rng
        chance = rng.random()
        unstated = self._unstated(entity, stated)
        if unstated and chance < 0.3:
            return self.wording(entity, rng.choice(unstated))
        others = [r for r in stated if r.key != relation.key and r.value == relation.value]
        if others and chance < 0.5:
            value = entity.values[rng.choice(others).key]
            if value.lower() != entity.values[relation.key].lower():
                return self.wording(_with(entity, relation, value), relation)
        if chance > 0.88 and not entity.aliases:
            name = mutated(entity.name, rng, self.material.inventor.lexicon.model)
            if name.lower() != entity.name.lower():
                renamed = replace(entity, name=name, aliases=(), heading="")
                if entity.kind.key != "record":
                    return self.wording(renamed, relation)
        wrong = falsified(self.material, entity, relation)
        return "" if wrong is None else self.wording(wrong, relation)

    def _unstated(self, entity: Entity, stated: Sequence[Relation]) -> list[Relation]:
        """Relations that a passage which states the others leaves open in any reading."""
        closed = {key for relation in stated for key in closed_keys(relation.key)}
        return [r for r in self.material.asked(entity) if r.key not in closed]

    def _told(self, entity: Entity, relation: Relation) -> str:
        """The relation as a second part of a sentence, without the name where that is possible."""
        if relation.followups and self.rng.random() < 0.6:
            value = entity.values[relation.key]
            return capitalised(fill(self.rng.choice(relation.followups), entity, value))
        return self.wording(entity, relation)

    def _both(self, one: str, other: str, entity: Entity) -> str:
        if self.rng.random() < 0.3:
            return f"{one} {other}"
        lower = other.startswith(("He ", "She ", "His ", "Her ", "Its ", *OPENINGS))
        tail = other[:1].lower() + other[1:] if lower else embedded(other, entity)
        return f"{one.rstrip('.')}{self.rng.choice((', and', ' and', ', while', ';'))} {tail}"

    def _afterthought(self) -> str:
        rng, inventor = self.rng, self.material.inventor
        return rng.choice(AFTERTHOUGHTS).format(
            participle=rng.choice(PARTICIPLES),
            year=rng.randint(1400, 2020),
            number=f"{rng.randint(2, 999)}" if rng.random() < 0.6 else f"{rng.randint(1, 99)},000",
            person=inventor.lexicon.person(rng),
            place=inventor.lexicon.model.place(rng),
            word=rng.choice(inventor.lexicon.words),
        )


def _statements(entity: Entity, relation: Relation) -> list[str]:
    value = entity.values[relation.key]
    filled = (capitalised(fill(text, entity, value)) for text in relation.statements)
    return [answer_sentence(entity, relation.key), *filled]


def _items(entity: Entity, relation: Relation) -> list[str]:
    """The values of a list in words. Of a record or a term the words are no list."""
    value = entity.values[relation.key]
    if entity.kind.key in ("record", "term"):
        return [value]
    return value.replace(" and ", ", ").split(", ")


def _with(entity: Entity, relation: Relation, value: str) -> Entity:
    values = {**entity.values, relation.key: value}
    return replace(entity, values=values)
