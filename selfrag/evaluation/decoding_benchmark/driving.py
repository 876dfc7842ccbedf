"""Drives many questions level by level: all branches of a level of all questions are one batch.

This is how Self-RAG runs on an engine that takes a list of prompts and returns when all are
written, such as transformers' `generate`. The product's scheduler lets questions run apart. Only
for searches that prune nothing: branches are decoded to their ends, without watchers.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from decoding.backend import Backend
from decoding.generation import Draft
from retrievers.base import Retriever
from selfrag.answer import Answer, Question
from selfrag.rag import SelfRAG
from selfrag.requests import Expand, Expanded, Retrieved, Steps


@dataclass(slots=True)
class _Driven:
    """A question on its way."""

    steps: Steps[Answer]
    retriever: Retriever | None
    request: Expand | None = None
    answer: Answer | None = None


def answer_in_levels(questions: Sequence[str], rag: SelfRAG, backend: Backend) -> list[Answer]:
    """Answers in the order of the questions, all in flight together.

    Args:
        questions: their texts.
        rag: makes the controllers, with all settings that a user's question gets; its own
            scheduler is not used.
        backend: what decodes.
    """
    jobs = [rag._job(Question(text), None, None) for text in questions]
    driven = [_Driven(job.steps, job.retriever) for job in jobs]
    for question in driven:
        _advance(question, None)
    while any(question.request is not None for question in driven):
        for question, drafts in _expand(driven, backend):
            _advance(question, Expanded(drafts))
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


def _advance(question: _Driven, result: Any) -> None:
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
            assert question.retriever is not None
            result = Retrieved(tuple(question.retriever.search(request.query, request.k)))
