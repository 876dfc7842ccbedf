"""What an engine that is not ours says of one position, checked, and how a request grows by it.

vLLM, a server and llama.cpp all answer with positions: the most probable id, its log-probability
and those of the ids that were asked for. `feed` hands a position to `RunningSequence.advance`, the
one rule by which every backend extends a request. Nothing is passed on that cannot be right.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

from decoding.generation import Finish, Generation
from decoding.sequence import RunningSequence
from selfrag.backends.errors import InexactEngine, WrongAnswer

ROUNDING = 1e-3
"""By how much sums of probabilities and the order of log-probabilities may miss."""


@dataclass(frozen=True, slots=True)
class Position:
    """One computed position.

    Attributes:
        best: the vocabulary's most probable id.
        log_probability: its natural log-probability under the full softmax.
        values: log-probabilities of the ids that were asked for, by id.
    """

    best: int
    log_probability: float
    values: Mapping[int, float]


def asked_ids(sequence: RunningSequence) -> tuple[int, ...]:
    """Ids, without repeats, whose log-probabilities the positions from here on must give."""
    generation, written = sequence.generation, len(sequence.partial.token_ids)
    first = generation.first_ids if written == 0 else ()
    forced = generation.forced_ids[written : written + 1]
    return tuple(dict.fromkeys((*generation.read_ids, *first, *forced)))


def asked_positions(sequence: RunningSequence) -> int:
    """How many positions are computed from here on, if nothing ends the request before.

    While ids are forced it is one: what follows a forced id is only known once it is appended.
    """
    written = len(sequence.partial.token_ids)
    if sequence.closing or written < len(sequence.generation.forced_ids):
        return 1
    return sequence.generation.max_tokens - written + 1


def check_position(position: Position, asked: tuple[int, ...], who: str) -> Position:
    """The position as it is.

    Raises:
        WrongAnswer: ids are missing, numbers are no log-probabilities (not finite, above 0, more
            than 1 in sum), or an id that was asked for is more probable than the best one.
    """
    missing = [token for token in asked if token not in position.values]
    if missing:
        raise WrongAnswer(
            f"{who} left out the log-probabilities of {len(missing)} of {len(asked)} ids, such as "
            f"{missing[0]}.",
            "Serve the model with vLLM, whose logprob_token_ids gives exactly the ids asked for.",
        )
    values = [position.values[token] for token in asked]
    numbers = [position.log_probability, *values]
    if any(math.isnan(number) or number > ROUNDING for number in numbers):
        raise WrongAnswer(
            f"{who} gave {max(numbers)} as a log-probability.",
            "Log-probabilities must be those of the full softmax (vLLM: --logprobs-mode "
            "raw_logprobs).",
        )
    best = {} if position.best in asked else {position.best: position.log_probability}
    total = math.fsum(math.exp(v) for v in (*values, *best.values()))
    if total > 1 + ROUNDING:
        raise WrongAnswer(
            f"{who} gave probabilities whose sum is {total:.4f}.",
            "Log-probabilities must be those of the full softmax (vLLM: --logprobs-mode "
            "raw_logprobs).",
        )
    if values and max(values) > position.log_probability + ROUNDING:
        raise WrongAnswer(
            f"{who} wrote id {position.best} though id {asked[values.index(max(values))]} is more "
            "probable.",
            "It must decode greedily, without penalties, biases or speculation that samples.",
        )
    return position


def feed(sequence: RunningSequence, position: Position) -> tuple[Finish | None, bool]:
    """Extend a request by one position.

    Returns:
        Why the request ended there, or None; and whether the engine, which goes on with the best
        id, has to be asked anew because another one was appended.
    """
    values = tuple(position.values[token] for token in sequence.wanted_ids)
    finish = sequence.advance(position.best, position.log_probability, values)
    if finish is not None:
        return finish, False
    return None, sequence.partial.token_ids[-1] != position.best


def check_asked(generation: Generation, limit: int, who: str) -> None:
    """Refuse a request that reads more ids at one position than an engine gives.

    Raises:
        InexactEngine: it does.
    """
    asked = {*generation.read_ids, *generation.first_ids, *generation.forced_ids[:1]}
    if len(asked) > limit:
        raise InexactEngine(
            f"The request reads {len(asked)} ids at one position; {who} gives at most {limit}.",
            "Use engine='batched'.",
        )
