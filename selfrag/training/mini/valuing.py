"""Invented values: a city, a year, a list of languages, for each sort that relations name."""

from random import Random

from selfrag.training.mini.lexicon import Lexicon
from selfrag.training.mini.names import syllables
from selfrag.training.mini.schemas.planets import ORDINALS
from selfrag.training.mini.schemas.relation import joined, with_indefinite
from selfrag.training.mini.vocabulary import (
    ADJECTIVES,
    ANIMAL_CLASSES,
    CATEGORIES,
    COINS,
    CONTINENTS,
    DIETS,
    NOUNS,
    PROFESSIONS,
    RANGES,
    WATERS,
    WORK_SORTS,
)

CLOSED = {
    "category": CATEGORIES,
    "animal_class": ANIMAL_CLASSES,
    "diet": DIETS,
    "profession": PROFESSIONS,
    "work_sort": WORK_SORTS,
}


class Values:
    """Draws values of every sort: new ones, and true ones of something else."""

    def __init__(self, lexicon: Lexicon) -> None:
        self.lexicon = lexicon

    def draw(self, sort: str, rng: Random) -> str:
        """One value of this sort, as text."""
        real = self.lexicon.pool.get(sort)
        text = self._new(sort, rng)
        share = 0.5 if text else 1.0
        if real and rng.random() < share:
            text = rng.choice(real)
            if share == 1.0 and rng.random() < 0.5:
                text = self._spliced(text, rng.choice(real), rng)
            return text
        return text or f"{with_indefinite(rng.choice(NOUNS))} for {self.lexicon.phrase(rng, 2, 5)}"

    def _spliced(self, one: str, other: str, rng: Random) -> str:
        """The beginning of one text and the end of another, or a word replaced."""
        words, others = one.split(), other.split()
        if rng.random() < 0.5 and len(words) > 1 and len(others) > 1:
            return " ".join(words[: rng.randint(1, len(words))] + others[len(others) // 2 :])
        words[rng.randrange(len(words))] = rng.choice(self.lexicon.words)
        return " ".join(words)

    def _new(self, sort: str, rng: Random) -> str:
        """A new value; empty for sorts of which the true values serve as patterns."""
        word, place = self.lexicon.model.word, self.lexicon.model.place
        several = rng.choices((1, 2, 3, 4, 5, 7), (10, 6, 4, 2, 1, 1))[0]
        if sort in ("city", "country", "name", "planet", "region", "place"):
            return place(rng)
        if sort == "currency":
            return f"{word(rng)} {rng.choice(COINS)}" if rng.random() < 0.75 else word(rng).lower()
        if sort == "languages":
            endings = ("ish", "ian", "ese", "i", "an", "", "ic")
            return joined([word(rng) + rng.choice(endings) for _ in range(min(several, 4))])
        if sort == "continent":
            return rng.choice(CONTINENTS) if rng.random() < 0.7 else place(rng)
        if sort in ("names", "countries"):
            return joined([place(rng) for _ in range(several)])
        if sort == "demonym":
            return word(rng) + rng.choice(("ian", "ese", "ish", "i", "an", "er"))
        if sort == "kilometres":
            return f"{rng.randint(10, 9999):,} kilometres"
        if sort == "metres":
            return f"{rng.randint(200, 9999):,} metres"
        if sort == "area":
            size = rng.choice((rng.randint(10, 999), rng.randint(1000, 99999)))
            return f"{size:,} square kilometres"
        if sort == "water":
            body = rng.choice(WATERS)
            return f"the {body} {word(rng)}" if body.endswith("of") else f"the {word(rng)} {body}"
        if sort == "range":
            return f"the {word(rng)} {rng.choice(RANGES)}"
        if sort == "symbol":
            return word(rng)[: rng.choice((1, 2, 2, 2))]
        if sort == "small_number":
            return str(rng.randint(1, 150))
        if sort == "ordinal":
            return rng.choice(ORDINALS[1:])
        if sort == "year":
            return (
                f"{rng.randint(1, 900)} BC" if rng.random() < 0.06 else str(rng.randint(900, 2024))
            )
        if sort in ("persons", "creator"):
            return joined(
                [self.lexicon.person(rng) for _ in range(2 if rng.random() < 0.12 else 1)]
            )
        if sort == "duration":
            unit = rng.choice(("Earth days", "Earth years", "days", "years"))
            return f"{rng.choice((rng.randint(2, 999), round(rng.uniform(1, 300), 1)))} {unit}"
        if sort == "animal_word":
            return rng.choice(self.lexicon.words) if rng.random() < 0.6 else syllables(rng)
        closed = CLOSED.get(sort)
        if closed:
            return rng.choice(closed) if rng.random() < 0.8 else self.lexicon.phrase(rng, 1, 2)
        if sort == "thing":
            chance = rng.random()
            if chance < 0.4:
                return place(rng)
            if chance < 0.6:
                return f"the {self.lexicon.phrase(rng, 1, 2)}"
            return self.lexicon.phrase(rng, 1, 2) if chance < 0.9 else str(rng.randint(2, 999))
        if sort in self.lexicon.pool:
            return ""
        starts = {
            "era": "antiquity",
            "use": f"in {self.lexicon.phrase(rng, 1, 3)}",
            "lake_sort": "lake",
            "habitat": f"{rng.choice(ADJECTIVES)} {rng.choice(NOUNS)}s",
        }
        return starts.get(sort, "")
