"""How near the engine's decode step comes to what the machine can do."""

from __future__ import annotations

import time
from statistics import median
from typing import Any

import torch

from decoding.engine import BatchedEngine
from decoding.generation import Generation
from selfrag.evaluation.decoding_benchmark.machine import measure_rates, typical

BATCH = 32
PROMPT_TOKENS = 143


def limit_share(
    model: Any, *, batch: int = BATCH, prompt_tokens: int = PROMPT_TOKENS, steps: int = 12
) -> dict[str, float]:
    """The engine's decode step at one batch size against matrix products and memory.

    Rows have prompts of their own, so that nothing is shared, and no stops. The limit is a pass
    over all linear layers at that batch and the reading of all keys and values, measured before
    and after the steps; the share is the limit's part of the measured step, 1 at best.

    Args:
        model: a Llama.
        batch: sequences.
        prompt_tokens: positions in each one's cache before the first step.
        steps: decode steps; their median counts.
    """
    before = measure_rates(model, sizes=(batch,))
    seconds = float(median(_step_seconds(model, batch, prompt_tokens, steps)))
    rates = typical([before, measure_rates(model, sizes=(batch,))])
    limit = rates.decode(batch, batch * (prompt_tokens + steps // 2))
    return {
        "batch": batch,
        "step_seconds": seconds,
        "limit_seconds": limit,
        "products_seconds": rates.decode(batch, 0),
        "share": limit / seconds,
    }


def _step_seconds(model: Any, batch: int, prompt_tokens: int, steps: int) -> list[float]:
    """Seconds of each decode step behind the prefill."""
    generator = torch.Generator().manual_seed(0)
    high = int(model.config.vocab_size)
    prompts = torch.randint(3, high, (batch, prompt_tokens), generator=generator).tolist()
    engine = BatchedEngine(model, fingerprint="decode step", max_rows=batch, speculation=0)
    tickets = [engine.submit(Generation(tuple(ids), max_tokens=steps)) for ids in prompts]
    while not all(engine.progress(ticket) for ticket in tickets):
        engine.step()
    found = []
    for _ in range(steps - 1):
        began = time.perf_counter()
        engine.step()
        found.append(time.perf_counter() - began)
    return found
