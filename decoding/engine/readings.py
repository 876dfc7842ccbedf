"""What travels from the logits to the host: per row the best id and the ids that are read."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

Reading = tuple[int, float, tuple[float, ...]]
"""The most probable id, its natural log-probability, and those of the wanted ids."""


def gather(logits: Tensor, wanted: Sequence[tuple[int, ...]]) -> list[Reading]:
    """Per row: the most probable id, its log-probability, and those of the wanted ids.

    Args:
        logits: `[rows, vocabulary]`, float32, on the model's device.
        wanted: ids per row; only `rows * (2 + max(len))` numbers travel to the host.
    """
    width = max(1, *map(len, wanted)) if wanted else 1
    padded = [[*ids, *[0] * (width - len(ids))] for ids in wanted]
    index = torch.tensor(padded, dtype=torch.long, device=logits.device)
    with torch.inference_mode():
        best = logits.argmax(dim=-1, keepdim=True)
        normaliser = _log_sum(logits, logits.gather(1, best))
        picked = torch.cat((best, index), dim=1)
        values = (logits.gather(1, picked) - normaliser).double().cpu().tolist()
        best_ids = best[:, 0].cpu().tolist()
    return [
        (int(best_id), row_values[0], tuple(row_values[1 : 1 + len(ids)]))
        for best_id, row_values, ids in zip(best_ids, values, wanted, strict=True)
    ]


def _log_sum(logits: Tensor, highest: Tensor) -> Tensor:
    """`logsumexp` of each row, given its highest logit.

    What lies more than 80 below the highest counts as if 80: no float32 sum of a vocabulary can
    tell, and the CPU's exponential takes ten times as long where it leaves its range.
    """
    return (logits - highest).clamp_(min=-80).exp_().sum(dim=-1, keepdim=True).log_() + highest
