"""Judgements about colours, and tiny models to train on them."""

from __future__ import annotations

import json
import random
from pathlib import Path
from typing import Any

import torch
from tiny_models import tiny_llama
from tiny_tokenizers import byte_level
from transformers import T5Config, T5ForConditionalGeneration

from decoding.vocabulary import (
    FULLY_SUPPORTED,
    IRRELEVANT,
    NO_RETRIEVAL,
    NO_SUPPORT,
    RELEVANT,
    RETRIEVAL,
    UTILITY,
)
from indexes.passage import Passage
from selfrag.training.critic.questions import CriticQuestion, Judgement

COLOURS = ("red", "blue")
NOUNS = ("hat", "cup", "bus", "door", "bird", "boat", "coat", "lamp")
UNNOUNS = ("sock", "tent", "wall", "bell")


def question(
    group: Any, asked: str, read: str = "", noun: str = "hat", **more: Any
) -> CriticQuestion:
    """What is asked about one colour, with a passage about a noun of another colour."""
    values: dict[str, Any] = {"instruction": f"name a {asked} thing"}
    if group in ("IsRel", "IsSup"):
        values["passage"] = Passage("p", "Things", f"the {noun} is {read}")
    if group in ("IsSup", "IsUse"):
        values["sentence"] = f"the {noun} is {asked}"
    return CriticQuestion(group=group, **{**values, **more})


def relevance(count: int, seed: int) -> list[Judgement]:
    """IsRel by the overlap of words: relevant where the passage has the instruction's colour.

    That is always red: to tell whether two words are the same takes such a model hundreds of steps.
    """
    rng = random.Random(seed)
    made = []
    for _ in range(count):
        read = rng.choice(COLOURS)
        words = [read, *rng.sample(NOUNS, rng.randint(2, 4))]
        rng.shuffle(words)
        label = RELEVANT if read == "red" else IRRELEVANT
        passage = Passage("p", "Things", " ".join(words))
        made.append(Judgement(question("IsRel", "red", passage=passage), label, "gold"))
    return made


def all_groups() -> list[Judgement]:
    """A few judgements of every group."""
    return [
        *relevance(8, seed=5),
        Judgement(question("Retrieve", "red"), RETRIEVAL, "gold"),
        Judgement(question("Retrieve", "blue"), NO_RETRIEVAL, "gold"),
        Judgement(question("IsSup", "red", "red"), FULLY_SUPPORTED, "gold"),
        Judgement(question("IsSup", "red", "blue"), NO_SUPPORT, "gold"),
        Judgement(question("IsUse", "red"), UTILITY[4], "gold"),
        Judgement(question("IsUse", "blue"), UTILITY[0], "gold"),
    ]


def write(path: Path, judgements: list[Judgement], *more: str) -> Path:
    """A JSON Lines file of judgements and of further lines."""
    lines = [json.dumps(judgement.to_dict()) for judgement in judgements]
    path.write_text("".join(line + "\n" for line in (*lines, *more)), encoding="utf-8")
    return path


def tiny_encoder() -> dict[str, Any]:
    """Configuration of a body of fresh weights: 2 layers, width 64. Large initial weights and no
    dropout let it learn in a few dozen steps."""
    return {
        "model_type": "bert",
        "hidden_size": 64,
        "num_hidden_layers": 2,
        "num_attention_heads": 4,
        "intermediate_size": 128,
        "initializer_range": 0.2,
        "hidden_dropout_prob": 0.0,
        "attention_probs_dropout_prob": 0.0,
    }


def save_causal(folder: Path, **tokens: str | None) -> Path:
    """A tiny Llama and its tokenizer; `tokens` changes special tokens, None takes one away."""
    tokenizer = byte_level(special=False)
    tiny_llama(len(tokenizer), initializer_range=0.1).save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    settings = folder / "tokenizer_config.json"
    values = {**json.loads(settings.read_text(encoding="utf-8")), **tokens}
    values = {key: value for key, value in values.items() if value is not None}
    settings.write_text(json.dumps(values), encoding="utf-8")
    return folder


def save_pair(folder: Path) -> Path:
    """A tiny T5 and its tokenizer."""
    tokenizer = byte_level(special=False)
    torch.manual_seed(3)
    config = T5Config(
        vocab_size=len(tokenizer),
        d_model=32,
        d_kv=8,
        d_ff=64,
        num_layers=2,
        num_heads=4,
        pad_token_id=tokenizer.pad_token_id,
        eos_token_id=tokenizer.eos_token_id,
        decoder_start_token_id=tokenizer.pad_token_id,
    )
    T5ForConditionalGeneration(config).save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return folder
