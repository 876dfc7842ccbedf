"""The backend of a replay: there is no model, so what the store has not is an error."""

from __future__ import annotations

from decoding.generation import Draft, Generation
from selfrag.errors import RecordingIncomplete


class ReplayBackend:
    """Stands in for a model when a recording must answer everything.

    What its run left unread is not in it, so branches are asked for in the order of that run.
    """

    resumes_cheaply = True

    def __init__(self, fingerprint: str, context_limit: int) -> None:
        self.fingerprint = fingerprint
        self.context_limit = context_limit

    def submit(self, generation: Generation, watch: object = None) -> int:
        """Always refuses: the store was asked before."""
        raise RecordingIncomplete(
            f"The recording has no expansion of a prompt of {len(generation.prompt_ids)} tokens.",
            "Replay with the recorded question, passages, model and settings.",
        )

    def step(self) -> bool:
        """Nothing ever runs."""
        return False

    def poll(self) -> list[tuple[int, Draft]]:
        """Nothing ever finishes."""
        return []

    def cancel(self, ticket: int) -> None:
        """Nothing to cancel."""

    def progress(self, ticket: int) -> tuple[int, ...]:
        """Nothing is on its way."""
        return ()
