"""A first course: examples whose answer cannot be told without the question.

In the full mixture most outputs can be guessed from the passage alone, and a small model settles
for that: after 18 million tokens it copied values perfectly and gave every passage the same
p(Relevant). Here the question decides everything: passages state several facts, of which it picks
one; the same question comes with a passage that answers it and with one that does not; passages
are about things whose names share nothing with the one asked about; values of one relation are
put into the sentence of another, to be judged as unsupported; and supported sentences that answer
something else are judged as useless.
"""

from collections.abc import Callable

from selfrag.training.mini.example import (
    FULLY,
    NO_SUPPORT,
    RELEVANT,
    RETRIEVAL,
    Example,
    Segment,
    helpless,
)
from selfrag.training.mini.material import Material
from selfrag.training.mini.schemas.questions import plain_question, question, with_habits
from selfrag.training.mini.schemas.relation import Entity, Relation, answer_sentence


def _question(material: Material, entity: Entity, relation: Relation) -> str:
    """A question with few courtesies."""
    rng = material.rng
    text = plain_question(entity, relation, rng, entity.spoken)
    return with_habits(text, rng) if rng.random() < 0.2 else text


def selected(material: Material) -> Example:
    """The passage states several facts about the thing; the question asks for one."""
    rng = material.rng
    entity = material.entity()
    asked = material.asked(entity)
    relation = rng.choice(asked)
    others = [other.key for other in asked if other is not relation]
    extra = rng.choices((0, 1, 2, 3), (3, 4, 3, 1))[0]
    keys = [relation.key, *rng.sample(others, min(extra, len(others)))]
    rng.shuffle(keys)
    sentence = answer_sentence(entity, relation.key)
    segment = Segment(RETRIEVAL, sentence, material.passage(entity, keys), RELEVANT, FULLY)
    return Example("answered", _question(material, entity, relation), (segment,), 5)


def stranger_passage(material: Material) -> Example:
    """The passage is about another thing of the same kind, often with the same relation."""
    rng = material.rng
    entity = material.entity()
    relation = rng.choice(material.asked(entity))
    other = material.inventor.entity(entity.kind, rng)
    if set(words(other.name)) & set(words(entity.name)):
        return stranger_passage(material)
    stated = [r.key for r in material.asked(other)]
    keys = [relation.key] if relation.key in stated and rng.random() < 0.7 else []
    keys += rng.sample(stated, min(len(stated), rng.choice((1, 1, 2))))
    passage = material.passage(other, list(dict.fromkeys(keys)))
    text = _question(material, entity, relation)
    return Example("irrelevant", text, (helpless(passage),), 1)


def contrast(material: Material) -> list[Example]:
    """One question with a passage that states the answer, and with one that leaves it open."""
    rng = material.rng
    entity = material.entity()
    relation = rng.choice(material.asked(entity))
    keys = material.other_keys(entity, relation.key)
    if not keys:
        return [selected(material)]
    text = _question(material, entity, relation)
    stated = material.passage(entity, material.company(entity, relation.key))
    sentence = answer_sentence(entity, relation.key)
    answered = Segment(RETRIEVAL, sentence, stated, RELEVANT, FULLY)
    left_open = helpless(material.passage(entity, keys))
    return [Example("answered", text, (answered,), 5), Example("unstated", text, (left_open,), 1)]


def inverse_contrast(material: Material) -> list[Example]:
    """A question that names the value, with the passage that states it of the thing, and with
    passages that state another value, or something else of the same thing."""
    rng = material.rng
    entity, relation = material.invertible()
    value = entity.values[relation.key]
    text = question(entity, relation, rng, inverse=True)
    sentence = answer_sentence(entity, relation.key)
    stated = material.passage(entity, material.company(entity, relation.key))
    examples = [
        Example("inverse", text, (Segment(RETRIEVAL, sentence, stated, RELEVANT, FULLY),), 5)
    ]
    other = material.stranger(entity)
    if relation.key in other.values and other.values[relation.key].lower() != value.lower():
        passage = material.passage(other, material.company(other, relation.key))
        examples.append(Example("irrelevant", text, (helpless(passage),), 1))
    keys = material.other_keys(entity, relation.key)
    if keys and rng.random() < 0.5:
        passage = material.passage(entity, keys)
        if value.lower() not in passage[1].lower() and entity.name.lower() not in text.lower():
            examples.append(Example("irrelevant", text, (helpless(passage),), 1))
    return examples


def misread(material: Material) -> Example:
    """The asked relation with the value of another one: a sentence to judge, not to write."""
    rng = material.rng
    entity = material.entity()
    relation = rng.choice(material.asked(entity))
    keys = material.other_keys(entity, relation.key)
    if not keys:
        return misread(material)
    value = entity.values[rng.choice(keys)]
    wrong = Entity(entity.kind, entity.name, entity.article, {relation.key: value}, entity.slots)
    passage = material.passage(entity, rng.sample([*keys, relation.key], len(keys) + 1))
    sentence = answer_sentence(wrong, relation.key)
    segment = Segment(RETRIEVAL, sentence, passage, RELEVANT, NO_SUPPORT, learnt=False)
    return Example("contradicted", _question(material, entity, relation), (segment,), 2)


def beside(material: Material) -> list[Example]:
    """A true and supported sentence that does not answer the question is of no use; from the same
    passage, the sentence that answers it is."""
    rng = material.rng
    entity = material.entity()
    relation = rng.choice(material.asked(entity))
    keys = material.other_keys(entity, relation.key)
    if not keys:
        return beside(material)
    text = _question(material, entity, relation)
    passage = material.passage(entity, rng.sample([*keys, relation.key], len(keys) + 1))
    sentence = answer_sentence(entity, keys[0])
    useless = Segment(RETRIEVAL, sentence, passage, RELEVANT, FULLY, learnt=False)
    answer = Segment(RETRIEVAL, answer_sentence(entity, relation.key), passage, RELEVANT, FULLY)
    return [Example("beside", text, (useless,), 1), Example("answered", text, (answer,), 5)]


def words(name: str) -> list[str]:
    """The words of a name in lower case, short ones left out."""
    return [word for word in name.lower().replace("-", " ").split() if len(word) > 2]


COURSE: tuple[Callable[[Material], list[Example]], ...] = (
    lambda material: [selected(material)],
    lambda material: [stranger_passage(material)],
    lambda material: [misread(material)],
    beside,
    contrast,
    inverse_contrast,
)
COURSE_WEIGHTS = (12, 8, 8, 8, 50, 14)


class Primer:
    """Draws examples of the first course."""

    def __init__(self, material: Material) -> None:
        self.material = material
        self._pending: list[Example] = []

    def example(self) -> Example:
        """The next example; they come in groups that share a question."""
        if not self._pending:
            maker = self.material.rng.choices(COURSE, COURSE_WEIGHTS)[0]
            self._pending = maker(self.material)
        return self._pending.pop()
