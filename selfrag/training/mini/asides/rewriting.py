"""Phrases to repeat, quote, re-case, swap, join or shorten."""

from random import Random

from selfrag.training.mini.asides.rewriting_shapes import SHAPES
from selfrag.training.mini.asides.talk import Words

QUESTION_LEADS = (
    "Can you ",
    "Could you ",
    "Would you ",
    "Will you ",
    "Could you please ",
    "Can you please ",
    "Would you please ",
    "Would you kindly ",
    "Can you quickly ",
    "Could you just ",
)
LEADS = (
    "",
    "",
    "",
    "",
    "",
    "",
    "",
    "",
    "Please ",
    "Please ",
    *QUESTION_LEADS,
    "I want you to ",
    "I would like you to ",
    "I'd like you to ",
    "I need you to ",
    "I ask you to ",
    "You should ",
    "You must ",
    "Your job is to ",
    "Your task is to ",
    "Try to ",
    "Now ",
    "Now please ",
    "Next, ",
    "Then ",
    "Kindly ",
    "Just ",
    "Simply ",
    "Hey, ",
    "OK, ",
    "So, ",
    "First, ",
    "Assistant, ",
    "Do this: ",
    "Your task: ",
    "Task: ",
    "A task for you: ",
    "Exercise: ",
    "Instruction: ",
    "Here is a task: ",
    "One more thing: ",
)
THINGS: tuple[str, ...] = (
    "",
    "",
    "the phrase ",
    "the text ",
    "the expression ",
    "my text ",
    "my phrase ",
)
"""What may stand before the phrase inside a sentence."""
LAST_THINGS = (
    "this: ",
    "this phrase: ",
    "this text: ",
    "the following: ",
    "the following text: ",
    "this one: ",
)
"""What may stand before it at the end of a sentence."""
PARTED = ("first", "last", "comma", "hyphens")
"""Tasks that need a phrase of several words."""
SORTS = (
    "repeat",
    "repeat",
    "repeat",
    "quote",
    "quote",
    "lower",
    "lower",
    "upper",
    "upper",
    "swap",
    "join",
    "end",
    "first",
    "first",
    "last",
    "last",
    "spell",
    "spell",
    "twice",
    "question",
    "replace",
    "comma",
    "stop",
    "brackets",
    "thrice",
    "after",
    "before",
    "hyphens",
)


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
        "hyphens": "-".join(parts),
        "stop": f"{phrase}.",
        "brackets": f"({phrase})",
        "thrice": f"{phrase} {phrase} {phrase}",
        "after": f"{phrase} {other}",
        "before": f"{other} {phrase}",
    }
    return answers[sort]


def rewriting(rng: Random, words: Words) -> tuple[str, str]:
    """A task on a phrase and its result."""
    phrase = words(rng)
    count = len(phrase.split())
    sort = rng.choice(SORTS)
    if (sort == "swap" and count != 2) or (sort in PARTED and count < 2):
        sort = "repeat"
    if sort == "spell":
        phrase = phrase.split()[0]
    shape = rng.choice(SHAPES[sort])
    quoted = rng.choice(("{}", "'{}'", '"{}"')).format(phrase)
    things = THINGS
    if "word" not in shape:
        things = (*THINGS, "the word " if len(phrase.split()) == 1 else "the words ")
    thing = rng.choice((*things, *LAST_THINGS) if shape.endswith("{t}") else things)
    other = words(rng)
    text = shape.format(t=thing + quoted, p=phrase, o=other)
    return _courteous(text, rng), rewritten(sort, phrase, other)


def _courteous(text: str, rng: Random) -> str:
    """The task as a sentence: with a lead, an end and mostly a capital."""
    if text.startswith(("what", "how", "which")):
        text += "?"
    else:
        lead = rng.choice(LEADS)
        ends = ("?", "?", "") if lead in QUESTION_LEADS else ("", "", ".")
        text = lead + text + rng.choice(ends)
    return text[:1].upper() + text[1:] if rng.random() < 0.9 else text
