"""The texts from which the tokenizer learns its pieces."""

from collections.abc import Sequence
from random import Random

from selfrag.training.mini.generator import Generator
from selfrag.training.mini.inventor import Inventor
from selfrag.training.mini.schemas import Entity, training_pairs


def tokenizer_texts(entities: Sequence[Entity]) -> list[str]:
    """Examples, questions with passages of the tables, and invented names."""
    inventor = Inventor(entities)
    generator, rng = Generator(inventor, 5, 0.1), Random(3)
    lexicon = inventor.lexicon
    texts: list[str] = []
    for _ in range(12_000):
        example = generator.example()
        texts += [example.prompt, example.output]
    texts += [f"{q}\n{title}\n{text}" for q, title, text in training_pairs(entities, rng)]
    texts += [f"{lexicon.model.place(rng)} {lexicon.person(rng)}" for _ in range(20_000)]
    return texts
