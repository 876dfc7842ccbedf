"""Which procedure answers a question."""

from __future__ import annotations

from selfrag.answer import Answer
from selfrag.controller.assemble import refused
from selfrag.controller.closed import answer_closed
from selfrag.controller.inquiry import Inquiry
from selfrag.controller.paper import answer_long, answer_short
from selfrag.controller.released_long import answer_released_long
from selfrag.controller.released_short import answer_released_short
from selfrag.errors import QuestionRefused
from selfrag.requests import Steps


def answer_question(inquiry: Inquiry) -> Steps[Answer]:
    """The generator that answers one question; see `selfrag.requests` for what it yields."""
    inquiry.log.emit("run.started", question=inquiry.question.text)
    answer = yield from _answer(inquiry)
    if inquiry.log.active:  # plain data is built for a listener alone
        inquiry.log.emit("run.finished", answer=answer.to_dict())
    return answer


def _answer(inquiry: Inquiry) -> Steps[Answer]:
    try:
        prompt = inquiry.question_prompt()
    except QuestionRefused as error:
        return refused(inquiry, str(error))
    if inquiry.config.procedure == "released-short":
        return (yield from answer_released_short(inquiry))
    if inquiry.config.procedure == "released-long":
        return (yield from answer_released_long(inquiry))
    if inquiry.question.options:
        return (yield from answer_closed(inquiry, prompt, inquiry.question.options))
    if inquiry.config.form == "short":
        return (yield from answer_short(inquiry, prompt))
    return (yield from answer_long(inquiry, prompt))
