"""A backend that is not told where to stop, to measure what stopping when it is known saves.

Each branch runs to the end of text or to its limit; what it wrote is then cut where it would have
stopped. Answers stay the same, token for token.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

from decoding.backend import Backend
from decoding.generation import Draft, Finish, Generation, PartialDraft, Watch


@dataclass(frozen=True, slots=True)
class _Open:
    """A request under way; `cut_draft` waits for the one position that it still lacks."""

    ticket: int
    generation: Generation
    cut_draft: Draft | None = None


class RunsToTheEnd:
    """`Backend` around another, which only the end of text and the limits stop.

    Args:
        backend: what decodes.
        end_ids: the ids that end a text.
    """

    def __init__(self, backend: Backend, end_ids: frozenset[int]) -> None:
        self._backend, self._end_ids = backend, end_ids
        self._open: dict[int, _Open] = {}
        self._tickets = 0

    @property
    def fingerprint(self) -> str:
        """That of the backend."""
        return self._backend.fingerprint

    @property
    def context_limit(self) -> int:
        """That of the backend."""
        return self._backend.context_limit

    def submit(self, generation: Generation, watch: Watch | None = None) -> int:
        """Queue the request without its stops."""
        self._tickets += 1
        watched = None if watch is None else _until_stop(watch, generation)
        inner = self._backend.submit(self._unbounded(generation), watched)
        self._open[inner] = _Open(self._tickets, generation)
        return self._tickets

    def step(self) -> bool:
        """One step of the backend."""
        self._backend.step()
        return bool(self._open)

    def poll(self) -> list[tuple[int, Draft]]:
        """Finished drafts, cut where they would have stopped."""
        finished: list[tuple[int, Draft]] = []
        for inner, draft in self._backend.poll():
            request = self._open.pop(inner)
            generation, waiting = request.generation, request.cut_draft
            if waiting is not None:  # the position after a closing token was asked for
                readings = {**waiting.readings, len(waiting.token_ids): draft.readings[0]}
                done = replace(waiting, readings=readings, next_id=draft.next_id)
                finished.append((request.ticket, done))
                continue
            cut = _cut(draft, generation)
            if cut.finish == "closed" and len(cut.token_ids) not in cut.readings:
                last = Generation(
                    (*generation.prompt_ids, *cut.token_ids), 0, read_ids=generation.read_ids
                )
                self._open[self._backend.submit(last)] = replace(request, cut_draft=cut)
            else:
                finished.append((request.ticket, cut))
        return finished

    def cancel(self, ticket: int) -> None:
        """Stop a request."""
        for inner, request in self._open.items():
            if request.ticket == ticket:
                self._backend.cancel(inner)
                return

    def progress(self, ticket: int) -> tuple[int, ...]:
        """Ids that are known to be part of the draft."""
        for inner, request in self._open.items():
            if request.ticket == ticket:
                if request.cut_draft is not None:
                    return request.cut_draft.token_ids
                ids = self._backend.progress(inner)
                return ids[: _stop(ids, request.generation)[0]]
        return ()

    def _unbounded(self, generation: Generation) -> Generation:
        others = generation.stop_ids - set(generation.read_ids)
        return replace(
            generation,
            stop_ids=generation.stop_ids & self._end_ids,
            closing_ids=frozenset(),
            read_ids=(*generation.read_ids, *sorted(others)),
        )


def _stop(ids: tuple[int, ...] | list[int], generation: Generation) -> tuple[int, Finish | None]:
    """How many of the ids stand in front of the stop, and which kind of stop it is."""
    for position, token in enumerate(ids):
        chosen = position < len(generation.forced_ids) or (position == 0 and generation.first_ids)
        if not chosen and token in generation.stop_ids:
            return position, "stop"
        if token in generation.closing_ids:
            return position + 1, "closed"
    return len(ids), None


def _cut(draft: Draft, generation: Generation) -> Draft:
    """The draft up to its stop, with the readings that the request asked for."""
    length, finish = _stop(draft.token_ids, generation)
    count = len(generation.read_ids)
    readings = {
        at: row[:count]
        for at, row in draft.readings.items()
        if at in (0, length) or (at < length and draft.token_ids[at] in generation.read_ids)
    }
    if finish is None:
        at_limit = draft.finish == "limit" and draft.next_id in generation.stop_ids
        chosen = generation.max_tokens == 0 and bool(generation.first_ids)
        ended: Finish = "stop" if at_limit and not chosen else draft.finish
        return replace(draft, readings=readings, finish=ended)
    behind = draft.token_ids[length : length + 1]
    return Draft(
        token_ids=draft.token_ids[:length],
        log_probabilities=draft.log_probabilities[:length],
        readings=readings,
        next_id=behind[0] if behind else draft.next_id,
        finish=finish,
        first_was_argmax=draft.first_was_argmax,
    )


def _until_stop(watch: Watch, generation: Generation) -> Watch:
    """The watch, asleep once the branch has passed its stop; it sees the ids that it knows of."""
    count = len(generation.read_ids)

    def hopeless(partial: PartialDraft) -> bool:
        if _stop(partial.token_ids, generation)[1] is not None:
            return False
        known = {at: row[:count] for at, row in partial.readings.items()}
        return watch(replace(partial, readings=known))

    return hopeless
