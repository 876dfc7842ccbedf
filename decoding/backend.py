"""The protocol between drivers and anything that decodes: token ids in, drafts out.

A backend owns a model. It is driven from one thread: `submit` queues a request, `step` advances
all running requests by one position, `poll` hands back what has finished. A backend that cannot
give exact log-probabilities of chosen ids does not implement this protocol, so that it is
refused when a `SelfRAG` is built and not in the middle of a search.
"""

from __future__ import annotations

from typing import Protocol, runtime_checkable

from decoding.generation import Draft, Generation, Watch


@runtime_checkable
class Backend(Protocol):
    """Exact greedy decoding with exact log-probabilities of chosen ids."""

    @property
    def fingerprint(self) -> str:
        """Names weights, tokenizer and dtype; part of every key of a stored expansion."""
        ...

    @property
    def context_limit(self) -> int:
        """Largest number of tokens of a prompt and its continuation together."""
        ...

    def submit(self, generation: Generation, watch: Watch | None = None) -> int:
        """Queue a request and return its ticket."""
        ...

    def step(self) -> bool:
        """Advance every running request by one position; False when there is nothing to do."""
        ...

    def poll(self) -> list[tuple[int, Draft]]:
        """Tickets and drafts that finished since the last poll."""
        ...

    def cancel(self, ticket: int) -> None:
        """Stop a request; its draft comes back with finish "cancelled"."""
        ...

    def progress(self, ticket: int) -> tuple[int, ...]:
        """Ids appended so far for a running request (for streams)."""
        ...


@runtime_checkable
class Closeable(Protocol):
    """A backend that holds more than memory: a connection, a worker, a file."""

    def close(self) -> None:
        """Free it; nothing is submitted afterwards."""
        ...


def resumes_cheaply(backend: Backend) -> bool:
    """Whether a branch that was cut goes on for the price of its next token.

    A backend says so by an attribute of this name; others are asked anew for what was left.
    """
    return bool(getattr(backend, "resumes_cheaply", False))
