"""Reading exercises: facts of any sort, so that reading is learnt and not the relations.

The fact tables have about seventy relations; a model that has seen only those knows no other verb.
The files in `exercises/` (their format is in `FORMAT.md` there) state and ask a thousand others.
The answer to such a question is the stating sentence as it stands in the passage.
"""

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

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
from selfrag.training.mini.names import mutated
from selfrag.training.mini.schemas.questions import question, with_habits
from selfrag.training.mini.schemas.relation import Entity, capitalised, with_indefinite
from selfrag.training.mini.sorts import KINDS_BY_KEY, Sorts

EXERCISES = Path(__file__).parent / "exercises"
SLOT = re.compile(r"\{([aA]:)?([A-Za-z]+)(\d*)\}")


@dataclass
class Fact:
    """One block: statements of equal meaning, (asked slot, question) pairs, a title."""

    title: str = "{x}"
    statements: list[str] = field(default_factory=list)
    questions: list[tuple[str, str]] = field(default_factory=list)


@dataclass
class Section:
    """Facts about one sort of thing. sort: of {x}; empty in a general section. kind: the key of
    one of the project's kinds, or empty. unasked: questions that no fact answers."""

    sort: str
    kind: str
    facts: list[Fact] = field(default_factory=list)
    unasked: list[str] = field(default_factory=list)


def read_sections(folder: Path = EXERCISES) -> list[Section]:
    """The sections of all files of the folder, those about one kind together. ValueError for a
    line that fits no form."""
    sections: list[Section] = []
    kinds: dict[str, Section] = {}
    for path in sorted(folder.glob("*.txt")):
        fact, section = None, Section("", "")
        for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), 1):
            mark, text = line[:2], line[2:].strip()
            if line.startswith("## "):
                section = _section(line[3:].strip())
                if section.kind not in kinds:
                    sections.append(section)
                if section.kind:
                    section = kinds.setdefault(section.kind, section)
            elif mark == "U ":
                section.unasked.append(text)
            elif mark in ("S ", "Q ", "T "):
                if fact is None:
                    fact = Fact()
                    section.facts.append(fact)
                _add(fact, mark[0], text)
            elif line.strip():
                raise ValueError(f"{path.name}, line {number} fits no form: {line!r}")
            if not line.strip() or line.startswith("## "):
                fact = None
    return sections


def _section(header: str) -> Section:
    if header.startswith("="):
        return Section("kind", header[1:])
    return Section("" if header == "general" else header.rpartition(":")[2].strip(), "")


def _add(fact: Fact, mark: str, text: str) -> None:
    if mark == "S":
        fact.statements.append(text)
    elif mark == "T":
        fact.title = text
    else:
        slot, _, asked = text.partition(":")
        fact.questions.append((slot.strip().lower(), asked.strip()))


def slots_of(text: str) -> list[str]:
    """The slots of a template in lower case, with their numbers."""
    return [name.lower() + number for _, name, number in SLOT.findall(text)]


def filled(template: str, values: dict[str, str]) -> str:
    """The template with these values; a slot with a capital letter gives a capital letter."""

    def value(found: re.Match[str]) -> str:
        article, name, number = found.groups()
        text = values[name.lower() + number]
        text = with_indefinite(text) if article else text
        return capitalised(text) if name[0].isupper() or article == "A:" else text

    return capitalised(SLOT.sub(value, template))


class Reader:
    """Makes examples from exercises, beside `Material`, whose generator of numbers it shares."""

    def __init__(self, material: Material, folder: Path = EXERCISES) -> None:
        self.material, self.rng = material, material.rng
        self.sorts = Sorts(material.inventor.lexicon)
        self.sections = read_sections(folder)
        self.weights = [len(section.facts) ** 0.8 for section in self.sections]
        self._pending: list[Example] = []

    def example(self) -> Example:
        """The next example; they come in groups that share a question."""
        while not self._pending:
            self._pending = self.rng.choices(MAKERS, MAKER_WEIGHTS)[0](self)
        return self._pending.pop()

    def draw(self) -> tuple[Section, Fact, dict[str, str], Entity | None]:
        """A fact with values for its slots."""
        section = self.rng.choices(self.sections, self.weights)[0]
        fact = self.rng.choice(section.facts)
        thing = None
        values: dict[str, str] = {}
        if section.kind:
            thing = self.material.inventor.entity(KINDS_BY_KEY[section.kind], self.rng)
            values["x"] = thing.spoken
        elif section.sort:
            values["x"] = self.sorts.draw(section.sort, self.rng)
        return section, fact, self.completed(fact, values), thing

    def completed(self, fact: Fact, values: dict[str, str]) -> dict[str, str]:
        """The values with new ones for the other slots of the fact, no two of them equal."""
        values = dict(values)
        for slot in dict.fromkeys(slots_of(fact.statements[0])):
            for _ in range(20):
                if slot in values and list(values.values()).count(values[slot]) == 1:
                    break
                values[slot] = self.sorts.draw(slot.rstrip("0123456789"), self.rng)
        return values

    def asked(self, fact: Fact, values: dict[str, str]) -> tuple[str, str]:
        """The slot that is asked for and the question."""
        slot, template = self.rng.choice(fact.questions)
        text = filled(template, values)
        return slot, with_habits(text, self.rng) if self.rng.random() < 0.4 else text

    def unasked_question(self, section: Section, values: dict[str, str]) -> str:
        """A question that nothing in the section answers."""
        text = filled(self.rng.choice(section.unasked), values)
        return with_habits(text, self.rng) if self.rng.random() < 0.4 else text

    def stated(self, fact: Fact, values: dict[str, str]) -> str:
        """A sentence that states the fact."""
        return filled(self.rng.choice(fact.statements), values)

    def beside(
        self, section: Section, fact: Fact, values: dict[str, str], thing: Entity | None
    ) -> list[str]:
        """One or two sentences about the same thing that state something else."""
        others = [other for other in section.facts if other is not fact]
        if not section.sort or not others:
            return []
        count = self.rng.choice((1, 1, 2))
        if thing is not None and self.rng.random() < 0.6:
            known = [r.key for r in self.material.asked(thing)]
            keys = self.rng.sample(known, min(count, len(known)))
            return [self.material.passage(thing, keys)[1]]
        chosen = self.rng.sample(others, min(count, len(others)))
        return [self.stated(other, self.completed(other, {"x": values["x"]})) for other in chosen]

    def passage(
        self, fact: Fact, values: dict[str, str], sentences: Sequence[str], thing: Entity | None
    ) -> tuple[str, str]:
        """Title and text; the sentences in any order."""
        title = thing.title if thing is not None else filled(fact.title, values)
        return title, " ".join(self.rng.sample(list(sentences), len(sentences)))

    def stranger(self, section: Section, fact: Fact, values: dict[str, str]) -> dict[str, str]:
        """Values of which none is the same: another thing, often with a similar name."""
        other: dict[str, str] = {}
        if "x" in values and not section.kind and self.rng.random() < 0.4:
            model = self.material.inventor.lexicon.model
            other["x"] = mutated(values["x"], self.rng, model)
        elif section.kind:
            kind = KINDS_BY_KEY[section.kind]
            other["x"] = self.material.inventor.entity(kind, self.rng).spoken
        elif section.sort:
            other["x"] = self.sorts.draw(section.sort, self.rng)
        return self.completed(fact, other)


def answered(reader: Reader) -> list[Example]:
    """A question with a passage that answers it, with one that leaves it open, and with one about
    something else: some of the three."""
    rng = reader.rng
    section, fact, values, thing = reader.draw()
    slot, text = reader.asked(fact, values)
    sentence = reader.stated(fact, values)
    beside = reader.beside(section, fact, values, thing)
    sentences = [sentence, *(beside if rng.random() < 0.5 else [])]
    passage = reader.passage(fact, values, sentences, thing)
    examples = [
        Example("answered", text, (Segment(RETRIEVAL, sentence, passage, RELEVANT, FULLY),), 5)
    ]
    if beside and slot != "x" and rng.random() < 0.6:
        left = helpless(reader.passage(fact, values, beside, thing))
        examples.append(Example("unstated", text, (left,), 1))
    if rng.random() < 0.5:
        examples += _about_another(reader, section, fact, values, text)
    return examples


def _about_another(
    reader: Reader, section: Section, fact: Fact, values: dict[str, str], text: str
) -> list[Example]:
    """The question with a passage that states the same of other things."""
    other = reader.stranger(section, fact, values)
    shared = {value.lower() for value in values.values()}
    if shared & {value.lower() for value in other.values()}:
        return []
    sentences = [reader.stated(fact, other)]
    if section.sort and reader.rng.random() < 0.4:
        sentences += reader.beside(section, fact, other, None)
    title = capitalised(other["x"]) if section.sort else filled(fact.title, other)
    return [Example("irrelevant", text, (helpless((title, " ".join(sentences))),), 1)]


def unasked(reader: Reader) -> list[Example]:
    """A question that no fact of the section answers, with a passage about the thing."""
    section, fact, values, thing = reader.draw()
    if not section.unasked:
        return []
    text = reader.unasked_question(section, values)
    sentences = reader.beside(section, fact, values, thing)
    if thing is None and reader.rng.random() < 0.5:
        sentences.append(reader.stated(fact, values))
    passage = reader.passage(fact, values, sentences, thing)
    return [Example("unstated", text, (helpless(passage),), 1)]


def known_question(reader: Reader) -> list[Example]:
    """A question of the tables' relations; the passage states only what no table has."""
    _, fact, values, thing = reader.draw()
    if thing is None:
        return []
    text = question(thing, reader.rng.choice(reader.material.asked(thing)), reader.rng)
    passage = reader.passage(fact, values, [reader.stated(fact, values)], thing)
    return [Example("unstated", text, (helpless(passage),), 1)]


def misjudged(reader: Reader) -> list[Example]:
    """A sentence with another value than the passage states, or one that is true and beside the
    question: to judge, not to write."""
    rng = reader.rng
    section, fact, values, thing = reader.draw()
    slot, text = reader.asked(fact, values)
    beside = reader.beside(section, fact, values, thing)
    sentence = reader.stated(fact, values)
    passage = reader.passage(fact, values, [sentence, *beside], thing)
    if beside and thing is None and rng.random() < 0.5:
        if slot == "x":
            return []
        segment = Segment(RETRIEVAL, beside[0], passage, RELEVANT, FULLY, learnt=False)
        return [Example("beside", text, (segment,), 1)]
    false = {**values, slot: reader.sorts.draw("name", rng)}
    if slot != "x":
        false[slot] = reader.sorts.draw(slot.rstrip("0123456789"), rng)
    if false[slot].lower() in values[slot].lower():
        return []
    wrong = reader.stated(fact, false)
    segment = Segment(RETRIEVAL, wrong, passage, RELEVANT, NO_SUPPORT, learnt=False)
    return [Example("contradicted", text, (segment,), 2)]


Maker = Callable[[Reader], list[Example]]
MAKERS: tuple[Maker, ...] = (answered, unasked, known_question, misjudged)
MAKER_WEIGHTS = (60, 14, 4, 22)
