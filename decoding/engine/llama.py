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
from decoding.engine.attention import Part, attend_all, attend_causal, merge
from decoding.engine.keyvalues import Stretch
from decoding.engine.projections import Product, Projections, may_pack
from decoding.engine.rows import RowsPass, Running


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
        self._build()

    def refresh(self) -> bool:
        """Make the products anew where the model was moved, cast or changed since; if so, True."""
        layers = all(products.is_current for products in self._projections)
        if layers and self._head.is_current:
            return False
        self._build()
        return True

    def _build(self) -> None:
        pack = may_pack(self.model)
        self._projections = [Projections(layer, pack=pack) for layer in self.model.model.layers]
        self._head = Product([self.model.lm_head], pack=pack)

    @torch.inference_mode()
    def forward(self, running: Running | None, fresh: Sequence[Fresh]) -> Tensor | None:
        """Logits `[readers, vocabulary]`, float32: running rows' tokens, then fresh ones that read.

        None where nobody reads.
        """
        place = self.model.model.embed_tokens.weight
        ids = [] if running is None else list(running.ids)
        positions = [] if running is None else list(running.positions)
        picked = list(range(len(ids)))
        for item in fresh:
            ids += item.ids
            positions += range(item.position, item.position + len(item.ids))
            if item.reads:
                picked.append(len(ids) - 1)
        return self._compute(
            torch.tensor(ids, device=place.device),
            torch.tensor(positions, device=place.device),
            None if running is None else RowsPass.of(running, place),
            fresh,
            None if len(picked) == len(ids) else torch.tensor(picked, device=place.device),
        )

    @torch.inference_mode()
    def decode(self, rows: RowsPass, ids: Tensor, positions: Tensor) -> Tensor:
        """One new token for each row, `[rows]` each; everything on the device, nothing read."""
        logits = self._compute(ids, positions, rows, (), None)
        assert logits is not None
        return logits

    def _compute(
        self,
        ids: Tensor,
        positions: Tensor,
        rows: RowsPass | None,
        fresh: Sequence[Fresh],
        picked: Tensor | None,
    ) -> Tensor | None:
        """The layers, over the flat sequence; `picked` are the tokens whose logits are wanted."""
        decoder = self.model.model
        hidden: Tensor = decoder.embed_tokens(ids)
        cosine, sine = decoder.rotary_emb(hidden[None], position_ids=positions[None])
        turn = (cosine[0].unsqueeze(1), sine[0].unsqueeze(1))
        last = len(decoder.layers) - 1
        count = 0 if rows is None else rows.count
        for index, layer in enumerate(decoder.layers):
            products = self._projections[index]
            scale = layer.self_attn.scaling
            projected = products.qkv(layer.input_layernorm(hidden))
            query, key, value = self._heads(projected, *turn)
            parts = []
            start = count
            for item in fresh:
                stop = start + len(item.ids)
                item.home.keys[index].copy_(key[start:stop].transpose(0, 1))
                item.home.values[index].copy_(value[start:stop].transpose(0, 1))
                start = stop
            if rows is not None:
                rows.write(index, key[:count], value[:count])
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
                if not parts:
                    return None
                hidden = hidden if picked is None else hidden[picked]
            mixed = parts[0] if len(parts) == 1 else torch.cat(parts)
            hidden = hidden + products.output(mixed.flatten(1).to(hidden.dtype))
            hidden = hidden + products.feed_forward(layer.post_attention_layernorm(hidden))
        return self._head(decoder.norm(hidden)).float()

    def _heads(
        self, projected: Tensor, cosine: Tensor, sine: Tensor
    ) -> tuple[Tensor, Tensor, Tensor]:
        """Rotated queries and keys, and values, `[tokens, heads, head_size]` each."""
        queries, turned = self._queries, self._queries + self._keys
        heads = projected.view(projected.shape[0], turned + self._keys, -1)
        rotated = _rotate(heads[:, :turned], cosine, sine)
        return rotated[:, :queries], rotated[:, queries:], heads[:, turned:]


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
