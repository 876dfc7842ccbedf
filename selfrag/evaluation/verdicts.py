"""Whether a text says that a statement is true or that it is false.

Strict: a text that says both, or neither, has no verdict, and so has one that turns a verdict
round ("is not true"), since how far a negation reaches is more than words can tell. A "no" in
front of another word ("no river") is a determiner and says nothing about the statement. This
module knows nothing of questions and models.
"""

from __future__ import annotations

import re
from itertools import pairwise

from selfrag.evaluation.matching import normalise

TRUE_ANSWERS = ("true", "yes", "supported", "supports")
FALSE_ANSWERS = ("false", "no", "refuted", "refutes")

_TRUE, _FALSE = frozenset({"true", "yes"}), frozenset({"false", "no"})
_NEGATIONS = frozenset({"not", "never", "longer", "isnt", "wasnt", "cannot", "cant"})
_NO_DETERMINER = re.compile(r"\bno(?=[\s-]+\w)", re.IGNORECASE)


def read_verdict(text: str) -> bool | None:
    """True or False where exactly one of true (yes) and false (no) is said, else None."""
    words = normalise(_NO_DETERMINER.sub(" ", text))
    said = {word in _TRUE for word in words if word in _TRUE or word in _FALSE}
    turned = any(
        first in _NEGATIONS and second in _TRUE | _FALSE for first, second in pairwise(words)
    )
    return said.pop() if len(said) == 1 and not turned else None


def verdict_of_answer(answer: str) -> bool | None:
    """The verdict that an acceptable answer stands for; None where it is none of those known."""
    plain = answer.strip().casefold()
    if plain in TRUE_ANSWERS:
        return True
    return False if plain in FALSE_ANSWERS else None
