"""Phrases to repeat, quote, re-case, swap, join, sort, count or shorten."""

from random import Random

from selfrag.training.mini.asides.arithmetic import number_words
from selfrag.training.mini.asides.rewriting_shapes import SHAPES
from selfrag.training.mini.asides.rewriting_word_shapes import WORD_SHAPES
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
    "Could I ask you to ",
    "May I ask you to ",
    "Can I get you to ",
    "Are you able to ",
    "Would you mind if I asked you to ",
    "Do you think you could ",
    "Might you ",
    "Won't you ",
    "Is it possible for you to ",
    "Would it be possible to ",
    "Now, could you ",
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
    "Be so kind and ",
    "Do me a favour and ",
    "Go ahead and ",
    "Help me and ",
    "Hi, ",
    "Hello, please ",
    "I order you to ",
    "I was hoping you could ",
    "I wonder if you could ",
    "I would be glad if you could ",
    "If you can, ",
    "If you don't mind, ",
    "Let's see you ",
    "Let me see you ",
    "My request: ",
    "My wish is that you ",
    "Once more, ",
    "Quickly ",
    "See if you can ",
    "The task is to ",
    "This time ",
    "What I want is for you to ",
    "What you must do is ",
    "You have to ",
    "You need to ",
    "Be a dear and ",
    "For practice, ",
    "As a test, ",
    "Right, ",
    "Alright, ",
    "Computer, ",
    "A small favour: ",
)
QUESTION_OPENINGS = (
    *("", "", "", "", "", "", "", "", "Tell me, ", "Say, ", "Quick question: ", "Hey, ", "So "),
    *("Now, ", "Here's one: ", "Do you know: ", "A question: ", "And ", "For a quiz: ", "OK, "),
)
"""What may stand before a task that is asked as a question."""
THINGS: tuple[str, ...] = (
    "",
    "",
    "the phrase ",
    "the text ",
    "the expression ",
    "my text ",
    "my phrase ",
    "the string ",
    "the line ",
    "my line ",
    "the input ",
)
"""What may stand before the phrase inside a sentence."""
LAST_THINGS = (
    "this: ",
    "this phrase: ",
    "this text: ",
    "the following: ",
    "the following text: ",
    "this one: ",
    "this line: ",
    "what follows: ",
    "the text below: ",
    "what comes next: ",
    "this here: ",
)
"""What may stand before it at the end of a sentence."""
ONE_WORD = ("spell", "mirror", "count letters")
"""Tasks on a single word."""
PARTED = (
    "first", "last", "comma", "hyphens", "reverse", "alphabet", "initials", "second",
    "drop first", "drop last", "underscores", "together",
)  # fmt: skip
"""Tasks that need a phrase of several words."""
LENGTHENED = ("reverse", "alphabet", "count words", "comma", "title", "drop first", "drop last")
"""Tasks that are also set on longer phrases."""
SORTS = (
    *("repeat", "repeat", "repeat", "quote", "quote", "lower", "lower", "lower"),
    *("upper", "upper", "upper", "swap", "join", "end", "first", "first", "last", "last"),
    *("spell", "spell", "twice", "question", "replace", "comma", "stop", "brackets"),
    *("thrice", "after", "before", "hyphens", "title", "title", "reverse", "reverse", "reverse"),
    *("alphabet", "alphabet", "count words", "count words", "count letters", "first letter"),
    *("last letter", "initials", "second", "drop first", "drop last", "times", "times"),
    *("underscores", "together", "and", "or", "colon", "dots", "square", "stars", "loud"),
    *("sentence", "mirror"),
)
QUESTION_STARTS = ("what", "how", "which", "with which", "with how", "of how", "at the ")
BARE_STARTS = (
    "{p}", "{k}", "in ", "all caps", "caps:", "uppercase:", "upper case:", "lower case:",
    "lowercase:", "no small", "no capitals", "first word of", "first word only", "last word of",
    "last word only", "just the", "the ", "two ", "three ", "twice ", "first letter", "last letter",
    "number of", "word count", "letter count", "spelling of", "exclamation mark", "question mark",
    "full stop", "minuscules", "majuscules", "comma-separated", "I ", "your ", "without ", "don't",
    "rather", "instead", "where ", "when ", "not ", "with a ", "starting", "word by word",
    "do not",
)  # fmt: skip
"""How wordings begin that are no imperative: nothing like "Could you" can lead them."""


def rewritten(sort: str, phrase: str, other: str, times: int = 2) -> str:
    """The phrase after this task. other: the second phrase of tasks that need one.

    times: how often to say it, where the task is to say it that often.
    """
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
        "title": " ".join(part[:1].upper() + part[1:] for part in parts),
        "sentence": phrase[:1].upper() + phrase[1:].lower(),
        "reverse": " ".join(reversed(parts)),
        "mirror": phrase[::-1],
        "alphabet": " ".join(sorted(parts, key=str.casefold)),
        "count words": str(len(parts)),
        "count letters": str(sum(sign.isalpha() for sign in phrase)),
        "first letter": phrase[0],
        "last letter": phrase[-1],
        "initials": "".join(part[0].upper() for part in parts),
        "second": parts[min(1, len(parts) - 1)],
        "drop first": " ".join(parts[1:]),
        "drop last": " ".join(parts[:-1]),
        "times": " ".join([phrase] * times),
        "underscores": "_".join(parts),
        "together": "".join(parts),
        "and": f"{phrase} and {other}",
        "or": f"{phrase} or {other}",
        "colon": f"{phrase}:",
        "dots": f"{phrase}...",
        "square": f"[{phrase}]",
        "stars": f"*{phrase}*",
        "loud": f"{phrase.upper()}!",
    }
    return answers[sort]


def rewriting(rng: Random, words: Words) -> tuple[str, str]:
    """A task on a phrase and its result."""
    phrase = words(rng)
    sort = rng.choice(SORTS)
    while not _fits(sort, phrase):
        sort = rng.choice(SORTS)
    if sort in ONE_WORD:
        phrase = max(phrase.split(), key=len)
    elif sort in LENGTHENED and rng.random() < 0.4:
        phrase = f"{phrase} {words(rng)}"
    shape = rng.choice(SHAPES.get(sort) or WORD_SHAPES[sort])
    quoted = rng.choice(("{}", "'{}'", '"{}"')).format(phrase)
    things = THINGS
    if "word" not in shape:
        things = (*THINGS, "the word " if len(phrase.split()) == 1 else "the words ")
    thing = rng.choice((*things, *LAST_THINGS) if shape.endswith("{t}") else things)
    other, times = words(rng), rng.randint(2, 5)
    said = number_words(times) if rng.random() < 0.7 else str(times)
    text = shape.format(t=thing + quoted, p=phrase, o=other, k=said)
    return _courteous(text, shape, rng), rewritten(sort, phrase, other, times)


def _fits(sort: str, phrase: str) -> bool:
    """Whether this task has one clear result on the phrase."""
    parts = phrase.split()
    if sort == "swap":
        return len(parts) == 2
    if sort in PARTED and len(parts) < 2:
        return False
    if sort in ("initials", "alphabet", "mirror", "first letter", "last letter", "count letters"):
        return all(part.isascii() and part.isalpha() for part in parts)
    return True


def _courteous(text: str, shape: str, rng: Random) -> str:
    """The task as a sentence: with a lead, an end and mostly a capital."""
    if shape.startswith(QUESTION_STARTS):
        text = rng.choice(QUESTION_OPENINGS) + text + "?"
    elif shape.startswith(BARE_STARTS):
        text += rng.choice(("", "", "" if text.endswith(".") else "."))
    else:
        lead = rng.choice(LEADS)
        ends = ("?", "?", "") if lead in QUESTION_LEADS else ("", "", ".")
        text = lead + text + rng.choice(ends)
    return text[:1].upper() + text[1:] if rng.random() < 0.9 else text
