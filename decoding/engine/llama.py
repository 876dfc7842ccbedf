"""One forward pass of a Llama over ragged rows, with the checkpoint's own modules.

The embedding, linear, norm and rotary modules of the loaded `LlamaForCausalLM` are called as they
are (so quantised linear layers work unchanged); only attention and the key/value cache are ours.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional

from decoding.errors import UnsupportedModel

_ROPE_TYPES = {"default", "linear", "llama3"}

_MODEL_TYPES = {"llama", "mistral", "qwen2"}
"""Families whose layers compute what `LlamaRunner` computes. The layout alone does not tell:
Gemma and Granite have the same modules but scale embeddings, residuals or logits besides."""


class KeyValueCache:
    """Preallocated keys and values, `[layers, rows, key_value_heads, capacity, head_size]`.

    Rows `0..n-1` are in use, without gaps. Rows and capacity grow by doubling, up to the limits
    that are given.
    """

    def __init__(self, model: Any, max_rows: int, max_capacity: int) -> None:
        config = model.config
        self._head_size = getattr(config, "head_dim", None) or (
            config.hidden_size // config.num_attention_heads
        )
        self._layers, self._heads = config.num_hidden_layers, config.num_key_value_heads
        self._limits = (max_rows, max_capacity)
        weight = model.model.embed_tokens.weight
        self._options = {"dtype": weight.dtype, "device": weight.device}
        self.keys, self.values = self._allocate(1, 1), self._allocate(1, 1)

    @property
    def bytes_per_token(self) -> int:
        """Memory of one position of one row."""
        numbers = 2 * self._layers * self._heads * self._head_size
        return int(numbers * self.keys.element_size())

    def reserve(self, rows: int, capacity: int) -> None:
        """Make room for `rows` rows of `capacity` positions, keeping what is there."""
        held = (int(self.keys.shape[1]), int(self.keys.shape[3]))
        wanted = (rows, capacity)
        if all(have >= want for have, want in zip(held, wanted, strict=True)):
            return
        grown = [
            have if have >= want else max(want, min(2 * have, limit))
            for have, want, limit in zip(held, wanted, self._limits, strict=True)
        ]
        for name in ("keys", "values"):
            old = getattr(self, name)
            new = self._allocate(*grown)
            new[:, : held[0], :, : held[1]] = old
            setattr(self, name, new)

    def move(self, source: int, target: int, length: int) -> None:
        """Copy the first `length` positions of row `source` over row `target`."""
        self.keys[:, target, :, :length] = self.keys[:, source, :, :length]
        self.values[:, target, :, :length] = self.values[:, source, :, :length]

    def load(self, row: int, keys: Tensor, values: Tensor) -> None:
        """Fill the beginning of a row, `[layers, key_value_heads, length, head_size]` each."""
        length = keys.shape[2]
        self.keys[:, row, :, :length] = keys
        self.values[:, row, :, :length] = values

    def copy_of(self, row: int, length: int) -> tuple[Tensor, Tensor]:
        """Copies of the first `length` positions of a row."""
        return (
            self.keys[:, row, :, :length].clone(),
            self.values[:, row, :, :length].clone(),
        )

    def _allocate(self, rows: int, capacity: int) -> Tensor:
        shape = (self._layers, rows, self._heads, capacity, self._head_size)
        return torch.zeros(shape, **self._options)


class LlamaRunner:
    """Runs `model` (a `LlamaForCausalLM` or one of the same module layout) over cache rows."""

    def __init__(self, model: Any) -> None:
        check_architecture(model)
        self.model = model.eval()
        self.device = model.model.embed_tokens.weight.device
        config = model.config
        self._heads = config.num_attention_heads
        self._grouped = config.num_key_value_heads != self._heads

    @torch.inference_mode()
    def forward(
        self,
        cache: KeyValueCache,
        rows: Sequence[int],
        tokens: Sequence[Sequence[int]],
        starts: Sequence[int],
    ) -> Tensor:
        """Logits `[len(rows), vocabulary]`, float32, at each row's last new token.

        `tokens[i]` are the new ids of row `rows[i]`, whose first `starts[i]` positions are
        cached already. Shorter rows are padded on the right; what the padding writes into the
        cache lies beyond the row's end, is masked, and is overwritten by later tokens.
        """
        lengths = torch.tensor([len(ids) for ids in tokens])
        width = int(lengths.max())
        ids = torch.zeros((len(rows), width), dtype=torch.long)
        for index, row_ids in enumerate(tokens):
            ids[index, : len(row_ids)] = torch.tensor(row_ids)
        positions = torch.tensor(starts)[:, None] + torch.arange(width)[None]
        span = int(positions.max()) + 1
        cache.reserve(max(rows) + 1, span)
        visible = torch.arange(span)[None, None] <= positions[:, :, None]
        place = self.device
        row_index = torch.tensor(rows, device=place)
        hidden = self._layers(
            cache, row_index, ids.to(place), positions.to(place), visible[:, None].to(place), span
        )
        last = hidden[torch.arange(len(rows), device=place), (lengths - 1).to(place)]
        logits: Tensor = self.model.lm_head(self.model.model.norm(last))
        return logits.float()

    def _layers(
        self,
        cache: KeyValueCache,
        rows: Tensor,
        ids: Tensor,
        positions: Tensor,
        visible: Tensor,
        span: int,
    ) -> Tensor:
        decoder = self.model.model
        hidden: Tensor = decoder.embed_tokens(ids)
        cosine, sine = decoder.rotary_emb(hidden, position_ids=positions)
        cosine, sine = cosine.unsqueeze(1), sine.unsqueeze(1)
        count, width = ids.shape
        for index, layer in enumerate(decoder.layers):
            attention = layer.self_attn
            normed = layer.input_layernorm(hidden)
            shape = (count, width, -1, attention.head_dim)
            query = attention.q_proj(normed).view(shape).transpose(1, 2)
            key = attention.k_proj(normed).view(shape).transpose(1, 2)
            value = attention.v_proj(normed).view(shape).transpose(1, 2)
            query, key = _rotate(query, cosine, sine), _rotate(key, cosine, sine)
            keys, values = cache.keys[index], cache.values[index]
            keys[rows[:, None], :, positions] = key.transpose(1, 2)
            values[rows[:, None], :, positions] = value.transpose(1, 2)
            mixed = functional.scaled_dot_product_attention(
                query,
                keys[rows, :, :span],
                values[rows, :, :span],
                attn_mask=visible,
                scale=attention.scaling,
                enable_gqa=self._grouped,
            )
            mixed = mixed.transpose(1, 2).reshape(count, width, -1)
            hidden = hidden + attention.o_proj(mixed)
            hidden = hidden + layer.mlp(layer.post_attention_layernorm(hidden))
        return hidden


def _rotate(states: Tensor, cosine: Tensor, sine: Tensor) -> Tensor:
    """Rotary position embedding (RoFormer, equation 34) in the half-split layout of Llama."""
    first, second = states.chunk(2, dim=-1)
    return states * cosine + torch.cat((-second, first), dim=-1) * sine


def check_architecture(model: Any) -> None:
    """Refuse models whose layers are not laid out like Llama's, naming what differs."""
    problems = []
    decoder: Any = getattr(model, "model", None)
    for name in ("embed_tokens", "layers", "norm", "rotary_emb"):
        if not hasattr(decoder, name):
            problems.append(f"model.{name} is missing")
    if not hasattr(model, "lm_head"):
        problems.append("lm_head is missing")
    if not problems:
        attention = decoder.layers[0].self_attn
        for name in ("q_proj", "k_proj", "v_proj", "o_proj", "head_dim", "scaling"):
            if not hasattr(attention, name):
                problems.append(f"self_attn.{name} is missing")
        if any(hasattr(attention, name) for name in ("q_norm", "k_norm")):
            problems.append("queries and keys are normalised")
        family = getattr(model.config, "model_type", None)
        if family not in _MODEL_TYPES:
            problems.append(f"the model type is {family!r}")
        window = getattr(model.config, "sliding_window", None)
        if window is not None and window < model.config.max_position_embeddings:
            problems.append(f"attention is limited to a window of {window}")
        rope = (getattr(model.config, "rope_parameters", None) or {}).get("rope_type", "default")
        if rope not in _ROPE_TYPES:
            problems.append(f"rotary scaling is {rope!r}")
    if problems:
        raise UnsupportedModel(
            f"{type(model).__name__} is not laid out like Llama: {'; '.join(problems)}.",
            "Use engine='reference', which runs any causal model, or a Llama checkpoint.",
        )
