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


def taken(tensor: Tensor, places: slice | Tensor) -> Tensor:
    """`tensor[places]` along the first dimension; on the CPU some times faster than by indexing."""
    return tensor[places] if isinstance(places, slice) else tensor.index_select(0, places)


def merge_into(whole: Part, queries: slice | Tensor, part: Part) -> None:
    """Make `whole`, for the given queries of it, attention over its positions and the part's.

    The two sets of positions must not overlap.
    """
    output, log_sum = taken(whole.output, queries), taken(whole.log_sum, queries)
    weight = torch.sigmoid(part.log_sum - log_sum)
    output.lerp_(part.output, weight.unsqueeze(-1))
    log_sum = torch.logaddexp(log_sum, part.log_sum)
    if not isinstance(queries, slice):
        whole.output[queries] = output
    whole.log_sum[queries] = log_sum


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
    """Each text's token `i` over its tokens `0..i`.

    Args:
        query: `[texts, length, heads, head_size]`.
        keys, values: `[texts, length, key_value_heads, head_size]`.
        scale: factor of the scores.

    Returns:
        The same with `[texts, length]` in the place of `[queries]`.
    """
    texts, length, heads, size = query.shape
    shared = keys.shape[2]
    group = heads // shared
    folded = query.view(texts, length, shared, group, size).permute(0, 3, 2, 1, 4)
    folded = folded.reshape(texts * group, shared, length, size)
    keys, values = (
        one.transpose(1, 2)[:, None].expand(texts, group, shared, length, size).flatten(0, 1)
        for one in (keys, values)
    )
    output, log_sum = _attend(folded, keys, values, None, True, scale)
    output = output.view(texts, group, shared, length, size).permute(0, 3, 2, 1, 4)
    log_sum = log_sum.view(texts, group, shared, length).permute(0, 3, 2, 1)
    return Part(output.reshape(texts, length, heads, size), log_sum.reshape(texts, length, heads))


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
