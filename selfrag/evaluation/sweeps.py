"""Many settings over the same questions, paid for once.

Weights and thresholds change which branches live and whether a passage is asked for; what the
model writes after given ids they do not. So a `SelfRAG` with a recording (`record=` or `replay=`)
sends to its model only what no earlier setting has asked: two hundred settings cost little more
than one, and give the answers that separate runs would, since a recording is never pruned and
pruning never changes an answer (docs/pruning.md).
"""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from decoding.config import DecodingConfig
from selfrag.answer import Answer, Question
from selfrag.rag import SelfRAG


@dataclass(frozen=True, slots=True)
class SweepRun:
    """All questions under one setting.

    Attributes:
        config: the setting.
        answers: in the order of the questions.
    """

    config: DecodingConfig
    answers: tuple[Answer, ...]

    @property
    def model_calls(self) -> int:
        """Requests that went to the model."""
        return sum(answer.usage.model_calls for answer in self.answers)

    @property
    def requests(self) -> int:
        """Requests that a run without a recording would have sent to it."""
        return self.model_calls + sum(answer.usage.cached for answer in self.answers)


def sweep(
    rag: SelfRAG, questions: Sequence[str | Question], settings: Iterable[DecodingConfig]
) -> Iterator[SweepRun]:
    """One run for each setting, as soon as it is done.

    Args:
        rag: opened with `record=` or `replay=`; without, every setting pays for itself.
        questions: asked together under each setting.
        settings: of weights, thresholds, beams, constraints: whatever does not change prompts is
            free; what does (another K, another query) costs what is new.
    """
    for config in settings:
        unpruned = config.replace(prune=False)
        yield SweepRun(config, tuple(rag.ask_many(questions, config=unpruned)))


def grid(base: DecodingConfig, values: Mapping[str, Sequence[Any]]) -> list[DecodingConfig]:
    """Every combination of the values of some options, the last option changing fastest."""
    names = list(values)
    return [
        base.replace(**dict(zip(names, combination, strict=True)))
        for combination in itertools.product(*values.values())
    ]
