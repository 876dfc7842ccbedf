"""Stands in for `selfrag.rag`, so that the command line is tested without a model."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Sequence
from types import ModuleType
from typing import Any

import pytest
from sample_answers import make_answer

from selfrag.answer import Answer, Question
from selfrag.events import Event


class FakeSelfRAG:
    """Remembers how it was made and asked; answers by the question's words.

    "raise" raises, "refuse" and "fail" come back with that status, "interrupt" is Ctrl-C,
    "chatter" prints; everything else is answered.
    """

    made: dict[str, Any]
    asked: list[dict[str, Any]]
    batches: list[int]
    closed: bool
    failure: BaseException | None = None

    @classmethod
    def from_pretrained(cls, model: str | None = None, **keywords: Any) -> FakeSelfRAG:
        cls.made = {"model": model, **keywords}
        cls.asked, cls.batches, cls.closed = [], [], False
        if cls.failure is not None:
            raise cls.failure
        return cls()

    def __enter__(self) -> FakeSelfRAG:
        return self

    def __exit__(self, *_: object) -> None:
        type(self).closed = True

    def ask(self, question: str, **keywords: Any) -> Answer:
        type(self).asked.append({"question": question, **keywords})
        if "raise" in question:
            raise RuntimeError("the model broke")
        if "interrupt" in question:
            raise KeyboardInterrupt
        if "chatter" in question:
            print("a library talks")
        if "refuse" in question:
            return make_answer(question=question, status="refused", text="", tree={})
        if "fail" in question:
            return make_answer(question=question, status="failed", text="", tree={})
        return make_answer(question=question)

    def ask_many(self, questions: Sequence[str | Question], **keywords: Any) -> list[Answer]:
        type(self).batches.append(len(questions))
        answers = []
        for question in questions:
            if isinstance(question, Question):
                answers.append(self.ask(question.text, options=question.options, **keywords))
            else:
                answers.append(self.ask(question, **keywords))
        return answers

    def stream(self, question: str, **keywords: Any) -> Iterator[Event]:
        answer = self.ask(question, **keywords)
        yield Event("run.started", 0, {"question": question})
        for number, segment in enumerate(answer.segments):
            yield Event("segment.committed", number + 1, {"text": segment.text})
        yield Event("run.finished", 9, {"answer": answer.to_dict()})

    def describe(self) -> dict[str, Any]:
        return {"model": "fake", "device": "cpu", "dtype": "float32"}


def install(monkeypatch: pytest.MonkeyPatch) -> type[FakeSelfRAG]:
    """Put a fresh fake where the command line looks for `SelfRAG`."""
    fake = type("FakeSelfRAG", (FakeSelfRAG,), {})
    module = ModuleType("selfrag.rag")
    module.SelfRAG = fake  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "selfrag.rag", module)
    return fake
