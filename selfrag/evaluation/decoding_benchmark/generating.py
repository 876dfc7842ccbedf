"""`Backend` over transformers' own `generate`: prompts padded on the left, one call for a batch.

A `step` answers everything that waits, in batches of prompts of similar length. What a sequence
may write and where it stops is decided by `decoding.sequence`, as in every other backend;
a row that has ended stays in its batch until the last one ends, since `generate` has no way to
let it go. Nothing is kept between calls: every prompt is prefilled whole.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor
from transformers import GenerationConfig, LogitsProcessor, LogitsProcessorList
from transformers.generation.stopping_criteria import StoppingCriteria, StoppingCriteriaList

from decoding.generation import Draft
from decoding.queue import RequestQueue
from decoding.sequence import RunningSequence

_settings: Any = GenerationConfig
"""The class without its types: its constructor has none."""

Reading = tuple[int, float, tuple[float, ...]]
"""The most probable id, its log-probability, and those of the wanted ids."""


class GenerateBackend(RequestQueue):
    """Exact chosen-id log-probabilities from `model.generate`.

    Args:
        model: any causal model of transformers.
        fingerprint: names weights, tokenizer and dtype.
        rows: prompts of one `generate` call.
    """

    def __init__(self, model: Any, *, fingerprint: str, rows: int = 64) -> None:
        self.fingerprint = fingerprint
        super().__init__(int(model.config.max_position_embeddings))
        self._model, self._rows = model.eval(), rows

    def step(self) -> bool:
        """Answer everything that waits."""
        waiting = list(self._waiting)
        self._waiting.clear()
        for batch in self._batches(waiting):
            self._generate(batch)
        return False

    def progress(self, ticket: int) -> tuple[int, ...]:
        """Nothing is known of a call until it returns."""
        return ()

    def _batches(self, waiting: list[RunningSequence]) -> list[list[RunningSequence]]:
        """Prompts of similar length together."""
        ordered = sorted(waiting, key=lambda sequence: len(sequence.generation.prompt_ids))
        return [ordered[at : at + self._rows] for at in range(0, len(ordered), self._rows)]

    def _generate(self, sequences: list[RunningSequence]) -> None:
        width = max(len(sequence.generation.prompt_ids) for sequence in sequences)
        ids = torch.zeros((len(sequences), width), dtype=torch.long)
        mask = torch.zeros_like(ids)
        for row, sequence in enumerate(sequences):
            prompt = torch.tensor(sequence.generation.prompt_ids)
            ids[row, width - len(prompt) :] = prompt
            mask[row, width - len(prompt) :] = 1
        run = _Run(self, sequences)
        longest = max(sequence.generation.max_tokens for sequence in sequences)
        device = self._model.device
        with torch.inference_mode():
            self._model.generate(
                ids.to(device),
                attention_mask=mask.to(device),
                generation_config=_settings(
                    max_new_tokens=longest + 1, do_sample=False, pad_token_id=0
                ),
                logits_processor=LogitsProcessorList([run]),
                stopping_criteria=StoppingCriteriaList([_Ended(run)]),
            )
        assert all(run.ended), "generate stopped before its sequences did"

    def read(self, scores: Tensor, wanted: Sequence[tuple[int, ...]]) -> list[Reading]:
        """What each row needs from its logits `[rows, vocabulary]`; only that travels."""
        width = max(1, *map(len, wanted))
        index = torch.zeros((len(wanted), width), dtype=torch.long)
        for row, ids in enumerate(wanted):
            index[row, : len(ids)] = torch.tensor(ids, dtype=torch.long)
        best = scores.argmax(dim=-1, keepdim=True)
        picked = torch.cat((best, index.to(scores.device)), dim=1)
        normaliser = scores.logsumexp(dim=-1, keepdim=True)
        values = (scores.gather(1, picked) - normaliser).double().cpu().tolist()
        return [
            (token, row[0], tuple(row[1 : 1 + len(ids)]))
            for token, row, ids in zip(best[:, 0].tolist(), values, wanted, strict=True)
        ]

    def finish(self, sequence: RunningSequence, draft: Draft) -> None:
        """Keep a finished draft for the next poll."""
        self._finished.append((sequence.ticket, draft))


class _Run(LogitsProcessor):
    """Advances the sequences of one `generate` call and makes it take their tokens."""

    def __init__(self, backend: GenerateBackend, sequences: list[RunningSequence]) -> None:
        self._backend, self._sequences = backend, sequences
        self.ended = [False] * len(sequences)

    def __call__(self, input_ids: Tensor, scores: Tensor) -> Tensor:
        wanted = [
            () if ended else sequence.wanted_ids
            for sequence, ended in zip(self._sequences, self.ended, strict=True)
        ]
        readings = self._backend.read(scores, wanted)
        for row, (best, log_probability, values) in enumerate(readings):
            if self.ended[row]:
                continue
            sequence = self._sequences[row]
            finish = sequence.advance(best, log_probability, values)
            if finish is not None:
                self.ended[row] = True
                next_id = None if finish == "cut" else best
                self._backend.finish(sequence, sequence.partial.freeze(finish, next_id))
            elif (token := sequence.partial.token_ids[-1]) != best:
                scores[row] = -torch.inf
                scores[row, token] = 0.0
        return scores


class _Ended(StoppingCriteria):
    """Tells `generate` which rows have ended."""

    def __init__(self, run: _Run) -> None:
        self._run = run

    def __call__(self, input_ids: Tensor, scores: Any, **options: Any) -> Any:
        return torch.tensor(self._run.ended, device=input_ids.device)
