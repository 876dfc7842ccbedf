"""What inventing takes from the true things: their names, values and words, and what is true."""

from collections import defaultdict
from collections.abc import Sequence
from random import Random

from selfrag.training.mini.names import NameModel
from selfrag.training.mini.schemas.relation import Entity
from selfrag.training.mini.vocabulary import ADJECTIVES, FIRST_NAMES, NOUNS

PROPER_VALUES = ("city", "country", "region", "place", "planet", "name", "creator")
PROPER_NAMES = ("country", "city", "river", "mountain", "lake", "person")


def value_items(text: str) -> list[str]:
    """The single values in a list in words, lower-cased."""
    return [item.strip() for item in text.lower().replace(" and ", ", ").split(", ")]


class Lexicon:
    """Words and names of the fact tables.

    pool: sort of value -> true values. names: sort of name -> true names. truths: name or value in
    lower case -> what is true of it. slots: kind -> nouns of its things. terms: those whose answer
    stands in their sentence. model: invents words in the manner of the names.
    """

    def __init__(self, entities: Sequence[Entity]) -> None:
        self.pool: defaultdict[str, list[str]] = defaultdict(list)
        self.names: defaultdict[str, list[str]] = defaultdict(list)
        self.truths: defaultdict[str, set[str]] = defaultdict(set)
        self.slots: defaultdict[str, list[str]] = defaultdict(list)
        proper: list[str] = []
        firsts, lasts = set(FIRST_NAMES), set[str]()
        words: set[str] = set()
        for entity in entities:
            self.names[entity.kind.naming].append(entity.name)
            if entity.kind.naming in PROPER_NAMES:
                proper.append(entity.name)
            if entity.kind.key == "person" and " " in entity.name:
                firsts.add(entity.name.split()[0])
                lasts.add(entity.name.split()[-1])
            if "noun" in entity.slots:
                self.slots[entity.kind.key].append(entity.slots["noun"])
            for key, text in entity.values.items():
                sort = next((r.value for r in entity.kind.relations if r.key == key), "")
                self._learn(entity, sort, text)
                if sort in PROPER_VALUES:
                    proper.append(text)
                words.update(plain_words(text))
        self.terms = [
            entity
            for entity in entities
            if entity.kind.key == "term"
            and entity.values["answer"] in entity.values.get("sentence", "")
        ]
        self.details = [entity.values["detail"] for entity in entities if "detail" in entity.values]
        self.first_names, self.last_names = sorted(firsts), sorted(lasts)
        self.words = sorted(words | set(NOUNS) | set(ADJECTIVES))
        self.model = NameModel(proper)

    def _learn(self, entity: Entity, sort: str, text: str) -> None:
        """Keeps one true value, and that it is true of this thing."""
        self.pool[sort].append(text)
        name = entity.name.lower()
        self.truths[name].update((text.lower(), *value_items(text)))
        for item in value_items(text):
            self.truths[item].add(name)

    def person(self, rng: Random) -> str:
        """An invented person's name."""
        return self.model.person(rng, self.first_names, self.last_names)

    def phrase(self, rng: Random, least: int = 1, most: int = 4) -> str:
        """Some words in a row."""
        return " ".join(rng.choice(self.words) for _ in range(rng.randint(least, most)))


def plain_words(text: str) -> list[str]:
    """The words of a text that are no names, short ones left out."""
    return [w for w in text.split() if w.islower() and w.isalpha() and len(w) > 3]
