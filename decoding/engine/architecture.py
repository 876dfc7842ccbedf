"""Which models the engine can run: those whose layers compute what Llama's compute."""

from __future__ import annotations

from typing import Any

from decoding.errors import UnsupportedModel

_ROPE_TYPES = {"default", "linear", "llama3"}

_MODEL_TYPES = {"llama", "mistral", "qwen2"}
"""Families whose layers compute what `LlamaRunner` computes. The layout alone does not tell:
Gemma and Granite have the same modules but scale embeddings, residuals or logits besides."""


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
