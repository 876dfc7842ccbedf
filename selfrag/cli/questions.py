"""Asking: one question, a prompt, or lines of standard input in order.

Lines are answered in batches of what has arrived, so that a file is answered at the engine's full
width, while a program that waits for each answer before it writes the next question gets it at
once.
"""

from __future__ import annotations

import queue
import sys
import threading
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any, TextIO

from selfrag.answer import Answer, Question, Usage
from selfrag.cli.failures import failure_text
from selfrag.cli.output import Output, note
from selfrag.rendering import answer_to_terminal, printable

if TYPE_CHECKING:
    from selfrag.events import Event
    from selfrag.rag import SelfRAG

BATCH_SIZE = 16

_WAITING_LINES = 1024


class Asker:
    """Asks a `SelfRAG` and prints what comes back.

    Args:
        rag: what is asked.
        output: where answers go.
        stream: print events or settled segments while a question is answered.
        keywords: `options` and `budget` of every question.
    """

    def __init__(
        self, rag: SelfRAG, output: Output, *, stream: bool, keywords: dict[str, Any]
    ) -> None:
        self._rag = rag
        self._output = output
        self._stream = stream
        self._keywords = keywords

    def one(self, question: str) -> Answer:
        """Ask and print one question; an error is the caller's."""
        if self._stream:
            return self._streamed(question)
        answer = self._rag.ask(question, **self._keywords)
        self._print(answer)
        return answer

    def many(self, lines: Sequence[bytes | str]) -> None:
        """Ask and print lines in order; an error becomes an answer with the status "failed"."""
        questions = [_read(line) for line in lines]
        if self._stream:
            for question in questions:
                self._header(question)
                if isinstance(question, Answer):
                    self._finish(question)
                else:
                    self._streamed_safely(question)
            return
        for answer in self._batch(questions):
            self._header(answer)
            self._print(answer)

    def _batch(self, questions: list[str | Answer]) -> list[Answer]:
        texts = [item for item in questions if isinstance(item, str)]
        answers: list[Answer] = []
        if len(texts) > 1:
            options = self._keywords["options"]
            batch = [Question(text, options=options) for text in texts]
            try:
                answers = list(self._rag.ask_many(batch, budget=self._keywords["budget"]))
            except Exception as error:
                note(f"A batch failed; its questions are asked one by one. {failure_text(error)}")
        if len(answers) != len(texts):
            answers = [self._safely(text) for text in texts]
        remaining = iter(answers)
        return [item if isinstance(item, Answer) else next(remaining) for item in questions]

    def _safely(self, question: str) -> Answer:
        try:
            return self._rag.ask(question, **self._keywords)
        except Exception as error:
            return _unanswered(question, "failed", failure_text(error))

    def _streamed_safely(self, question: str) -> None:
        try:
            self._streamed(question)
        except Exception as error:
            self._finish(_unanswered(question, "failed", failure_text(error)))

    def _streamed(self, question: str) -> Answer:
        answer: Answer | None = None
        shown = ""
        for event in self._rag.stream(question, **self._keywords):
            if event.type == "run.finished":
                answer = _answer_of(event)
            if self._output.as_json:
                self._output.line(_plain(event))
            elif event.type == "segment.committed":
                text = str(event.data.get("text", ""))
                shown += text
                self._output.raw(printable(text))
        if answer is None:
            raise RuntimeError("the stream ended without run.finished")
        if not self._output.as_json:
            settled = shown.strip() == answer.text.strip() and bool(shown.strip())
            self._output.raw("\n" if shown else "")
            self._output.show(answer_to_terminal(answer, text=not settled))
        return answer

    def _finish(self, answer: Answer) -> None:
        """End a stream that had none: the last event, or the answer for eyes."""
        if self._output.as_json:
            self._output.line({"type": "run.finished", "sequence": 0, "answer": answer.to_dict()})
        else:
            self._print(answer)

    def _header(self, question: str | Answer) -> None:
        if not self._output.as_json:
            text = question.question if isinstance(question, Answer) else question
            self._output.raw(f"\n> {printable(text)}\n")

    def _print(self, answer: Answer) -> None:
        if self._output.as_json:
            self._output.line(answer.to_dict())
        else:
            self._output.show(answer_to_terminal(answer))


def answer_prompt(asker: Asker) -> None:
    """Read questions from a terminal until Ctrl-D."""
    note("Ask a question; Ctrl-D ends.")
    while True:
        # The prompt goes to standard error: standard output holds results only.
        print("> ", end="", file=sys.stderr, flush=True)
        line = sys.stdin.readline()
        if not line:
            note("")
            return
        if line.strip():
            asker.many([line])


def answer_lines(asker: Asker, stdin: TextIO) -> None:
    """Read questions from a pipe or file, one a line, to its end."""
    lines: queue.Queue[bytes | str | BaseException | None] = queue.Queue(_WAITING_LINES)
    threading.Thread(target=_read_lines, args=(stdin, lines), daemon=True).start()
    while True:
        batch: list[bytes | str] = []
        ended: bool = False
        item = lines.get()
        while True:
            if isinstance(item, BaseException):
                raise item
            if item is None:
                ended = True
                break
            batch.append(item)
            if len(batch) == BATCH_SIZE:
                break
            try:
                item = lines.get_nowait()
            except queue.Empty:
                break
        if batch:
            asker.many(batch)
        if ended:
            return


def _read_lines(stdin: TextIO, lines: queue.Queue[bytes | str | BaseException | None]) -> None:
    """Bytes where there are any, so that a line that is not UTF-8 spoils only itself."""
    try:
        for line in _binary(stdin):
            lines.put(line)
        lines.put(None)
    except (OSError, ValueError) as error:
        lines.put(error)


def _binary(stdin: TextIO) -> Iterable[bytes | str]:
    """The stream's bytes, through a reader of our own where there is a file behind it.

    At exit the interpreter closes `sys.stdin`, and dies where a waiting thread holds its lock.
    """
    try:
        return open(stdin.fileno(), "rb", closefd=False)
    except (OSError, ValueError):
        return getattr(stdin, "buffer", stdin)


def _read(line: bytes | str) -> str | Answer:
    """The question in a line, or the answer that refuses it."""
    try:
        text = line.decode("utf-8") if isinstance(line, bytes) else line
    except UnicodeDecodeError:
        shown = line.decode("utf-8", errors="replace") if isinstance(line, bytes) else line
        reason = "The line is not valid UTF-8. Convert the input to UTF-8."
        return _unanswered(shown.rstrip("\r\n"), "refused", reason)
    text = text.removeprefix("\ufeff").rstrip("\r\n")
    if not text.strip():
        return _unanswered(text, "refused", "The question is empty. Write a question in each line.")
    return text


def _unanswered(question: str, status: Any, reason: str) -> Answer:
    return Answer(
        question=question,
        text="",
        segments=(),
        citations=(),
        decisions=(),
        usage=Usage(),
        warnings=(reason,),
        status=status,
    )


def _answer_of(event: Event) -> Answer:
    """The answer that `run.finished` carries, as a value or as plain data."""
    value = event.data["answer"]
    return value if isinstance(value, Answer) else Answer.from_dict(value)


def _plain(event: Event) -> dict[str, Any]:
    values = event.to_dict()
    if isinstance(values.get("answer"), Answer):
        values["answer"] = values["answer"].to_dict()
    return values
