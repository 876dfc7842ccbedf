"""Small sums, differences, products, quotients and shares in many wordings.

Story problems are in `stories`; comparisons, number rows and measures in `quantities`.
"""

from collections.abc import Callable
from random import Random

from selfrag.training.mini.asides.arithmetic_shapes import (
    NOUNS,
    SHAPES,
    SIGNS,
    SUMS_ONLY,
    VERBS,
)
from selfrag.training.mini.asides.quantities import quantity
from selfrag.training.mini.asides.stories import story

NUMBER_WORDS = (
    "zero",
    "one",
    "two",
    "three",
    "four",
    "five",
    "six",
    "seven",
    "eight",
    "nine",
    "ten",
    "eleven",
    "twelve",
    "thirteen",
    "fourteen",
    "fifteen",
    "sixteen",
    "seventeen",
    "eighteen",
    "nineteen",
    "twenty",
)
TENS = ("twenty", "thirty", "forty", "fifty", "sixty", "seventy", "eighty", "ninety")


def arithmetic(rng: Random) -> tuple[str, str]:
    """A small sum, difference, product, quotient or share, a story or a comparison."""
    sort = rng.choice("+-*/++*-%dssq")
    if sort == "s":
        return story(rng)
    if sort == "q":
        return quantity(rng)
    if sort == "%":
        return _share(rng)
    if sort == "d":
        return _single(rng)
    if sort == "+":
        one, two = rng.randint(0, 50), rng.randint(0, 50)
        result, sign = one + two, _sign("+", rng)
        verbal = rng.choice(VERBS["+"])
        noun = rng.choice(NOUNS["+"])
    elif sort == "-":
        two, result = rng.randint(0, 30), rng.randint(0, 30)
        one = two + result
        sign = _sign("-", rng)
        verbal = rng.choice(VERBS["-"])
        noun = rng.choice(NOUNS["-"])
    elif sort == "*":
        one, two = rng.randint(0, 12), rng.randint(0, 12)
        result, sign = one * two, _sign("*", rng)
        verbal = rng.choice(VERBS["*"])
        noun = rng.choice(NOUNS["*"])
    else:
        two, result = rng.randint(1, 10), rng.randint(1, 10)
        one = two * result
        sign = _sign("/", rng)
        verbal = rng.choice(VERBS["/"])
        noun = "half of {a}" if two == 2 and rng.random() < 0.4 else rng.choice(NOUNS["/"])
    plain = f"{one} {sign} {two}"
    if len(sign) > 1 and rng.random() < 0.4:
        plain = f"{number_words(one)} {sign} {number_words(two)}"
    if len(sign) == 1 and rng.random() < 0.2:
        plain = f"{one}{sign}{two}"
    said: Callable[[int], str] = number_words if rng.random() < 0.2 else str
    verbal, noun = (text.format(a=said(one), b=said(two)) for text in (verbal, noun))
    return _asked(rng, plain, verbal, noun, sort), f"The result is {result}."


def _sign(sort: str, rng: Random) -> str:
    """The sign of the task or words for it."""
    return sort if rng.random() < 0.35 else rng.choice(SIGNS[sort])


def _share(rng: Random) -> tuple[str, str]:
    """A round percentage or a simple fraction of a number of which it is a whole number."""
    if rng.random() < 0.6:
        percent, part = rng.choice(((10, 10), (20, 5), (25, 4), (50, 2), (100, 1)))
        share = rng.choice((f"{percent}%", f"{percent} percent", f"{percent} per cent"))
    else:
        share, part = rng.choice(
            (
                ("half", 2),
                ("a third", 3),
                ("a quarter", 4),
                ("a fifth", 5),
                ("one half", 2),
                ("one third", 3),
                ("a tenth", 10),
                ("one quarter", 4),
                ("a sixth", 6),
            )
        )
    result = rng.randint(1, 20)
    plain = f"{share} of {part * result}"
    verbal = rng.choice(("Take {}", "Work out {}", "Find {}", "Calculate {}", "Get {}")).format(
        plain
    )
    return _asked(rng, plain, verbal, plain, "%"), f"The result is {result}."


def _single(rng: Random) -> tuple[str, str]:
    """The double, the half, the square of a number or what follows it."""
    number = rng.randint(1, 20)
    said = number_words(number) if rng.random() < 0.3 else str(number)
    plain, verbal, noun, result = rng.choice(
        (
            (f"twice {said}", f"Double {said}", f"the double of {said}", 2 * number),
            (f"double {said}", f"Take twice {said}", f"twice {said}", 2 * number),
            (f"three times {said}", f"Triple {said}", f"the triple of {said}", 3 * number),
            (f"half of {2 * number}", f"Halve {2 * number}", f"half of {2 * number}", number),
            (f"two times {said}", f"Multiply {said} by two", f"two lots of {said}", 2 * number),
            (
                f"half as much as {2 * number}",
                f"Cut {2 * number} in half",
                f"one half of {2 * number}",
                number,
            ),
            (
                f"{said} doubled",
                f"Make {said} twice as big",
                f"twice as much as {said}",
                2 * number,
            ),
            (
                f"{2 * number} halved",
                f"Split {2 * number} in two",
                f"the half of {2 * number}",
                number,
            ),
            (f"four times {said}", f"Quadruple {said}", f"the fourfold of {said}", 4 * number),
            (
                f"{said} plus itself",
                f"Add {said} to itself",
                f"the sum of {said} and {said}",
                2 * number,
            ),
            (
                f"{said} times itself",
                f"Multiply {said} by itself",
                f"the square of {said}",
                number**2,
            ),
            (f"{said} minus itself", f"Take {said} from itself", f"{said} less {said}", 0),
            (f"{said} squared", f"Square {said}", f"the square of {said}", number**2),
            (
                f"one more than {said}",
                f"Add one to {said}",
                f"the number after {said}",
                number + 1,
            ),
            (
                f"one less than {said}",
                f"Take one from {said}",
                f"the number before {said}",
                number - 1,
            ),
        )
    )
    return _asked(rng, plain, verbal, noun, "d"), f"The result is {result}."


def _asked(rng: Random, plain: str, verbal: str, noun: str, sort: str) -> str:
    """The task in one of the shapes."""
    shape = rng.choice(SHAPES)
    while sort != "+" and shape in SUMS_ONLY:
        shape = rng.choice(SHAPES)
    return shape.format(e=plain, v=verbal, n=noun, w=verbal[:1].lower() + verbal[1:])


def number_words(number: int) -> str:
    """A number from zero to ninety-nine in words; digits above."""
    if number < len(NUMBER_WORDS):
        return NUMBER_WORDS[number]
    if number > 99:
        return str(number)
    tens = TENS[number // 10 - 2]
    return f"{tens}-{NUMBER_WORDS[number % 10]}" if number % 10 else tens
