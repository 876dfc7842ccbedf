"""Phrases to repeat, quote, re-case, swap, join or shorten."""

from random import Random

from selfrag.training.mini.talk import Words

LEADS = (
    "",
    "",
    "",
    "",
    "Please ",
    "Can you ",
    "Could you ",
    "Would you ",
    "Could you please ",
    "I want you to ",
    "Now ",
    "Kindly ",
    "Hey, ",
    "Your task: ",
)
QUESTION_LEADS = ("Can you ", "Could you ", "Would you ", "Could you please ")
SORTS = (
    "repeat",
    "repeat",
    "quote",
    "lower",
    "upper",
    "swap",
    "join",
    "end",
    "first",
    "last",
    "spell",
    "twice",
    "question",
    "replace",
    "comma",
)
SHAPES: dict[str, tuple[str, ...]] = {
    "repeat": (
        "repeat {t}",
        "say {t}",
        "write {t}",
        "copy {t}",
        "type {t}",
        "echo {t}",
        "repeat after me: {p}",
        "write down {t}",
        "print {t}",
    ),
    "quote": (
        "put {t} in quotation marks",
        "quote {t}",
        "write {t} with quotation marks",
        "add quotation marks to {t}",
    ),
    "lower": (
        "write {t} in lower case",
        "convert {t} to lower case",
        "make {t} lowercase",
        "change {t} to small letters",
        "rewrite {t} in lowercase letters",
    ),
    "upper": (
        "write {t} in capital letters",
        "write {t} in upper case",
        "make {t} uppercase",
        "convert {t} to upper case",
        "put {t} in capitals",
        "capitalise {t}",
    ),
    "swap": (
        "swap the words in {t}",
        "reverse the order of the words in {t}",
        "exchange the two words {t}",
        "switch the words of {t}",
    ),
    "join": (
        "join {t} and {o} with a hyphen",
        "put a hyphen between {t} and {o}",
        "connect {t} and {o} with a hyphen",
    ),
    "end": (
        "add an exclamation mark to {t}",
        "write {t} with an exclamation mark",
        "put an exclamation mark after {t}",
    ),
    "question": (
        "add a question mark to {t}",
        "turn {t} into a question",
        "put a question mark after {t}",
    ),
    "first": (
        "give me the first word of {t}",
        "write the first word of {t}",
        "what is the first word of {t}",
        "take the first word of {t}",
    ),
    "last": (
        "give me the last word of {t}",
        "write the last word of {t}",
        "what is the last word of {t}",
        "take the last word of {t}",
    ),
    "spell": ("spell {t}", "spell out {t}", "spell {t} letter by letter", "how do you spell {t}"),
    "twice": ("write {t} twice", "say {t} two times", "repeat {t} twice", "double {t}"),
    "replace": ("replace {t} with {o}", "write {o} instead of {t}"),
    "comma": ("put a comma between the words of {t}", "separate the words {t} with commas"),
}
"""Wordings of each task: `{t}` is the phrase with its quotes, `{p}` the phrase, `{o}` another."""


def rewritten(sort: str, phrase: str, other: str) -> str:
    """The phrase after this task. other: the second phrase of tasks that need one."""
    parts = phrase.split()
    answers = {
        "repeat": phrase,
        "quote": f'"{phrase}"',
        "lower": phrase.lower(),
        "upper": phrase.upper(),
        "swap": " ".join(reversed(parts)),
        "join": f"{phrase}-{other}",
        "end": f"{phrase}!",
        "question": f"{phrase}?",
        "first": parts[0],
        "last": parts[-1],
        "spell": " ".join(parts[0]),
        "twice": f"{phrase} {phrase}",
        "replace": other,
        "comma": ", ".join(parts),
    }
    return answers[sort]


def rewriting(rng: Random, words: Words) -> tuple[str, str]:
    """A task on a phrase and its result."""
    phrase = words(rng)
    count = len(phrase.split())
    sort = rng.choice(SORTS)
    if (sort == "swap" and count != 2) or (sort in ("first", "last", "comma") and count < 2):
        sort = "repeat"
    quoted = rng.choice(("{}", "'{}'", '"{}"', ": {}")).format(phrase)
    thing = rng.choice(("", "the phrase ", "the words ", "the text ", "this: ", "the following: "))
    target = thing + quoted.removeprefix(": ")
    other = words(rng)
    text = rng.choice(SHAPES[sort]).format(t=target, p=phrase, o=other)
    return _courteous(text, rng), rewritten(sort, phrase, other)


def _courteous(text: str, rng: Random) -> str:
    """The task as a sentence: with a lead, an end and mostly a capital."""
    if text.startswith(("what", "how")):
        text += "?"
    else:
        lead = rng.choice(LEADS)
        ends = ("?", "?", "") if lead in QUESTION_LEADS else ("", "", ".")
        text = lead + text + rng.choice(ends)
    return text[:1].upper() + text[1:] if rng.random() < 0.9 else text
