"""Endless seeded training examples in the output grammar of Self-RAG.

What the labels mean, so that they can be learnt and relied on:

- `[Relevant]`: the passage is about a thing that the question names, or it states the asked fact.
  `[Irrelevant]` otherwise; then the sentence is "I do not know." and no IsSup token follows.
- `[Fully supported]`: the passage states what the sentence says. `[Partially supported]`: it states
  a part of it, or only a part of what the question asks of one thing. `[No support /
  Contradictory]`: the passage is about the thing but does not state what the sentence says; when it
  does not state what was asked, the sentence is "I do not know.".
- `[Utility:5]`: all that was asked is answered; `4`: at least half of it; `3`: less than half;
  `2`: an answer is given that its passage does not support; `1`: nothing is answered.
- A further segment begins with `[Retrieval]` while something asked is still open, with
  `[Continue to Use Evidence]` when the passage at hand also states the next thing, and with
  `[No Retrieval]` for a greeting or a closing remark. After a passage that did not help, the output
  ends.

Sentences that their passage does not support are marked as not to be learnt: the model learns to
judge them, not to write them.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from random import Random

from selfrag.training.mini.inventor import Inventor, kind_weights, other_record
from selfrag.training.mini.names import mutated
from selfrag.training.mini.requests import request
from selfrag.training.mini.schemas.questions import (
    CLAUSE_WRAPPERS,
    NOUN_WRAPPERS,
    noun_question,
    question,
    with_habits,
)
from selfrag.training.mini.schemas.relation import (
    Entity,
    Relation,
    answer_sentence,
    capitalised,
    fill,
    joined,
    passage_text,
)
from selfrag.training.mini.schemas.tables import KINDS

RETRIEVAL, NO_RETRIEVAL, CONTINUE = "[Retrieval]", "[No Retrieval]", "[Continue to Use Evidence]"
RELEVANT, IRRELEVANT = "[Relevant]", "[Irrelevant]"
FULLY, PARTIALLY, NO_SUPPORT = (
    "[Fully supported]",
    "[Partially supported]",
    "[No support / Contradictory]",
)
UNKNOWN = "I do not know."
PROMPT = "### Instruction:\n{instruction}\n\n### Response:\n"

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
FOREIGN_NOUNS = (
    "population",
    "president",
    "area",
    "national anthem",
    "calling code",
    "highest point",
    "flag",
    "king",
    "prime minister",
    "climate",
    "time zone",
    "national animal",
    "independence day",
    "gross domestic product",
    "life expectancy",
    "main religion",
    "national dish",
    "motto",
    "wife",
    "husband",
    "mother",
    "father",
    "first job",
    "favourite colour",
    "religion",
    "net worth",
    "cause of death",
    "number of children",
    "school",
    "melting point",
    "boiling point",
    "density",
    "price",
    "colour",
    "atomic mass",
    "hardness",
    "weight",
    "average speed",
    "lifespan",
    "top speed",
    "temperature",
    "main character",
    "number of pages",
    "publisher",
    "owner",
    "opening hours",
    "ticket price",
    "number of visitors",
    "mayor",
    "football club",
    "airport",
    "university",
    "postal code",
    "depth",
    "width",
    "source",
    "main tributary",
    "discharge",
    "first climber",
    "volume",
    "number of deaths",
    "winner",
    "loser",
    "commander",
    "gravity",
    "mass",
    "surface",
    "taste",
    "smell",
    "patent number",
    "first customer",
    "brand",
    "first sentence",
    "language",
    "length in minutes",
    "soundtrack",
    "museum",
    "value at auction",
    "national flower",
    "nickname",
)


@dataclass(frozen=True)
class Segment:
    """One segment of an output. A passage is (title, text). learnt: whether the model is to write
    such a sentence."""

    opening: str
    sentence: str
    passage: tuple[str, str] | None = None
    relevance: str = ""
    support: str = ""
    learnt: bool = True

    def pieces(self) -> list[tuple[str, bool]]:
        """The text in parts, cut at control tokens, each with whether it may be learnt."""
        parts = [(self.opening, True)]
        if self.passage is not None:
            title, text = self.passage
            parts.append((f"<paragraph>{title}\n{text}</paragraph>{self.relevance}", True))
        parts.append((self.sentence, self.learnt))
        if self.support:
            parts.append((self.support, True))
        return parts


@dataclass(frozen=True)
class Example:
    """One training example. kind: which sort of example it is, for shares and reports."""

    kind: str
    instruction: str
    segments: tuple[Segment, ...]
    utility: int

    @property
    def prompt(self) -> str:
        """The text before the output."""
        return PROMPT.format(instruction=self.instruction)

    @property
    def output(self) -> str:
        """The output, end of text left out."""
        parts = [text for segment in self.segments for text, _ in segment.pieces()]
        return "".join(parts) + f"[Utility:{self.utility}]"

    def pieces(self) -> list[tuple[str, bool]]:
        """The output in parts with whether they may be learnt; the end of text is part of it."""
        parts = [part for segment in self.segments for part in segment.pieces()]
        return [*parts, (f"[Utility:{self.utility}]</s>", True)]


@dataclass(frozen=True)
class Part:
    """One thing asked for: a fact, the passage that states it and the sentence that answers."""

    phrase: str
    keys: tuple[str, ...]
    entity: Entity
    sentence: str


class Generator:
    """Draws examples from invented things. Equal inventors and seeds give equal examples."""

    def __init__(self, inventor: Inventor, seed: int, long_share: float = 0.2) -> None:
        self.inventor = inventor
        self.rng = Random(seed)
        self.weights = kind_weights()
        self.long_share = long_share

    def __iter__(self) -> Iterator[Example]:
        while True:
            yield self.example()

    def example(self) -> Example:
        """The next example."""
        if self.rng.random() < self.long_share:
            return self._long()
        makers = (
            (30, self._answered),
            (7, self._inverse),
            (5, self._foreign),
            (9, self._unstated),
            (5, self._foreign_unstated),
            (15, self._other_thing),
            (4, self._unrelated),
            (3, self._inverse_wrong),
            (4, self._two_asked),
            (4, self._wrong_sentence),
            (10, self._request),
        )
        maker = self.rng.choices([maker for _, maker in makers], [w for w, _ in makers])[0]
        return maker()

    # Things and passages

    def _entity(self) -> Entity:
        kind = self.rng.choices(KINDS, self.weights)[0]
        return self.inventor.entity(kind, self.rng)

    def _asked(self, entity: Entity) -> list[Relation]:
        return [r for r in entity.kind.relations if r.asked and r.key in entity.values]

    def _passage(self, entity: Entity, keys: Sequence[str]) -> tuple[str, str]:
        text = passage_text(entity, keys, self.rng)
        if self.rng.random() < 0.06:
            text = f"{text} {self._filler()}"
        return entity.title, text

    def _filler(self) -> str:
        """A sentence that states nothing anybody asks for."""
        other = self.inventor.model.place(self.rng)
        word = self.rng.choice(self.inventor.words)
        return self.rng.choice(
            (
                f"It is mentioned together with {other}.",
                f"There is more to say about its {word}.",
                f"Another name that is often heard is {other}.",
                f"Its {word} is well described.",
            )
        )

    def _company(self, entity: Entity, key: str) -> tuple[str, ...]:
        """The relations of a passage that states this one: its own plan, or a chance selection."""
        plans = [plan for plan in entity.kind.plans.values() if key in plan]
        if plans and self.rng.random() < 0.55:
            chosen = [k for k in self.rng.choice(plans) if k in entity.values]
        else:
            others = [r.key for r in self._asked(entity) if r.key != key]
            extra = self.rng.choices((0, 1, 2), (4, 4, 1))[0]
            chosen = [key, *self.rng.sample(others, min(extra, len(others)))]
            self.rng.shuffle(chosen)
        return tuple(chosen)

    def _other_keys(self, entity: Entity, key: str) -> tuple[str, ...]:
        """Relations of the thing for a passage that leaves this one open."""
        closed = {key}
        for group in OVERLAPS:
            if key in group:
                closed |= group
        others = [r.key for r in self._asked(entity) if r.key not in closed]
        if entity.kind.key == "record":
            others = []
        if not others:
            return ()
        return tuple(self.rng.sample(others, min(len(others), self.rng.choice((1, 1, 2)))))

    def _known(self, entity: Entity, key: str) -> Segment:
        passage = self._passage(entity, self._company(entity, key))
        return Segment(RETRIEVAL, answer_sentence(entity, key), passage, RELEVANT, FULLY)

    def _helpless(self, passage: tuple[str, str], named: bool) -> Segment:
        """The segment after a passage that does not answer. named: about a thing asked about."""
        if named:
            return Segment(RETRIEVAL, UNKNOWN, passage, RELEVANT, NO_SUPPORT)
        return Segment(RETRIEVAL, UNKNOWN, passage, IRRELEVANT)

    # One passage, one segment

    def _answered(self) -> Example:
        entity = self._entity()
        relation = self.rng.choice(self._asked(entity))
        text = question(entity, relation, self.rng)
        return Example("answered", text, (self._known(entity, relation.key),), 5)

    def _invertible(self) -> tuple[Entity, Relation]:
        while True:
            entity = self._entity()
            choices = [r for r in self._asked(entity) if r.inverses]
            if choices:
                return entity, self.rng.choice(choices)

    def _inverse(self) -> Example:
        entity, relation = self._invertible()
        text = question(entity, relation, self.rng, inverse=True)
        return Example("inverse", text, (self._known(entity, relation.key),), 5)

    def _inverse_wrong(self) -> Example:
        entity, relation = self._invertible()
        text = question(entity, relation, self.rng, inverse=True)
        other = self.inventor.entity(entity.kind, self.rng)
        if self.rng.random() < 0.3:
            keys = self._other_keys(entity, relation.key)
            other = entity if keys else other
        else:
            keys = self._company(other, relation.key) if relation.key in other.values else ()
        if not keys or (
            other.values.get(relation.key) == entity.values[relation.key] != ""
            and (other is not entity)
        ):
            return self._inverse_wrong()
        segment = self._helpless(self._passage(other, keys), named=False)
        return Example("irrelevant", text, (segment,), 1)

    def _foreign_phrase(self) -> str:
        if self.rng.random() < 0.7:
            return self.rng.choice(FOREIGN_NOUNS)
        return " ".join(self.rng.choice(self.inventor.words) for _ in range(self.rng.randint(1, 2)))

    def _foreign_question(self, entity: Entity, phrase: str) -> str:
        noun = self.rng.choice(
            (f"the {phrase} of {{s}}", f"{{s}}'s {phrase}", f"the {phrase} of {{s}}")
        )
        wrapper = self.rng.choice(NOUN_WRAPPERS)
        return with_habits(noun_question(wrapper, noun, entity, "", entity.spoken), self.rng)

    def _foreign(self) -> Example:
        """A relation that no table has, stated and asked for in its own words."""
        entity = self._entity()
        phrase = self._foreign_phrase()
        sort = self.rng.choice(("city", "year", "thing", "persons", "small_number", "metres"))
        value = self.inventor.value(sort, entity, self.rng)
        sentence = fill(f"The {phrase} of {{s}} is {{v}}.", entity, value)
        stated = self.rng.choice(
            (
                sentence,
                fill(f"{{S}} has {{v}} as its {phrase}.", entity, value),
                sentence,
            )
        )
        keys = [r.key for r in self._asked(entity)]
        if self.rng.random() < 0.3:
            more = passage_text(entity, [self.rng.choice(keys)], self.rng)
            stated = f"{stated} {more}" if self.rng.random() < 0.5 else f"{more} {stated}"
        text = self._foreign_question(entity, phrase)
        segment = Segment(RETRIEVAL, sentence, (entity.title, stated), RELEVANT, FULLY)
        return Example("answered", text, (segment,), 5)

    def _foreign_unstated(self) -> Example:
        entity = self._entity()
        text = self._foreign_question(entity, self._foreign_phrase())
        relation = self.rng.choice(self._asked(entity))
        passage = self._passage(entity, self._company(entity, relation.key))
        return Example("unstated", text, (self._helpless(passage, named=True),), 1)

    def _unstated(self) -> Example:
        entity = self._entity()
        relation = self.rng.choice(self._asked(entity))
        keys = self._other_keys(entity, relation.key)
        if not keys:
            return self._unstated()
        text = question(entity, relation, self.rng)
        segment = self._helpless(self._passage(entity, keys), named=True)
        return Example("unstated", text, (segment,), 1)

    def _stranger(self, entity: Entity) -> Entity:
        """Another thing of the same kind, mostly with a similar name."""
        if entity.kind.key == "record" and self.rng.random() < 0.6:
            name = other_record(entity.name, self.rng)
            if name != entity.name:
                return self.inventor.entity(entity.kind, self.rng, name)
        if self.rng.random() < 0.55:
            name = mutated(entity.name, self.rng, self.inventor.model)
            if name.lower() != entity.name.lower() and not _same_person(entity, name):
                return self.inventor.entity(entity.kind, self.rng, name)
        return self.inventor.entity(entity.kind, self.rng)

    def _other_thing(self) -> Example:
        entity = self._entity()
        other = self._stranger(entity)
        relation = self.rng.choice(self._asked(entity))
        if self.rng.random() < 0.75 and relation.key in other.values:
            keys = self._company(other, relation.key)
        else:
            keys = (self.rng.choice(self._asked(other)).key,)
        if other.name.lower() == entity.name.lower() or _same_person(entity, other.name):
            return self._other_thing()
        if self.rng.random() < 0.12:
            other = _mentioning(other, entity, keys)
        text = question(entity, relation, self.rng)
        segment = self._helpless(self._passage(other, keys), named=False)
        return Example("irrelevant", text, (segment,), 1)

    def _unrelated(self) -> Example:
        """Another kind of thing: with a similar name, the same name, or none of it."""
        entity, other = self._entity(), self._entity()
        if entity.kind is other.kind or entity.kind.key in ("record", "term"):
            return self._unrelated()
        chance, named = self.rng.random(), False
        if other.kind.key not in ("record", "term") and chance < 0.7:
            named = chance < 0.2
            name = entity.name if named else mutated(entity.name, self.rng, self.inventor.model)
            if not named and name.lower() == entity.name.lower():
                return self._unrelated()
            if other.kind.key in ("country", "person", "work", "city") or self.rng.random() < 0.5:
                name = " ".join(capitalised(word) for word in name.split())
            other = self.inventor.entity(other.kind, self.rng, name)
        text = question(entity, self.rng.choice(self._asked(entity)), self.rng)
        passage = self._passage(other, (self.rng.choice(self._asked(other)).key,))
        segment = self._helpless(passage, named=named)
        return Example("unstated" if named else "irrelevant", text, (segment,), 1)

    def _two_asked(self) -> Example:
        """Two relations of one thing asked in one phrase; the passage states one or both."""
        pair = self._pair()
        if pair is None:
            return self._two_asked()
        entity, first, second, nouns = pair
        wrapper = self.rng.choice(NOUN_WRAPPERS).replace("{is}", "are").replace("{was}", "were")
        shape = self.rng.choice(("{} and {} of {{s}}", "{} and {} of {{s}}", "{{s}}'s {} and {}"))
        if shape.startswith("{{s}}"):
            nouns = [noun.removeprefix("the ") for noun in nouns]
        text = noun_question(wrapper, "+" + shape.format(*nouns), entity, "", entity.spoken)
        text = with_habits(text, self.rng)
        if self.rng.random() < 0.5:
            keys = [first.key, second.key]
            self.rng.shuffle(keys)
            one, two = (answer_sentence(entity, key) for key in (first.key, second.key))
            sentence = f"{one[:-1]}, and {_inside(two, entity)}"
            passage = self._passage(entity, keys)
            segment = Segment(RETRIEVAL, sentence, passage, RELEVANT, FULLY)
            return Example("answered", text, (segment,), 5)
        stated, missing = self.rng.sample((first, second), 2)
        keys = [stated.key, *self._other_keys(entity, missing.key)]
        keys = [key for key in dict.fromkeys(keys) if key != missing.key][:2]
        segment = Segment(
            RETRIEVAL,
            answer_sentence(entity, stated.key),
            self._passage(entity, keys),
            RELEVANT,
            PARTIALLY,
        )
        return Example("partial", text, (segment,), 4)

    def _pair(self) -> tuple[Entity, Relation, Relation, list[str]] | None:
        entity = self._entity()
        asked = [
            (r, noun)
            for r in self._asked(entity)
            for noun in r.nouns
            if noun.lstrip("+@").startswith("the ")
            and noun.endswith(" of {s}")
            and "{" not in noun[: -len("{s}")]
        ]
        if not asked:
            return None
        one, first = self.rng.choice(asked)
        others = [
            (r, noun)
            for r, noun in asked
            if r.key != one.key and not any({r.key, one.key} <= group for group in OVERLAPS)
        ]
        if not others:
            return None
        two, second = self.rng.choice(others)
        nouns = [noun.lstrip("+@").removesuffix(" of {s}") for noun in (first, second)]
        return entity, one, two, nouns

    def _wrong_sentence(self) -> Example:
        """A sentence that the passage contradicts or supports in part: to judge, not to write."""
        entity = self._entity()
        relation = self.rng.choice(self._asked(entity))
        true = entity.values[relation.key]
        false = self.inventor.entity(entity.kind, self.rng).values.get(relation.key, true)
        if self.rng.random() < 0.4:
            false = mutated(true, self.rng, self.inventor.model)
        if false.lower() == true.lower():
            return self._wrong_sentence()
        text = question(entity, relation, self.rng)
        passage = self._passage(entity, self._company(entity, relation.key))
        wrong = Entity(
            entity.kind, entity.name, entity.article, {relation.key: false}, entity.slots
        )
        sentence = answer_sentence(wrong, relation.key)
        if self.rng.random() < 0.3:
            keys = [r.key for r in self._asked(entity) if r.key != relation.key]
            if keys and (keys := [k for k in keys if entity.values[k] not in passage[1]]):
                more = _inside(answer_sentence(entity, self.rng.choice(keys)), entity)
                sentence = f"{answer_sentence(entity, relation.key)[:-1]}, and {more}"
                segment = Segment(RETRIEVAL, sentence, passage, RELEVANT, PARTIALLY, learnt=False)
                return Example("partial", text, (segment,), 3)
        segment = Segment(RETRIEVAL, sentence, passage, RELEVANT, NO_SUPPORT, learnt=False)
        return Example("contradicted", text, (segment,), 2)

    # No passage

    def _words(self, rng: Random) -> str:
        """A short phrase to greet, repeat or rewrite."""
        chance = rng.random()
        if chance < 0.3:
            return self.inventor.model.place(rng)
        if chance < 0.5:
            return self.inventor.person(rng)
        if chance < 0.65:
            names = [self.inventor.names[key] for key in sorted(self.inventor.names)]
            return rng.choice(rng.choice(names)) if names else self.inventor.person(rng)
        return " ".join(rng.choice(self.inventor.words) for _ in range(rng.randint(1, 4)))

    def _request(self) -> Example:
        text, answer = request(self.rng, self._words)
        return Example("request", text, (Segment(NO_RETRIEVAL, answer),), 5)

    # Several segments

    def _long(self) -> Example:
        return self._many_parts() if self.rng.random() < 0.6 else self._overview()

    def _part(self, entity: Entity, relation: Relation) -> Part | None:
        nouns = [
            noun.lstrip("+@") for noun in relation.nouns if noun.lstrip("+@").startswith("the ")
        ]
        if not nouns:
            return None
        phrase = fill(self.rng.choice(nouns), entity, entity.values[relation.key])
        return Part(
            phrase,
            self._company(entity, relation.key),
            entity,
            answer_sentence(entity, relation.key),
        )

    def _many_parts(self) -> Example:
        """Two to five facts of different things asked in one sentence."""
        wanted = self.rng.choices((2, 3, 4, 5), (3, 5, 3, 1))[0]
        parts: list[Part] = []
        same = self.rng.random() < 0.35
        entity = self._entity()
        while len(parts) < wanted:
            if not same:
                entity = (
                    self._entity()
                    if self.rng.random() < 0.6 or not parts
                    else (self.inventor.entity(entity.kind, self.rng))
                )
            relation = self.rng.choice(self._asked(entity))
            part = self._part(entity, relation)
            if part is None or any(part.sentence == other.sentence for other in parts):
                same = False
                continue
            parts.append(part)
        text = joined([part.phrase for part in parts])
        text = self.rng.choice(
            (
                "What are {}?",
                "Tell me {}.",
                "I would like to know {}.",
                "Please tell me {}.",
                "Can you tell me {}?",
                "Name {}.",
                "I need {}.",
                "Give me {}.",
                "What is {}?",
                "{}?",
                "Could you look up {}?",
                "Do you know {}?",
                "I want to know {}.",
                "Find {}.",
            )
        ).format(text)
        text = with_habits(text, self.rng)
        return self._told("parts", text, parts)

    def _told(self, kind: str, text: str, parts: Sequence[Part]) -> Example:
        """The segments that answer the parts in order; now and then the last passage is no help."""
        segments: list[Segment] = []
        if self.rng.random() < 0.12:
            text = (
                self.rng.choice(
                    ("Greet me first. ", "Say hello, then answer: ", "Start with a greeting. ")
                )
                + text
            )
            segments.append(Segment(NO_RETRIEVAL, "Hello!"))
        fails = self.rng.random() < 0.12
        answered = 0
        for index, part in enumerate(parts):
            if fails and index == len(parts) - 1:
                segments.append(self._failure(part))
                break
            passage = self._passage(part.entity, part.keys)
            previous = next((s for s in reversed(segments) if s.passage), None)
            if (
                previous is not None
                and index
                and part.entity is parts[index - 1].entity
                and (
                    any(key in parts[index - 1].keys for key in part.keys)
                    and _states(previous.passage, part)
                )
            ):
                segments.append(Segment(CONTINUE, part.sentence))
            else:
                segments.append(Segment(RETRIEVAL, part.sentence, passage, RELEVANT, FULLY))
            answered += 1
        whole = answered == len(parts)
        if whole and self.rng.random() < 0.1:
            text += self.rng.choice(
                (" Say goodbye at the end.", " End with a goodbye.", " Then say goodbye.")
            )
            segments.append(Segment(NO_RETRIEVAL, "Goodbye!"))
        utility = 5 if whole else 4 if 2 * answered >= len(parts) else 3 if answered else 1
        return Example(kind, text, tuple(segments), utility)

    def _failure(self, part: Part) -> Segment:
        """A passage that does not help with this part."""
        other = self._stranger(part.entity)
        if other.name.lower() != part.entity.name.lower() and not _same_person(
            part.entity, other.name
        ):
            keys = [key for key in part.keys if key in other.values]
            if keys:
                return self._helpless(self._passage(other, keys), named=False)
        other = self._entity_unlike(part.entity)
        keys = [self.rng.choice(self._asked(other)).key]
        return self._helpless(self._passage(other, keys), named=False)

    def _entity_unlike(self, entity: Entity) -> Entity:
        while True:
            other = self._entity()
            if other.kind is not entity.kind:
                return other

    def _overview(self) -> Example:
        """Several facts about one thing: as many as asked for, three when no number is given."""
        entity = self._entity()
        asked = self._asked(entity)
        if len(asked) < 3:
            return self._overview()
        number = self.rng.randint(2, min(7, len(asked)))
        words = ("two", "three", "four", "five", "six", "seven")[number - 2]
        name = entity.spoken
        if self.rng.random() < 0.4:
            number = 3
            text = self.rng.choice(
                (
                    "Tell me about {}.",
                    "Tell me something about {}.",
                    "Give me an overview of {}.",
                    "Write a few sentences about {}.",
                    "Describe {} in a few sentences.",
                    "Give me some facts about {}.",
                    "Write a short text about {}.",
                    "I want to learn about {}.",
                    "What should I know about {}?",
                    "Introduce {}.",
                )
            ).format(name)
        else:
            text = self.rng.choice(
                (
                    "Tell me {n} facts about {}.",
                    "Give me {n} facts about {}.",
                    "State {n} facts about {}.",
                    "Write {n} sentences about {}.",
                    "Name {n} things about {}.",
                    "I would like to know {n} facts about {}.",
                    "List {n} facts about {}.",
                    "What are {n} facts about {}?",
                    "Tell me {n} things about {}.",
                )
            ).format(name, n=words if self.rng.random() < 0.7 else number)
        keys = self.rng.sample([r.key for r in asked], number)
        parts: list[Part] = []
        while keys:
            size = min(len(keys), self.rng.choices((1, 2, 3), (5, 3, 1))[0])
            group, keys = tuple(keys[:size]), keys[size:]
            parts += [Part("", group, entity, answer_sentence(entity, key)) for key in group]
        return self._told("overview", with_habits(text, self.rng), parts)


def _same_person(entity: Entity, name: str) -> bool:
    """Whether a family name alone would mean both."""
    return entity.kind.key == "person" and entity.name.split()[-1].lower() in name.lower().split()


def _states(passage: tuple[str, str] | None, part: Part) -> bool:
    """Whether the passage states the part's value."""
    if passage is None:
        return False
    return any(
        answer_sentence(part.entity, key) == part.sentence and part.entity.values[key] in passage[1]
        for key in part.keys
    )


def _mentioning(other: Entity, entity: Entity, keys: Sequence[str]) -> Entity:
    """The other thing, with the first thing's name as one of its values."""
    key = keys[0]
    sort = other.kind.relation(key).value
    if sort not in ("names", "countries", "country", "city", "thing", "place"):
        return other
    values = {
        **other.values,
        key: joined([entity.spoken, other.values[key]])
        if sort in ("names", "countries") and " and " not in other.values[key]
        else entity.spoken,
    }
    return Entity(
        other.kind, other.name, other.article, values, other.slots, other.aliases, other.heading
    )


def _inside(sentence: str, entity: Entity) -> str:
    """A sentence as it stands after "and"."""
    for start in ("The ", "It ", "A ", "An "):
        if sentence.startswith(start) and not entity.name.startswith(start):
            return sentence[:1].lower() + sentence[1:]
    return sentence


__all__ = ["CLAUSE_WRAPPERS", "PROMPT", "Example", "Generator", "Segment", "capitalised"]
