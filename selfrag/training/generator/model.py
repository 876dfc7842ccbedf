"""The model to be trained: a causal base or a fresh Llama, with rows for the control tokens.

New rows of the input and of the output embedding begin as the mean of the old ones: far from any
one word, and of ordinary size. This module knows nothing of rows and of training.
"""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import nn
from transformers import (
    AutoConfig,
    AutoModelForCausalLM,
    AutoTokenizer,
    LlamaConfig,
    LlamaForCausalLM,
)

from decoding.vocabulary import CONTROL_STRINGS
from selfrag.training.errors import UnusableBase
from selfrag.training.generator.plan import GeneratorPlan, LlamaSize, LoraPlan

PAD = "<pad>"


@dataclass(frozen=True, slots=True)
class Trainee:
    """A model and its tokenizer. new_ids: of the tokens that were added, in order; pad_id: of
    padding."""

    model: Any
    tokenizer: Any
    new_ids: tuple[int, ...]
    pad_id: int


def load_trainee(plan: GeneratorPlan) -> Trainee:
    """The model and tokenizer that a plan names, in float32, with all control tokens.

    Raises:
        UnusableBase: nothing can be loaded, or the tokenizer has no fast backend; with `lora`, peft
            is not installed.
    """
    torch.manual_seed(plan.seed)
    tokenizer = load_tokenizer(plan.base or plan.tokenizer)
    old_length = len(tokenizer)
    new_ids = add_control_tokens(tokenizer)
    if plan.size is not None:
        model: Any = new_llama(plan.size, tokenizer)
    else:
        model = _load_base(plan.base)
        add_rows(model, old_length, new_ids)
    pad_id = int(tokenizer.pad_token_id)
    model.config.pad_token_id = pad_id
    model.config.use_cache = False
    model.set_attn_implementation(_attention(plan))
    if plan.gradient_checkpointing:
        _checkpoint_activations(model)
    if plan.lora is not None:
        model = with_lora(model, plan.lora, new_ids)
    return Trainee(model, tokenizer, new_ids, pad_id)


def load_tokenizer(name: str) -> Any:
    """A tokenizer with a fast backend. UnusableBase where there is none."""
    try:
        tokenizer = AutoTokenizer.from_pretrained(name)
    except (OSError, ValueError, ImportError) as error:
        raise UnusableBase(
            f"No tokenizer can be loaded from {name}: {_first_line(error)}",
            "Give a folder with a tokenizer.json, or a hub name.",
        ) from error
    check_tokenizer(tokenizer)
    return tokenizer


def check_tokenizer(tokenizer: Any) -> None:
    """UnusableBase for a tokenizer without a fast backend, or without an end of text."""
    if getattr(tokenizer, "backend_tokenizer", None) is None:
        raise UnusableBase(
            f"{type(tokenizer).__name__} has no fast (Rust) backend.",
            "Convert it to a tokenizer.json, or choose a base model that has one.",
        )
    if tokenizer.eos_token is None:
        raise UnusableBase(
            f"{type(tokenizer).__name__} has no end-of-text token.",
            "Set eos_token in its tokenizer_config.json.",
        )


def add_control_tokens(tokenizer: Any) -> tuple[int, ...]:
    """Add those of the 15 control tokens, and of padding, that are missing; their new ids."""
    from tokenizers import AddedToken

    length = len(tokenizer)
    missing = [
        AddedToken(string, special=True, normalized=False)
        for string in CONTROL_STRINGS
        if tokenizer.convert_tokens_to_ids(string) in (None, tokenizer.unk_token_id)
        or len(tokenizer(string, add_special_tokens=False)["input_ids"]) != 1
    ]
    if missing:
        tokenizer.add_tokens(missing, special_tokens=True)
    if tokenizer.pad_token is None:
        tokenizer.add_special_tokens({"pad_token": PAD})
    return tuple(range(length, len(tokenizer)))


def add_rows(model: Any, old_length: int, new_ids: Sequence[int]) -> None:
    """Give the model a row for every token; those of `new_ids` begin as the mean of the old ones.

    Embeddings that are longer than the tokenizer, as those that are padded to a round number, are
    not shortened: the new tokens then take rows that no token had. old_length: of the tokenizer
    before; rows of no token do not count in the mean.
    """
    if not new_ids:
        return
    length = max(new_ids) + 1
    tables = [model.get_input_embeddings(), model.get_output_embeddings()]
    old = min(old_length, tables[0].weight.shape[0])
    if length > tables[0].weight.shape[0]:
        model.resize_token_embeddings(length, mean_resizing=False)
        tables = [model.get_input_embeddings(), model.get_output_embeddings()]
    with torch.no_grad():
        done: list[nn.Parameter] = []
        for table in tables:
            if table is None or any(table.weight is one for one in done):
                continue
            for weights in (table.weight, getattr(table, "bias", None)):
                if weights is not None:
                    weights[list(new_ids)] = weights[:old].mean(0, keepdim=True)
            done.append(table.weight)


def new_llama(size: LlamaSize, tokenizer: Any) -> LlamaForCausalLM:
    """A Llama of this size with fresh weights and a row for every token of the tokenizer."""
    config = LlamaConfig(
        vocab_size=len(tokenizer),
        hidden_size=size.hidden,
        intermediate_size=size.feed_forward,
        num_hidden_layers=size.layers,
        num_attention_heads=size.heads,
        num_key_value_heads=size.heads,
        max_position_embeddings=size.context,
        tie_word_embeddings=False,
        bos_token_id=tokenizer.bos_token_id,
        eos_token_id=tokenizer.eos_token_id,
        pad_token_id=tokenizer.pad_token_id,
        use_cache=False,
    )
    return LlamaForCausalLM(config)


def with_lora(model: Any, lora: LoraPlan, new_ids: Sequence[int]) -> Any:
    """The model with low-rank updates, of which the rows of the new tokens are a part.

    Raises:
        UnusableBase: peft is not installed.
    """
    try:
        from peft import LoraConfig, get_peft_model
    except ImportError as error:
        raise UnusableBase(
            "The plan has `lora`, and peft is not installed.",
            'Install it with pip install "selfrag[train]", or leave `lora` out.',
        ) from error
    rows: dict[str, list[int]] = {}
    if new_ids:
        tied = bool(getattr(model.config, "tie_word_embeddings", False))
        tables = [model.get_input_embeddings(), None if tied else model.get_output_embeddings()]
        names = {id(module): name for name, module in model.named_modules()}
        rows = {
            names[id(table)].rpartition(".")[2]: list(new_ids)
            for table in tables
            if table is not None
        }
    config = LoraConfig(
        task_type="CAUSAL_LM",
        r=lora.rank,
        lora_alpha=lora.alpha,
        lora_dropout=lora.dropout,
        target_modules="all-linear",
        trainable_token_indices=rows or None,
    )
    with warnings.catch_warnings():
        # peft asks for an attribute by the name that transformers 5 has replaced.
        warnings.filterwarnings("ignore", ".*is_gradient_checkpointing", FutureWarning)
        return get_peft_model(model, config)


def fast_bfloat16() -> bool:
    """Whether the device multiplies bfloat16 itself; other processors need ten times as long."""
    if torch.cuda.is_available():
        return bool(torch.cuda.is_bf16_supported(including_emulation=False))
    found = torch.cpu.get_capabilities()
    return bool(found.get("amx_bf16") or found.get("avx512_bf16"))


def in_bfloat16(plan: GeneratorPlan) -> bool:
    """Whether a run computes in bfloat16 (its weights stay in float32)."""
    return fast_bfloat16() if plan.precision == "auto" else plan.precision == "bfloat16"


def _attention(plan: GeneratorPlan) -> str:
    """On a processor with bfloat16 units attention is written out: there the backward pass of the
    fused one takes half of the time. Elsewhere the fused one wins."""
    if plan.attention != "auto":
        return plan.attention
    return "eager" if in_bfloat16(plan) and not torch.cuda.is_available() else "sdpa"


def _checkpoint_activations(model: Any) -> None:
    """Compute activations again in the backward pass; transformers 5 has renamed the method."""
    options = {"use_reentrant": False}
    if hasattr(model, "activation_checkpointing_enable"):
        model.activation_checkpointing_enable(options)
    else:
        model.gradient_checkpointing_enable(options)


def _load_base(name: str) -> Any:
    try:
        config = AutoConfig.from_pretrained(name, trust_remote_code=False)
        return AutoModelForCausalLM.from_pretrained(
            name, config=config, dtype=torch.float32, trust_remote_code=False
        )
    except (OSError, ValueError, ImportError) as error:
        raise UnusableBase(
            f"No causal language model can be loaded from {name}: {_first_line(error)}",
            "Give a folder in the Hugging Face format, or a hub name.",
        ) from error


def _first_line(error: Exception) -> str:
    return next(iter(str(error).splitlines()), type(error).__name__)
