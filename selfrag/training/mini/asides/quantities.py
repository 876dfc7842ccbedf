"""Comparisons, number rows, times, measures and change, each with its computed answer."""

from random import Random

COMPARISONS: tuple[tuple[str, str], ...] = (
    ("Is {a} bigger than {b}?", ">"),
    ("Is {a} greater than {b}?", ">"),
    ("Is {a} larger than {b}?", ">"),
    ("Is {a} more than {b}?", ">"),
    ("Is {a} higher than {b}?", ">"),
    ("Does {a} exceed {b}?", ">"),
    ("Would you say {a} is above {b}?", ">"),
    ("Does {a} come after {b} when counting?", ">"),
    ("True or not: {a} > {b}?", ">"),
    ("Are {a} coins more than {b} coins?", ">"),
    ("Is {a} smaller than {b}?", "<"),
    ("Is {a} less than {b}?", "<"),
    ("Is {a} lower than {b}?", "<"),
    ("Is {a} fewer than {b}?", "<"),
    ("Is {a} below {b}?", "<"),
    ("Does {a} come before {b} when counting?", "<"),
    ("Am I right that {a} is under {b}?", "<"),
    ("{a} < {b}, is that right?", "<"),
    ("Is {a} equal to {b}?", "="),
    ("Are {a} and {b} the same number?", "="),
    ("Is {a} as much as {b}?", "="),
    ("Does {a} equal {b}?", "="),
    ("Is {a} an even number?", "even"),
    ("Is {a} even?", "even"),
    ("Can {a} be divided by two?", "even"),
    ("Is {a} an odd number?", "odd"),
    ("Is {a} odd?", "odd"),
    ("Is {a} odd rather than even?", "odd"),
)
"""Questions for yes or no: with the relation that makes it yes."""
EXTREMES: tuple[tuple[str, str], ...] = (
    ("Which is bigger, {a} or {b}?", "max"),
    ("Which number is larger: {a} or {b}?", "max"),
    ("What is more, {a} or {b}?", "max"),
    ("Name the greater of {a} and {b}.", "max"),
    ("Give me the higher number, {a} or {b}", "max"),
    ("Out of {a}, {b} and {c}, which is the largest?", "max"),
    ("What is the biggest of {a}, {b} and {c}?", "max"),
    ("The maximum of {a}, {b} and {c}?", "max"),
    ("Pick the highest: {a}, {b}, {c}", "max"),
    ("Which is smaller, {a} or {b}?", "min"),
    ("Which number is lower: {a} or {b}?", "min"),
    ("What is less, {a} or {b}?", "min"),
    ("Name the lesser of {a} and {b}.", "min"),
    ("Out of {a}, {b} and {c}, which is the smallest?", "min"),
    ("What is the lowest of {a}, {b} and {c}?", "min"),
    ("The minimum of {a}, {b} and {c}?", "min"),
    ("Pick the least: {a}, {b}, {c}", "min"),
)
NEIGHBOURS: tuple[tuple[str, int], ...] = (
    ("What number comes after {a}?", 1),
    ("What comes next after {a}?", 1),
    ("Next number after {a}", 1),
    ("Which number follows {a}?", 1),
    ("What is the next number after {a}?", 1),
    ("When I count on from {a}, what do I say first?", 1),
    ("{a}, and then?", 1),
    ("What is one up from {a}?", 1),
    ("Add 1 to {a}", 1),
    ("What number comes before {a}?", -1),
    ("Which number precedes {a}?", -1),
    ("What is the number right before {a}?", -1),
    ("Counting down, what comes after {a}?", -1),
    ("What is one down from {a}?", -1),
    ("Number just below {a}?", -1),
    ("What is two more than {a}?", 2),
    ("Go up by two from {a}.", 2),
    ("What is two less than {a}?", -2),
    ("What is ten more than {a}?", 10),
    ("Which number is ten above {a}?", 10),
    ("Raise {a} by ten", 10),
    ("Increase {a} by five.", 5),
    ("Decrease {a} by two", -2),
    ("Lower {a} by one.", -1),
)
ROWS = (
    "What comes next: {row}?",
    "Continue the row: {row}",
    "Which number follows in {row}?",
    "{row}, what is next?",
    "{row}, ...",
    "Next in the sequence {row}?",
    "Go on counting: {row}",
    "Complete the series {row}",
    "Find the next number: {row}",
    "How does {row} go on?",
    "Give the number that continues {row}.",
    "What number should come after {row}?",
)
MEASURES: tuple[tuple[str, str, int], ...] = (
    ("minutes", "hours", 60),
    ("seconds", "minutes", 60),
    ("hours", "days", 24),
    ("days", "weeks", 7),
    ("months", "years", 12),
    ("years", "decades", 10),
    ("years", "centuries", 100),
    ("centimetres", "metres", 100),
    ("metres", "kilometres", 1000),
    ("millimetres", "centimetres", 10),
    ("grams", "kilograms", 1000),
    ("cents", "euros", 100),
    ("cents", "dollars", 100),
    ("pence", "pounds", 100),
    ("shoes", "pairs of shoes", 2),
    ("eggs", "dozens", 12),
)
"""The small unit, the large one, and how many of the small make a large one."""
INTO_SMALL = (
    "How many {s} are in {a} {l}?",
    "How many {s} are there in {a} {l}?",
    "How many {s} do {a} {l} have?",
    "{a} {l} in {s}",
    "{a} {l} are how many {s}?",
    "Convert {a} {l} to {s}.",
    "Express {a} {l} in {s}",
    "What are {a} {l} in {s}?",
    "How many {s} make {a} {l}?",
    "In {a} {l}, how many {s} are there?",
    "Turn {a} {l} into {s}.",
    "Say I have {a} {l}: how many {s} is that?",
    "Count the {s} in {a} {l}.",
)
INTO_LARGE = (
    "How many {l} are {b} {s}?",
    "{b} {s} in {l}",
    "{b} {s} make how many {l}?",
    "Convert {b} {s} to {l}.",
    "Express {b} {s} in {l}",
    "What are {b} {s} in {l}?",
    "Turn {b} {s} into {l}.",
    "How many {l} do {b} {s} come to?",
)
CHANGE = (
    "I pay {p} {u} with a {note} {u} note. How much change do I get?",
    "What is the change from {note} {u} if I spend {p} {u}?",
    "Something costs {p} {u}. I give {note} {u}. What do I get back?",
    "Change from {note} for a price of {p}?",
    "The price is {p} {u} and I hand over {note} {u}. How much comes back?",
    "Out of {note} {u} I spend {p}. How many {u} do I still have?",
    "With {note} {u} in my purse I buy a thing for {p} {u}. What remains?",
    "If lunch is {p} {u} and I put down {note} {u}, what change am I owed?",
    "A cap sells for {p} {u}; the customer gives {note} {u}. How much must be returned?",
    "How much is left of a {note} {u} note after a purchase of {p} {u}?",
)
CLOCK: tuple[tuple[str, int], ...] = (
    ("It is {h} o'clock. What time is it in {d} hours?", 1),
    ("What time is it {d} hours after {h} o'clock?", 1),
    ("My train leaves at {h} o'clock and takes {d} hours. When does it arrive?", 1),
    ("The film starts at {h} o'clock and lasts {d} hours. When does it end?", 1),
    ("I fall asleep at {h} o'clock and sleep {d} hours. When do I wake up?", 1),
    ("The clock strikes {h}. What will it strike {d} hours later?", 1),
    ("It is {h} o'clock. What time was it {d} hours ago?", -1),
    ("What time was it {d} hours before {h} o'clock?", -1),
    ("The cake must be ready at {h} o'clock and needs {d} hours. When do I start?", -1),
)
AVERAGES = (
    "What is the average of {a} and {b}?",
    "What is the mean of {a} and {b}?",
    "Average {a} and {b}",
    "Which number lies halfway between {a} and {b}?",
    "What is exactly in the middle between {a} and {b}?",
    "Take {a} and {b}; what is their average?",
)


def quantity(rng: Random) -> tuple[str, str]:
    """A task on the size, order or measure of numbers, and its answer."""
    tasks = (_compared, _compared, _extreme, _neighbour, _row, _measure, _change, _clock, _average)
    return rng.choice(tasks)(rng)


def _compared(rng: Random) -> tuple[str, str]:
    shape, relation = rng.choice(COMPARISONS)
    one = rng.randint(0, 100)
    two = one if relation == "=" and rng.random() < 0.5 else rng.randint(0, 100)
    if relation in "<>":
        while two == one:
            two = rng.randint(0, 100)
    holds = {
        ">": one > two,
        "<": one < two,
        "=": one == two,
        "even": one % 2 == 0,
        "odd": one % 2 == 1,
    }
    return shape.format(a=one, b=two), "Yes." if holds[relation] else "No."


def _extreme(rng: Random) -> tuple[str, str]:
    shape, sort = rng.choice(EXTREMES)
    numbers = rng.sample(range(100), 3)
    used = numbers if "{c}" in shape else numbers[:2]
    result = max(used) if sort == "max" else min(used)
    return shape.format(a=numbers[0], b=numbers[1], c=numbers[2]), f"The result is {result}."


def _neighbour(rng: Random) -> tuple[str, str]:
    shape, step = rng.choice(NEIGHBOURS)
    number = rng.randint(2, 99)
    return shape.format(a=number), f"The result is {number + step}."


def _row(rng: Random) -> tuple[str, str]:
    """A row of equal steps up or down, or of doublings."""
    size = rng.randint(3, 5)
    if rng.random() < 0.15:
        first = rng.randint(1, 5)
        row = [first * 2**place for place in range(size + 1)]
    else:
        step, first = rng.choice((1, 1, 2, 2, 3, 5, 10)), rng.randint(0, 40)
        row = [first + step * place for place in range(size + 1)]
        if rng.random() < 0.25:
            row.reverse()
    text = rng.choice((", ", ", ", " ")).join(str(number) for number in row[:-1])
    return rng.choice(ROWS).format(row=text), f"The result is {row[-1]}."


def _measure(rng: Random) -> tuple[str, str]:
    small, large, factor = rng.choice(MEASURES)
    number = rng.randint(2, 12 if factor < 1000 else 9)
    into_small = rng.random() < 0.65
    shape = rng.choice(INTO_SMALL if into_small else INTO_LARGE)
    text = shape.format(s=small, l=large, a=number, b=number * factor)
    return text, f"The result is {number * factor if into_small else number}."


def _change(rng: Random) -> tuple[str, str]:
    note = rng.choice((5, 10, 20, 50, 100))
    price = rng.randint(2, note - 2)
    unit = rng.choice(("euro", "dollar", "pound"))
    text = rng.choice(CHANGE).replace("{note} {u} note", f"{note} {unit} note")
    return text.format(p=price, note=note, u=f"{unit}s"), f"The result is {note - price}."


def _clock(rng: Random) -> tuple[str, str]:
    shape, sign = rng.choice(CLOCK)
    hour, hours = rng.randint(1, 12), rng.randint(2, 9)
    result = (hour + sign * hours - 1) % 12 + 1
    return shape.format(h=hour, d=hours), f"The result is {result} o'clock."


def _average(rng: Random) -> tuple[str, str]:
    middle, distance = rng.randint(5, 50), rng.randint(1, 5)
    low, high = middle - distance, middle + distance
    one, two = rng.choice(((low, high), (high, low)))
    return rng.choice(AVERAGES).format(a=one, b=two), f"The result is {middle}."
