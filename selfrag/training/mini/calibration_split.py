"""The split on which the embedded model's thresholds are calibrated.

Answerable: true facts of the tables, asked in the training phrasings. Unanswerable: the same
questions about invented things, and things of the tables asked for what no table holds. None of
them is in the evaluation set, whose phrasings are independent of these.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from random import Random

from selfrag.training.mini.foreign import FOREIGN_NOUNS
from selfrag.training.mini.inventor import Inventor
from selfrag.training.mini.schemas import Entity, Relation, question
from selfrag.training.mini.schemas.questions import noun_question, with_habits
from selfrag.training.mini.schemas.wrappers import NOUN_WRAPPERS


def calibration_questions(
    entities: Sequence[Entity], answerable: int, unanswerable: int, seed: int
) -> Iterator[tuple[str, bool]]:
    """(question, whether the corpus answers it); answerable ones first."""
    rng = Random(seed)
    inventor = Inventor(list(entities))
    for entity in rng.sample(list(entities), answerable):
        relation = rng.choice(_asked(entity))
        inverse = bool(relation.inverses) and rng.random() < 0.15
        yield question(entity, relation, rng, inverse), True
    for number in range(unanswerable):
        entity = rng.choice(entities)
        if number % 2:
            noun = f"the {rng.choice(FOREIGN_NOUNS)} of {{s}}"
            wrapper = rng.choice(NOUN_WRAPPERS)
            text = noun_question(wrapper, noun, entity, "", entity.spoken)
            yield with_habits(text, rng), False
        else:
            invented = inventor.entity(entity.kind, rng)
            yield question(invented, rng.choice(_asked(invented)), rng), False


def _asked(entity: Entity) -> list[Relation]:
    """The relations of a thing that questions ask for."""
    return [r for r in entity.kind.relations if r.asked and r.key in entity.values]
