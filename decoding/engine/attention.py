"""Attention in parts: over a shared prefix, over a row's own positions, merged exactly.

Softmax over two sets of positions is the mean of the softmax over each, weighted by the sums of
exponentials (their logarithm comes with each part; Milakov and Gimelshein 2018, equation 4). So a
prefix is read once for all rows that share it, and nothing is copied. Heads that share their keys
(grouped heads) are folded into the queries, which reads the keys once for all of them.
"""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor


class Part(NamedTuple):
    """Attention over some of the positions.

    Attributes:
        output: `[queries, heads, head_size]`, float32.
        log_sum: `[queries, heads]`, float32: logarithm of the sum of exponentials of the scores.
    """

    output: Tensor
    log_sum: Tensor


def merge(left: Part, right: Part) -> Part:
    """Attention over both parts' positions, which must not overlap."""
    weight = torch.sigmoid(right.log_sum - left.log_sum)
    output = torch.lerp(left.output, right.output, weight.unsqueeze(-1))
    return Part(output, torch.logaddexp(left.log_sum, right.log_sum))


def merge_into(whole: Part, rows: slice | Tensor, part: Part) -> None:
    """Merge `part`, whose queries are the given rows of `whole`, in place."""
    merged = merge(Part(whole.output[rows], whole.log_sum[rows]), part)
    whole.output[rows] = merged.output
    whole.log_sum[rows] = merged.log_sum


def attend_own(
    query: Tensor, keys: Tensor, values: Tensor, hidden: Tensor | None, scale: float
) -> Part:
    """Each query over the positions of its own row.

    Args:
        query: `[rows * width, heads, head_size]`, as many for each row, row after row.
        keys, values: `[rows, key_value_heads, span, head_size]`, views of the cache.
        hidden: `[rows * width, span]`, 0 where a query sees the position and -inf where it does
            not; None where all see all of them.
        scale: factor of the scores.
    """
    queries, heads, size = query.shape
    rows, shared, span = keys.shape[:3]
    width, group = queries // rows, heads // shared
    folded = query.view(rows, width, shared, group, size).transpose(1, 2)
    folded = folded.reshape(rows, shared, width * group, size)
    mask = None
    if hidden is not None:
        mask = hidden.view(rows, 1, width, 1, span).expand(rows, 1, width, group, span)
        mask = mask.reshape(rows, 1, width * group, span)
    output, log_sum = _attend(folded, keys, values, mask, False, scale)
    output = output.view(rows, shared, width, group, size).transpose(1, 2)
    log_sum = log_sum.view(rows, shared, width, group).transpose(1, 2)
    return Part(output.reshape(queries, heads, size), log_sum.reshape(queries, heads))


def attend_all(query: Tensor, keys: Tensor, values: Tensor, scale: float) -> Part:
    """All queries over the same positions.

    Args:
        query: `[queries, heads, head_size]`.
        keys, values: `[key_value_heads, length, head_size]`.
        scale: factor of the scores.
    """
    queries, heads, size = query.shape
    shared = keys.shape[0]
    group = heads // shared
    folded = query.view(queries, shared, group, size).transpose(0, 1)
    folded = folded.reshape(1, shared, queries * group, size)
    output, log_sum = _attend(folded, keys[None], values[None], None, False, scale)
    output = output.view(shared, queries, group, size).transpose(0, 1)
    log_sum = log_sum.view(shared, queries, group).transpose(0, 1)
    return Part(output.reshape(queries, heads, size), log_sum.reshape(queries, heads))


def attend_causal(query: Tensor, keys: Tensor, values: Tensor, scale: float) -> Part:
    """Query `i` over positions `0..i` of the same new stretch; shapes as for `attend_all`."""
    length, heads, size = query.shape
    shared = keys.shape[0]
    group = heads // shared
    folded = query.view(length, shared, group, size).permute(2, 1, 0, 3)
    keys = keys.expand(group, *keys.shape)
    values = values.expand(group, *values.shape)
    output, log_sum = _attend(folded, keys, values, None, True, scale)
    output = output.permute(2, 1, 0, 3).reshape(length, heads, size)
    return Part(output, log_sum.permute(2, 1, 0).reshape(length, heads))


def _attend(
    query: Tensor, keys: Tensor, values: Tensor, mask: Tensor | None, causal: bool, scale: float
) -> tuple[Tensor, Tensor]:
    """Output and log-sum, `[batch, heads, queries, ...]`; the device's kernel or plain products."""
    if query.device.type == "cpu":
        output, log_sum = torch.ops.aten._scaled_dot_product_flash_attention_for_cpu(
            query, keys, values, 0.0, causal, attn_mask=mask, scale=scale
        )
        return output.float(), log_sum
    return attend_plainly(query, keys, values, mask, causal, scale)


def attend_plainly(
    query: Tensor, keys: Tensor, values: Tensor, mask: Tensor | None, causal: bool, scale: float
) -> tuple[Tensor, Tensor]:
    """The same by matrix products and softmax in float32, for any device."""
    scores = torch.matmul(query, keys.transpose(-1, -2)).float() * scale
    if causal:
        length = scores.shape[-1]
        later = torch.ones(length, length, dtype=torch.bool, device=scores.device).triu(1)
        scores = scores.masked_fill(later, float("-inf"))
    if mask is not None:
        scores = scores + mask
    log_sum = scores.logsumexp(dim=-1)
    weights = (scores - log_sum.unsqueeze(-1)).exp()
    return torch.matmul(weights.to(values.dtype), values).float(), log_sum
