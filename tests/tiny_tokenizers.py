"""Small tokenizers of the kinds that Self-RAG models come with, built in memory."""

from __future__ import annotations

import json
from functools import lru_cache
from typing import Any

from tokenizers import (
    AddedToken,
    Tokenizer,
    decoders,
    models,
    normalizers,
    pre_tokenizers,
    trainers,
)
from transformers import LlamaTokenizer, PreTrainedTokenizerFast

from decoding.vocabulary import CONTROL_STRINGS

CORPUS = [
    "The capital of Burkina Faso is Ouagadougou, and 3.5 million people live there.",
    "### Instruction: Response: [Relevant] Utility:5 paragraph Fully supported No Retrieval",
    "Continue to Use Evidence; Irrelevant. é ü ß 日本 </s> <s> text\nnew line",
] * 8


fast_tokenizer: Any = PreTrainedTokenizerFast
"""The class without its types: its constructor has none."""


@lru_cache
def byte_level(*, special: bool, add_prefix_space: bool = False) -> Any:
    """Byte-level BPE (as GPT-2 and Llama 3); control tokens special or ordinary added tokens."""
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=add_prefix_space)
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=450,
        special_tokens=["<s>", "</s>", "<pad>"],
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    tokenizer.train_from_iterator(CORPUS, trainer)
    fast = fast_tokenizer(
        tokenizer_object=tokenizer, bos_token="<s>", eos_token="</s>", pad_token="<pad>"
    )
    fast.add_tokens(list(CONTROL_STRINGS), special_tokens=special)
    return fast


@lru_cache
def sentencepiece_model() -> tuple[dict[str, int], list[tuple[str, str]]]:
    """Vocabulary and merges of a BPE with SentencePiece's space and byte fallback."""
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.Metaspace(split=False)
    base = ["<unk>", "<s>", "</s>", *(f"<0x{byte:02X}>" for byte in range(256))]
    trainer = trainers.BpeTrainer(vocab_size=450, special_tokens=base, show_progress=False)
    tokenizer.train_from_iterator(CORPUS, trainer)
    model = json.loads(tokenizer.to_str())["model"]
    return model["vocab"], [tuple(merge) for merge in model["merges"]]


@lru_cache
def llama(
    *,
    legacy: bool,
    add_prefix_space: bool = True,
    special: bool = True,
    add_eos_token: bool = False,
) -> Any:
    """A Llama tokenizer as transformers builds it from a SentencePiece model."""
    vocabulary, merges = sentencepiece_model()
    tokenizer = LlamaTokenizer(
        vocab=dict(vocabulary),
        merges=list(merges),
        legacy=legacy,
        add_prefix_space=add_prefix_space,
        add_bos_token=True,
        add_eos_token=add_eos_token,
    )
    tokenizer.add_tokens(list(CONTROL_STRINGS), special_tokens=special)
    return tokenizer


@lru_cache
def normalizing_llama() -> Any:
    """An older tokenizer.json of Llama, in which a normalizer writes the prefix space."""
    vocabulary, merges = sentencepiece_model()
    tokenizer = Tokenizer(
        models.BPE(
            vocab=vocabulary, merges=merges, unk_token="<unk>", fuse_unk=True, byte_fallback=True
        )
    )
    tokenizer.normalizer = normalizers.Sequence(
        [normalizers.Prepend("▁"), normalizers.Replace(" ", "▁")]
    )
    tokenizer.decoder = decoders.Sequence(
        [
            decoders.Replace("▁", " "),
            decoders.ByteFallback(),
            decoders.Fuse(),
            decoders.Strip(content=" ", left=1),
        ]
    )
    tokens = [AddedToken(s, normalized=False, special=True) for s in ("<unk>", "<s>", "</s>")]
    tokenizer.add_special_tokens(tokens)
    fast = fast_tokenizer(
        tokenizer_object=tokenizer, bos_token="<s>", eos_token="</s>", unk_token="<unk>"
    )
    fast.add_tokens(list(CONTROL_STRINGS), special_tokens=True)
    return fast


@lru_cache
def in_vocabulary() -> Any:
    """A BPE whose own merges spell every control string; none of them is an added token."""
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.Split("|", "removed")
    tokenizer.decoder = decoders.Fuse()
    trainer = trainers.BpeTrainer(
        vocab_size=900, special_tokens=["</s>"], initial_alphabet=["x"], show_progress=False
    )
    tokenizer.train_from_iterator(["|".join(CONTROL_STRINGS)] * 4, trainer)
    return fast_tokenizer(tokenizer_object=tokenizer, eos_token="</s>")


@lru_cache
def unigram() -> Any:
    """A Unigram model that has the control strings as pieces and as added tokens."""
    letters = sorted({letter for line in CORPUS for letter in line} - {" "})
    pieces = [("<unk>", 0.0), ("</s>", -1.0), ("▁", -2.0), *((s, -0.5) for s in CONTROL_STRINGS)]
    tokenizer = Tokenizer(models.Unigram([*pieces, *((c, -3.0) for c in letters)], unk_id=0))
    tokenizer.pre_tokenizer = pre_tokenizers.Metaspace(prepend_scheme="first", split=False)
    tokenizer.decoder = decoders.Metaspace(prepend_scheme="first", split=False)
    fast = fast_tokenizer(tokenizer_object=tokenizer, eos_token="</s>", unk_token="<unk>")
    fast.add_tokens(list(CONTROL_STRINGS), special_tokens=True)
    return fast


def all_kinds() -> dict[str, Any]:
    """Every kind of tokenizer that the codec must handle, by name."""
    kinds: dict[str, Any] = {
        "bytes": byte_level(special=True),
        "bytes, ordinary": byte_level(special=False),
        "bytes, prefix space": byte_level(special=True, add_prefix_space=True),
        "normalizing llama": normalizing_llama(),
        "llama, ordinary": llama(legacy=False, special=False),
    }
    for legacy in (True, False):
        for prefix in (True, False):
            name = f"llama, {'legacy' if legacy else 'new'}{'' if prefix else ', no prefix'}"
            kinds[name] = llama(legacy=legacy, add_prefix_space=prefix)
    return kinds
