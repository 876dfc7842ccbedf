"""Reads and checks the lines of a file of questions; the format is in `questions`."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from selfrag.evaluation.lines import Ids, UnusableFile, label_of, read_objects, text_of
from selfrag.evaluation.questions import ANSWERABLE_SECTIONS, HOPS, KINDS, EvaluationQuestion
from selfrag.evaluation.verdicts import FALSE_ANSWERS, TRUE_ANSWERS, verdict_of_answer

_EXAMPLE = '{"question": "…", "answers": ["…"]}'


def question_rows(path: str | Path) -> Iterator[EvaluationQuestion]:
    """The questions of a file, line by line. UnusableFile names the first bad line."""
    ids = Ids()
    for number, place, row in read_objects(path, "question", _EXAMPLE):
        question = _question(row, place, label_of(row, "id", place) or str(number))
        ids.take(row, place, number)
        yield question


def _question(row: dict[str, Any], place: str, identity: str) -> EvaluationQuestion:
    text = text_of(row, "question", place)
    kind = row.get("kind", "answerable")
    if kind not in KINDS:
        raise UnusableFile(
            f"{place}: `kind` is {kind!r}.", f"Allowed: {', '.join(map(repr, KINDS))}."
        )
    _belongs(row, "parts", kind, "long_form", place)
    _belongs(row, "options", kind, "multiple_choice", place)
    question = EvaluationQuestion(
        id=identity,
        text=text,
        kind=kind,
        answers=_answers(row, place, kind),
        relation=label_of(row, "relation", place),
        entity=label_of(row, "entity", place),
        phrasing=label_of(row, "phrasing", place),
        parts=_parts(row, place),
        evidence=_evidence(row, place, kind),
        options=_options(row, place),
    )
    _check(question, place)
    return question


def _check(question: EvaluationQuestion, place: str) -> None:
    """What the kind asks of answers, parts and options together."""
    if question.section in ANSWERABLE_SECTIONS and not question.wanted:
        name = "an answerable" if question.section == "single_hop" else f"a {question.section}"
        parts = ", or `parts`" if question.section == "long_form" else ""
        raise UnusableFile(
            f"{place}: {name} question needs an acceptable answer.",
            f"Give `answers` (a list of texts) or `answer` (one text){parts}.",
        )
    if question.parts and question.answers:
        raise UnusableFile(
            f"{place}: both `parts` and `answers` are given.", "Give one of them: parts for all."
        )
    if question.section == "fact_check":
        verdicts = {verdict_of_answer(answer) for answer in question.answers}
        if None in verdicts or len(verdicts) != 1:
            raise UnusableFile(
                f"{place}: a fact_check's answer is {', '.join(map(repr, question.answers))}.",
                f"Give one of {', '.join(TRUE_ANSWERS)} or one of {', '.join(FALSE_ANSWERS)}.",
            )
    if question.section == "multiple_choice":
        if not question.choices:
            raise UnusableFile(
                f"{place}: a multiple_choice question lists no options.",
                'Give `options`, such as {"A": "…", "B": "…"}, or list them in lines `A: …`.',
            )
        for answer in question.answers:
            if question.choice_of(answer) is None:
                raise UnusableFile(
                    f"{place}: the answer {answer!r} is no option.",
                    f"Allowed: the keys {', '.join(question.choices)} or their texts.",
                )


def _belongs(row: dict[str, Any], name: str, kind: str, owner: str, place: str) -> None:
    """Refuse a key that another kind of question has: it would be ignored."""
    if row.get(name) and kind != owner:
        raise UnusableFile(
            f"{place}: `{name}` is given for the kind {kind!r}.", f"It belongs to {owner!r}."
        )


def _answers(row: dict[str, Any], place: str, kind: str) -> tuple[str, ...]:
    """The texts of `answers` and `answer` together; JSON's true and false for a fact check."""
    given: list[Any] = []
    for name in ("answers", "answer"):
        value = row.get(name)
        if isinstance(value, list):
            given.extend(value)
        elif value is not None:
            given.append(value)
    if kind == "fact_check":
        given = [str(one).lower() if isinstance(one, bool) else one for one in given]
    return _texts(given, place, "an answer", "Put numbers in quotes.")


def _parts(row: dict[str, Any], place: str) -> tuple[tuple[str, ...], ...]:
    value = row.get("parts")
    if not value:
        return ()
    if not isinstance(value, list) or not all(isinstance(part, list) and part for part in value):
        raise UnusableFile(
            f"{place}: `parts` must be a list of lists that are not empty, got {value!r}.",
            'Write for example [["Accra"], ["cedi", "Ghana cedi"]].',
        )
    return tuple(_texts(part, place, "a part", "Put numbers in quotes.") for part in value)


def _evidence(row: dict[str, Any], place: str, kind: str) -> tuple[tuple[str, ...], ...]:
    """The ids of each step; a list of ids is one step."""
    value = row.get("evidence")
    if value is None or value == []:
        return ()
    nested = isinstance(value, list) and isinstance(value[0], list)
    lists = value if nested else [value]
    if (
        not all(isinstance(ids, list) and ids for ids in lists)
        or len(lists) != HOPS.get(kind, len(lists))
        or not (nested or kind not in HOPS)
    ):
        wanted = "a list of passage ids, or of such lists"
        if kind in HOPS:
            wanted = f"{HOPS[kind]} lists of passage ids"
        raise UnusableFile(
            f"{place}: `evidence` of a {kind} question must be {wanted}, got {value!r}.",
            "Give ids of the corpus, or leave it out.",
        )
    return tuple(_texts(ids, place, "an id of `evidence`", "Put it in quotes.") for ids in lists)


def _options(row: dict[str, Any], place: str) -> tuple[tuple[str, str], ...]:
    value = row.get("options")
    if value is None or value == {}:
        return ()
    if not isinstance(value, dict) or len(value) < 2:
        raise UnusableFile(
            f"{place}: `options` must be an object of at least two, got {value!r}.",
            'Write for example {"A": "Accra", "B": "Lomé"}.',
        )
    texts = _texts(list(value.values()), place, "an option", "Put numbers in quotes.")
    keys = _texts(list(value), place, "an option's key", "Use A, B, C …")
    return tuple(zip(keys, texts, strict=True))


def _texts(given: list[Any], place: str, what: str, hint: str) -> tuple[str, ...]:
    for one in given:
        if not isinstance(one, str) or not one.strip():
            raise UnusableFile(
                f"{place}: {what} must be a text that is not empty, got {one!r}.", hint
            )
    return tuple(given)
