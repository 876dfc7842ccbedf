"""One forward pass of a Llama over ragged token stretches, with the checkpoint's own modules.

The embedding, norm, rotary and linear modules of the loaded `LlamaForCausalLM` are called as they
are (so quantised linear layers work unchanged; plain ones are joined, see `projections`); only
attention and the key/value cache are ours. All tokens of a pass, of running rows and of prompts
alike, lie in one flat sequence, so no product is padded; attention goes stretch by stretch.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from decoding.engine.architecture import check_architecture
from decoding.engine.attention import (
    Part,
    attend_all,
    attend_causal,
    attend_own,
    merge,
    merge_into,
)
from decoding.engine.keyvalues import RowCache, Stretch
from decoding.engine.projections import Projections


@dataclass(frozen=True, slots=True)
class Shared:
    """A prefix that some of the running rows read together."""

    stretch: Stretch
    rows: slice | Tensor


@dataclass(frozen=True, slots=True)
class Running:
    """One new token for each of the rows `0..len(ids)-1` of a cache.

    Attributes:
        ids: the new token of each row.
        positions: its position in the row's text.
        own: its place in the row's own cache.
        shared: what rows see besides.
    """

    cache: RowCache
    ids: Sequence[int]
    positions: Sequence[int]
    own: Sequence[int]
    shared: Sequence[Shared] = ()


@dataclass(frozen=True, slots=True)
class Fresh:
    """New tokens of one text, computed together.

    Attributes:
        ids: the tokens; `position` is the first one's position in the text.
        home: where their keys and values go.
        past: everything before them, stretch by stretch; earlier `Fresh` of the same pass may
            be among it.
        reads: whether the logits after its last token are wanted.
    """

    ids: Sequence[int]
    position: int
    home: Stretch
    past: Sequence[Stretch]
    reads: bool


class LlamaRunner:
    """Runs `model`, a `LlamaForCausalLM` or one of the same module layout."""

    def __init__(self, model: Any) -> None:
        check_architecture(model)
        self.model = model.eval()
        self._queries = int(model.config.num_attention_heads)
        self._keys = int(model.config.num_key_value_heads)
        self._projections = [Projections(layer) for layer in model.model.layers]

    def refresh(self) -> None:
        """Join the products anew where the model was moved or cast since."""
        if not all(products.is_current for products in self._projections):
            self._projections = [Projections(layer) for layer in self.model.model.layers]

    @torch.inference_mode()
    def forward(self, running: Running | None, fresh: Sequence[Fresh]) -> Tensor | None:
        """Logits `[readers, vocabulary]`, float32: running rows, then fresh ones that read.

        None where nobody reads.
        """
        decoder = self.model.model
        device = decoder.embed_tokens.weight.device
        count = 0 if running is None else len(running.ids)
        ids = [] if running is None else list(running.ids)
        places = [] if running is None else list(running.positions)
        picked = list(range(count))
        for item in fresh:
            ids += item.ids
            places += range(item.position, item.position + len(item.ids))
            if item.reads:
                picked.append(len(ids) - 1)
        hidden: Tensor = decoder.embed_tokens(torch.tensor(ids, device=device))
        positions = torch.tensor(places, device=device)
        cosine, sine = decoder.rotary_emb(hidden[None], position_ids=positions[None])
        turn = (cosine[0].unsqueeze(1), sine[0].unsqueeze(1))
        rows = None if running is None else _RowsPass(running, hidden)
        last = len(decoder.layers) - 1
        for index, layer in enumerate(decoder.layers):
            products = self._projections[index]
            projected = products.qkv(layer.input_layernorm(hidden))
            query, key, value = self._heads(projected, *turn)
            parts = []
            if rows is not None:
                rows.write(index, key[:count], value[:count])
            start = count
            for item in fresh:
                stop = start + len(item.ids)
                item.home.keys[index].copy_(key[start:stop].transpose(0, 1))
                item.home.values[index].copy_(value[start:stop].transpose(0, 1))
                start = stop
            scale = layer.self_attn.scaling
            if rows is not None:
                parts.append(rows.attend(index, query[:count], scale))
            start = count
            for item in fresh:
                stop = start + len(item.ids)
                if index < last:
                    parts.append(_attend(item, index, query[start:stop], scale))
                elif item.reads:
                    parts.append(_attend(item, index, query[stop - 1 : stop], scale))
                start = stop
            if index == last:
                if not picked:
                    return None
                if len(picked) < len(ids):
                    hidden = hidden[torch.tensor(picked, device=device)]
            mixed = parts[0] if len(parts) == 1 else torch.cat(parts)
            hidden = hidden + layer.self_attn.o_proj(mixed.flatten(1).to(hidden.dtype))
            hidden = hidden + products.feed_forward(layer.post_attention_layernorm(hidden))
        logits: Tensor = self.model.lm_head(decoder.norm(hidden))
        return logits.float()

    def _heads(
        self, projected: Tensor, cosine: Tensor, sine: Tensor
    ) -> tuple[Tensor, Tensor, Tensor]:
        """Rotated queries and keys, and values, `[tokens, heads, head_size]` each."""
        queries, turned = self._queries, self._queries + self._keys
        heads = projected.view(projected.shape[0], turned + self._keys, -1)
        rotated = _rotate(heads[:, :turned], cosine, sine)
        return rotated[:, :queries], rotated[:, queries:], heads[:, turned:]


class _RowsPass:
    """The running rows' part of a pass: what does not change from layer to layer."""

    def __init__(self, running: Running, like: Tensor) -> None:
        self._cache, self._shared = running.cache, running.shared
        count, self._span = len(running.ids), max(running.own) + 1
        self._own = torch.tensor(running.own, device=like.device)
        self._rows = torch.arange(count, device=like.device)
        self._hidden: Tensor | None = None
        if min(running.own) < max(running.own):
            beyond = torch.arange(self._span, device=like.device) > self._own[:, None]
            self._hidden = torch.zeros(count, self._span, dtype=like.dtype, device=like.device)
            self._hidden.masked_fill_(beyond, float("-inf"))

    def write(self, layer: int, key: Tensor, value: Tensor) -> None:
        """Put the new positions, `[rows, key_value_heads, head_size]`, into the cache."""
        self._cache.keys[layer][self._rows, :, self._own] = key
        self._cache.values[layer][self._rows, :, self._own] = value

    def attend(self, layer: int, query: Tensor, scale: float) -> Tensor:
        """`[rows, heads, head_size]`, over the rows' own positions and what they share."""
        count = query.shape[0]
        keys = self._cache.keys[layer][:count, :, : self._span]
        values = self._cache.values[layer][:count, :, : self._span]
        whole = attend_own(query, keys, values, self._hidden, scale)
        for shared in self._shared:
            keys, values = shared.stretch.keys[layer], shared.stretch.values[layer]
            part = attend_all(query[shared.rows], keys, values, scale)
            merge_into(whole, shared.rows, part)
        return whole.output


def _rotate(states: Tensor, cosine: Tensor, sine: Tensor) -> Tensor:
    """Rotary position embedding (RoFormer, equation 34) in the half-split layout of Llama."""
    first, second = states.chunk(2, dim=-1)
    return states * cosine + torch.cat((-second, first), dim=-1) * sine


def _attend(item: Fresh, layer: int, query: Tensor, scale: float) -> Tensor:
    """Attention of a stretch's tokens, or of its last one alone, over all that they see."""
    keys, values = item.home.keys[layer], item.home.values[layer]
    whole: Part
    if query.shape[0] == len(item.ids):
        whole = attend_causal(query, keys, values, scale)
    else:
        whole = attend_all(query, keys, values, scale)
    for stretch in item.past:
        whole = merge(whole, attend_all(query, stretch.keys[layer], stretch.values[layer], scale))
    return whole.output
