"""Drives many questions level by level: all branches of a level of all questions are one batch.

This is how Self-RAG runs on an engine that takes a list of prompts and returns when all are
written, such as transformers' `generate`. The product's scheduler lets questions run apart. Only
for searches that prune nothing: branches are decoded to their ends, without watchers.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from decoding.backend import Backend
from decoding.config import DecodingConfig
from decoding.generation import Draft
from decoding.prompt import PromptBuilder
from retrievers.hit import Hit
from selfrag.answer import Answer, Budget, Question
from selfrag.calibration import Calibration
from selfrag.controller import answer_question
from selfrag.controller.inquiry import Inquiry
from selfrag.events import EventLog
from selfrag.requests import Expand, Expanded, Retrieved, Steps

Search = Callable[[str, int], Sequence[Hit]]


@dataclass(slots=True)
class _Driven:
    """A question on its way."""

    steps: Steps[Answer]
    request: Expand | None = None
    answer: Answer | None = None


def steps_of(
    question: str,
    config: DecodingConfig,
    prompts: PromptBuilder,
    calibration: Calibration,
    context_limit: int,
) -> Steps[Answer]:
    """The controller of one question, as `SelfRAG` makes it."""
    inquiry = Inquiry(
        question=Question(question),
        config=config,
        budget=Budget(),
        calibration=calibration,
        prompts=prompts,
        context_limit=context_limit,
        log=EventLog(None),
    )
    return answer_question(inquiry)


def answer_in_levels(
    steps: Sequence[Steps[Answer]], backend: Backend, search: Search
) -> list[Answer]:
    """Run the controllers of some questions to their answers, in the order given."""
    driven = [_Driven(one) for one in steps]
    for question in driven:
        _advance(question, None, search)
    while any(question.request is not None for question in driven):
        for question, drafts in _expand(driven, backend):
            _advance(question, Expanded(drafts), search)
    return [question.answer for question in driven if question.answer is not None]


def _expand(driven: list[_Driven], backend: Backend) -> list[tuple[_Driven, tuple[Draft, ...]]]:
    """Decode what all questions ask for; drafts in the order of their branches."""
    owners: dict[int, tuple[int, int]] = {}
    found: dict[int, dict[int, Draft]] = {}
    for number, question in enumerate(driven):
        if question.request is None:
            continue
        found[number] = {}
        for index, branch in enumerate(question.request.branches):
            owners[backend.submit(branch.generation)] = (number, index)
    while owners:
        backend.step()
        for ticket, draft in backend.poll():
            number, index = owners.pop(ticket)
            found[number][index] = draft
    return [
        (driven[number], tuple(drafts[index] for index in range(len(drafts))))
        for number, drafts in found.items()
    ]


def _advance(question: _Driven, result: Any, search: Search) -> None:
    """Send a result and serve retrievals until the question wants an expansion or has ended."""
    while True:
        try:
            request = question.steps.send(result)
        except StopIteration as stop:
            question.request, question.answer = None, stop.value
            return
        if isinstance(request, Expand):
            question.request = request
            if request.branches:
                return
            result = Expanded(())
        else:
            result = Retrieved(tuple(search(request.query, request.k)))
