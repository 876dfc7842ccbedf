"""Invented names of things: countries, rivers, works, records, each in the shape of its kind."""

from random import Random

from selfrag.training.mini.lexicon import Lexicon
from selfrag.training.mini.names import mutated, syllables
from selfrag.training.mini.schemas.record_shapes import RECORD_NAME
from selfrag.training.mini.schemas.relation import Kind
from selfrag.training.mini.vocabulary import (
    ADJECTIVES,
    AFTER_EVENTS,
    CONTINENTS,
    EVENTS,
    LANDMARK_SORTS,
    NOUNS,
    RECORD_NOUNS,
    SUPERLATIVES,
)

RECORD_PLACES = (
    "in {}",
    "of {}",
    "in the world",
    "in the human body",
    "on Earth",
    "in the Solar System",
    "by area in {}",
    "in {}",
    "",
    "of the {}",
)
TERM_SHAPES = (
    "{} of the {}",
    "{} that {} the {}",
    "{} for {}",
    "study of {}",
    "{} with the most {}",
    "science of {}",
    "number of {} in a {}",
    "{} in a {}",
    "fear of {}",
    "{} used for {}",
)
TITLES = (
    "The {n}",
    "{w}",
    "The {a} {n}",
    "{n} and {o}",
    "The {n} of {w}",
    "{a} {n}",
    "A {n} in {w}",
    "{w} and {x}",
    "The {o} of the {n}",
    "{x} {w}",
    "{n} No. {k}",
    "The {n}s",
    "In the {n} of {o}",
    "{w}'s {n}",
)


class Names:
    """Draws names for things of every kind."""

    def __init__(self, lexicon: Lexicon) -> None:
        self.lexicon = lexicon

    def draw(self, kind: Kind, rng: Random) -> str:
        """A name for a thing of this kind: invented, spliced from real words, or a real one."""
        real = self.lexicon.names.get(kind.naming)
        chance = rng.random()
        if real and chance < 0.45:
            return rng.choice(real)
        if real and chance < 0.6:
            return mutated(rng.choice(real), rng, self.lexicon.model)
        return self._new(kind.naming, rng)

    def _new(self, naming: str, rng: Random) -> str:
        """A new name in the shape of this sort of names."""
        word, place = self.lexicon.model.word, self.lexicon.model.place
        words = self.lexicon.words
        if naming == "person":
            return self.lexicon.person(rng)
        if naming == "river":
            return place(rng) + (" River" if rng.random() < 0.1 else "")
        if naming == "mountain":
            return f"Mount {word(rng)}" if rng.random() < 0.5 else place(rng)
        if naming == "lake":
            shape = rng.choice(("Lake {}", "Lake {}", "{} Sea", "{} Reservoir", "Lake {}"))
            return shape.format(place(rng))
        if naming == "element":
            return word(rng).lower() + rng.choice(("ium", "on", "ine", "um", "gen", "", "ic"))
        if naming in ("thing", "animal"):
            phrase = self.lexicon.phrase(rng, 1, 3)
            chance = rng.random()
            if chance < 0.2:
                return f"{word(rng)} {rng.choice(NOUNS)}"
            if chance < 0.4:
                return f"{rng.choice(ADJECTIVES)} {syllables(rng)}"
            return phrase if chance < 0.7 else f"{rng.choice(ADJECTIVES)} {rng.choice(words)}"
        if naming == "work":
            return self._title(rng)
        if naming == "event":
            if rng.random() < 0.6:
                return f"{rng.choice(EVENTS)} {place(rng)}"
            return f"{word(rng)} {rng.choice(AFTER_EVENTS)}"
        if naming == "landmark":
            shape = rng.choice(("{} {}", "{} {}", "{1} of {0}"))
            return shape.format(place(rng), rng.choice(LANDMARK_SORTS).title())
        if naming == "record":
            where = rng.choice(RECORD_PLACES)
            noun = rng.choice(RECORD_NOUNS) if rng.random() < 0.7 else rng.choice(words)
            text = f"{rng.choice(SUPERLATIVES)} {noun} {where.format(place(rng))}"
            return text.strip()
        if naming == "term":
            shape = rng.choice(TERM_SHAPES)
            return shape.format(*(rng.choice(words) for _ in range(3)))
        return place(rng)

    def _title(self, rng: Random) -> str:
        noun, other = rng.choice(NOUNS).title(), rng.choice(self.lexicon.words).title()
        adjective = rng.choice(ADJECTIVES).title()
        shape = rng.choice(TITLES)
        return shape.format(
            n=noun,
            o=other,
            a=adjective,
            w=self.lexicon.model.word(rng),
            x=self.lexicon.model.word(rng),
            k=rng.randint(1, 12),
        )


def other_record(name: str, rng: Random) -> str:
    """Another record that shares words with this one: another superlative, noun or place."""
    found = RECORD_NAME.fullmatch(name)
    if found is None:
        return name
    most, noun, where = found["most"], found["noun"], found["where"] or ""
    chance = rng.random()
    if chance < 0.4:
        most = rng.choice(SUPERLATIVES)
    elif chance < 0.8:
        noun = rng.choice(RECORD_NOUNS)
    else:
        where = rng.choice(
            (
                " in the world",
                " on Earth",
                " in the Solar System",
                "",
                f" in {rng.choice(CONTINENTS)}",
            )
        )
    return f"{most} {noun}{where}"
