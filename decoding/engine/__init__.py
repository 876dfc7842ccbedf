"""The batched engine: many token sequences through one Llama, one step loop, one thread."""

from decoding.engine.engine import BatchedEngine

__all__ = ["BatchedEngine"]
