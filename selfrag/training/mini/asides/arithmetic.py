"""Small sums, differences, products, quotients and shares in many wordings."""

from collections.abc import Callable
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
TENS = ("twenty", "thirty", "forty", "fifty", "sixty", "seventy", "eighty", "ninety")
SHAPES = (
    "What is {e}?",
    "What is {e}?",
    "What is {e}?",
    "What's {e}?",
    "What's {e}?",
    "{e}",
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
    "What is the answer to {e}?",
    "What is the value of {e}?",
    "What number is {e}?",
    "What comes out of {e}?",
    "What does {e} come to?",
    "What does {e} give?",
    "What does {e} make?",
    "What do you get for {e}?",
    "What do you get when you {w}?",
    "What happens if I {w}?",
    "What will I have if I {w}?",
    "What would {e} be?",
    "What might {n} be?",
    "Which number is {e}?",
    "Which number do I get if I {w}?",
    "Which number is {n}?",
    "How many is {e}?",
    "How much do I get if I {w}?",
    "How much would {e} be?",
    "Calculate for me: {e}",
    "Can you calculate {e}?",
    "Can you work out {e} for me?",
    "Can you {w}?",
    "Can you tell me {n}?",
    "Could you add this up: {e}?",
    "Could you calculate {e}, please?",
    "Could you {w}?",
    "Could you {w} for me, please?",
    "Could you tell me what {e} is?",
    "Determine {n}",
    "Do the sum: {e}",
    "Do you know what {e} is?",
    "Evaluate {e}.",
    "Evaluate {e}",
    "Figure out {e}.",
    "Give me the result of {e}.",
    "Give me the answer to {e}",
    "Help me with this sum: {e}",
    "I have to {w}. What do I get?",
    "I want to know {n}.",
    "I would like to know what {e} is.",
    "I wonder how much {e} is.",
    "If I {w}, what is the result?",
    "If you {w}, what do you get?",
    "In your head, what is {e}?",
    "Let me know what {e} is.",
    "Maths question: what is {e}?",
    "My homework: {e}",
    "My homework says: {w}.",
    "Now {w}.",
    "Now calculate {e}",
    "Quick sum: {e}",
    "Quick, what is {e}?",
    "Quickly, how much is {e}?",
    "Say what {e} is.",
    "So what is {e}?",
    "Take {e}. What is the result?",
    "Tell me {n}.",
    "Tell me the result of {e}",
    "Tell me how much {e} makes.",
    "The result of {e}?",
    "Try this: {e}",
    "Would you {w}?",
    "Would you work out {n}?",
    "Write down the result of {e}",
    "{e} equals what?",
    "{e} equals",
    "{e} is how much?",
    "{e} is what?",
    "{e}, how much is that?",
    "{e}, please",
    "{e} makes what?",
    "{n}?",
    "{n}",
)
SUMS_ONLY = ("Could you add this up: {e}?", "Do the sum: {e}", "Quick sum: {e}")
STORIES = {
    "+": (
        "If I have {a} apples and get {b} more, how many apples do I have?",
        "I have {a} apples and buy {b} more. How many apples have I got?",
        "There are {a} birds on a roof and {b} more come. How many are there now?",
        "Anna has {a} books and Tom has {b}. How many books do they have together?",
        "A bus carries {a} people and {b} get on. How many people are on the bus?",
        "I read {a} pages today and {b} yesterday. How many pages is that in all?",
        "What do {a} coins and {b} coins make together?",
    ),
    "-": (
        "If I have {a} apples and give away {b}, how many apples are left?",
        "I had {a} sweets and ate {b}. How many sweets are left?",
        "There are {a} birds on a roof and {b} fly away. How many stay?",
        "A bus carries {a} people and {b} get off. How many people are left on it?",
        "Out of {a} pages I have read {b}. How many pages are left?",
        "I pay {b} of my {a} coins. How many coins remain?",
    ),
    "*": (
        "There are {a} boxes with {b} eggs each. How many eggs is that?",
        "If {a} children have {b} pencils each, how many pencils are there?",
        "I buy {a} bags with {b} apples in each. How many apples do I have?",
        "A house has {a} floors with {b} rooms each. How many rooms has it?",
        "How many wheels have {a} carts with {b} wheels each?",
    ),
    "/": (
        "If {b} children share {a} sweets equally, how many does each get?",
        "I put {a} eggs evenly into {b} boxes. How many eggs are in each box?",
        "How many apples does each of {b} people get if {a} are shared fairly?",
        "{a} pupils form {b} equal groups. How many are in each group?",
    ),
}


def arithmetic(rng: Random) -> tuple[str, str]:
    """A small sum, difference, product, quotient or share in many wordings."""
    sort = rng.choice("+-*/++*-%d")
    if sort == "%":
        return _share(rng)
    if sort == "d":
        return _single(rng)
    if sort == "+":
        one, two = rng.randint(0, 50), rng.randint(0, 50)
        result, sign = one + two, rng.choice(("+", "+", "plus", "and", "added to"))
        verbal = rng.choice(("Add {a} and {b}", "Add {b} to {a}", "Add up {a} and {b}"))
        noun = rng.choice(("the sum of {a} and {b}", "the total of {a} and {b}"))
    elif sort == "-":
        two, result = rng.randint(0, 30), rng.randint(0, 30)
        one = two + result
        sign = rng.choice(("-", "minus", "less"))
        verbal = rng.choice(
            ("Subtract {b} from {a}", "Take {b} from {a}", "Take {b} away from {a}")
        )
        noun = "the difference of {a} and {b}"
    elif sort == "*":
        one, two = rng.randint(0, 12), rng.randint(0, 12)
        result, sign = one * two, rng.choice(("*", "x", "times", "times", "multiplied by"))
        verbal = rng.choice(("Multiply {a} by {b}", "Multiply {a} and {b}", "Take {a} times {b}"))
        noun = "the product of {a} and {b}"
    else:
        two, result = rng.randint(1, 10), rng.randint(1, 10)
        one = two * result
        sign = rng.choice(("/", "divided by", "over"))
        verbal = rng.choice(("Divide {a} by {b}", "Share {a} among {b}"))
        noun = rng.choice(("{a} divided by {b}", "half of {a}" if two == 2 else "{a} over {b}"))
    if rng.random() < 0.08 and two > 1 and one > 1 and (sort != "-" or result):
        return rng.choice(STORIES[sort]).format(a=one, b=two), f"The result is {result}."
    plain = f"{one} {sign} {two}"
    if len(sign) > 1 and rng.random() < 0.4:
        plain = f"{number_words(one)} {sign} {number_words(two)}"
    if len(sign) == 1 and rng.random() < 0.2:
        plain = f"{one}{sign}{two}"
    said: Callable[[int], str] = number_words if rng.random() < 0.2 else str
    verbal, noun = (text.format(a=said(one), b=said(two)) for text in (verbal, noun))
    return _asked(rng, plain, verbal, noun, sort), f"The result is {result}."


def _share(rng: Random) -> tuple[str, str]:
    """A round percentage or a simple fraction of a number of which it is a whole number."""
    if rng.random() < 0.6:
        percent, part = rng.choice(((10, 10), (20, 5), (25, 4), (50, 2), (100, 1)))
        share = rng.choice((f"{percent}%", f"{percent} percent", f"{percent} per cent"))
    else:
        share, part = rng.choice((("half", 2), ("a third", 3), ("a quarter", 4), ("a fifth", 5)))
    result = rng.randint(1, 20)
    plain = f"{share} of {part * result}"
    verbal = rng.choice(("Take {}", "Work out {}", "Find {}")).format(plain)
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
