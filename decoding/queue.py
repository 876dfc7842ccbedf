"""What every backend does with a request before and after it computes: tickets, waiting, drafts.

A backend adds `step`, `progress`, and what is its own of refusing and stopping.
"""

from __future__ import annotations

from bisect import insort
from collections import deque

from decoding.generation import Draft, Generation, Watch
from decoding.sequence import RunningSequence, check_fits


class RequestQueue:
    """Requests that wait, by turn and in order, and drafts that are finished and not polled yet.

    Args:
        context_limit: largest number of tokens of a prompt and its continuation together.
    """

    def __init__(self, context_limit: int) -> None:
        self.context_limit = context_limit
        self._waiting: deque[RunningSequence] = deque()
        self._finished: list[tuple[int, Draft]] = []
        self._tickets = 0

    def submit(self, generation: Generation, watch: Watch | None = None) -> int:
        """Queue a request.

        Raises:
            PromptTooLong: prompt and continuation exceed the context.
            DecodingError: the backend cannot run it; see its own limits.
        """
        check_fits(generation, self.context_limit)
        self._accept(generation)
        self._tickets += 1
        sequence = RunningSequence(self._tickets, generation, watch)
        insort(self._waiting, sequence, key=lambda waiting: waiting.generation.turn)
        return self._tickets

    def poll(self) -> list[tuple[int, Draft]]:
        """Finished drafts since the last poll."""
        finished, self._finished = self._finished, []
        return finished

    def cancel(self, ticket: int) -> None:
        """Stop a request; what it has written comes back as a cancelled draft."""
        for sequence in self._waiting:
            if sequence.ticket == ticket:
                self._waiting.remove(sequence)
                self._finished.append((ticket, sequence.partial.freeze("cancelled", None)))
                return
        self._cancel_running(ticket)

    def _accept(self, generation: Generation) -> None:
        """Refuse what this backend cannot run."""

    def _cancel_running(self, ticket: int) -> None:
        """Stop a request that waits no longer; nothing where none has the ticket."""
