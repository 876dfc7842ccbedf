"""Endless seeded training examples: the mixture of all sorts."""

from collections.abc import Callable, Iterator
from random import Random

from selfrag.training.mini.answered import answered, foreign, inverse, two_asked
from selfrag.training.mini.asides import request
from selfrag.training.mini.chains import chain
from selfrag.training.mini.choices import choice
from selfrag.training.mini.claims import claim
from selfrag.training.mini.example import NO_RETRIEVAL, Example, Segment
from selfrag.training.mini.inventor import Inventor
from selfrag.training.mini.material import Material
from selfrag.training.mini.parts import many_parts, overview, requested
from selfrag.training.mini.unanswered import (
    foreign_unstated,
    inverse_wrong,
    other_thing,
    unrelated,
    unstated,
    wrong_sentence,
)


def no_passage(material: Material) -> Example:
    """A request that needs no passage."""

    def words(rng: Random) -> str:
        lexicon = material.inventor.lexicon
        chance = rng.random()
        if chance < 0.3:
            return lexicon.model.place(rng)
        if chance < 0.5:
            return lexicon.person(rng)
        if chance < 0.65:
            names = [lexicon.names[key] for key in sorted(lexicon.names)]
            return rng.choice(rng.choice(names)) if names else lexicon.person(rng)
        return lexicon.phrase(rng)

    text, answer = request(material.rng, words)
    return Example("request", text, (Segment(NO_RETRIEVAL, answer),), 5)


def chained(material: Material) -> Example:
    """A question of two or three steps."""
    return requested(material, chain(material, 2 if material.rng.random() < 0.6 else 3))


def claimed(material: Material) -> Example:
    """A claim to be checked."""
    return requested(material, claim(material))


def chosen(material: Material) -> Example:
    """A question with options."""
    return requested(material, choice(material))


Maker = Callable[[Material], Example]

MIXTURE: tuple[tuple[int, Maker], ...] = (
    (30, answered),
    (7, inverse),
    (5, foreign),
    (9, unstated),
    (5, foreign_unstated),
    (15, other_thing),
    (4, unrelated),
    (3, inverse_wrong),
    (4, two_asked),
    (6, wrong_sentence),
    (8, no_passage),
    (16, claimed),
    (12, chosen),
)
"""Weights of the examples of one segment."""


class Generator:
    """Draws examples from invented things. Equal inventors and seeds give equal examples.

    long_share: of examples with several segments.
    """

    def __init__(self, inventor: Inventor, seed: int, long_share: float = 0.2) -> None:
        self.rng = Random(seed)
        self.material = Material(inventor, self.rng)
        self.long_share = long_share

    def __iter__(self) -> Iterator[Example]:
        while True:
            yield self.example()

    def example(self) -> Example:
        """The next example."""
        if self.rng.random() < self.long_share:
            long = self.rng.choices((chained, many_parts, overview), (5, 3, 2))[0]
            return long(self.material)
        weights = [weight for weight, _ in MIXTURE]
        _, maker = self.rng.choices(MIXTURE, weights)[0]
        return maker(self.material)
