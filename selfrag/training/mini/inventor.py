"""Invented things with invented values: what the training examples are about.

An invented value is new, or true of something else: `Inventor` never pairs a name of the fact
tables with a value that is true of it. It knows nothing of questions, prompts and tokens.
"""

from collections.abc import Sequence
from dataclasses import replace
from random import Random

from selfrag.training.mini.lexicon import Lexicon, value_items
from selfrag.training.mini.naming import Names
from selfrag.training.mini.schemas.relation import Entity, Kind
from selfrag.training.mini.schemas.tables import KINDS
from selfrag.training.mini.traits import unvalued
from selfrag.training.mini.valuing import Values


class Inventor:
    """Draws things of every kind. `entities`: the true ones, for shapes and for what to avoid."""

    def __init__(self, entities: Sequence[Entity]) -> None:
        self.lexicon = Lexicon(entities)
        self.names = Names(self.lexicon)
        self.values = Values(self.lexicon)

    def entity(self, kind: Kind, rng: Random, name: str = "") -> Entity:
        """An invented thing of this kind with a value for each of its relations."""
        if kind.key == "term" and not name and self.lexicon.terms and rng.random() < 0.5:
            return self._retold(rng)
        bare = unvalued(kind, name or self.names.draw(kind, rng), self.lexicon, rng)
        return replace(bare, values=self._values(bare, rng))

    def _retold(self, rng: Random) -> Entity:
        """A term of the tables with another answer in its sentence."""
        real = rng.choice(self.lexicon.terms)
        true = real.values["answer"]
        sort = "small_number" if true.isdigit() else "thing"
        for _ in range(30):
            value = self.values.draw(sort, rng)
            if value.lower() not in self.lexicon.truths[real.name.lower()]:
                break
        sentence = real.values["sentence"].replace(true, value)
        return replace(real, values={"answer": value, "sentence": sentence})

    def _values(self, entity: Entity, rng: Random) -> dict[str, str]:
        """A value for each relation, none of them true of a thing of the tables."""
        true = self.lexicon.truths.get(entity.name.lower(), set())
        values: dict[str, str] = {}
        for relation in entity.kind.relations:
            if not relation.value or relation.value == "sentence":
                continue
            for _ in range(30):
                value = self.values.draw(relation.value, rng)
                if not true.intersection((value.lower(), *value_items(value))):
                    values[relation.key] = value
                    break
        if entity.kind.key == "record" and self.lexicon.details and rng.random() < 0.5:
            values["detail"] = rng.choice(self.lexicon.details)
        if "sort" in values and entity.kind.key == "work":
            values["sort"] = entity.slots["noun"]
        return values


def kind_weights() -> list[float]:
    """How often each kind is drawn: about by its share of the corpus."""
    heavy = {"country": 4.0, "element": 3.0, "person": 4.0, "work": 2.0, "record": 2.5, "term": 2.0}
    return [heavy.get(kind.key, 1.0) for kind in KINDS]
