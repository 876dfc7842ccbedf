"""A backend that outlives the `SelfRAG` over it, since loading it again takes long.

`OnOneThread` is for one that only the thread which made it may use, such as vLLM within a process:
every `SelfRAG` drives its backend from a thread of its own.
"""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from decoding.backend import Backend
from decoding.generation import Draft, Generation, Watch


class KeptOpen:
    """`Backend` around another, which closing does not reach."""

    def __init__(self, backend: Backend) -> None:
        self._backend = backend

    @property
    def fingerprint(self) -> str:
        """That of the backend."""
        return self._backend.fingerprint

    @property
    def context_limit(self) -> int:
        """That of the backend."""
        return self._backend.context_limit

    def submit(self, generation: Generation, watch: Watch | None = None) -> int:
        """Queue a request."""
        return self._backend.submit(generation, watch)

    def step(self) -> bool:
        """One step of the backend."""
        return self._backend.step()

    def poll(self) -> list[tuple[int, Draft]]:
        """Finished drafts."""
        return self._backend.poll()

    def cancel(self, ticket: int) -> None:
        """Stop a request."""
        self._backend.cancel(ticket)

    def progress(self, ticket: int) -> tuple[int, ...]:
        """Ids appended so far."""
        return self._backend.progress(ticket)


class OnOneThread:
    """`Backend` around one that is made, used and closed on the same thread.

    Args:
        load: makes the backend.
    """

    def __init__(self, load: Callable[[], Any]) -> None:
        self._thread = ThreadPoolExecutor(1, "engine")
        self._backend: Any = self.run(load)
        self.fingerprint: str = self._backend.fingerprint
        self.context_limit: int = self._backend.context_limit

    def run(self, call: Callable[..., Any], *arguments: Any) -> Any:
        """The result of a call on the thread."""
        return self._thread.submit(call, *arguments).result()

    def submit(self, generation: Generation, watch: Watch | None = None) -> int:
        """Queue a request."""
        return int(self.run(self._backend.submit, generation, watch))

    def step(self) -> bool:
        """One step of the backend."""
        return bool(self.run(self._backend.step))

    def poll(self) -> list[tuple[int, Draft]]:
        """Finished drafts."""
        finished: list[tuple[int, Draft]] = self.run(self._backend.poll)
        return finished

    def cancel(self, ticket: int) -> None:
        """Stop a request."""
        self.run(self._backend.cancel, ticket)

    def progress(self, ticket: int) -> tuple[int, ...]:
        """Ids appended so far."""
        ids: tuple[int, ...] = self.run(self._backend.progress, ticket)
        return ids

    def forget_prefixes(self) -> None:
        """Empty the backend's cache."""
        self.run(self._backend.forget_prefixes)

    def close(self) -> None:
        """Close the backend, and end the thread."""
        self.run(self._backend.close)
        self._thread.shutdown()
