"""Requests that need no passage: small talk, small arithmetic, rewriting a given phrase.

Each request is a pair (instruction, answer). Answers are short and follow from the instruction.
"""

from random import Random

from selfrag.training.mini.asides.arithmetic import arithmetic
from selfrag.training.mini.asides.rewriting import rewriting
from selfrag.training.mini.asides.talk import Words, named_talk, small_talk


def request(rng: Random, words: Words) -> tuple[str, str]:
    """One request and its answer. `words` gives a short phrase to work on."""
    sort = rng.choices(("talk", "named", "arithmetic", "rewriting"), (4, 2, 4, 5))[0]
    if sort == "talk":
        return small_talk(rng)
    if sort == "named":
        return named_talk(rng, words)
    if sort == "arithmetic":
        return arithmetic(rng)
    return rewriting(rng, words)
