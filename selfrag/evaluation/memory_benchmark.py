"""Whether a process that answers question after question grows, and its cache keeps its limit.

Every question is another one, so that nothing is answered from what is kept, and the engine's
cache has to evict. This module does not know what a model costs otherwise.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from decoding.engine import BatchedEngine
from selfrag.backends.checkpoint import Checkpoint
from selfrag.evaluation.memory import resident_memory
from selfrag.rag import SelfRAG

ALLOWED_GROWTH = 0.05
"""Of the size after the warm-up, either way."""

BATCH = 8
"""Questions in flight."""

_WORDS = ("capital", "currency", "river", "author", "element", "planet", "language", "border")


class WatchedEngine(BatchedEngine):
    """The engine, and the most that its cache has held after any step."""

    highest = 0

    def step(self) -> bool:
        """As it is; then looks at the cache."""
        worked = super().step()
        self.highest = max(self.highest, self.cached_bytes)
        return worked


@dataclass(frozen=True, slots=True)
class MemoryReport:
    """What was measured; sizes in bytes.

    Attributes:
        questions: answered, the warm-up included.
        after: how many questions had been answered at each measurement.
        resident: of the process, at each of them; the first is after the warm-up.
        cache_limit, cache_highest: of keys and values.
    """

    questions: int
    after: tuple[int, ...]
    resident: tuple[int, ...]
    cache_limit: int
    cache_highest: int

    @property
    def growth(self) -> float:
        """The size furthest from the first one, as a share of it; negative where it is smaller."""
        first = self.resident[0]
        return max(((size - first) / first for size in self.resident), key=abs)

    @property
    def holds(self) -> bool:
        """Whether the process keeps its size and the cache its limit."""
        return abs(self.growth) <= ALLOWED_GROWTH and self.cache_highest <= self.cache_limit

    def to_dict(self) -> dict[str, Any]:
        """Plain data."""
        return {**asdict(self), "growth": self.growth, "holds": self.holds}


def measure(
    rag: SelfRAG,
    engine: WatchedEngine,
    limit: int,
    *,
    questions: int,
    every: int,
    advance: Callable[[int], None] = lambda done: None,
    resident: Callable[[], int | None] = resident_memory,
) -> MemoryReport:
    """Ask made-up questions, all different; the first `every` of them are the warm-up.

    Args:
        rag: asks `engine`.
        limit: the engine's `cache_bytes`.
        questions: how many; at least `every`.
        every: questions between two measurements.
        advance: told how many were answered.
        resident: the size of the process.

    Raises:
        ValueError: `questions` is less than `every`, or the system tells no sizes.
    """
    if not 0 < every <= questions:
        raise ValueError(f"every is {every}; it must be from 1 to {questions}, the questions")
    after, sizes, done = list[int](), list[int](), 0
    while done < questions:
        until = min(questions, (done // every + 1) * every, done + BATCH)
        rag.ask_many(made_questions(done, until))
        advance(until - done)
        done = until
        if done % every == 0 or done == questions:
            size = resident()
            if size is None:
                raise ValueError("this system does not tell how large a process is")
            after.append(done)
            sizes.append(size)
    return MemoryReport(questions, tuple(after), tuple(sizes), limit, engine.highest)


def made_questions(start: int, end: int) -> Sequence[str]:
    """The questions of these numbers, each with words of its own."""
    made = []
    for number in range(start, end):
        first, second = random.Random(number).sample(_WORDS, 2)
        made.append(f"Which {first} has the {second} of number {number}?")
    return made


def tiny_model(checkpoint: Checkpoint) -> Any:
    """A random Llama of one small layer for a checkpoint's tokenizer: the process around a model
    is as large as ever, and ten thousand questions take minutes.
    """
    import torch
    from transformers import LlamaConfig, LlamaForCausalLM

    config = LlamaConfig(
        vocab_size=len(checkpoint.tokenizer),
        hidden_size=32,
        intermediate_size=64,
        num_hidden_layers=1,
        num_attention_heads=2,
        num_key_value_heads=2,
        max_position_embeddings=checkpoint.context_limit,
        initializer_range=0.4,
    )
    torch.manual_seed(0)
    made: Any = LlamaForCausalLM(config)
    return made.eval()
