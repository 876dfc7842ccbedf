"""A backend that outlives the `SelfRAG` over it, since loading it again takes long."""

from __future__ import annotations

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
