"""Closed sets: how options are shown, and how a text is read as one of them.

The published script compares whole strings, so "A", "A." and "(A)" are three options there; here a
text is read strictly but normalised.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Mapping

from selfrag.answer import Question


def template_texts(question: Question) -> tuple[str, str | None]:
    """What stands in the prompt's `### Instruction:` and `### Input:` parts."""
    text = question_with_options(question)
    return (text, None) if question.instruction is None else (question.instruction, text)


def question_with_options(question: Question) -> str:
    """The question as the model sees it: options in lines `KEY: text` below it.

    Options whose key is their text (true / false) are not listed.
    """
    listed = [f"{key}: {text}" for key, text in (question.options or {}).items() if key != text]
    return "\n".join([question.text, *listed])


def normalised(text: str) -> str:
    """Lower case, without accents on the outside, punctuation or repeated spaces."""
    folded = unicodedata.normalize("NFKC", text).casefold()
    return " ".join(re.sub(r"[^\w\s]", " ", folded).split())


def read_option(text: str, options: Mapping[str, str]) -> str | None:
    """The key of the option that `text` names, or None when it names none or several.

    In this order: the text is a key or begins with one set off by punctuation ("B", "(B)",
    "B: Paris"); it is an option's text; it begins with exactly one option's text; it contains
    exactly one option's text as words.
    """
    plain = normalised(text)
    if not plain:
        return None
    keys = {normalised(key): key for key in options}
    leading = re.match(r"\s*[(\[]?\s*(\w+)\s*(?:[)\].:,]|$)", text)
    if leading and normalised(leading.group(1)) in keys:
        return keys[normalised(leading.group(1))]
    texts = {key: normalised(value) for key, value in options.items()}
    tests = (
        lambda option: plain == option,
        lambda option: plain.startswith(f"{option} "),
        lambda option: f" {option} " in f" {plain} ",
    )
    for test in tests:
        matches = [key for key, option in texts.items() if option and test(option)]
        if len(matches) == 1:
            return matches[0]
        if matches:
            return None
    return None
