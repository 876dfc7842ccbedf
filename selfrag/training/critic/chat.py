"""A critic that asks a chat model behind an OpenAI-compatible address.

Several requests are in flight at once. Every answer is kept the moment it arrives, so that a run
that is killed, or stops at a limit, goes on where it was and pays nothing twice. A reply is read
strictly and asked for once more when it cannot be read; after that the question is `Unjudged`.
When the server does not answer at all the critic stops (`CriticStopped`) instead of leaving out
questions; a single one that a server, which answers others, fails in three runs is `Unjudged`.

It knows nothing of source rows: `CriticStopped.questions` says what is open.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from types import TracebackType

from selfrag.training.critic.answers import Answer, AnswerStore, ChatLimits, Key, Spent
from selfrag.training.critic.prompts import (
    kind_of,
    label_of,
    messages_after_nonsense,
    messages_of,
    prompt_version,
)
from selfrag.training.critic.questions import CriticQuestion, Judgement, Unjudged
from selfrag.training.critic.server import ChatServer, Reply, RequestRefused, ServerUnavailable
from selfrag.training.errors import StageFailed, TrainingError

REPLIES = 2
"""A question is asked once, and once more where the reply cannot be read."""
FAILED_RUNS = 3
"""After so many runs in which a question alone gets no answer it is left out and listed."""


class CriticStopped(StageFailed):
    """A chat critic stopped; a later run goes on. questions: those at which it stopped."""

    def __init__(self, message: str, hint: str, questions: Sequence[CriticQuestion]) -> None:
        super().__init__(message, hint)
        self.questions = tuple(questions)


class ChatCritic:
    """Judges with a chat model; a context manager that closes its connections.

    Args:
        base_url: up to and without `/chat/completions`.
        model: its name on that server.
        api_key: sent as a bearer token, never stored or shown; None for servers without keys.
        answers: the file that keeps answers; made where it is missing.
        limits: what may be spent.
        workers: requests in flight at once.
        timeout, attempts, backoff, max_tokens: see `ChatServer`.

    Raises:
        StageFailed: the address or the file of answers cannot be used.
    """

    def __init__(
        self,
        base_url: str,
        model: str,
        api_key: str | None = None,
        *,
        answers: Path,
        limits: ChatLimits | None = None,
        workers: int = 8,
        timeout: float = 60.0,
        attempts: int = 5,
        backoff: float = 1.0,
        max_tokens: int = 64,
    ) -> None:
        if workers < 1:
            raise StageFailed(f"workers is {workers}.", "It must be 1 or more.")
        self.name, self.model, self.workers = f"chat:{model}", model, workers
        self._limits = limits or ChatLimits()
        self._server = ChatServer(
            base_url,
            model,
            api_key,
            timeout=timeout,
            attempts=attempts,
            backoff=backoff,
            max_tokens=max_tokens,
        )
        try:
            self._store = AnswerStore(answers, self._limits)
        except StageFailed:
            self._server.close()
            raise

    def judge(self, questions: Sequence[CriticQuestion]) -> list[Judgement | Unjudged]:
        """One result for each question, in order; equal questions are asked once.

        Raises:
            CriticStopped: the server is gone or refuses all, or a limit is reached.
        """
        kept: dict[Key, Answer] = {}
        waiting: dict[Key, CriticQuestion] = {}
        keys = [self._key(question) for question in questions]
        for key, question in zip(keys, questions, strict=True):
            answer = self._store.get(key)
            if answer is not None and _is_final(answer):
                kept[key] = answer
            else:
                waiting[key] = question
        reasons = self._ask_all(waiting, kept)
        return [
            self._result(question, kept.get(key), reasons.get(key, ""))
            for key, question in zip(keys, questions, strict=True)
        ]

    @property
    def spent(self) -> Spent:
        """What was spent so far, over all runs that share the file of answers."""
        return self._store.spent

    def close(self) -> None:
        """Close connections and file."""
        self._server.close()
        self._store.close()

    def __enter__(self) -> ChatCritic:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def _key(self, question: CriticQuestion) -> Key:
        return question.key, self.model, prompt_version(kind_of(question))

    def _ask_all(
        self, waiting: Mapping[Key, CriticQuestion], kept: dict[Key, Answer]
    ) -> dict[Key, str]:
        """Ask what is waiting, fill `kept`; returns why others have no answer."""
        stop = threading.Event()
        refused: dict[Key, str] = {}
        failures: list[tuple[Key, TrainingError]] = []

        def ask(key: Key) -> None:
            try:
                answer = self._ask(key, waiting[key], stop)
                if answer is not None:
                    kept[key] = answer
            except RequestRefused as error:
                refused[key] = error.message
            except ServerUnavailable as error:
                if error.alone and self._store.failed_runs(key) + 1 >= FAILED_RUNS:
                    refused[key] = error.message
                else:
                    stop.set()
                    failures.append((key, error))
            except TrainingError as error:
                stop.set()
                failures.append((key, error))

        _in_threads(ask, list(waiting), self.workers, stop)
        if not failures and refused and not self._store.has_answers(self.model):
            # Nobody was ever answered: it is not the questions that are wrong.
            key = next(iter(refused))
            failures.append((key, StageFailed(refused[key], "Check the model and its settings.")))
        if failures:
            _, first = failures[0]
            answered = sum(key in kept for key in waiting)
            raise CriticStopped(
                f"{self.name} stopped with {answered} of {len(waiting)} questions answered: "
                f"{first.message}",
                first.hint,
                [waiting[key] for key, _ in failures],
            ) from first
        return refused

    def _ask(self, key: Key, question: CriticQuestion, stop: threading.Event) -> Answer | None:
        """The answer to one question; None when all are told to stop."""
        answer = self._store.get(key)
        while answer is None or not _is_final(answer):
            messages = (
                messages_of(question)
                if answer is None
                else messages_after_nonsense(question, answer.reply)
            )
            reply = self._server.send(messages, stop, self._store.begin_request)
            if reply is None:
                return None
            before = 0 if answer is None else answer.replies
            answer = Answer(before + 1, label_of(question, reply.text), reply.text)
            self._store.put(key, answer, reply)
            self._check_usage(reply)
        return answer

    def _check_usage(self, reply: Reply) -> None:
        counted = reply.prompt_tokens is not None and reply.completion_tokens is not None
        if self._limits.max_cost is not None and not counted:
            raise StageFailed(
                "The server does not say how many tokens it used, so max_cost cannot be kept.",
                "Limit with max_requests instead.",
            )

    def _result(
        self, question: CriticQuestion, answer: Answer | None, reason: str
    ) -> Judgement | Unjudged:
        if answer is None:
            return Unjudged(question, reason)
        if answer.label is None:
            shown = " ".join(answer.reply.split())[:80]
            return Unjudged(question, f"the reply names no label: {shown!r}")
        return Judgement(question, answer.label, self.name)


def _is_final(answer: Answer) -> bool:
    return answer.label is not None or answer.replies >= REPLIES


def _in_threads(
    action: Callable[[Key], None], keys: Sequence[Key], workers: int, stop: threading.Event
) -> None:
    """Run the action for every key; once `stop` is set no further one begins."""

    def guarded(key: Key) -> None:
        if not stop.is_set():
            action(key)

    with ThreadPoolExecutor(max_workers=workers) as pool:
        try:
            for future in [pool.submit(guarded, key) for key in keys]:
                future.result()
        except BaseException:
            stop.set()
            pool.shutdown(wait=False, cancel_futures=True)
            raise
