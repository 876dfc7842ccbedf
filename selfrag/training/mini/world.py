"""An invented world: a corpus of passages and requests about it, as the pipeline reads them.

The embedded model is trained as any other generator: from source rows with gold evidence, through
retrieval over a corpus, critique and choice. Its corpus is a world in which nothing is true: things
with invented names and values, whose passages are planned like those of the real corpus. Names are
unique in a world, and a question that describes a thing by a value is left out where two things
have it. What nothing in the world answers names evidence that the corpus does not hold.

This module knows nothing of retrievers, critics and tokens.
"""

import json
from collections import defaultdict
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from random import Random
from typing import Any

from selfrag.training.mini.asked import Asked, Step
from selfrag.training.mini.chains import chain
from selfrag.training.mini.choices import choice
from selfrag.training.mini.claims import claim
from selfrag.training.mini.corpus import slug
from selfrag.training.mini.example import UNKNOWN
from selfrag.training.mini.generator import no_passage
from selfrag.training.mini.inventor import Inventor
from selfrag.training.mini.judged import SentencesToJudge
from selfrag.training.mini.material import Material
from selfrag.training.mini.parts import many_asked, overview_asked
from selfrag.training.mini.reading import Reader
from selfrag.training.mini.schemas.questions import question
from selfrag.training.mini.schemas.relation import Entity, answer_sentence

SAYS = {"sentence": "answer"}
"""A passage's relation -> the one that is asked for, where these have two names."""
ABSENT = "absent"
"""Evidence that no corpus holds."""


@dataclass(frozen=True)
class WorldPlan:
    """Rows of each sort. single: a relation of a thing; inverse: the thing by its value; chains:
    two or three steps; long: lists and overviews. judged: share of the single and inverse ones with
    sentences in other words, to be judged."""

    single: int = 6000
    inverse: int = 2200
    chains: int = 5000
    claims: int = 3500
    choices: int = 2500
    long: int = 2000
    read: int = 2500
    unanswerable: int = 3000
    requests: int = 1500
    judged: float = 0.6
    seed: int = 1


@dataclass
class Registry:
    """The things of a world and their passages.

    things: by kind and name; listed: in the order in which they came. passages: id -> title, text,
    relations stated. stated: thing and relation -> ids of passages. having: kind, relation and
    value -> names.
    """

    material: Material
    things: dict[tuple[str, str], Entity] = field(default_factory=dict)
    listed: list[Entity] = field(default_factory=list)
    passages: dict[str, tuple[str, str, tuple[str, ...]]] = field(default_factory=dict)
    stated: defaultdict[tuple[str, str], list[str]] = field(
        default_factory=lambda: defaultdict(list)
    )
    having: defaultdict[tuple[str, str, str], set[str]] = field(
        default_factory=lambda: defaultdict(set)
    )

    def knows_other(self, entity: Entity) -> bool:
        """Whether another thing of this kind has the name."""
        known = self.things.get(_key(entity))
        return known is not None and known.values != entity.values

    def add(self, entity: Entity) -> None:
        """The thing with a passage for each plan of its kind."""
        if _key(entity) in self.things:
            return
        self.things[_key(entity)] = entity
        self.listed.append(entity)
        name = f"{entity.kind.key}/{slug(entity.name)}-{len(self.things)}"
        for relation, value in entity.values.items():
            self.having[entity.kind.key, relation, value.lower()].add(entity.name.lower())
        said: list[set[str]] = []
        for plan, keys in entity.kind.plans.items():
            stated = tuple(key for key in keys if key in entity.values)
            if not stated or any(one.issuperset(stated) for one in said):
                continue
            said.append(set(stated))
            self.put(f"{name}/{plan}", entity, stated)

    def put(self, passage_id: str, entity: Entity, keys: tuple[str, ...]) -> None:
        """A passage about a thing."""
        title, text = self.material.passage(entity, keys)
        self.passages[passage_id] = (title, text, keys)
        stated = {SAYS.get(key, key): None for key in keys}
        sort = entity.values.get("sort")
        if sort is not None and sort.lower() in text.lower():
            stated["sort"] = None  # "the poem ... is by ..." says that it is one
        for key in stated:
            self.stated[_name(entity), key].append(passage_id)

    def evidence(self, step: Step) -> list[str]:
        """The passages that state the fact. Where no plan does, one is added."""
        found = self.stated[_name(step.entity), step.key]
        if not found:
            keys = self.material.company(step.entity, step.key)
            self.put(f"{_name(step.entity)}/{step.key}", step.entity, keys)
        return self.stated[_name(step.entity), step.key]

    def asides(self, step: Step, rng: Random) -> dict[str, str]:
        """What the thing's other passages say: true, and beside the question."""
        entity, evidence = step.entity, set(self.evidence(step))
        found: dict[str, str] = {}
        for relation in self.material.asked(entity):
            for passage_id in self.stated[_name(entity), relation.key]:
                if passage_id not in evidence and (passage_id not in found or rng.random() < 0.5):
                    found[passage_id] = answer_sentence(entity, relation.key)
        return found

    def unique(self, step: Step) -> bool:
        """Whether no other thing of the kind has this value."""
        value = step.entity.values[step.key].lower()
        return len(self.having[step.entity.kind.key, step.key, value]) <= 1


Row = dict[str, Any]


class World:
    """Makes the rows first, since they decide which things there are, then the corpus."""

    def __init__(self, inventor: Inventor, plan: WorldPlan) -> None:
        self.plan, self.rng = plan, Random(plan.seed)
        self.material = Material(inventor, self.rng)
        self.reader = Reader(self.material)
        self.judging = SentencesToJudge(self.material)
        self.registry = Registry(self.material)
        self._asked: list[tuple[str, Asked, bool]] = []
        self._others: list[Row] = []

    def build(self) -> list[Row]:
        """All source rows, in a random order."""
        plan, material, rng = self.plan, self.material, self.rng
        for count, make, by_value in (
            (plan.single, lambda: self._single(False), False),
            (plan.inverse, lambda: self._single(True), True),
            (plan.chains, lambda: chain(material, 2 if rng.random() < 0.65 else 3), True),
            (plan.claims, lambda: claim(material), False),
            (plan.choices, lambda: choice(material), False),
            (plan.long, self._long, False),
        ):
            self._draw(count, make, by_value)
        for _ in range(plan.requests):
            self._others.append(self._request())
        for _ in range(plan.read):
            self._others.append(self._read())
        rows = [row for one in self._asked if (row := self._row(*one)) is not None]
        rows += self._others
        rows += [self._unanswerable() for _ in range(plan.unanswerable)]
        rng.shuffle(rows)
        for number, row in enumerate(rows):
            row["id"] = f"{row['dataset']}-{plan.seed}-{number}"
        return rows

    def corpus(self) -> Iterator[Row]:
        """The passages, after `build`."""
        for passage_id, (title, text, keys) in self.registry.passages.items():
            yield {"id": passage_id, "title": title, "text": text, "metadata": {"keys": [*keys]}}

    def _draw(self, count: int, make: Callable[[], Asked], by_value: bool) -> None:
        """So many requests about things whose names are free."""
        drawn = 0
        while drawn < count:
            asked = make()
            entities = [step.entity for step in asked.steps]
            if any(self.registry.knows_other(entity) for entity in entities):
                continue
            for entity in entities:
                self.registry.add(entity)
            described = len(asked.steps) > 1 and asked.kind == "claim"
            self._asked.append((asked.kind, asked, by_value or described))
            drawn += 1

    def _single(self, inverse: bool) -> Asked:
        """A relation of a thing, known already in half of the cases."""
        material, rng = self.material, self.rng
        if inverse:
            entity, relation = material.invertible()
        else:
            entity = material.entity()
            if self.registry.things and rng.random() < 0.5:
                entity = rng.choice(self.registry.listed)
            relation = rng.choice(material.asked(entity))
        text = question(entity, relation, rng, inverse=inverse)
        return Asked("inverse" if inverse else "single", text, (Step.of(entity, relation.key),))

    def _long(self) -> Asked:
        return (many_asked if self.rng.random() < 0.6 else overview_asked)(self.material)

    def _row(self, kind: str, asked: Asked, by_value: bool) -> Row | None:
        """The request as a source row; None where two things fit its description."""
        registry = self.registry
        if by_value and not all(registry.unique(step) for step in asked.steps[:-1] or asked.steps):
            return None
        segments = [
            {"text": step.sentence, "evidence": [*registry.evidence(step)]} for step in asked.steps
        ]
        if kind == "overview":
            for segment, step in zip(segments, asked.steps, strict=True):
                name = _name(step.entity)
                segment["relevant"] = [
                    one for key in step.entity.values for one in registry.stated[name, key]
                ]
        row = {"dataset": kind, "instruction": asked.text, "segments": segments, "utility": 5}
        if kind in ("single", "inverse"):
            step = asked.steps[0]
            row["asides"] = registry.asides(step, self.rng)
            if self.rng.random() < self.plan.judged:
                row["judged"] = {
                    name: self.judging.draw(step.entity, registry.passages[name][2], step.key)
                    for name in registry.evidence(step)
                }
        return row

    def _request(self) -> Row:
        """What needs no passage."""
        example = no_passage(self.material)
        segments = [{"text": one.sentence, "evidence": []} for one in example.segments]
        return {
            "dataset": "request",
            "instruction": example.instruction,
            "segments": segments,
            "utility": 5,
            "needs_retrieval": False,
        }

    def _read(self) -> Row:
        """A fact that no table has, in a passage of its own."""
        reader, registry = self.reader, self.registry
        section, fact, values, thing = reader.draw()
        slot, text = reader.asked(fact, values)
        sentence = reader.stated(fact, values)
        beside = reader.beside(section, fact, values, thing) if self.rng.random() < 0.4 else []
        title, told = reader.passage(fact, values, [sentence, *beside], thing)
        name = f"read/{len(registry.passages)}"
        registry.passages[name] = (title, told, ())
        others = [other for other in section.facts if other is not fact]
        if slot != "x" and section.sort and others:
            for other in self.rng.sample(others, min(len(others), 2)):
                filled = reader.completed(other, {"x": values["x"]})
                passage = reader.passage(other, filled, [reader.stated(other, filled)], thing)
                registry.passages[f"read/{len(registry.passages)}"] = (*passage, ())
        segments = [{"text": sentence, "evidence": [name]}]
        return {"dataset": "read", "instruction": text, "segments": segments, "utility": 5}

    def _unanswerable(self) -> Row:
        """A question about a known thing that nothing answers, or about an unknown one."""
        rng, reader = self.rng, self.reader
        if rng.random() < 0.25:
            return self._unknown()
        kinds = {section.kind: section for section in reader.sections if section.kind}
        while True:
            entity = rng.choice(self.registry.listed)
            section = kinds.get(entity.kind.key)
            if section is not None and section.unasked:
                text = reader.unasked_question(section, {"x": entity.spoken})
                return _open(text)

    def _unknown(self) -> Row:
        """A question of any sort about things that the world does not have."""
        rng, material = self.rng, self.material
        chance = rng.random()
        while True:
            asked = (
                chain(material, 2)
                if chance < 0.25
                else claim(material)
                if chance < 0.4
                else self._single(False)
            )
            entities = [step.entity for step in asked.steps]
            if not any(_key(entity) in self.registry.things for entity in entities):
                return _open(asked.text)


def write_world(world: World, folder: Path) -> tuple[Path, Path]:
    """Build the world and write `corpus.jsonl` and `sources.jsonl` into the folder."""
    folder.mkdir(parents=True, exist_ok=True)
    sources, corpus = folder / "sources.jsonl", folder / "corpus.jsonl"
    for path, rows in ((sources, world.build()), (corpus, world.corpus())):
        with path.open("w", encoding="utf-8") as handle:
            for row in rows:
                handle.write(json.dumps(row, ensure_ascii=False) + "\n")
    return corpus, sources


def _open(text: str) -> Row:
    segments = [{"text": UNKNOWN, "evidence": [ABSENT]}]
    return {"dataset": "unanswerable", "instruction": text, "segments": segments, "utility": 1}


def _key(entity: Entity) -> tuple[str, str]:
    return entity.kind.key, entity.name.lower()


def _name(entity: Entity) -> str:
    return f"{entity.kind.key}/{entity.name.lower()}"
