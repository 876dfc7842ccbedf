"""Measure a `SelfRAG` on evaluation questions: every mode over the same questions.

The questions are asked in batches; a sample, spread evenly over them, is asked one by one first
to measure what a single question costs in a warm process.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Protocol, get_args

from decoding.config import DecodingConfig, Mode
from selfrag.answer import Answer
from selfrag.evaluation.figures import Figures, Latency, summarise
from selfrag.evaluation.outcomes import Outcome, judge
from selfrag.evaluation.questions import EvaluationQuestion, spread

MODES: tuple[Mode, ...] = get_args(Mode)
BATCH = 16
SAMPLE = 20
WARM_UP = "Hello there, are you awake?"


class Asker(Protocol):
    """The part of `SelfRAG` that an evaluation needs."""

    config: DecodingConfig

    def ask(self, question: str, *, config: DecodingConfig | None = None) -> Answer:
        """Answer one question."""

    def ask_many(
        self, questions: Sequence[str], *, config: DecodingConfig | None = None
    ) -> list[Answer]:
        """Answer several questions, in order."""


@dataclass(frozen=True, slots=True)
class Evaluation:
    """Figures and outcomes of one mode."""

    figures: Figures
    outcomes: tuple[Outcome, ...]


def evaluate(
    rag: Asker,
    questions: Sequence[EvaluationQuestion],
    mode: Mode,
    *,
    sample: int = SAMPLE,
    advance: Callable[[int], None] = lambda done: None,
) -> Evaluation:
    """Ask every question in one mode and judge the answers.

    Args:
        rag: what answers; its own configuration is kept apart from the mode.
        questions: at least one.
        mode: "adaptive", "always" or "never".
        sample: how many questions are asked one by one before, to measure a single question's
            cost; 0 measures none.
        advance: told how many more questions were asked, those of the sample included.
    """
    config = rag.config.replace(mode=mode)
    chosen = spread(questions, min(sample, len(questions)))
    alone, seconds_alone, processor_alone = _ask_one_by_one(rag, chosen, config, advance)
    answers: list[Answer] = []
    started = time.perf_counter()
    for batch in _batches(questions):
        answers += rag.ask_many([question.text for question in batch], config=config)
        advance(len(batch))
    seconds = time.perf_counter() - started
    latency = None
    if chosen:
        texts = {question.id: answer.text for question, answer in _pairs(questions, answers)}
        same = sum(texts[question.id] == text for question, text in alone)
        latency = Latency(len(chosen), seconds_alone, processor_alone, same)
    outcomes = tuple(judge(question, answer) for question, answer in _pairs(questions, answers))
    return Evaluation(summarise(mode, outcomes, seconds, latency), outcomes)


def count_questions(total: int, sample: int) -> int:
    """How many questions one call of `evaluate` asks, for a progress bar."""
    return total + min(sample, total)


def report(evaluations: Sequence[Evaluation], description: dict[str, Any]) -> dict[str, Any]:
    """All modes as one object of plain data."""
    first = evaluations[0].outcomes
    kinds: dict[str, int] = {}
    for outcome in first:
        kinds[outcome.question.kind] = kinds.get(outcome.question.kind, 0) + 1
    return {
        "questions": len(first),
        "kinds": kinds,
        "description": description,
        "modes": {item.figures.mode: item.figures.to_dict() for item in evaluations},
    }


def _ask_one_by_one(
    rag: Asker,
    questions: Sequence[EvaluationQuestion],
    config: DecodingConfig,
    advance: Callable[[int], None],
) -> tuple[list[tuple[EvaluationQuestion, str]], float, float]:
    """Texts, wall-clock seconds and processor seconds; a warm-up question is not counted."""
    if not questions:
        return [], 0.0, 0.0
    rag.ask(WARM_UP, config=config)
    texts: list[tuple[EvaluationQuestion, str]] = []
    started, processor_started = time.perf_counter(), time.process_time()
    for question in questions:
        texts.append((question, rag.ask(question.text, config=config).text))
        advance(1)
    return texts, time.perf_counter() - started, time.process_time() - processor_started


def _batches(questions: Sequence[EvaluationQuestion]) -> Iterator[Sequence[EvaluationQuestion]]:
    for start in range(0, len(questions), BATCH):
        yield questions[start : start + BATCH]


def _pairs(
    questions: Sequence[EvaluationQuestion], answers: Sequence[Answer]
) -> Iterator[tuple[EvaluationQuestion, Answer]]:
    return zip(questions, answers, strict=True)
