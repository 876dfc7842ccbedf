"""Writes a Llama with its tokenizer as a GGUF file, as llama.cpp's converter would."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np


def write_gguf(
    path: Path,
    model: Any,
    tokenizer: Any,
    kind: str = "F32",
    texts: Mapping[int, str] | None = None,
) -> Path:
    """Write a file.

    Args:
        path: where to.
        model: a `LlamaForCausalLM` without biases, in any dtype, with plain rotary positions.
        tokenizer: a fast byte-level or SentencePiece-like BPE of transformers.
        kind: how matrices are held, a name of gguf's `GGMLQuantizationType`; vectors are float32.
        texts: other texts for some ids than the tokenizer's.
    """
    import gguf

    config, quantization = model.config, gguf.GGMLQuantizationType[kind]
    heads, key_heads = config.num_attention_heads, config.num_key_value_heads
    size = config.head_dim or config.hidden_size // heads
    writer = gguf.GGUFWriter(path, "llama")
    writer.add_file_type(gguf.LlamaFileType[f"{'ALL' if kind == 'F32' else 'MOSTLY'}_{kind}"])
    writer.add_context_length(config.max_position_embeddings)
    writer.add_embedding_length(config.hidden_size)
    writer.add_block_count(config.num_hidden_layers)
    writer.add_feed_forward_length(config.intermediate_size)
    writer.add_head_count(heads)
    writer.add_head_count_kv(key_heads)
    writer.add_key_length(size)
    writer.add_value_length(size)
    writer.add_rope_dimension_count(size)
    writer.add_rope_freq_base(config.rope_parameters["rope_theta"])
    writer.add_layer_norm_rms_eps(config.rms_norm_eps)
    writer.add_vocab_size(config.vocab_size)
    _add_vocabulary(writer, tokenizer, config.vocab_size, texts or {})
    names = gguf.get_tensor_name_map(gguf.MODEL_ARCH.LLAMA, config.num_hidden_layers)
    for name, parameter in model.state_dict().items():
        array = parameter.float().numpy()
        if name.endswith(("q_proj.weight", "k_proj.weight")):
            array = _interleaved(array, heads if "q_proj" in name else key_heads)
        held = quantization if array.ndim == 2 else gguf.GGMLQuantizationType.F32
        short = names.get_name(name, try_suffixes=(".weight",))
        writer.add_tensor(short, gguf.quantize(array, held), raw_dtype=held)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    return path


def _interleaved(weight: np.ndarray[Any, Any], heads: int) -> np.ndarray[Any, Any]:
    """Rows of each head with the two of a rotated pair side by side, as llama.cpp rotates them.

    transformers rotates row i of a head with row i + size / 2.
    """
    halves = weight.reshape(heads, 2, -1, weight.shape[1])
    return np.ascontiguousarray(halves.swapaxes(1, 2)).reshape(weight.shape)


def _add_vocabulary(writer: Any, tokenizer: Any, size: int, texts: Mapping[int, str]) -> None:
    """Every id's text and type; ids that the tokenizer has not are unused, as in the converter."""
    from gguf import TokenType

    described = json.loads(tokenizer.backend_tokenizer.to_str())
    byte_fallback = described["model"].get("byte_fallback", False)
    tokens, types = [], []
    added = tokenizer.added_tokens_decoder
    for token in range(size):
        text = tokenizer.convert_ids_to_tokens(token)
        kind = TokenType.UNUSED if text is None else TokenType.NORMAL
        if token in added:
            kind = TokenType.CONTROL if added[token].special else TokenType.USER_DEFINED
        elif byte_fallback and text is not None and text.startswith("<0x"):
            kind = TokenType.BYTE
        tokens.append(texts.get(token, f"[PAD{token}]" if text is None else text))
        types.append(kind)
    writer.add_tokenizer_model("llama" if byte_fallback else "gpt2")
    writer.add_tokenizer_pre("default")
    writer.add_token_list(tokens)
    writer.add_token_types(types)
    if byte_fallback:
        writer.add_token_scores([-float(token) for token in range(size)])
    else:
        merges = described["model"]["merges"]
        writer.add_token_merges([m if isinstance(m, str) else " ".join(m) for m in merges])
    writer.add_bos_token_id(tokenizer.bos_token_id)
    writer.add_eos_token_id(tokenizer.eos_token_id)
