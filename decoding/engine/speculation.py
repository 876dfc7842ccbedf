"""Ids that a decode step computes ahead of time: forced ones, and guesses from the row's own text.

A step of few rows takes as long as its weights take to be read, so that some more tokens cost
little: they are computed behind a row's last id, and as many are kept as are the ids that the
row would have written one by one. What is not kept leaves no trace: later tokens take its place
in the cache. What a pass costs is not known here.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from decoding.engine.lookup import PromptLookup
from decoding.engine.sequence import RunningSequence

_FIRST_REACH = 4


@dataclass(slots=True, eq=False)
class Speculator:
    """Guesses for one sequence: longer ones after a good one, short ones after a bad one.

    Attributes:
        sequence: the request and what has been written.
        reach: most ids of the next guess.
    """

    sequence: RunningSequence
    reach: int = _FIRST_REACH
    _lookup: PromptLookup | None = None

    def guess(self, most: int) -> tuple[int, ...]:
        """At most `most` ids that may come next; none that could not be appended."""
        generation, appended = self.sequence.generation, self.sequence.partial.token_ids
        most = min(most, generation.max_tokens - len(appended))
        forced = generation.forced_ids[len(appended) :]
        if most <= 0 or self.sequence.closing:
            return ()
        if forced:
            return forced[:most]
        if not appended and generation.first_ids:
            return ()
        return self._writable(self._looked_up(min(most, self.reach)))

    def learn(self, guessed: int, kept: int) -> None:
        """Note how many ids of a guess were right."""
        if kept < guessed:
            self.reach = 2 * kept + 1
        else:
            self.reach = max(self.reach, 2 * kept + 1)

    def _looked_up(self, most: int) -> tuple[int, ...]:
        prompt, appended = self.sequence.generation.prompt_ids, self.sequence.partial.token_ids
        if self._lookup is None:
            self._lookup = PromptLookup(prompt)
        self._lookup.extend(appended[len(self._lookup) - len(prompt) :])
        return self._lookup.guess(most)

    def _writable(self, ids: tuple[int, ...]) -> tuple[int, ...]:
        """The ids in front of a stop, and up to one that closes."""
        generation = self.sequence.generation
        for place, token in enumerate(ids):
            if token in generation.stop_ids:
                return ids[:place]
            if token in generation.closing_ids:
                return ids[: place + 1]
        return ids


def drafts(speculators: Sequence[Speculator], room: int) -> list[tuple[int, ...]]:
    """For each row the ids to compute behind its last one; at most `room` together.

    The room is shared out evenly; what short guesses leave is for the longer ones.
    """
    found: list[tuple[int, ...]] = [() for _ in speculators]
    if room <= 0:
        return found
    guesses = [speculator.guess(room) for speculator in speculators]
    left = len(guesses)
    for index in sorted(range(left), key=lambda index: len(guesses[index])):
        found[index] = guesses[index][: room // left]
        room, left = room - len(found[index]), left - 1
    return found
