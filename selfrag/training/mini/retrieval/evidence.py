"""Which passages of the embedded corpus state which fact.

A fact is a relation of a thing: (kind, title in lower case, key). It is stated by every passage of
the thing whose plan holds the relation (languages stand beside the currency and beside the
demonym), and by passages of free wording that name both the thing and the value ("Marie Curie is
known for the discovery of polonium"). This module knows nothing of questions.
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterator, Sequence

from selfrag.training.mini.corpus import corpus_rows
from selfrag.training.mini.schemas import Entity, stated_keys

FREE = frozenset(
    (
        "known_for",
        "description",
        "note",
        "capital_note",
        "sentence",
        "answer",
        "detail",
        "who",
        "creator",
        "discoverer",
        "builder",
    )
)
"""Relations whose values are worded freely, or that say of two things what belongs together."""

Fact = tuple[str, str, str]


def words_of(text: str) -> list[str]:
    """The words of a text in lower case."""
    return re.findall(r"\w+", text.lower())


class Evidence:
    """The corpus of these things, and where it states what.

    Attributes:
        passages: the text that an encoder reads, by id, in the corpus's order.
    """

    def __init__(self, entities: Sequence[Entity]) -> None:
        self.passages: dict[str, str] = {}
        self._stated: dict[Fact, list[str]] = defaultdict(list)
        self._sharing: dict[Fact, list[Entity]] = defaultdict(list)
        self._free: dict[str, set[str]] = defaultdict(set)
        self._padded: dict[str, str] = {}
        for entity, row_id, text, keys in _rendered(entities):
            self.passages[row_id] = f"{entity.title} {text}"
            for key in keys:
                self._stated[_fact(entity, key)].append(row_id)
            if FREE.intersection(keys):
                words = words_of(self.passages[row_id])
                self._padded[row_id] = f" {' '.join(words)} "
                for word in words:
                    self._free[word].add(row_id)
        for entity in entities:
            for key, value in entity.values.items():
                self._sharing[(entity.kind.key, key, value.lower())].append(entity)

    def of(self, entity: Entity, key: str) -> tuple[str, ...]:
        """All passages that state the relation of the thing; those made for it come first."""
        found = list(self._stated.get(_fact(entity, key), ()))
        found += self._mentions(entity.name, entity.values.get(key, ""))
        return tuple(dict.fromkeys(found))

    def sharing(self, entity: Entity, key: str) -> list[Entity]:
        """All things of its kind that have the same value, itself among them."""
        return self._sharing[(entity.kind.key, key, entity.values[key].lower())]

    def of_sharing(self, entity: Entity, key: str, question: str) -> tuple[str, ...]:
        """All passages that state the relation of a thing with the same value, but for things
        that lack another value of this one's which the question names."""
        asked = f" {' '.join(words_of(question))} "
        named = [
            other
            for other, value in entity.values.items()
            if other != key and f" {' '.join(words_of(value))} " in asked
        ]
        found = (
            name
            for thing in self.sharing(entity, key)
            if all(thing.values.get(other) == entity.values[other] for other in named)
            for name in self.of(thing, key)
        )
        return tuple(dict.fromkeys(found))

    def _mentions(self, name: str, value: str) -> list[str]:
        """Freely worded passages that name both."""
        phrases = [" ".join(words_of(text)) for text in (name, value.removeprefix("the "))]
        if not all(phrases):
            return []
        words = " ".join(phrases).split()
        rows = set.intersection(*(self._free.get(word, set()) for word in words))
        return sorted(
            row for row in rows if all(f" {phrase} " in self._padded[row] for phrase in phrases)
        )


def _fact(entity: Entity, key: str) -> Fact:
    return entity.kind.key, entity.title.lower(), key


def _rendered(
    entities: Sequence[Entity],
) -> Iterator[tuple[Entity, str, str, list[str]]]:
    """Thing, passage id, passage text, and the relations that the passage states."""
    current: list[Entity] = []

    def watched() -> Iterator[Entity]:
        for entity in entities:
            current[:] = [entity]
            yield entity

    for row in corpus_rows(watched()):
        entity = current[0]
        keys = stated_keys(entity, entity.kind.plans[row["id"].rpartition("/")[2]])
        if "sentence" in keys:
            keys.append("answer")
        yield entity, row["id"], row["text"], keys
