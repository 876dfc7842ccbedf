"""A small Llama in the shape of a larger one that computes the same function.

So that a benchmark meets the decisions of a trained model at the cost of a realistic one. What
each part of the larger model holds:

- Hidden channels, heads, layers, and rows of the feed-forward network that are added: what they
  write into the residual stream is zero (`o_proj`, `down_proj`), and all their other weights too.
- A head of 32 in a head of 64: pair i of a head of n turns with the frequency theta^(-2i/n), so
  that pair i of the small head is pair 2i of the head twice its size; the pairs between are zero.
  Scores are divided by sqrt(64) in the place of sqrt(32), so the query weights take sqrt(64/32).
- RMS norm: w x / sqrt(mean(x^2) + eps) with the mean over D in the place of d channels is the same
  when w is multiplied by sqrt(d/D) and eps by d/D.
- Added vocabulary: `lm_head` has no bias, so its added rows read one further channel that holds
  the same number c in the embedding of every token and that nothing writes. c^2 would change the
  mean; it is half of what eps adds: sum(x^2) + d eps = sum(x^2) + c^2 + d eps / 2.
  The final norm's weight makes that channel about as large as the others, and the added rows
  multiply it by a large negative number: the logits lie at -1,000 or lower, probability zero.

Equal up to rounding, which the order of summation changes. Knows nothing of tokenizers.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

from selfrag.errors import EXIT_INPUT, SelfRAGError

_FINAL_WEIGHT = 300.0
"""Weight of the constant channel in the final norm: it becomes about 5 / rms(hidden)."""

_UNUSED = -1e5
"""What an added vocabulary row multiplies the constant channel by."""


class CannotGrow(SelfRAGError):
    """A model cannot be put into the larger shape without changing what it computes."""

    exit_code = EXIT_INPUT


@dataclass(frozen=True, slots=True)
class Shape:
    """Sizes of a Llama with as many key/value heads as heads."""

    layers: int
    width: int
    heads: int
    head_size: int
    intermediate: int
    vocabulary: int

    def config(self, context: int, **options: Any) -> Any:
        """A `LlamaConfig` of this shape."""
        from transformers import LlamaConfig

        return LlamaConfig(
            vocab_size=self.vocabulary,
            hidden_size=self.width,
            intermediate_size=self.intermediate,
            num_hidden_layers=self.layers,
            num_attention_heads=self.heads,
            num_key_value_heads=self.heads,
            head_dim=self.head_size,
            max_position_embeddings=context,
            tie_word_embeddings=False,
            **options,
        )


SHAPE_134M = Shape(
    layers=12, width=768, heads=12, head_size=64, intermediate=2048, vocabulary=32_016
)
"""134 million weights with the vocabulary of the published 7B model."""


def shape_of(model: Any) -> Shape:
    """The shape of a loaded Llama."""
    config = model.config
    heads = config.num_attention_heads
    return Shape(
        layers=config.num_hidden_layers,
        width=config.hidden_size,
        heads=heads,
        head_size=getattr(config, "head_dim", None) or config.hidden_size // heads,
        intermediate=config.intermediate_size,
        vocabulary=config.vocab_size,
    )


def grown(model: Any, shape: Shape = SHAPE_134M) -> Any:
    """A new `LlamaForCausalLM` of `shape`, in float32, with the logits of `model`.

    The ids of `model` keep their logits up to rounding; added ids have logits of -1,000 or less.
    Added layers stand behind those of `model`.

    Raises:
        CannotGrow: a size would shrink, no channel is left over for the vocabulary, the head size
            is no multiple, or the model has grouped heads, biases, tied embeddings or scaled
            rotary frequencies.
    """
    import torch
    from transformers import LlamaForCausalLM
    from transformers.models.llama.modeling_llama import LlamaRotaryEmbedding

    small = shape_of(model)
    _check(model, small, shape)
    config = model.config
    epsilon, ratio = config.rms_norm_eps, small.width / shape.width
    settings = shape.config(
        config.max_position_embeddings,
        rms_norm_eps=epsilon / 2 * ratio,
        rope_parameters=dict(config.rope_parameters),
        bos_token_id=config.bos_token_id,
        eos_token_id=config.eos_token_id,
        pad_token_id=config.pad_token_id,
        attn_implementation=config._attn_implementation,
    )
    with torch.device("meta"):  # random weights would be thrown away
        large: Any = LlamaForCausalLM(settings)
    large.to_empty(device="cpu").eval()
    large.model.rotary_emb = LlamaRotaryEmbedding(settings)
    constant = math.sqrt(small.width * epsilon / 2)
    channel, width = small.width, small.width
    with torch.no_grad():
        for weight in large.parameters():
            weight.zero_()
        embedding, norm = large.model.embed_tokens.weight, large.model.norm.weight
        embedding[: small.vocabulary, :width] = model.model.embed_tokens.weight
        embedding[:, channel] = constant
        for layer, source in zip(large.model.layers, model.model.layers, strict=False):
            _fill_layer(layer, source, small, shape)
        norm[:width] = model.model.norm.weight * math.sqrt(ratio)
        norm[channel] = _FINAL_WEIGHT
        large.lm_head.weight[: small.vocabulary, :width] = model.lm_head.weight
        large.lm_head.weight[small.vocabulary :, channel] = _UNUSED
    return large


def _fill_layer(layer: Any, source: Any, small: Shape, shape: Shape) -> None:
    """Copy one layer's weights to their places."""
    width, inner = small.width, small.intermediate
    ratio = math.sqrt(width / shape.width)
    for name in ("input_layernorm", "post_attention_layernorm"):
        getattr(layer, name).weight[:width] = getattr(source, name).weight * ratio
    attention, origin = layer.self_attn, source.self_attn
    turned = _rotary_places(small, shape)
    plain = _plain_places(small, shape)
    scale = math.sqrt(shape.head_size / small.head_size)
    attention.q_proj.weight[turned, :width] = origin.q_proj.weight * scale
    attention.k_proj.weight[turned, :width] = origin.k_proj.weight
    attention.v_proj.weight[plain, :width] = origin.v_proj.weight
    attention.o_proj.weight[:width, plain] = origin.o_proj.weight
    for name in ("gate_proj", "up_proj"):
        getattr(layer.mlp, name).weight[:inner, :width] = getattr(source.mlp, name).weight
    layer.mlp.down_proj.weight[:width, :inner] = source.mlp.down_proj.weight


def _rotary_places(small: Shape, shape: Shape) -> list[int]:
    """Where each row of the small query and key weights goes, in the half-split layout."""
    step, half = shape.head_size // small.head_size, small.head_size // 2
    places = [pair * step + part * shape.head_size // 2 for part in (0, 1) for pair in range(half)]
    return [head * shape.head_size + place for head in range(small.heads) for place in places]


def _plain_places(small: Shape, shape: Shape) -> list[int]:
    """Where each row of the small value weights goes."""
    sizes = range(small.head_size)
    return [head * shape.head_size + place for head in range(small.heads) for place in sizes]


def _check(model: Any, small: Shape, shape: Shape) -> None:
    config, problems = model.config, []
    for name in ("layers", "heads", "head_size", "intermediate", "vocabulary"):
        have, want = getattr(small, name), getattr(shape, name)
        if want < have:
            problems.append(f"{name} is {have} and would become {want}")
    if shape.width <= small.width:
        problems.append(f"width is {small.width} and must grow by one channel at least")
    if shape.head_size % small.head_size:
        problems.append(f"the head size {shape.head_size} is no multiple of {small.head_size}")
    if config.num_key_value_heads != config.num_attention_heads:
        problems.append("heads share keys and values")
    if config.tie_word_embeddings:
        problems.append("embedding and lm_head are tied")
    if getattr(config, "attention_bias", False) or getattr(config, "mlp_bias", False):
        problems.append("linear layers have biases")
    if config.rope_parameters.get("rope_type", "default") != "default":
        problems.append(f"rotary scaling is {config.rope_parameters['rope_type']!r}")
    if problems:
        raise CannotGrow(
            f"The model cannot be grown: {'; '.join(problems)}.",
            "Grow a plain Llama, such as selfrag-mini, to a larger shape.",
        )
