"""A model opened for judging alone: what decodes, and prompts for its tokenizer; no retriever."""

from __future__ import annotations

from decoding.backend import Backend
from decoding.codec import PromptCodec
from decoding.prompt import PromptBuilder


def open_judge(
    model: str | None, engine: str, *, calibrated: bool = True
) -> tuple[Backend, PromptBuilder]:
    """Load a checkpoint as `SelfRAG.from_pretrained` does, without an index.

    Args:
        model: checkpoint folder or hub name; None is the embedded selfrag-mini.
        engine: "batched" or "reference".
        calibrated: read probabilities with the model's stored scalings.

    Raises:
        ModelNotFound, CorruptCheckpoint, MissingControlTokens: see `load_checkpoint`.
    """
    from decoding.engine import BatchedEngine
    from decoding.reference import ReferenceEngine
    from selfrag.backends.checkpoint import load_checkpoint
    from selfrag.rag import EMBEDDED_MODEL

    checkpoint = load_checkpoint(EMBEDDED_MODEL if model is None else model)
    kind = ReferenceEngine if engine == "reference" else BatchedEngine
    backend = kind(checkpoint.model, fingerprint=checkpoint.fingerprint)
    codec = PromptCodec(checkpoint.tokenizer, checkpoint.vocabulary)
    prompts = PromptBuilder(codec, checkpoint.vocabulary)
    return backend, prompts.scaled(checkpoint.calibration.scalings) if calibrated else prompts
