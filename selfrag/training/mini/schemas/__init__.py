"""How facts are said, asked for and answered: the one place that corpus and training share.

`read_entities` gives the true things of the fact tables, `KINDS` the sorts of things with their
relations. `training_pairs` is what an encoder trains on: (question, title, passage text).
"""

from collections.abc import Iterable, Iterator
from random import Random

from selfrag.training.mini.schemas.questions import all_questions, inverses_of, question
from selfrag.training.mini.schemas.relation import (
    Entity,
    Kind,
    Relation,
    answer_sentence,
    capitalised,
    joined,
    passage_text,
)
from selfrag.training.mini.schemas.tables import FACTS, KINDS, read_entities


def stated_keys(entity: Entity, keys: Iterable[str]) -> list[str]:
    """Those of the relations whose value the entity has."""
    return [key for key in keys if key in entity.values]


def training_pairs(entities: Iterable[Entity], rng: Random) -> Iterator[tuple[str, str, str]]:
    """One (question, title, passage text) for each passage and asked relation of each entity.

    Call it again with another generator for other phrasings; a passage's text varies too.
    """
    for entity in entities:
        for plan in entity.kind.plans.values():
            keys = stated_keys(entity, plan)
            for key in keys:
                relation = entity.kind.relation(key)
                if not relation.asked:
                    continue
                inverse = rng.random() < 0.25 and bool(inverses_of(entity, relation))
                text = passage_text(entity, keys, rng)
                yield question(entity, relation, rng, inverse), entity.title, text


__all__ = [
    "FACTS",
    "KINDS",
    "Entity",
    "Kind",
    "Relation",
    "all_questions",
    "answer_sentence",
    "capitalised",
    "joined",
    "passage_text",
    "question",
    "read_entities",
    "stated_keys",
    "training_pairs",
]
