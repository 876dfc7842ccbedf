"""A request while it runs, and the one rule by which every backend extends it.

Where a sequence stops and what is read on the way is decided here alone, so the batched engine
and the slow reference can differ in arithmetic only.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from decoding.errors import PromptTooLong
from decoding.generation import Finish, Generation, PartialDraft, Watch


@dataclass(slots=True)
class RunningSequence:
    """A request while it runs."""

    ticket: int
    generation: Generation
    watch: Watch | None
    partial: PartialDraft = field(default_factory=PartialDraft)
    closing: bool = False

    @property
    def ids(self) -> list[int]:
        """Prompt and appended ids."""
        return [*self.generation.prompt_ids, *self.partial.token_ids]

    @property
    def last_id(self) -> int:
        """The id at the end of what there is, whose logits come next."""
        appended = self.partial.token_ids
        return appended[-1] if appended else self.generation.prompt_ids[-1]

    @property
    def wanted_ids(self) -> tuple[int, ...]:
        """Ids whose log-probabilities the next position must give: read, choosable, forced."""
        return self._wanted_at(len(self.partial.token_ids))

    def wanted_behind(self, drafted: int) -> list[tuple[int, ...]]:
        """The same of the next position and of those behind so many drafted ids."""
        position = len(self.partial.token_ids)
        return [self._wanted_at(at) for at in range(position, position + drafted + 1)]

    def _wanted_at(self, position: int) -> tuple[int, ...]:
        first = self.generation.first_ids if position == 0 else ()
        forced = self.generation.forced_ids[position : position + 1]
        return (*self.generation.read_ids, *first, *forced)

    def advance(
        self, best: int, best_log_probability: float, values: tuple[float, ...]
    ) -> Finish | None:
        """Extend by one position's result; the reason when the sequence ends there.

        Args:
            best: the vocabulary's most probable id at this position.
            best_log_probability: its natural log-probability.
            values: log-probabilities of `wanted_ids`, in that order.
        """
        generation, partial = self.generation, self.partial
        position = len(partial.token_ids)
        reading = values[: len(generation.read_ids)]
        if self.closing:
            partial.readings[position] = reading
            return "closed"
        token, log_probability = best, best_log_probability
        if position < len(generation.forced_ids):
            token, log_probability = generation.forced_ids[position], values[-1]
        elif position == 0 and generation.first_ids:
            choices = values[len(reading) : len(reading) + len(generation.first_ids)]
            choice = preferred(choices, generation.first_offsets)
            token, log_probability = generation.first_ids[choice], choices[choice]
        elif token in generation.stop_ids:
            partial.readings[position] = reading
            return "stop"
        if position == 0 or token in generation.read_ids or position == generation.max_tokens:
            partial.readings[position] = reading
        if position == generation.max_tokens:
            return "limit"
        if position == 0 and generation.first_ids:
            partial.first_was_argmax = token == best
        partial.token_ids.append(token)
        partial.log_probabilities.append(log_probability)
        self.closing = token in generation.closing_ids
        if self.watch is not None and self.watch(partial):
            return "cut"
        return None

    def follow(
        self, drafted: Sequence[int], readings: Sequence[tuple[int, float, tuple[float, ...]]]
    ) -> tuple[int, Finish | None]:
        """Extend by results of the next position and behind drafted ids, while those are right.

        Args:
            drafted: ids that were computed before it was known what is appended.
            readings: arguments of `advance`, one more than ids.

        Returns:
            How many results were used, one at least, and the reason if the sequence ends there.
        """
        for used, reading in enumerate(readings, start=1):
            finish = self.advance(*reading)
            if finish is not None or self.last_id not in drafted[used - 1 : used]:
                return used, finish
        raise AssertionError("there is one reading more than drafted ids")


def preferred(choices: Sequence[float], offsets: Sequence[float]) -> int:
    """Place of the highest log-probability, offsets added where there are some; first of equals."""
    moved = [a + b for a, b in zip(choices, offsets, strict=True)] if offsets else choices
    return max(range(len(moved)), key=moved.__getitem__)


def check_fits(generation: Generation, context_limit: int) -> None:
    """Refuse a request whose prompt and continuation do not fit the model's context."""
    prompt = len(generation.prompt_ids)
    if prompt + generation.max_tokens > context_limit:
        raise PromptTooLong(
            f"A prompt of {prompt} tokens with {generation.max_tokens} to write exceeds the "
            f"model's context of {context_limit}.",
            "Shorten the question or ask for fewer tokens.",
        )
