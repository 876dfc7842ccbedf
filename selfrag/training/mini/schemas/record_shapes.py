"""Records asked for by their noun: "Which lake is the largest in Africa?" and many other shapes.

`{m}` is the superlative, `{n}` the noun, `{p}` its plural, `{w}` what follows them, which parts
into a place `{b}` and a measure `{t}` ("by area"); `{o}` owns the record, `{W}` is the place
first; `{m1}` is the superlative without its rank. Further shapes are among the wordings of
`record`, a section for each group.
"""

import re
from collections.abc import Sequence
from random import Random

from selfrag.training.mini.schemas.wordings import wordings

RECORD_NAME = re.compile(
    r"(?P<most>(?:second-|third-)?"
    r"(?:(?:most|least) (?:\w+ly )?\w+|\w+est|first|only|last)) (?P<noun>.+?)"
    r"(?P<where> (?:in|of|on|by|from|with|at|to|entirely within|flowing|between) .+)?"
)
RECORD_SHAPES = (
    "Which {n} is the {m}{w}?",
    "Which {n}{w} is the {m}?",
    "What {n} is the {m}{w}?",
    "Which {n} is {m}{w}?",
    "What {n}{w} is {m}?",
    "Of every {n}{w}, which is the {m}?",
    "Do you know which {n} is the {m}{w}?",
    "Tell me which {n}{w} is the {m}.",
    "Which is the {m} {n}{w}?",
    "{m} {n}{w}",
    "Which {n} counts as the {m}{w}?",
    "I would like to know which {n} is the {m}{w}.",
    "Name the {m} {n}{w}.",
    "Which {n}{w} is known as the {m}?",
    "Which {n} ranks as the {m}{w}?",
    "What {n} holds the title of the {m}{w}?",
    "The {m} {n}{w} is which one?",
    "The {m} {n}{w} is called what?",
    "The {m} {n}{w} has what name?",
    "What do you call the {m} {n}{w}?",
    "Can you name the {m} {n}{w}?",
    "Could you tell me which {n}{w} is the {m} one?",
    "Which {n}{w} would you call the {m}?",
    "What is the name of the {m} {n}{w}?",
    "When it comes to the {m} {n}{w}, which one is it?",
    "I am looking for the {m} {n}{w}.",
    "I wonder which {n} is the {m}{w}.",
    "If I look for the {m} {n}{w}, what do I find?",
    "What's the {m} {n}{w}?",
    "Looking at every {n}{w}, which one is the {m}?",
    "Give me the name of the {n} that is the {m}{w}.",
)
RECORD_GROUP_SHAPES = (
    "Which of the {p}{b} is the {m}{t}?",
    "Which of the {p}{b} is the {m} of all{t}?",
    "Which of all {p}{b} is the {m}{t}?",
    "Among the {p}{b}, which is the {m}{t}?",
    "Among all {p}{b}, which one is the {m}{t}?",
    "Of all the {p}{b}, which is the {m}{t}?",
    "Of all {p}{b}, which one is the {m}{t}?",
    "Which one of the {p}{b} is the {m}{t}?",
    "If you compare the {p}{b}, which is the {m}{t}?",
    "There are many {p}{b}: which is the {m}{t}?",
    "Tell me which of the {p}{b} is the {m}{t}.",
)
RECORD_MEMBER_SHAPES = (
    "Which {n} is the {m}?",
    "Which one {n} is the {m}?",
    "What is the {m} {n}?",
    "Which is the {m} {n}?",
    "Tell me which {n} is the {m}.",
    "Name the {m} {n}.",
    "{m} {n}",
    "What is the {m} {n} called?",
)
RECORD_COMPARED_SHAPES = (
    "No {n}{b} is {c}{t} than which one?",
    "Which {n}{b} is {c}{t} than any other?",
    "Which {n} is {c}{t} than every other {n}{b}?",
    "Which {n}{b} is {c}{t} than all others?",
    "Than which {n} is no other {n}{b} {c}{t}?",
    "What {n}{b} is {c}{t} than all the rest?",
)
RECORD_OWNED_SHAPES = (
    "What is {o} {m} {n}{t}?",
    "What's {o} {m} {n}{t}?",
    "{o} {m} {n}{t}?",
    "Which is {o} {m} {n}{t}?",
    "Which {n} is {o} {m}{t}?",
    "Name {o} {m} {n}{t}.",
    "Tell me {o} {m} {n}{t}.",
    "Which {n} counts as {o} {m}{t}?",
)
RECORD_PLACED_SHAPES = (
    "{W}, which {n} is the {m}{t}?",
    "{W}, what is the {m} {n}{t}?",
    "{W}, what is the {m} {n}{t} called?",
    "{W}, which {n} do people call the {m}{t}?",
    "{W}, which one is the {m} {n}{t}?",
)
RECORD_MEASURES = {
    "largest": "size",
    "highest": "height",
    "longest": "length",
    "deepest": "depth",
    "tallest": "height",
    "heaviest": "weight",
    "fastest": "speed",
}
RECORD_MEASURED_SHAPES = (
    "Which {n}{w} comes first in {d}?",
    "In terms of {d}, which {n}{w} comes first?",
    "By {d}, which {n}{w} is at the top?",
    "Among the {p}{w}, which comes first in {d}?",
    "Which {n}{w} exceeds all others in {d}?",
    "Which {n}{w} has the greatest {d}?",
)
PEOPLED_SHAPES = (
    "Which {n}{w} has the {f} inhabitants?",
    "Which {n}{w} has the {f} people?",
    "In which {n}{w} do the {f} people live?",
)
AREA_SHAPES = (
    "Which {n}{b} covers the {m} area?",
    "Which {n}{b} has the {m} area?",
    "Which {n}{b} has the {m} territory?",
    "By area, which {n}{b} is the {m}?",
    "In terms of area, which {n} is the {m}{b}?",
    "Measured by area, what is the {m} {n}{b}?",
)
OTHER_WORDS = {"tallest": "highest"}
"""Superlatives asked for with the words of another one."""
SLOT = re.compile(r"\{(\w+)\}")
SYNONYMS: dict[str, tuple[str, ...]] = {
    "largest": ("biggest", "greatest", "most enormous", "hugest"),
    "smallest": ("tiniest", "littlest", "least large"),
    "highest": ("loftiest", "tallest", "most elevated"),
    "tallest": ("highest", "most towering"),
    "longest": ("most extended", "lengthiest"),
    "fastest": ("quickest", "swiftest", "speediest"),
    "oldest": ("most ancient", "earliest"),
    "deepest": ("most profound", "furthest down"),
    "brightest": ("most brilliant", "most luminous"),
    "heaviest": ("weightiest", "most massive"),
    "hardest": ("least scratchable", "toughest"),
    "strongest": ("most powerful", "toughest"),
    "hottest": ("warmest", "most scorching"),
    "coldest": ("chilliest", "most frigid"),
    "nearest": ("closest",),
    "farthest": ("furthest", "most distant"),
    "northernmost": ("most northerly", "furthest north", "most northern"),
    "southernmost": ("most southerly", "furthest south", "most southern"),
    "first": ("earliest", "very first", "original"),
    "most populous": ("most populated", "most inhabited", "most crowded"),
    "most abundant": ("most plentiful", "most common", "most frequent"),
    "in the world": (
        "on Earth",
        "on the planet",
        "on our planet",
        "in the whole world",
        "worldwide",
        "anywhere on Earth",
        "of the world",
        "of the Earth",
        "of all",
        "we know of",
    ),
    "in the Solar System": ("of our Solar System", "around our Sun", "of the Solar System"),
    "in the human body": ("in our bodies", "that we have", "of a person", "in a human being"),
    "of the human body": ("in our bodies", "that we have", "of a person", "in a human being"),
    "mountain": ("peak", "summit"),
    "animal": ("creature", "beast"),
    "country": ("nation", "state", "land"),
    "countries": ("nations", "states"),
    "city": ("town", "metropolis"),
    "inhabitants": ("residents", "citizens", "people living there"),
    "by population": ("by number of people", "by inhabitants"),
    "by area": ("by land area", "by territory", "in area"),
}
"""What a question may say instead of a record's words; each is replaced now and then."""
ADJECTIVES = {
    "Africa": "African",
    "Asia": "Asian",
    "Europe": "European",
    "North America": "North American",
    "South America": "South American",
    "Oceania": "Oceanian",
    "Antarctica": "Antarctic",
    "Australia": "Australian",
    "Canada": "Canadian",
    "Germany": "German",
    "Italy": "Italian",
    "Mexico": "Mexican",
    "Norway": "Norwegian",
    "India": "Indian",
    "Japan": "Japanese",
    "Poland": "Polish",
    "Spain": "Spanish",
    "France": "French",
    "Greece": "Greek",
    "Turkey": "Turkish",
    "Sweden": "Swedish",
    "Brazil": "Brazilian",
    "Russia": "Russian",
    "China": "Chinese",
    "the United States": "American",
    "the United Kingdom": "British",
}
"""A record's place -> the adjective that a question may put before the noun."""
UNCHANGED_PLURALS = ("species", "fish", "series")


def _several(noun: str) -> str | None:
    """The plural of a record's noun; None where its last word has no plain plural."""
    last = noun.split()[-1]
    if not last.isalpha() or noun.startswith("of "):
        return None
    if last in UNCHANGED_PLURALS:
        return noun
    if last.endswith("y") and last[-2:-1] not in "aeiou":
        return noun[:-1] + "ies"
    if last.endswith(("ss", "x", "ch", "sh", "volcano")):
        return noun + "es"
    return None if last.endswith("s") else noun + "s"


def _compared(most: str) -> str | None:
    """The comparative of a superlative: "larger", "more populous"; None for others."""
    if most.startswith(("second-", "third-")):
        return None
    first, _, rest = most.partition(" ")
    if rest:
        return f"{'more' if first == 'most' else 'less'} {rest}"
    return f"{most[:-3]}er" if most.endswith("est") and most != "best" else None


def _record_shapes(most: str, noun: str, where: str) -> tuple[list[Sequence[str]], dict[str, str]]:
    """The groups of shapes that fit a record, and the words for their slots."""
    base, by, tail = where.partition(" by ")
    words = {"n": noun, "m": most, "w": where, "b": base, "t": by + tail}
    if noun.startswith("of "):
        return [_with_more(RECORD_MEMBER_SHAPES, "member")], words
    plain = _with_more(RECORD_SHAPES, "plain")
    groups: list[Sequence[str]] = [plain, plain, _with_more((), OTHER_WORDS.get(most, most))]
    rank, _, first = most.rpartition("-")
    if rank in ("second", "third"):
        words["m1"] = first
        groups.append(_with_more((), "ranked") if rank == "second" else ())
    several, compared = _several(noun), _compared(most)
    if several is not None:
        words["p"] = several
        groups.append(_with_more(RECORD_GROUP_SHAPES, "group"))
        if first in RECORD_MEASURES and not by and noun != "number":
            words["d"] = RECORD_MEASURES[first]
            own = () if rank else RECORD_MEASURED_SHAPES
            groups.append(_with_more(own, f"{rank}_measured" if rank else "measured"))
    if compared is not None:
        words["c"] = compared
        groups.append(_with_more(RECORD_COMPARED_SHAPES, "compared"))
    place = re.fullmatch(r" (in|of) ((?:the )?[A-Z]\S*(?: [A-Z]\S*)*|the \w+|the \w+ \w+)", base)
    if place is not None:
        owner = place[2]
        words["o"] = owner + ("'" if owner.endswith("s") else "'s")
        groups.append(_with_more(RECORD_OWNED_SHAPES, "owned"))
        if place[1] == "in":
            words["W"] = base.strip().replace("in ", "In ", 1)
            groups.append(_with_more(RECORD_PLACED_SHAPES, "placed"))
    if most.endswith(" populous"):
        words["f"] = "most" if most.startswith("most") else "fewest"
        groups.append(_with_more(PEOPLED_SHAPES, "peopled"))
    elif tail == "area":
        groups.append(_with_more(AREA_SHAPES, "area"))
    return [group for group in groups if group], words


def _with_more(own: tuple[str, ...], group: str) -> tuple[str, ...]:
    """The shapes of a group with those that the wordings add."""
    return own + wordings("record", group).questions


def record_question(name: str, rng: Random) -> str | None:
    """A record asked for by its noun ("Which lake is the largest?"); None for other names."""
    found = RECORD_NAME.fullmatch(name)
    if found is None:
        return None
    noun, where = found["noun"], found["where"] or ""
    adjective = ADJECTIVES.get(where.removeprefix(" in ").partition(" by ")[0])
    if adjective and rng.random() < 0.25:
        noun, where = f"{adjective} {noun}", where.partition(" by ")[2]
        where = f" by {where}" if where else ""
    groups, words = _record_shapes(found["most"], noun, where)
    shape = rng.choice(rng.choice(groups))
    while not set(SLOT.findall(shape)) <= words.keys():
        shape = rng.choice(rng.choice(groups))
    return in_other_words(shape.format(**words), rng)


def in_other_words(text: str, rng: Random) -> str:
    """The question with some of its words replaced by others of the same meaning."""
    for plain, others in SYNONYMS.items():
        if plain in text and rng.random() < 0.3:
            text = re.sub(rf"(?<!-)\b{plain}\b", rng.choice(others), text, count=1)
    return text
