"""Keeps the calls of a question in the rounds in which they were made.

A round begins with a request that comes while nothing is running. For one question at a time that
is an expansion: all branches of a level, or those of them that are decoded before the others.
"""

from __future__ import annotations

from dataclasses import dataclass

from decoding.backend import Backend, resumes_cheaply
from decoding.generation import Draft, Generation, Watch


@dataclass(frozen=True, slots=True)
class Call:
    """One generation and what came of it."""

    generation: Generation
    draft: Draft


Rounds = tuple[tuple[Call, ...], ...]


class Recorder:
    """`Backend` around another that keeps what it is asked, one question at a time."""

    def __init__(self, backend: Backend) -> None:
        self._backend = backend
        self.resumes_cheaply = resumes_cheaply(backend)
        self._open: dict[int, tuple[int, Generation]] = {}
        self._rounds: list[dict[int, Call]] = []

    @property
    def fingerprint(self) -> str:
        """That of the backend."""
        return self._backend.fingerprint

    @property
    def context_limit(self) -> int:
        """That of the backend."""
        return self._backend.context_limit

    def take(self) -> Rounds:
        """The rounds since the last call, each in the order of its requests."""
        assert not self._open, "a question is still running"
        rounds, self._rounds = self._rounds, []
        return tuple(tuple(calls[place] for place in sorted(calls)) for calls in rounds)

    def submit(self, generation: Generation, watch: Watch | None = None) -> int:
        """Queue a request."""
        if not self._open:
            self._rounds.append({})
        ticket = self._backend.submit(generation, watch)
        place = len(self._open) + len(self._rounds[-1])
        self._open[ticket] = (place, generation)
        return ticket

    def step(self) -> bool:
        """One step of the backend."""
        return self._backend.step()

    def poll(self) -> list[tuple[int, Draft]]:
        """Finished drafts, which are kept too."""
        finished = self._backend.poll()
        for ticket, draft in finished:
            place, generation = self._open.pop(ticket)
            self._rounds[-1][place] = Call(generation, draft)
        return finished

    def cancel(self, ticket: int) -> None:
        """Stop a request."""
        self._backend.cancel(ticket)

    def progress(self, ticket: int) -> tuple[int, ...]:
        """Ids appended so far."""
        return self._backend.progress(ticket)
