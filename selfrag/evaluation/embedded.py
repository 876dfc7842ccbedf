"""Measure a `SelfRAG` on evaluation questions: every mode over the same questions.

The questions are asked in batches; a sample, spread evenly over them, is asked one by one first
to measure what a single question costs in a warm process.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol, get_args

from decoding.config import DecodingConfig, Mode
from selfrag.answer import Answer
from selfrag.evaluation.comparisons import Comparison
from selfrag.evaluation.figures import Figures, Latency, summarise
from selfrag.evaluation.outcomes import Outcome, judge
from selfrag.evaluation.questions import EvaluationQuestion, spread
from selfrag.evaluation.sections import SECTIONS, Section
from selfrag.evaluation.support import support_sections

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
    started = time.perf_counter()
    outcomes = ask_all(rag, questions, config, advance)
    seconds = time.perf_counter() - started
    latency = None
    if chosen:
        texts = {outcome.question.id: outcome.answer.text for outcome in outcomes}
        same = sum(texts[question.id] == text for question, text in alone)
        latency = Latency(len(chosen), seconds_alone, processor_alone, same)
    return Evaluation(summarise(mode, outcomes, seconds, latency), outcomes)


def ask_all(
    rag: Asker,
    questions: Sequence[EvaluationQuestion],
    config: DecodingConfig,
    advance: Callable[[int], None] = lambda done: None,
) -> tuple[Outcome, ...]:
    """Ask every question under one configuration, in batches, and judge the answers, in order."""
    outcomes: list[Outcome] = []
    for batch in _batches(questions):
        answers = rag.ask_many([question.asked for question in batch], config=config)
        pairs = zip(batch, answers, strict=True)
        outcomes += [judge(question, answer) for question, answer in pairs]
        advance(len(batch))
    return tuple(outcomes)


def count_questions(total: int, sample: int) -> int:
    """How many questions one call of `evaluate` asks, for a progress bar."""
    return total + min(sample, total)


def report(
    evaluations: Sequence[Evaluation],
    description: dict[str, Any],
    support: tuple[Section, Section] | None = None,
    comparisons: Sequence[Comparison] = (),
) -> dict[str, Any]:
    """Everything as one object of plain data.

    `sections` are those of the first mode, `sections_mode`, with what no mode changes.

    Args:
        evaluations: one a mode, at least one.
        description: of what was asked.
        support: what `support.support_sections` gave, where sentences were judged.
        comparisons: what `comparisons.compare` gave; `comparisons` is missing without them.
    """
    first = evaluations[0].outcomes
    kinds: dict[str, int] = {}
    for outcome in first:
        kinds[outcome.question.kind] = kinds.get(outcome.question.kind, 0) + 1
    sections = merged_sections(evaluations[0].figures.sections, support)
    data = {
        "questions": len(first),
        "kinds": kinds,
        "description": description,
        "modes": {item.figures.mode: item.figures.to_dict() for item in evaluations},
        "sections_mode": evaluations[0].figures.mode,
        "sections": {name: section.to_dict() for name, section in sections.items()},
    }
    if comparisons:
        data["comparisons"] = {item.name: item.to_dict() for item in comparisons}
    return data


def merged_sections(
    sections: Mapping[str, Section], support: tuple[Section, Section] | None
) -> dict[str, Section]:
    """A mode's sections with is_sup_accuracy and IsSup's calibration, in the order of SECTIONS."""
    accuracy, calibration = support or support_sections([])
    own = sections["calibration"]
    both = Section(
        {**own.measures, **calibration.measures}, curves={**own.curves, **calibration.curves}
    )
    found = {**sections, "is_sup_accuracy": accuracy, "calibration": both}
    return {name: found[name] for name in SECTIONS}


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
        texts.append((question, rag.ask(question.asked, config=config).text))
        advance(1)
    return texts, time.perf_counter() - started, time.process_time() - processor_started


def _batches(questions: Sequence[EvaluationQuestion]) -> Iterator[Sequence[EvaluationQuestion]]:
    for start in range(0, len(questions), BATCH):
        yield questions[start : start + BATCH]
