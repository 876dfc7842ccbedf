"""A first course: examples whose answer cannot be told without the question.

In the full mixture most outputs can be guessed from the passage alone, and a small model settles
for that: after 18 million tokens it copied values perfectly and gave every passage the same
p(Relevant). Here the question decides everything. Half of the passages are about another thing
whose name shares nothing with the one asked about, and passages that help state several facts, of
which the question picks one.
"""

from __future__ import annotations

from selfrag.training.mini.examples import FULLY, RELEVANT, RETRIEVAL, Example, Generator, Segment
from selfrag.training.mini.inventor import Inventor
from selfrag.training.mini.schemas.questions import plain_question, with_habits
from selfrag.training.mini.schemas.relation import Entity, Relation, answer_sentence


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
        makers = (self._selected, self._stranger_passage, self._left_open)
        return self.rng.choices(makers, (45, 38, 17))[0]()

    def _question(self, entity: Entity, relation: Relation) -> str:
        text = plain_question(entity, relation, self.rng, entity.spoken)
        return with_habits(text, self.rng) if self.rng.random() < 0.2 else text

    def _selected(self) -> Example:
        """The passage states several facts about the thing; the question asks for one."""
        entity = self._entity()
        asked = self._asked(entity)
        relation = self.rng.choice(asked)
        others = [other.key for other in asked if other is not relation]
        extra = self.rng.choices((0, 1, 2, 3), (3, 4, 3, 1))[0]
        keys = [relation.key, *self.rng.sample(others, min(extra, len(others)))]
        self.rng.shuffle(keys)
        sentence = answer_sentence(entity, relation.key)
        segment = Segment(RETRIEVAL, sentence, self._passage(entity, keys), RELEVANT, FULLY)
        return Example("answered", self._question(entity, relation), (segment,), 5)

    def _stranger_passage(self) -> Example:
        """The passage is about another thing of the same kind, often with the same relation."""
        entity = self._entity()
        relation = self.rng.choice(self._asked(entity))
        other = self.inventor.entity(entity.kind, self.rng)
        if set(words(other.name)) & set(words(entity.name)):
            return self._stranger_passage()
        stated = [r.key for r in self._asked(other)]
        keys = [relation.key] if relation.key in stated and self.rng.random() < 0.7 else []
        keys += self.rng.sample(stated, min(len(stated), self.rng.choice((1, 1, 2))))
        passage = self._passage(other, list(dict.fromkeys(keys)))
        text = self._question(entity, relation)
        return Example("irrelevant", text, (self._helpless(passage, named=False),), 1)

    def _left_open(self) -> Example:
        """The passage is about the thing and does not state what is asked."""
        entity = self._entity()
        relation = self.rng.choice(self._asked(entity))
        keys = self._other_keys(entity, relation.key)
        if not keys:
            return self._left_open()
        passage = self._passage(entity, keys)
        text = self._question(entity, relation)
        return Example("unstated", text, (self._helpless(passage, named=True),), 1)


def words(name: str) -> list[str]:
    """The words of a name in lower case, short ones left out."""
    return [word for word in name.lower().replace("-", " ").split() if len(word) > 2]


__all__ = ["Primer"]
