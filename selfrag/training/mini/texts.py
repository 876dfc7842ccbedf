"""The texts from which the tokenizer learns its pieces."""

from collections.abc import Iterator, Sequence
from random import Random

from selfrag.training.mini.generator import Generator
from selfrag.training.mini.inventor import Inventor
from selfrag.training.mini.schemas import Entity, training_pairs


def tokenizer_texts(entities: Sequence[Entity]) -> Iterator[str]:
    """Examples, questions with passages of the tables, and invented names."""
    inventor = Inventor(entities)
    generator, rng = Generator(inventor, 5, 0.1), Random(3)
    lexicon = inventor.lexicon
    for _ in range(12_000):
        example = generator.example()
        yield from (example.prompt, example.output)
    for asked, title, text in training_pairs(entities, rng):
        yield f"{asked}\n{title}\n{text}"
    for _ in range(20_000):
        yield f"{lexicon.model.place(rng)} {lexicon.person(rng)}"
