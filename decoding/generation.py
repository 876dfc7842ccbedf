"""What an engine is asked for and what it answers: one token sequence to decode greedily.

Decide, expand and score are the same request; they differ only in where the sequence stops and
in what is read on the way. Position 0 is the position right after the prompt, and position `t`
is the one that token `t` of the draft fills. An engine computes positions 0 to `max_tokens`; the
last one is read and never appended, so a stop that falls exactly on the limit is seen.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Literal

Finish = Literal["stop", "closed", "limit", "cut", "cancelled"]
"""Why a draft ended.

stop       the most probable next token is one of `stop_ids`
closed     a token of `closing_ids` was written and the position after it was read
limit      `max_tokens` were written
cut        the request's `watch` gave the branch up: it could not change the answer
cancelled  the work was called off (time budget, closed stream)
"""


@dataclass(frozen=True, slots=True)
class Generation:
    """A request for one greedy continuation of `prompt_ids`.

    Attributes:
        prompt_ids: token ids the model is given; never empty.
        max_tokens: how many tokens may be appended; 0 asks only for the reading at position 0.
        stop_ids: the draft ends in front of a token of this set.
        closing_ids: the draft ends after a token of this set, with one more position read.
        first_ids: when not empty, position 0 takes the most probable id of these, whatever the
            rest of the vocabulary says.
        first_offsets: added to their log-probabilities for that choice alone, one for each; ()
            adds nothing.
        forced_ids: ids appended as they stand, in order (their log-probabilities are what a
            "score" request wants); decoding is free after them.
        read_ids: ids whose log-probabilities are kept at position 0, wherever one of them is
            written, and at the last position computed.
        turn: of the requests that wait, those of the lowest turn come first. What is answered
            does not depend on it, so that it makes no two requests different.
    """

    prompt_ids: tuple[int, ...]
    max_tokens: int
    stop_ids: frozenset[int] = frozenset()
    closing_ids: frozenset[int] = frozenset()
    first_ids: tuple[int, ...] = ()
    first_offsets: tuple[float, ...] = ()
    forced_ids: tuple[int, ...] = ()
    read_ids: tuple[int, ...] = ()
    turn: int = field(default=0, compare=False)

    def __post_init__(self) -> None:
        if not self.prompt_ids:
            raise ValueError("a generation needs at least one prompt id")
        if self.first_offsets and len(self.first_offsets) != len(self.first_ids):
            raise ValueError("there must be one offset for each of first_ids, or none")
        if self.max_tokens < len(self.forced_ids):
            raise ValueError("max_tokens is smaller than the number of forced ids")


def limited(generation: Generation, max_tokens: int) -> Generation:
    """The same request with at most `max_tokens` to write."""
    if generation.max_tokens <= max_tokens:
        return generation
    return replace(generation, max_tokens=max_tokens)


@dataclass(frozen=True, slots=True)
class Draft:
    """An engine's answer to one `Generation`.

    Attributes:
        token_ids: the appended ids, in order.
        log_probabilities: natural log-probability of each appended id under the full softmax.
        readings: position -> log-probabilities of the request's `read_ids`, in their order.
        next_id: the vocabulary's most probable id at the position after the last token, or None
            where that position was not computed (a cut or cancelled draft).
        finish: why the draft ended.
        first_was_argmax: False when `first_ids` overruled the vocabulary's most probable id.
    """

    token_ids: tuple[int, ...]
    log_probabilities: tuple[float, ...]
    readings: Mapping[int, tuple[float, ...]]
    next_id: int | None
    finish: Finish
    first_was_argmax: bool = True

    @property
    def last_reading(self) -> tuple[float, ...] | None:
        """Log-probabilities at the position after the last token, when it was computed."""
        return self.readings.get(len(self.token_ids)) if self.next_id is not None else None


@dataclass(slots=True)
class PartialDraft:
    """A draft while it grows; an engine owns and mutates it, a watcher only reads it."""

    token_ids: list[int] = field(default_factory=list)
    log_probabilities: list[float] = field(default_factory=list)
    readings: dict[int, tuple[float, ...]] = field(default_factory=dict)
    first_was_argmax: bool = True

    def freeze(self, finish: Finish, next_id: int | None) -> Draft:
        """The finished, immutable draft."""
        return Draft(
            tuple(self.token_ids),
            tuple(self.log_probabilities),
            dict(self.readings),
            next_id,
            finish,
            self.first_was_argmax,
        )


Watch = Callable[[PartialDraft], bool]
"""Called after every appended token; True gives the branch up (finish "cut")."""
