"""Evaluation questions and the jsonl files that hold them.

One JSON object a line. Keys:

- `question` (required): its text.
- `answers`: list of acceptable strings, or `answer`: one string. Required, and not empty, when
  the question is answerable.
- `kind`: "answerable" (default), "no_retrieval" (a greeting, small arithmetic, rewriting: the
  model should not retrieve) or "unanswerable" (the corpus has no answer: it should say so).
- `id`, `relation`, `entity`, `phrasing`: optional strings, used in reports and details; `id`
  defaults to the line's number.

Other keys are ignored. Empty lines are skipped. This module knows nothing of models.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, TypeVar, get_args

from selfrag.errors import EXIT_INPUT, SelfRAGError

Kind = Literal["answerable", "no_retrieval", "unanswerable"]
KINDS: tuple[Kind, ...] = get_args(Kind)
EMBEDDED_QUESTIONS = Path(__file__).resolve().parents[1] / "assets" / "evaluation.jsonl"
DEVELOPMENT_QUESTIONS = EMBEDDED_QUESTIONS.with_name("development.jsonl")

_T = TypeVar("_T")


class UnusableFile(SelfRAGError, ValueError):
    """A file of an evaluation that cannot be read or written; the message names the line."""

    exit_code = EXIT_INPUT


@dataclass(frozen=True, slots=True)
class EvaluationQuestion:
    """One question with what counts as right.

    Attributes:
        id: unique within its file.
        text: the question.
        kind: what the model should do with it.
        answers: acceptable strings; any one of them will do. May be empty unless answerable.
        relation: what is asked, for example "countries.capital"; "" when not given.
        entity: what it is asked about; "" when not given.
        phrasing: how the question was made ("hand", "template"); "" when not given.
    """

    id: str
    text: str
    kind: Kind = "answerable"
    answers: tuple[str, ...] = ()
    relation: str = ""
    entity: str = ""
    phrasing: str = ""


def read_questions(path: str | Path) -> list[EvaluationQuestion]:
    """Read a file of questions.

    Raises:
        UnusableFile: the file cannot be read, holds no question, repeats an id, or has a bad
            line; the message names the line.
    """
    try:
        lines = Path(path).read_text(encoding="utf-8-sig").split("\n")
    except OSError as error:
        raise UnusableFile(
            f"Cannot read the questions in {path}: {error.strerror or error}.", "Check the path."
        ) from error
    except UnicodeDecodeError as error:
        raise UnusableFile(f"{path} is not UTF-8 text.", "Save it as UTF-8.") from error
    questions: list[EvaluationQuestion] = []
    seen: dict[str, int] = {}
    for number, line in enumerate(lines, 1):
        if not line.strip():
            continue
        place = f"{path}, line {number}"
        question = _question(line, place, number)
        if question.id in seen:
            raise UnusableFile(
                f"{place}: the id {question.id!r} is taken by line {seen[question.id]}.",
                "Give every question an id of its own, or none.",
            )
        seen[question.id] = number
        questions.append(question)
    if not questions:
        raise UnusableFile(f"{path} holds no question.", "Write one JSON object a line.")
    return questions


def spread(items: Sequence[_T], count: int | None) -> list[_T]:
    """`count` items spread evenly over the sequence, in order; all of them for None."""
    if count is None or count >= len(items):
        return list(items)
    return [items[index * len(items) // count] for index in range(count)]


def _question(line: str, place: str, number: int) -> EvaluationQuestion:
    try:
        row = json.loads(line)
    except (ValueError, RecursionError) as error:
        raise UnusableFile(f"{place}: not JSON ({error}).", "Write one object a line.") from None
    if not isinstance(row, dict):
        raise UnusableFile(
            f"{place}: expected a JSON object, got {type(row).__name__}.",
            'Write for example {"question": "…", "answers": ["…"]}.',
        )
    text = row.get("question")
    if not isinstance(text, str) or not text.strip():
        raise UnusableFile(
            f"{place}: `question` must be a text that is not empty, got {text!r}.",
            f"The keys of this line are: {', '.join(map(str, row)) or 'none'}.",
        )
    kind = row.get("kind", "answerable")
    if kind not in KINDS:
        raise UnusableFile(
            f"{place}: `kind` is {kind!r}.", f"Allowed: {', '.join(map(repr, KINDS))}."
        )
    answers = _answers(row, place)
    if kind == "answerable" and not answers:
        raise UnusableFile(
            f"{place}: an answerable question needs an acceptable answer.",
            "Give `answers` (a list of texts) or `answer` (one text).",
        )
    return EvaluationQuestion(
        id=_label(row, "id", place) or str(number),
        text=text,
        kind=kind,
        answers=answers,
        relation=_label(row, "relation", place),
        entity=_label(row, "entity", place),
        phrasing=_label(row, "phrasing", place),
    )


def _answers(row: dict[str, Any], place: str) -> tuple[str, ...]:
    """The texts of `answers` and `answer` together."""
    given: list[Any] = []
    for name in ("answers", "answer"):
        value = row.get(name)
        if isinstance(value, list):
            given.extend(value)
        elif value is not None:
            given.append(value)
    for answer in given:
        if not isinstance(answer, str) or not answer.strip():
            raise UnusableFile(
                f"{place}: an answer must be a text that is not empty, got {answer!r}.",
                "Put numbers in quotes.",
            )
    return tuple(given)


def _label(row: dict[str, Any], name: str, place: str) -> str:
    value = row.get(name)
    if value is None:
        return ""
    if isinstance(value, bool) or not isinstance(value, str | int):
        raise UnusableFile(f"{place}: `{name}` must be a text, got {value!r}.", "Correct it.")
    return str(value)
