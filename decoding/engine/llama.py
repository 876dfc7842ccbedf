"""One forward pass of a Llama over ragged token stretches, with the checkpoint's own modules.

The embedding, norm, rotary and linear modules of the loaded `LlamaForCausalLM` are called as they
are (so quantised linear layers work unchanged; plain ones are joined, see `projections`); only
attention and the key/value cache are ours. All tokens of a pass, of running rows and of prompts
alike, lie in one flat sequence, so no product is padded; attention goes stretch by stretch.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from decoding.engine.architecture import check_architecture
from decoding.engine.fresh import Prompts, PromptsPass
from decoding.engine.projections import Product, Projections, may_pack
from decoding.engine.rows import RowsPass, Running


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
    def forward(self, running: Running | None, prompts: Prompts) -> Tensor | None:
        """Logits `[readers, vocabulary]`, float32: running rows' tokens, then texts that read.

        None where nobody reads.
        """
        place = self.model.model.embed_tokens.weight
        ids = [] if running is None else list(running.ids)
        positions = [] if running is None else list(running.positions)
        picked = list(range(len(ids)))
        for text in prompts.texts:
            ids += text.ids
            positions += range(text.position, text.position + len(text.ids))
            if text.reads:
                picked.append(len(ids) - 1)
        return self._compute(
            torch.tensor(ids, device=place.device),
            torch.tensor(positions, device=place.device),
            None if running is None else RowsPass.of(running, place),
            PromptsPass(prompts, place.device) if prompts.texts else None,
            None if len(picked) == len(ids) else torch.tensor(picked, device=place.device),
        )

    @torch.inference_mode()
    def decode(self, rows: RowsPass, ids: Tensor, positions: Tensor) -> Tensor:
        """One new token for each row, `[rows]` each; everything on the device, nothing read."""
        logits = self._compute(ids, positions, rows, None, None)
        assert logits is not None
        return logits

    def _compute(
        self,
        ids: Tensor,
        positions: Tensor,
        rows: RowsPass | None,
        prompts: PromptsPass | None,
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
            if rows is not None:
                rows.write(index, key[:count], value[:count])
                parts.append(rows.attend(index, query[:count], scale))
            if prompts is not None:
                new = (query[count:], key[count:], value[count:])
                prompts.write(index, *new[1:])
                if index == last and picked is not None and not len(picked):
                    return None
                parts.append(prompts.attend(index, *new, scale))
            mixed = parts[0] if len(parts) == 1 else torch.cat(parts)
            if index == last and picked is not None:
                hidden, mixed = hidden[picked], mixed[picked]
            hidden = products.output(mixed.flatten(1).to(hidden.dtype)).add_(hidden)
            hidden = products.feed_forward(layer.post_attention_layernorm(hidden)).add_(hidden)
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
    rotated = states * cosine
    half = first.shape[-1]
    rotated[..., :half].addcmul_(second, sine[..., :half], value=-1)
    rotated[..., half:].addcmul_(first, sine[..., half:])
    return rotated
