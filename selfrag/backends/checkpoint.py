"""Loads a Llama-style checkpoint with its tokenizer, and refuses what is not whole.

Weights come from safetensors (one file or shards) or from `.bin` shards, which transformers reads
with `weights_only=True`. No remote code is ever run.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from decoding.vocabulary import ReflectionVocabulary
from selfrag.backends.precision import (
    Precision,
    check_precision,
    load_arguments,
    precision_name,
    rounded,
)
from selfrag.calibration import Calibration
from selfrag.errors import CorruptCheckpoint, ModelNotFound

DTYPES = ("auto", "float32", "bfloat16", "float16")


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """A checkpoint's parts; `model` is None when only its text side was asked for."""

    folder: Path
    model: Any
    tokenizer: Any
    vocabulary: ReflectionVocabulary
    fingerprint: str
    context_limit: int
    device: str
    dtype: str
    calibration: Calibration
    precision: Precision | None = None


def load_checkpoint(
    name: str | Path,
    *,
    device: str = "auto",
    dtype: str = "auto",
    precision: Precision | None = None,
    weights: bool = True,
) -> Checkpoint:
    """Load a checkpoint folder, or a repository of the Hugging Face hub by name.

    Args:
        name: folder, or hub name such as "selfrag/selfrag_llama2_7b".
        device: "auto" (CUDA where there is one), or any torch device.
        dtype: "auto" (float32 on the CPU; bfloat16 or float16 on CUDA) or a name of `DTYPES`.
        precision: weights in fewer bits, see `selfrag.backends.precision`; None rounds nothing.
        weights: False loads tokenizer and configuration only (for replays and other engines).

    Raises:
        ModelNotFound: there is no such folder, and no such repository can be reached.
        CorruptCheckpoint: files are missing, truncated, or do not fill the model.
        MissingControlTokens: the tokenizer lacks reflection tokens.
        EngineMissing, MachineCannot: the precision needs what is not here.
    """
    from transformers import AutoConfig

    if dtype not in DTYPES:
        raise ValueError(f"dtype is {dtype!r}; allowed: {', '.join(DTYPES)}")
    folder = locate(name)
    device, dtype = choose_device(device), dtype
    dtype = choose_dtype(dtype, device)
    if precision is not None and weights:
        check_precision(precision, device, dtype)
    try:
        config = AutoConfig.from_pretrained(folder, trust_remote_code=False)
    except Exception as error:  # whatever transformers stumbles over in the file
        raise CorruptCheckpoint(
            f"The configuration of {name} cannot be read: {first_line(error)}",
            "Check config.json.",
        ) from error
    tokenizer = _load_tokenizer(folder, name)
    vocabulary = ReflectionVocabulary.from_tokenizer(tokenizer, eos_ids=config.eos_token_id)
    _check_rows(tokenizer, vocabulary, int(config.vocab_size))
    model = _load_model(folder, name, device, dtype, precision) if weights else None
    return Checkpoint(
        folder=folder,
        model=model,
        tokenizer=tokenizer,
        vocabulary=vocabulary,
        fingerprint=precision_name(folder, dtype, precision),
        context_limit=int(config.max_position_embeddings),
        device=device,
        dtype=dtype,
        calibration=Calibration.load(folder),
        precision=precision,
    )


def locate(name: str | Path) -> Path:
    """The folder of a checkpoint; a hub name is looked up in the cache, then downloaded."""
    folder = Path(name)
    if (folder / "config.json").is_file():
        return folder
    if folder.exists() or str(name).startswith((".", "/", "~")) or str(name).count("/") != 1:
        raise ModelNotFound(
            f"{name} is no checkpoint: it has no config.json.",
            "Give a folder in the Hugging Face format, or a hub name such as "
            "selfrag/selfrag_llama2_7b.",
        )
    from huggingface_hub import snapshot_download

    patterns = ["*.json", "*.safetensors", "*.model", "*.bin"]
    try:
        found = Path(snapshot_download(str(name), allow_patterns=patterns, local_files_only=True))
        if (found / "config.json").is_file():
            return found
    except Exception:
        found = None
    try:
        text = [pattern for pattern in patterns if pattern != "*.bin"]
        found = Path(snapshot_download(str(name), allow_patterns=text))
        if not list(found.glob("*.safetensors")):
            found = Path(snapshot_download(str(name), allow_patterns=patterns))
        return found
    except Exception as error:
        raise ModelNotFound(
            f"{name} is neither a folder nor a hub repository that can be reached: "
            f"{first_line(error)}",
            "Check the name, or download it and give the folder.",
        ) from error


def choose_device(device: str) -> str:
    """Resolve "auto"; refuse a device that this torch cannot use."""
    import torch

    if device == "auto":
        return "cuda" if torch.cuda.is_available() else "cpu"
    try:
        kind = torch.device(device).type
    except RuntimeError as error:
        raise ValueError(f"device is {device!r}; {first_line(error)}") from error
    if kind == "cuda" and not torch.cuda.is_available():
        raise ValueError("device is 'cuda', but torch finds no CUDA device; use device='cpu'")
    return device


def choose_dtype(dtype: str, device: str) -> str:
    """Resolve "auto": float32 on the CPU, bfloat16 on CUDA where it is native, else float16."""
    import torch

    if dtype != "auto":
        return dtype
    if not device.startswith("cuda"):
        return "float32"
    return "bfloat16" if torch.cuda.is_bf16_supported() else "float16"


def first_line(error: BaseException) -> str:
    """The first line of an error's text."""
    return (str(error).strip() or type(error).__name__).splitlines()[0]


def _load_tokenizer(folder: Path, name: str | Path) -> Any:
    from transformers import AutoTokenizer

    try:
        legacy = {"legacy": True} if is_silently_legacy(folder) else {}
        return AutoTokenizer.from_pretrained(folder, trust_remote_code=False, **legacy)
    except Exception as error:
        raise CorruptCheckpoint(
            f"The tokenizer of {name} cannot be loaded: {first_line(error)}",
            "The folder needs tokenizer.json, or tokenizer.model with the sentencepiece package.",
        ) from error


def is_silently_legacy(folder: Path) -> bool:
    """Whether a Llama tokenizer's `legacy` setting is absent and meant True.

    Up to version 4 of transformers an absent setting meant the old behaviour: a space is put in
    front of text after a control token. Version 5 takes an absent setting for False, so that a
    checkpoint of 2023 would get other ids than it was trained with.
    """
    settings = _settings(folder / "tokenizer_config.json")
    saved_by = str(_settings(folder / "config.json").get("transformers_version", "4"))
    is_llama = str(settings.get("tokenizer_class", "")).startswith("LlamaTokenizer")
    return is_llama and settings.get("legacy") is None and int(saved_by.split(".")[0] or 4) < 5


def _settings(path: Path) -> dict[str, Any]:
    """A JSON object of settings; empty where there is no such file."""
    if not path.is_file():
        return {}
    data = json.loads(path.read_text(encoding="utf-8"))
    return data if isinstance(data, dict) else {}


def _check_rows(tokenizer: Any, vocabulary: ReflectionVocabulary, rows: int) -> None:
    """Refuse a tokenizer with ids that the model has no embedding for.

    Special tokens that no prompt holds (a padding token that was added later) may lie beyond.
    """
    used = vocabulary.control_ids - {vocabulary.pad} | vocabulary.eos_ids
    unused = set(tokenizer.all_special_ids) - used
    largest = max(set(tokenizer.get_vocab().values()) - unused)
    if largest >= rows:
        what = "control tokens" if largest in used else "tokens"
        raise CorruptCheckpoint(
            f"The tokenizer's {what} reach id {largest}, but the model has {rows} embedding rows.",
            "Use the tokenizer that the model was trained with.",
        )


def _load_model(
    folder: Path, name: str | Path, device: str, dtype: str, precision: Precision | None
) -> Any:
    import torch
    from transformers import AutoModelForCausalLM

    _check_shards(folder, name)
    try:
        loaded: Any = AutoModelForCausalLM.from_pretrained(
            folder,
            dtype=getattr(torch, dtype),
            trust_remote_code=False,
            output_loading_info=True,
            **load_arguments(precision, device),
        )
    except Exception as error:
        raise CorruptCheckpoint(
            f"The weights of {name} cannot be loaded: {first_line(error)}",
            "Download or export the checkpoint again.",
        ) from error
    model, report = loaded
    wrong = sorted({str(key) for key in (*report["missing_keys"], *report["mismatched_keys"])})
    if wrong:
        raise CorruptCheckpoint(
            f"{name} lacks {len(wrong)} weights of the model, such as {wrong[0]}.",
            "Download or export the checkpoint again.",
        )
    placed = model if precision in ("8bit", "4bit") else model.to(device)
    return rounded(placed.eval(), precision)


def _check_shards(folder: Path, name: str | Path) -> None:
    """Name missing shards before transformers starts to load."""
    for index in folder.glob("*.index.json"):
        try:
            files = set(json.loads(index.read_text(encoding="utf-8"))["weight_map"].values())
        except (ValueError, LookupError, TypeError, AttributeError, OSError) as error:
            raise CorruptCheckpoint(
                f"{index.name} of {name} cannot be read: {error}.",
                "Download or export the checkpoint again.",
            ) from error
        missing = sorted(file for file in files if not (folder / file).is_file())
        if missing:
            raise CorruptCheckpoint(
                f"{name} lacks {len(missing)} of {len(files)} weight files: {', '.join(missing)}.",
                "Download them.",
            )
    if not [*folder.glob("*.safetensors"), *folder.glob("*.bin")]:
        raise CorruptCheckpoint(
            f"{name} has no weights.", "The folder needs *.safetensors or *.bin files."
        )
