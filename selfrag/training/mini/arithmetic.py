"""Small sums, differences, products and quotients in many wordings."""

from random import Random

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
SHAPES = (
    "What is {e}?",
    "What is {e}?",
    "What's {e}?",
    "{e}",
    "{e} = ?",
    "{e} =",
    "How much is {e}?",
    "Calculate {e}.",
    "Compute {e}",
    "Please calculate {e}.",
    "Can you compute {e}?",
    "What does {e} equal?",
    "Solve {e}",
    "Work out {e}.",
    "Tell me what {e} is.",
    "{v}.",
    "{v}",
    "What is {n}?",
    "Give me {n}.",
    "What do you get if you take {e}?",
    "Find {n}.",
    "{e}?",
    "What do I get when I {w}?",
    "Please {w}.",
    "What is the result of {e}?",
    "How much does {e} make?",
    "I need to know how much {e} is.",
)
APPLES = "If I have {a} apples and get {b} more, how many apples do I have?"


def arithmetic(rng: Random) -> tuple[str, str]:
    """A small sum, difference, product or quotient in many wordings."""
    sort = rng.choice("+-*/++*")
    if sort == "+":
        one, two = rng.randint(0, 50), rng.randint(0, 50)
        result, sign, verbal = one + two, rng.choice(("+", "+", "plus")), "Add {a} and {b}"
        noun = "the sum of {a} and {b}"
    elif sort == "-":
        two, result = rng.randint(0, 30), rng.randint(0, 30)
        one = two + result
        sign, verbal = rng.choice(("-", "minus")), "Subtract {b} from {a}"
        noun = "the difference of {a} and {b}"
    elif sort == "*":
        one, two = rng.randint(0, 12), rng.randint(0, 12)
        result, sign = one * two, rng.choice(("*", "x", "times", "times"))
        verbal, noun = "Multiply {a} by {b}", "the product of {a} and {b}"
    else:
        two, result = rng.randint(1, 10), rng.randint(1, 10)
        one = two * result
        sign, verbal = rng.choice(("/", "divided by")), "Divide {a} by {b}"
        noun = rng.choice(("{a} divided by {b}", "half of {a}" if two == 2 else "{a} over {b}"))
    plain = f"{one} {sign} {two}"
    if len(sign) > 1 and max(one, two) < len(NUMBER_WORDS) and rng.random() < 0.4:
        plain = f"{NUMBER_WORDS[one]} {sign} {NUMBER_WORDS[two]}"
    if len(sign) == 1 and rng.random() < 0.2:
        plain = f"{one}{sign}{two}"
    shape = rng.choice((*SHAPES, APPLES if sort == "+" else "What is {e}?"))
    verbal, noun = (text.format(a=one, b=two) for text in (verbal, noun))
    text = shape.format(e=plain, v=verbal, n=noun, w=verbal[:1].lower() + verbal[1:], a=one, b=two)
    return text, f"The result is {result}."
