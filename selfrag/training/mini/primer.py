"""A first course: examples whose answer cannot be told without the question.

In the full mixture most outputs can be guessed from the passage alone, and a small model settles
for that: after 18 million tokens it copied values perfectly and gave every passage the same
p(Relevant). Here the question decides everything. Half of the passages are about another thing
whose name shares nothing with the one asked about, and passages that help state several facts, of
which the question picks one.
"""

from selfrag.training.mini.example import FULLY, RELEVANT, RETRIEVAL, Example, Segment, helpless
from selfrag.training.mini.generator import Generator
from selfrag.training.mini.inventor import Inventor
from selfrag.training.mini.material import Material
from selfrag.training.mini.schemas.questions import plain_question, with_habits
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
    return Example("irrelevant", text, (helpless(passage, named=False),), 1)


def left_open(material: Material) -> Example:
    """The passage is about the thing and does not state what is asked."""
    rng = material.rng
    entity = material.entity()
    relation = rng.choice(material.asked(entity))
    keys = material.other_keys(entity, relation.key)
    if not keys:
        return left_open(material)
    passage = material.passage(entity, keys)
    text = _question(material, entity, relation)
    return Example("unstated", text, (helpless(passage, named=True),), 1)


def words(name: str) -> list[str]:
    """The words of a name in lower case, short ones left out."""
    return [word for word in name.lower().replace("-", " ").split() if len(word) > 2]


class Primer(Generator):
    """Draws `primer_share` of its examples from the first course, the others from the mixture."""

    def __init__(
        self, inventor: Inventor, seed: int, long_share: float = 0.2, primer_share: float = 0.85
    ) -> None:
        super().__init__(inventor, seed, long_share)
        self.primer_share = primer_share

    def example(self) -> Example:
        """The next example."""
        if self.rng.random() >= self.primer_share:
            return super().example()
        makers = (selected, stranger_passage, left_open)
        return self.rng.choices(makers, (45, 38, 17))[0](self.material)
