"""The shapes that corpus and training data share: relations, kinds of things, things.

A `Relation` knows how a fact is said in a passage, how it is asked for and how it is answered.
A `Kind` groups the relations of one sort of thing and says which of them share a passage.
An `Entity` is one thing with its values: a true row of a fact table, or an invented one.
Nothing here knows where entities come from or what a prompt looks like.

Templates hold the slots `{s}` (the thing, with its article), `{v}` (the value), the kind's own
ones (`{noun}`, `{verb}`, ...) and other relations of the thing (`{year}`). A slot whose name starts
with a capital (`{S}`, `{Noun}`) is the same text with a capital first letter.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from random import Random

AS_OF = "2025"


@dataclass(frozen=True)
class Relation:
    """One relation of a kind of thing, e.g. the capital of a country.

    key: unique in its kind. value: the name of the value sort that invented values are drawn from.
    statements: sentences that name the thing. followups: sentences for a place after the first,
    where the thing is already named. nouns: noun phrases that ask for the value; a first `+` means
    plural, `@` means a person. questions: complete questions. clauses: the same as subordinate
    clauses. inverses: questions that name the value and ask for the thing, always in the order of a
    subordinate clause, so that they can be embedded. answer: the sentence that answers all of them.
    dated: the fact may change, so that a passage says as of when it holds.
    asked: False for facts that only accompany others in a passage.
    """

    key: str
    value: str
    answer: str
    statements: tuple[str, ...]
    followups: tuple[str, ...] = ()
    nouns: tuple[str, ...] = ()
    questions: tuple[str, ...] = ()
    clauses: tuple[str, ...] = ()
    inverses: tuple[str, ...] = ()
    dated: bool = False
    asked: bool = True


@dataclass(frozen=True)
class Kind:
    """A sort of thing. plans: passage name -> keys of the relations that share that passage."""

    key: str
    noun: str
    naming: str
    relations: tuple[Relation, ...]
    plans: Mapping[str, tuple[str, ...]]
    described: tuple[str, ...] = ()
    pronouns: tuple[str, str] = ("it", "its")

    def relation(self, key: str) -> Relation:
        """The relation with this key; KeyError when the kind has none."""
        for relation in self.relations:
            if relation.key == key:
                return relation
        raise KeyError(f"{self.key} has no relation {key!r}")


@dataclass(frozen=True)
class Entity:
    """One thing: its name, the article said before it, the value of each relation as text.

    aliases: other names by which a question may call it. slots: further words for templates.
    heading: the title of its passages where that is not its name.
    """

    kind: Kind
    name: str
    article: str = ""
    values: Mapping[str, str] = field(default_factory=dict)
    slots: Mapping[str, str] = field(default_factory=dict)
    aliases: tuple[str, ...] = ()
    heading: str = ""

    @property
    def title(self) -> str:
        """The title of the passages about it."""
        return self.heading or capitalised(self.name)

    @property
    def spoken(self) -> str:
        """The name as it stands in a sentence: "the Netherlands", "Kenya"."""
        return f"{self.article} {self.name}" if self.article else self.name


def capitalised(text: str) -> str:
    """The text with its first letter in upper case and nothing else changed."""
    return text[:1].upper() + text[1:]


def fill(template: str, entity: Entity, value: str = "", spoken: str | None = None) -> str:
    """The template with its slots filled. KeyError when a slot has no text."""
    words = dict(entity.values)
    words.update(s=spoken or entity.spoken, v=value, noun=entity.kind.noun)
    words["it"], words["its"] = entity.kind.pronouns
    words["name"] = entity.name
    several = " and " in value
    words["a_v"] = with_indefinite(value)
    words["is_v"], words["was_v"] = ("are", "were") if several else ("is", "was")
    words["s_v"] = "s" if several else ""
    words.update(entity.slots)
    if "a_noun" not in words:
        words["a_noun"] = with_indefinite(words["noun"])
    words.update({name.capitalize(): capitalised(text) for name, text in words.items()})
    text = template.format_map(words)
    return text[:-1] if text.endswith("..") and not text.endswith("...") else text


def with_indefinite(noun: str) -> str:
    """The noun with "a" or "an"."""
    return f"{'an' if noun[:1].lower() in 'aeiou' else 'a'} {noun}"


def joined(items: Sequence[str]) -> str:
    """A list in words: "A", "A and B", "A, B and C"."""
    if len(items) < 2:
        return "".join(items)
    return f"{', '.join(items[:-1])} and {items[-1]}"


def answer_sentence(entity: Entity, key: str) -> str:
    """The sentence that answers every question about this relation of the thing."""
    sentence, value = entity.values.get("sentence", ""), entity.values[key]
    if key == "answer" and value in sentence:
        return sentence
    return capitalised(fill(entity.kind.relation(key).answer, entity, entity.values[key]))


def passage_text(entity: Entity, keys: Sequence[str], rng: Random) -> str:
    """The sentences of a passage that states the values of these relations, in this order."""
    sentences: list[str] = []
    if tuple(keys) == ("answer",) and "sentence" in entity.values:
        keys = ("sentence",)
    for key in keys:
        relation = entity.kind.relation(key)
        choices = relation.followups if sentences and relation.followups else relation.statements
        template = rng.choice(choices)
        if relation.dated:
            template = f"As of {AS_OF}, {uncapitalised(template)}"
        sentence = fill(template, entity, entity.values[key])
        sentences.append(capitalised(sentence))
    return " ".join(sentences)


def uncapitalised(template: str) -> str:
    """The template as it stands after a comma: without the capital of its first word."""
    if template.startswith("{"):
        return template.replace("{S}", "{s}", 1)
    return template[:1].lower() + template[1:]


def embedded(sentence: str, entity: Entity) -> str:
    """A sentence about the thing as it stands after "and"."""
    for start in ("The ", "It ", "A ", "An "):
        if sentence.startswith(start) and not entity.name.startswith(start):
            return sentence[:1].lower() + sentence[1:]
    return sentence
