"""Everything about recorded decode steps that needs no CUDA device, with an eager recorder."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from engine_cases import assert_same, batched, model, random_requests, run

import decoding.engine.memory as memory_module
from decoding.engine.graphs import DecodeGraphs
from decoding.reference import ReferenceEngine


@pytest.mark.parametrize("max_rows", [8, 5])
def test_padded_steps_give_what_the_reference_gives(
    max_rows: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(memory_module, "SHARING_BYTES", 2**60)
    recorded, replayed = [], []

    def record(compute: Callable[[], torch.Tensor]) -> tuple[Callable[[], None], torch.Tensor]:
        logits = compute()
        recorded.append(logits.shape[0])

        def replay() -> None:
            replayed.append(0)
            logits.copy_(compute())

        return replay, logits

    engine = batched(max_rows=max_rows)
    engine._graphs = DecodeGraphs(engine._runner, record)
    requests = random_requests(8, 14)
    expected = run(ReferenceEngine(model(), fingerprint="tiny"), requests)
    for found, draft in zip(run(engine, requests), expected, strict=True):
        assert_same(found, draft)
    assert len(replayed) > len(recorded) and set(recorded) <= {1, 2, 4, 8}
