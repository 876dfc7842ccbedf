"""Which engine decodes: ours, the slow reference, vLLM, a server of its routes, or llama.cpp.

An engine of another library is imported when it is asked for, and no sooner.
"""

from __future__ import annotations

from pathlib import Path

from decoding.backend import Backend
from selfrag.backends.checkpoint import Checkpoint
from selfrag.backends.precision import Precision

NAMES = ("batched", "reference", "vllm")


def check_engine(engine: str, precision: Precision | None, replayed: bool) -> None:
    """Refuse what names no engine, and what an engine has no use for.

    Args:
        engine: a name of `NAMES`, the address of a server, or a GGUF file.
        precision: what the weights are rounded to.
        replayed: whether a recording answers in its place.

    Raises:
        ValueError: it is none of these, or does not go with the others.
    """
    if engine not in NAMES and not is_address(engine) and not is_gguf(engine):
        raise ValueError(
            f"engine is {engine!r}; allowed: {', '.join(map(repr, NAMES))}, the address of a "
            "server (http://...), or a file that ends in .gguf"
        )
    if precision is not None and not needs_weights(engine):
        raise ValueError(
            f"precision is {precision!r}, which is for the engines 'batched' and 'reference'; "
            f"{engine} has settings of its own for it"
        )
    if replayed and is_address(engine):
        raise ValueError(
            f"engine is {engine!r}: what a server recorded cannot be replayed without it; use "
            "cache= in place of replay="
        )


def needs_weights(engine: str) -> bool:
    """Whether the engine runs a model that `load_checkpoint` loads."""
    return engine in ("batched", "reference")


def is_address(engine: str) -> bool:
    """Whether it is the address of a server."""
    return engine.startswith(("http://", "https://"))


def is_gguf(engine: str) -> bool:
    """Whether it is the name of a GGUF file."""
    return engine.endswith(".gguf")


def fingerprint_of(engine: str, checkpoint: Checkpoint) -> str:
    """The fingerprint that `open_engine` would give its backend, for replays without a model.

    Raises:
        ValueError: only a server knows its own.
    """
    if needs_weights(engine):
        return checkpoint.fingerprint
    if engine == "vllm":
        return f"{checkpoint.fingerprint}-vllm"
    if is_gguf(engine):
        from selfrag.backends.llamacpp import gguf_fingerprint

        return gguf_fingerprint(Path(engine))
    raise ValueError(f"engine is {engine!r}; only a server knows its fingerprint")


def open_engine(engine: str, checkpoint: Checkpoint) -> Backend:
    """The engine for a checkpoint, whose tokenizer makes the prompts whatever decodes.

    Args:
        engine: see `check_engine`.
        checkpoint: with its weights where `needs_weights` says so.

    Raises:
        EngineError: see `selfrag.backends.errors`.
    """
    if engine == "batched":
        from decoding.engine import BatchedEngine

        return BatchedEngine(checkpoint.model, fingerprint=checkpoint.fingerprint)
    if engine == "reference":
        from decoding.reference import ReferenceEngine

        return ReferenceEngine(checkpoint.model, fingerprint=checkpoint.fingerprint)
    if engine == "vllm":
        from selfrag.backends.vllm import VLLMEngine

        return VLLMEngine.open(
            checkpoint.folder,
            fingerprint=fingerprint_of(engine, checkpoint),
            dtype=checkpoint.dtype,
        )
    if is_address(engine):
        from selfrag.backends.served import ServedEngine

        return ServedEngine.open(
            engine, tokenizer=checkpoint.tokenizer, vocabulary=checkpoint.vocabulary
        )
    from selfrag.backends.llamacpp import LlamaCppEngine

    return LlamaCppEngine.open(Path(engine), checkpoint.tokenizer, checkpoint.vocabulary)
