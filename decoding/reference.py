"""The slow and obvious backend: one full forward pass for every position, no cache, no batch.

It is what the engine is compared with, and it runs any causal model that transformers can load.
"""

from __future__ import annotations

from typing import Any

import torch

from decoding.queue import RequestQueue


class ReferenceEngine(RequestQueue):
    """`Backend` that calls `model(input_ids)` on the whole sequence for every position."""

    def __init__(self, model: Any, *, fingerprint: str) -> None:
        self.fingerprint = fingerprint
        super().__init__(int(model.config.max_position_embeddings))
        self._model = model.eval()

    def step(self) -> bool:
        """One position of the oldest request."""
        if not self._waiting:
            return False
        sequence = self._waiting[0]
        log_probabilities = self._log_probabilities(sequence.ids)
        best = int(log_probabilities.argmax())
        wanted = tuple(float(log_probabilities[token]) for token in sequence.wanted_ids)
        finish = sequence.advance(best, float(log_probabilities[best]), wanted)
        if finish is not None:
            next_id = None if finish == "cut" else best
            self._waiting.popleft()
            self._finished.append((sequence.ticket, sequence.partial.freeze(finish, next_id)))
        return bool(self._waiting)

    def progress(self, ticket: int) -> tuple[int, ...]:
        """Ids appended so far."""
        for sequence in self._waiting:
            if sequence.ticket == ticket:
                return tuple(sequence.partial.token_ids)
        return ()

    @torch.inference_mode()
    def _log_probabilities(self, ids: list[int]) -> torch.Tensor:
        """Log-probabilities `[vocabulary]` of the next token, in float64 from float32 logits."""
        device = next(self._model.parameters()).device
        logits = self._model(input_ids=torch.tensor([ids], device=device), use_cache=False).logits
        result: torch.Tensor = logits[0, -1].float().double().log_softmax(dim=-1)
        return result
