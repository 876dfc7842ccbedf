"""What examples are made of: invented things, passages about them, things that look alike.

It knows nothing of instructions and of how the parts are put together.
"""

from collections.abc import Sequence
from random import Random

from selfrag.training.mini.example import FULLY, RELEVANT, RETRIEVAL, Passage, Segment
from selfrag.training.mini.inventor import Inventor, kind_weights
from selfrag.training.mini.names import mutated
from selfrag.training.mini.naming import other_record
from selfrag.training.mini.schemas.questions import inverses_of
from selfrag.training.mini.schemas.relation import (
    Entity,
    Relation,
    answer_sentence,
    passage_text,
)
from selfrag.training.mini.schemas.tables import KINDS

# Relations that share a question ("Where is ...?", "What is ...?"): a passage that states one of
# them is no example of a passage that leaves the other unanswered.
OVERLAPS: tuple[frozenset[str], ...] = (
    frozenset(
        ("city", "country", "place", "continent", "region", "countries", "birthplace", "habitat")
    ),
    frozenset(("year", "period_known", "discovery_year")),
    frozenset(
        (
            "field",
            "known_for",
            "description",
            "class",
            "category",
            "sort",
            "planet",
            "use",
            "answer",
            "sentence",
            "detail",
            "diet",
        )
    ),
    frozenset(("demonym", "languages")),
)


def closed_keys(key: str) -> set[str]:
    """The relation and those that a question for it may mean as well."""
    closed = {key}
    for group in OVERLAPS:
        if key in group:
            closed |= group
    return closed


class Material:
    """Draws things and passages. All that is random comes from `rng`, in the order of the calls."""

    def __init__(self, inventor: Inventor, rng: Random) -> None:
        self.inventor = inventor
        self.rng = rng
        self.weights = kind_weights()

    def entity(self) -> Entity:
        """An invented thing of any kind."""
        kind = self.rng.choices(KINDS, self.weights)[0]
        return self.inventor.entity(kind, self.rng)

    def asked(self, entity: Entity) -> list[Relation]:
        """The relations of the thing that a question may ask for."""
        return [r for r in entity.kind.relations if r.asked and r.key in entity.values]

    def passage(self, entity: Entity, keys: Sequence[str]) -> Passage:
        """A passage that states these relations, now and then with a sentence that says nothing."""
        text = passage_text(entity, keys, self.rng)
        if self.rng.random() < 0.06:
            text = f"{text} {self._filler()}"
        return entity.title, text

    def _filler(self) -> str:
        """A sentence that states nothing anybody asks for."""
        other = self.inventor.lexicon.model.place(self.rng)
        word = self.rng.choice(self.inventor.lexicon.words)
        return self.rng.choice(
            (
                f"It is mentioned together with {other}.",
                f"There is more to say about its {word}.",
                f"Another name that is often heard is {other}.",
                f"Its {word} is well described.",
            )
        )

    def company(self, entity: Entity, key: str) -> tuple[str, ...]:
        """The relations of a passage that states this one: its own plan, or a chance selection."""
        plans = [plan for plan in entity.kind.plans.values() if key in plan]
        if plans and self.rng.random() < 0.55:
            chosen = [k for k in self.rng.choice(plans) if k in entity.values]
        else:
            others = [r.key for r in self.asked(entity) if r.key != key]
            extra = self.rng.choices((0, 1, 2), (4, 4, 1))[0]
            chosen = [key, *self.rng.sample(others, min(extra, len(others)))]
            self.rng.shuffle(chosen)
        return tuple(chosen)

    def other_keys(self, entity: Entity, key: str) -> tuple[str, ...]:
        """Relations of the thing for a passage that leaves this one open."""
        closed = closed_keys(key)
        others = [r.key for r in self.asked(entity) if r.key not in closed]
        if entity.kind.key == "record":
            others = []
        if not others:
            return ()
        return tuple(self.rng.sample(others, min(len(others), self.rng.choice((1, 1, 2)))))

    def known(self, entity: Entity, key: str) -> Segment:
        """The segment that answers from a passage that states the relation."""
        passage = self.passage(entity, self.company(entity, key))
        return Segment(RETRIEVAL, answer_sentence(entity, key), passage, RELEVANT, FULLY)

    def invertible(self) -> tuple[Entity, Relation]:
        """A thing and a relation whose value a question may name to ask for the thing."""
        while True:
            entity = self.entity()
            choices = [r for r in self.asked(entity) if inverses_of(entity, r)]
            if choices:
                return entity, self.rng.choice(choices)

    def stranger(self, entity: Entity) -> Entity:
        """Another thing of the same kind, mostly with a similar name."""
        if entity.kind.key == "record" and self.rng.random() < 0.6:
            name = other_record(entity.name, self.rng)
            if name != entity.name:
                return self.inventor.entity(entity.kind, self.rng, name)
        if self.rng.random() < 0.55:
            name = mutated(entity.name, self.rng, self.inventor.lexicon.model)
            if name.lower() != entity.name.lower() and not same_person(entity, name):
                return self.inventor.entity(entity.kind, self.rng, name)
        return self.inventor.entity(entity.kind, self.rng)


def same_person(entity: Entity, name: str) -> bool:
    """Whether a family name alone would mean both."""
    return entity.kind.key == "person" and entity.name.split()[-1].lower() in name.lower().split()
