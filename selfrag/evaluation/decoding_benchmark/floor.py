"""The floor of a run: the time of the work that no exact method avoids, at measured rates.

Taken from a recorded run of the search with pruning, one question after the other. For the
questions that are in flight together, round by round (all their first expansions, then all their
second ones, …):

    floor = sum over rounds (layers(fresh) + head(branches)
            + sum over steps t (layers(n_t) + head(n_t) + bytes(p_t) / bandwidth))

- `fresh` are positions of prompts that no earlier position of the run has computed: each distinct
  token prefix counts once, over branches, rounds and questions.
- `n_t` branches have a t-th decode step in the recorded run, pruned ones as long as they ran. A
  draft of k tokens took k steps after its prefill, or k - 1 if it was cut: position 0 is read from
  the prefill, and what follows the last token of a cut branch was never computed.
- `p_t` cached positions are read: the round's distinct prompt positions, in the share of its
  branches that still run, and what those have written.
- `layers`, `head` and the bandwidth are `machine.Rates`, measured in the same run.

Decode steps are counted one token at a time, as in a search that does not speculate: guesses that
come true take several tokens in one pass, which may be less than this.

It assumes that all questions move in step, so that batches are as large as they can be, and it
leaves out attention within a prefill, norms and embeddings: a little too low, never too high.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from selfrag.evaluation.decoding_benchmark.machine import Rates
from selfrag.evaluation.decoding_benchmark.recording import Call, Rounds


class Prefixes:
    """Token sequences that were computed; counts what is new."""

    def __init__(self) -> None:
        self._children: dict[tuple[int, int], int] = {}

    def add(self, ids: Iterable[int]) -> int:
        """How many positions of the sequence begin no earlier one."""
        node, before = 0, len(self._children)
        for token in ids:
            node = self._children.setdefault((node, token), len(self._children) + 1)
        return len(self._children) - before


@dataclass(frozen=True, slots=True)
class Level:
    """The unavoidable work of one round of the questions in flight.

    Attributes:
        fresh: prompt positions that were computed for the first time.
        branches: sequences whose first token needs logits.
        steps: for each decode step the branches in it and the cached positions they read.
    """

    fresh: int
    branches: int
    steps: tuple[tuple[int, int], ...]

    def seconds(self, rates: Rates) -> float:
        """Its share of the floor."""
        decoding = sum(rates.decode(rows, positions) for rows, positions in self.steps)
        return rates.prefill(self.fresh, self.branches) + decoding

    def to_list(self) -> list[Any]:
        """As JSON values."""
        return [self.fresh, self.branches, [list(step) for step in self.steps]]

    @classmethod
    def from_list(cls, values: Sequence[Any]) -> Level:
        """Inverse of `to_list`."""
        fresh, branches, steps = values
        return cls(fresh, branches, tuple((rows, positions) for rows, positions in steps))


def levels_of(questions: Sequence[Rounds], known: Prefixes) -> list[Level]:
    """The work of questions in flight together.

    Args:
        questions: the rounds of each.
        known: what earlier questions of the run have computed; what these compute is added.
    """
    depth = max((len(rounds) for rounds in questions), default=0)
    return [
        _level([call for rounds in questions if at < len(rounds) for call in rounds[at]], known)
        for at in range(depth)
    ]


def floor_seconds(levels: Iterable[Level], rates: Rates) -> float:
    """The floor of all rounds, in seconds."""
    return sum(level.seconds(rates) for level in levels)


def _level(calls: Sequence[Call], known: Prefixes) -> Level:
    fresh = sum(known.add(call.generation.prompt_ids) for call in calls)
    for call in calls:
        known.add((*call.generation.prompt_ids, *call.draft.token_ids[: _steps(call)]))
    own = Prefixes()
    distinct = sum(own.add(call.generation.prompt_ids) for call in calls)
    lengths = [_steps(call) for call in calls]
    steps = []
    for step in range(1, max(lengths, default=0) + 1):
        running = sum(length >= step for length in lengths)
        steps.append((running, distinct * running // len(calls) + running * step))
    return Level(fresh, len(calls), tuple(steps))


def _steps(call: Call) -> int:
    """Decode steps of a draft after its prefill."""
    written = len(call.draft.token_ids)
    called_off = call.draft.finish in ("cut", "cancelled")
    return max(written - 1, 0) if called_off else written
