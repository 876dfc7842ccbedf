"""Ids that a decode step computes ahead of time: forced ones, and guesses from what was read.

A step of few rows takes as long as its weights take to be read, so that some more tokens cost
little: they are computed behind a row's last id, and as many are kept as are the ids that the
row would have written one by one. What is not kept leaves no trace: later tokens take its place
in the cache. A row is guessed to go on as its own text does elsewhere, or as another that was
written before: names and values stand in the passage, critique tokens and phrases in other answers.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from decoding.engine.lookup import LONGEST, Lookup
from decoding.sequence import RunningSequence

_FIRST_REACH = 4

_REMEMBERED = 2**14
"""Ids of finished texts that are kept; then it begins anew."""


@dataclass(slots=True, eq=False)
class Guesser:
    """Guesses for one sequence: longer ones after a good one, short ones after a bad one.

    Attributes:
        sequence: the request and what has been written.
        reach: most ids of the next guess.
    """

    sequence: RunningSequence
    reach: int = _FIRST_REACH
    _own: Lookup | None = None

    def guess(self, most: int, others: Lookup) -> tuple[int, ...]:
        """At most `most` ids that may come next; none that could not be appended.

        Args:
            most: ids, 1 at least.
            others: over texts that were written before.
        """
        generation, appended = self.sequence.generation, self.sequence.partial.token_ids
        most = min(most, generation.max_tokens - len(appended))
        forced = generation.forced_ids[len(appended) :]
        if most <= 0 or self.sequence.closing:
            return ()
        if forced:
            return forced[:most]
        if not appended and generation.first_ids:
            return ()
        return self._writable(self._looked_up(min(most, self.reach), others))

    def learn(self, guessed: int, kept: int) -> None:
        """Note how many ids of a guess were right."""
        if kept < guessed:
            self.reach = 2 * kept + 1
        else:
            self.reach = max(self.reach, 2 * kept + 1)

    def _looked_up(self, most: int, others: Lookup) -> tuple[int, ...]:
        """What followed two or three ids, here or elsewhere; else what followed one."""
        prompt, appended = self.sequence.generation.prompt_ids, self.sequence.partial.token_ids
        if self._own is None:
            self._own = Lookup(prompt)
        own = self._own
        own.extend(appended[len(own) - len(prompt) :])
        return (
            own.behind(own.last, most, 2)
            or others.behind(own.last, most, 2)
            or own.behind(own.last, most)
            or others.behind(own.last, most)
        )

    def _writable(self, ids: tuple[int, ...]) -> tuple[int, ...]:
        """The ids in front of a stop, and up to one that closes."""
        generation = self.sequence.generation
        for place, token in enumerate(ids):
            if token in generation.stop_ids:
                return ids[:place]
            if token in generation.closing_ids:
                return ids[: place + 1]
        return ids


@dataclass(slots=True, eq=False)
class Speculation:
    """Drafts for the rows of a step, and what is remembered of sequences for them.

    Attributes:
        size: tokens up to which a step is filled with drafted ones.
    """

    size: int
    _guessers: dict[int, Guesser] = field(default_factory=dict)
    _written: Lookup = field(default_factory=Lookup)

    def drafts(self, sequences: Sequence[RunningSequence], others: int) -> list[tuple[int, ...]]:
        """For each row the ids to compute behind its last one.

        The room is shared out evenly; what short guesses leave is for the longer ones.

        Args:
            sequences: those of a step's rows.
            others: tokens that the step computes besides.
        """
        left = len(sequences)
        room = self.size - others - left
        found: list[tuple[int, ...]] = [() for _ in sequences]
        if room <= 0:
            return found
        guesses = [self._guess(sequence, room) for sequence in sequences]
        for index in sorted(range(left), key=lambda index: len(guesses[index])):
            found[index] = guesses[index][: room // left]
            room, left = room - len(found[index]), left - 1
        return found

    def learn(self, sequence: RunningSequence, guessed: int, kept: int) -> None:
        """Note how many ids of a draft were right."""
        if guessed:
            self._guessers[sequence.ticket].learn(guessed, kept)

    def finish(self, sequence: RunningSequence, next_id: int | None) -> None:
        """Let go of a sequence and remember what it wrote, and the id that comes next if known."""
        self._guessers.pop(sequence.ticket, None)
        if self.size > 0:
            if len(self._written) > _REMEMBERED:
                self._written = Lookup()
            behind = () if next_id is None else (next_id,)
            self._written.extend(
                (*sequence.generation.prompt_ids[-LONGEST:], *sequence.partial.token_ids, *behind)
            )

    def _guess(self, sequence: RunningSequence, room: int) -> tuple[int, ...]:
        guesser = self._guessers.get(sequence.ticket)
        if guesser is None:
            guesser = self._guessers[sequence.ticket] = Guesser(sequence)
        return guesser.guess(room, self._written)
