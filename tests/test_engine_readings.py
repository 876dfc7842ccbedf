"""What is read of the logits: the best id and exact log-probabilities."""

from __future__ import annotations

import pytest
import torch

from decoding.engine.readings import gather


def test_two_rows_by_hand() -> None:
    """Odds 1 : 2 : 5, and 3 : 1 : 0 where the last is impossible."""
    logits = torch.tensor([[1.0, 2.0, 5.0], [3.0, 1.0, 0.0]]).log()
    first, second = gather(logits, [(0, 1), (2,)])
    assert first[0] == 2 and second[0] == 0
    assert first[1] == pytest.approx(torch.tensor(5 / 8).log().item(), abs=1e-6)
    assert first[2] == pytest.approx([torch.tensor(odds / 8).log().item() for odds in (1, 2)])
    assert second[1] == pytest.approx(torch.tensor(3 / 4).log().item(), abs=1e-6)
    assert second[2] == (float("-inf"),)


@pytest.mark.parametrize("lowest", [-30.0, -85.0, -95.0, -1e4, float("-inf")])
def test_far_logits_count_for_nothing_and_keep_their_own_value(lowest: float) -> None:
    torch.manual_seed(0)
    logits = torch.randn(3, 5000) * 4 + 30
    logits[:, 1000:] = lowest
    logits[:, 4000] -= 2
    (best, highest, (near, far)), *_ = gather(logits, [(1, 4000)] * 3)
    exact = logits.double().log_softmax(dim=-1)
    assert best == int(logits[0].argmax())
    assert highest == pytest.approx(float(exact[0, best]), abs=2e-6)
    assert near == pytest.approx(float(exact[0, 1]), abs=4e-6)
    assert far == pytest.approx(float(exact[0, 4000]), rel=1e-6)
