"""Evaluation questions and the jsonl files that hold them.

One JSON object a line. Keys:

- `question` (required): its text.
- `kind`: "single_hop" (default; "answerable" is its old name), "two_hop", "three_hop",
  "long_form", "fact_check", "multiple_choice", "no_retrieval" (a greeting, small arithmetic,
  rewriting: the model should not retrieve) or "unanswerable" (the corpus has no answer: it should
  say so).
- `answers`: list of acceptable strings, or `answer`: one string. Required but for the last two
  kinds, and for "long_form" with `parts`. For "fact_check" true or false (yes, no, supported,
  refuted mean the same); for "multiple_choice" an option's key or its text.
- `parts` ("long_form"): a list of lists of acceptable strings; all parts are wanted.
- `evidence`: ids of passages of the corpus, any of which answers; or a list of such lists, one for
  each step ("two_hop" and "three_hop" need that) or part. [] is as good as none.
- `options` ("multiple_choice"): {"A": "…", "B": "…"}. Where the text of the question does not list
  them, they are appended to it in lines `A: …`.
- `id`, `relation`, `entity`, `phrasing`: optional strings, used in reports and details; `id`
  defaults to the line's number.

Other keys are ignored. Empty lines are skipped. This module knows nothing of models.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal, TypeVar, get_args

from selfrag.answer import Question
from selfrag.controller.options import listed_options, normalised, question_with_options
from selfrag.evaluation.lines import UnusableFile as UnusableFile
from selfrag.evaluation.verdicts import verdict_of_answer

Kind = Literal[
    "answerable",
    "single_hop",
    "two_hop",
    "three_hop",
    "long_form",
    "fact_check",
    "multiple_choice",
    "no_retrieval",
    "unanswerable",
]
KINDS: tuple[Kind, ...] = get_args(Kind)
ANSWERABLE_SECTIONS: tuple[Kind, ...] = KINDS[1:7]
HOPS: dict[str, int] = {"two_hop": 2, "three_hop": 3}
EMBEDDED_QUESTIONS = Path(__file__).resolve().parents[1] / "assets" / "evaluation.jsonl"
EMBEDDED_TASKS = EMBEDDED_QUESTIONS.with_name("evaluation_tasks.jsonl")
DEVELOPMENT_QUESTIONS = EMBEDDED_QUESTIONS.with_name("development.jsonl")
DEVELOPMENT_TASKS = EMBEDDED_QUESTIONS.with_name("development_tasks.jsonl")
EVALUATION_FILES = (EMBEDDED_QUESTIONS, EMBEDDED_TASKS)
"""Single facts, and questions of several steps, claims, options, lists; held out."""
DEVELOPMENT_FILES = (DEVELOPMENT_QUESTIONS, DEVELOPMENT_TASKS)
"""The same kinds, to choose thresholds and mixtures by."""

_T = TypeVar("_T")


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
        parts: what a long answer must say: of each part, any of its strings.
        evidence: for every step or part (often one) the ids of the
            passages that answer; () when not given.
        options: keys and texts of a multiple choice; () when the text lists them.
    """

    id: str
    text: str
    kind: Kind = "answerable"
    answers: tuple[str, ...] = ()
    relation: str = ""
    entity: str = ""
    phrasing: str = ""
    parts: tuple[tuple[str, ...], ...] = ()
    evidence: tuple[tuple[str, ...], ...] = ()
    options: tuple[tuple[str, str], ...] = ()

    @property
    def section(self) -> Kind:
        """The kind under its present name."""
        return "single_hop" if self.kind == "answerable" else self.kind

    @property
    def answerable(self) -> bool:
        """Whether the corpus has an answer, so that refusing is wrong."""
        return self.section in ANSWERABLE_SECTIONS

    @property
    def wanted(self) -> tuple[tuple[str, ...], ...]:
        """What an answer must contain: of each group any string; () where nothing is known."""
        return self.parts or ((self.answers,) if self.answers else ())

    @property
    def asked(self) -> str:
        """The text that the model is asked, with the options that it does not list itself."""
        if not self.options:
            return self.text
        listed = {normalised(text) for text in listed_options(self.text).values()}
        if {normalised(text) for _, text in self.options} <= listed:
            return self.text
        return question_with_options(Question(self.text, options=dict(self.options)))

    @property
    def choices(self) -> dict[str, str]:
        """Keys and texts of a multiple choice, given or listed in the text."""
        return dict(self.options) or listed_options(self.text)

    @property
    def right_choices(self) -> frozenset[str]:
        """The keys that the acceptable answers stand for."""
        return frozenset(key for answer in self.answers if (key := self.choice_of(answer)))

    @property
    def verdict(self) -> bool | None:
        """Whether the statement of a fact check is true."""
        return verdict_of_answer(self.answers[0]) if self.answers else None

    def choice_of(self, answer: str) -> str | None:
        """The key that an answer is, or whose text it is; None where it is neither."""
        plain = normalised(answer)
        by_key = {normalised(key): key for key in self.choices}
        by_text = {normalised(text): key for key, text in self.choices.items()}
        return by_key.get(plain, by_text.get(plain))


def read_questions(path: str | Path) -> list[EvaluationQuestion]:
    """Read a file of questions.

    Raises:
        UnusableFile: the file cannot be read, holds no question, repeats an id, or has a bad
            line; the message names the line.
    """
    from selfrag.evaluation.question_rows import question_rows

    return list(question_rows(path))


def read_question_files(paths: Sequence[Path]) -> list[EvaluationQuestion]:
    """The questions of several files, in order, with ids that are unique among all of them.

    An id that an earlier file has too gets its own file's name in front ("tasks:7").

    Raises:
        UnusableFile: see `read_questions`.
    """
    questions: list[EvaluationQuestion] = []
    taken: set[str] = set()
    for path in paths:
        for question in read_questions(path):
            identity = question.id
            while identity in taken:
                identity = f"{path.stem}:{identity}"
            taken.add(identity)
            questions.append(replace(question, id=identity))
    return questions


def spread(items: Sequence[_T], count: int | None) -> list[_T]:
    """`count` items spread evenly over the sequence, in order; all of them for None."""
    if count is None or count >= len(items):
        return list(items)
    return [items[index * len(items) // count] for index in range(count)]
