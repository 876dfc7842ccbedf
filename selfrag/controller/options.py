"""Closed sets: how options are shown, and how a text is read as one of them.

The published script compares whole strings, so "A", "A." and "(A)" are three options there; here a
text is read strictly but normalised.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Mapping

from selfrag.answer import Question

_MARK = re.compile(r"(?<!\S)\(?([A-Z])[:.)]\s+(?=\S)")


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


def listed_options(text: str) -> dict[str, str]:
    """The options that a question's text lists itself: inverse of `question_with_options`.

    Marks are capital letters in order from A on, set off by a colon, a full stop or a bracket, in
    lines of their own or one after the other; empty where fewer than two are found.
    """
    found: list[tuple[int, int]] = []
    for mark in _MARK.finditer(text):
        if mark.group(1) == chr(ord("A") + len(found)):
            found.append((mark.start(), mark.end()))
    if len(found) < 2:
        return {}
    ends = [start for start, _ in found[1:]] + [len(text)]
    texts = [
        text[start:end].strip().split("\n")[0].strip(" ,;")
        for (_, start), end in zip(found, ends, strict=True)
    ]
    if not all(texts):
        return {}
    return {chr(ord("A") + place): option for place, option in enumerate(texts)}


def normalised(text: str) -> str:
    """Lower case, without accents on the outside, punctuation or repeated spaces."""
    folded = unicodedata.normalize("NFKC", text).casefold()
    return " ".join(re.sub(r"[^\w\s]", " ", folded).split())


def read_option(text: str, options: Mapping[str, str]) -> str | None:
    """The key of the option that `text` names, or None when it names none or several.

    In this order: the text is a key or begins with one set off by punctuation ("B", "(B)",
    "B: Paris"); it states one ("so the answer is B."); it is an option's text; it begins with
    exactly one option's text; it contains exactly one option's text as words. A text that states
    several keys names none.
    """
    plain = normalised(text)
    if not plain:
        return None
    keys = {normalised(key): key for key in options}
    leading = re.match(r"\s*[(\[]?\s*(\w+)\s*(?:[)\].:,]|$)", text)
    if leading and normalised(leading.group(1)) in keys:
        return keys[normalised(leading.group(1))]
    stated = _stated_keys(text, options)
    if stated:
        return stated.pop() if len(stated) == 1 else None
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


def _stated_keys(text: str, options: Mapping[str, str]) -> set[str]:
    """The keys that a text states as its answer ("the answer is B", "option: C").

    A key counts as it is written, since "the answer is a river" states none, and where no word in
    lower case goes on from it, but for one that gives a reason.
    """
    keys = "|".join(re.escape(key) for key in sorted(options, key=len, reverse=True))
    item = rf"[(\[\"'\u201c]?(?:{keys})(?!\w)[)\]\"'\u201d]?"
    several = rf"{item}(?:\s*(?:,\s*(?:or|and)?|/|or|and)\s*{item})*"
    said = r"(?i:\b(?:answer|option|choice)(?:\s+is\s*:?|\s*:)\s*(?:option\s+|choice\s+)?)"
    reasons = r"(?:because|since|as|for)\b"
    statement = re.compile(rf"{said}({several})(?!\s+(?!{reasons})[a-z])")
    return {
        key
        for match in statement.finditer(text)
        for key in re.findall(rf"(?<!\w)(?:{keys})(?!\w)", match.group(1))
    }
