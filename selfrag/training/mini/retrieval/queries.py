"""Queries of every sort that the embedded retriever meets, each with all passages that answer.

single: a question for a value. inverse: a question that names the value and asks for the thing.
first_hop, later_hop: the searches of a question with hops. claim: a statement, true or false, to be
checked against what the corpus says of the same thing. choice: a question with four options.

Questions come from the training phrasings in `selfrag.training.mini.schemas` and from the wordings
beside this module, never from an evaluation set.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from random import Random

from selfrag.training.encoder.data import EncoderData, EncoderQuery
from selfrag.training.mini.retrieval.chains import Chains
from selfrag.training.mini.retrieval.claim_wordings import CHOICES, CLAIMS
from selfrag.training.mini.retrieval.evidence import Evidence
from selfrag.training.mini.schemas import (
    Entity,
    Relation,
    capitalised,
    question,
)
from selfrag.training.mini.schemas.questions import inverses_of, plain_question, with_habits
from selfrag.training.mini.schemas.relation import fill

SORTS = ("single", "inverse", "first_hop", "later_hop", "claim", "choice")
SHARES: dict[str, float] = {
    "single": 1.0,
    "inverse": 0.3,
    "chain": 0.4,
    "claim": 0.25,
    "choice": 0.25,
}
"""Queries of each sort per fact and round; a chain gives two or three."""
MOST_ANSWERS = 10
"""An inverse question that more passages answer is not asked."""


class QueryMaker:
    """Draws queries about these things."""

    def __init__(self, entities: Sequence[Entity]) -> None:
        self.evidence = Evidence(entities)
        self.facts: list[tuple[Entity, Relation]] = [
            (entity, relation)
            for entity in entities
            for relation in entity.kind.relations
            if relation.asked
            and relation.key in entity.values
            and self.evidence.of(entity, relation.key)
        ]
        self.chains = Chains(entities, self.evidence)
        values: dict[tuple[str, str], dict[str, None]] = {}
        for entity, relation in self.facts:
            known = values.setdefault((entity.kind.key, relation.key), {})
            known[entity.values[relation.key]] = None
        self._values = {key: list(known) for key, known in values.items()}

    def data(self, rounds: int, seed: int, shares: dict[str, float] | None = None) -> EncoderData:
        """Queries for all facts, `rounds` times in other words, shuffled."""
        rng = Random(seed)
        shares = shares or SHARES
        queries: list[EncoderQuery] = []
        for _ in range(rounds):
            for entity, relation in self.facts:
                for sort, share in shares.items():
                    times = int(share) + (rng.random() < share % 1)
                    for _ in range(times):
                        queries += self.draw(sort, entity, relation, rng)
        rng.shuffle(queries)
        return EncoderData(self.evidence.passages, queries)

    def fresh(self, each: int, seed: int) -> EncoderData:
        """`each` queries of every sort to measure with; hops, claims and options in wordings that
        are never trained on."""
        rng = Random(seed)
        found: dict[str, list[EncoderQuery]] = {sort: [] for sort in SORTS}
        while any(len(queries) < each for queries in found.values()):
            entity, relation = rng.choice(self.facts)
            for sort in SHARES:
                for query in self.draw(sort, entity, relation, rng, held=True):
                    if len(found[query.sort]) < each:
                        found[query.sort].append(query)
        return EncoderData(
            self.evidence.passages, [query for sort in SORTS for query in found[sort]]
        )

    def draw(
        self, sort: str, entity: Entity, relation: Relation, rng: Random, *, held: bool = False
    ) -> Iterator[EncoderQuery]:
        """Queries of a sort about a fact, none where the fact does not allow it; a chain is about
        another fact."""
        if sort == "chain":
            for place, hop in enumerate(self.chains.draw(rng, held=held)):
                yield EncoderQuery(
                    hop.query,
                    self.evidence.of(hop.thing, hop.key),
                    sort="later_hop" if place else "first_hop",
                )
            return
        positives = self.evidence.of(entity, relation.key)
        text: str | None
        if sort == "single":
            text = question(entity, relation, rng)
        elif sort == "inverse":
            if not inverses_of(entity, relation):
                return
            text = question(entity, relation, rng, inverse=True)
            positives = self.evidence.of_sharing(entity, relation.key, text)
            if len(positives) > MOST_ANSWERS:
                return
        elif sort == "claim":
            text = self.claim(entity, relation, rng, held)
        else:
            text = self.choice(entity, relation, rng, held)
        if text is not None:
            yield EncoderQuery(text, positives, sort=sort)

    def claim(self, entity: Entity, relation: Relation, rng: Random, held: bool) -> str | None:
        """A statement about the thing, false half of the time, with what stands around it."""
        templates = [
            text
            for text in (relation.answer, relation.answer, *relation.statements)
            if "{v}" in text
        ]
        if not templates:
            return None
        others = self._values[entity.kind.key, relation.key]
        value = entity.values[relation.key] if rng.random() < 0.5 else rng.choice(others)
        claim = capitalised(fill(rng.choice(templates), entity, value))
        inner = claim.rstrip(".")
        if not claim.lower().startswith((entity.name.lower(), value.lower())):
            inner = inner[:1].lower() + inner[1:]
        wording = CLAIMS[-1] if held else rng.choice(CLAIMS[:-1])
        return with_habits(wording.replace("{c}", claim).replace("{x}", inner), rng)

    def choice(self, entity: Entity, relation: Relation, rng: Random, held: bool) -> str | None:
        """A question for the value, with it and three others as options."""
        value = entity.values[relation.key]
        others = self._values[entity.kind.key, relation.key]
        if len(others) < 8 or len(value) > 60:
            return None
        options = [value]
        while len(options) < 4:
            other = rng.choice(others)
            if other not in options:
                options.append(other)
        rng.shuffle(options)
        asked = capitalised(plain_question(entity, relation, rng, entity.spoken))
        text = CHOICES[-1] if held else rng.choice(CHOICES[:-1])
        text = text.replace("{q}", asked)
        for letter, option in zip("abcd", options, strict=True):
            text = text.replace(f"{{{letter}}}", option)
        return text
