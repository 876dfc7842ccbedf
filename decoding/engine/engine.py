"""Continuous batching: sequences join and leave the batch at every step.

The engine owns its rows, caches and queue and is driven from one thread through `Backend`. It
never moves the vocabulary's width to the host: per row and step it gathers the ids that a request
reads, the most probable id and its log-probability.
"""

from __future__ import annotations

from collections import deque
from typing import Any

import torch
from torch import Tensor

from decoding.engine.llama import KeyValueCache, LlamaRunner
from decoding.engine.prefixes import PrefixCache
from decoding.engine.sequence import RunningSequence, check_fits
from decoding.generation import Draft, Generation, Watch


class BatchedEngine:
    """`Backend` over a Llama: exact greedy decoding of many sequences at once.

    Args:
        model: a loaded `LlamaForCausalLM`, or a model of the same module layout.
        fingerprint: names weights, tokenizer and dtype.
        max_rows: sequences that run at the same time.
        prefix_tokens: how many positions of finished rows are kept for later prompts.
        prefill_tokens: prompt positions (padding included) that one forward pass may take.
        cache_bytes: memory for the running rows' keys and values; more rows wait. One row always
            runs. (4 GiB hold 8,192 positions of a 7B in half precision.)
    """

    def __init__(
        self,
        model: Any,
        *,
        fingerprint: str,
        max_rows: int = 64,
        prefix_tokens: int = 16_384,
        prefill_tokens: int = 8_192,
        cache_bytes: int = 4 * 2**30,
    ) -> None:
        self.fingerprint = fingerprint
        self.context_limit = int(model.config.max_position_embeddings)
        self._runner = LlamaRunner(model)
        self._cache = KeyValueCache(model, max_rows, self.context_limit)
        self._cache_tokens = cache_bytes // self._cache.bytes_per_token
        self._prefixes = PrefixCache(prefix_tokens)
        self._max_rows = max_rows
        self._prefill_tokens = prefill_tokens
        self._waiting: deque[RunningSequence] = deque()
        self._rows: list[RunningSequence] = []
        self._finished: list[tuple[int, Draft]] = []
        self._next_ticket = 0
        self.forwarded_tokens = 0

    def submit(self, generation: Generation, watch: Watch | None = None) -> int:
        """Queue a request; a prompt beyond the context limit is refused here."""
        check_fits(generation, self.context_limit)
        ticket = self._next_ticket
        self._next_ticket += 1
        self._waiting.append(RunningSequence(ticket, generation, watch))
        return ticket

    @torch.inference_mode()
    def step(self) -> bool:
        """One position for every running sequence; waiting ones join first."""
        joining = self._admit()
        decoding = [row for row in range(len(self._rows)) if row not in joining]
        done: list[int] = []
        for batch in (*self._prefill_batches(joining), decoding):
            if batch:
                done += self._advance(batch)
        for row in sorted(done, reverse=True):
            self._release(row)
        return bool(self._rows or self._waiting)

    def poll(self) -> list[tuple[int, Draft]]:
        """Finished drafts since the last poll."""
        finished, self._finished = self._finished, []
        return finished

    @torch.inference_mode()
    def cancel(self, ticket: int) -> None:
        """Stop a request; what it has written comes back as a cancelled draft."""
        for sequence in list(self._waiting):
            if sequence.ticket == ticket:
                self._waiting.remove(sequence)
                self._finished.append((ticket, sequence.partial.freeze("cancelled", None)))
                return
        for row, sequence in enumerate(self._rows):
            if sequence.ticket == ticket:
                self._finished.append((ticket, sequence.partial.freeze("cancelled", None)))
                self._release(row)
                return

    def progress(self, ticket: int) -> tuple[int, ...]:
        """Ids appended so far; empty for a request that is not running."""
        for sequence in self._rows:
            if sequence.ticket == ticket:
                return tuple(sequence.partial.token_ids)
        return ()

    def _admit(self) -> set[int]:
        """Give waiting sequences a row, starting from the longest cached prefix."""
        joined: set[int] = set()
        while self._waiting and self._has_room(self._waiting[0]):
            sequence = self._waiting.popleft()
            row = len(self._rows)
            found = self._prefixes.longest(sequence.generation.prompt_ids)
            if found is not None:
                length, keys, values = found
                self._cache.reserve(row + 1, length)
                self._cache.load(row, keys, values)
                sequence.cached = length
            self._rows.append(sequence)
            joined.add(row)
        return joined

    def _has_room(self, sequence: RunningSequence) -> bool:
        """Whether one more row fits the number of rows and the memory of the cache."""
        rows = [*self._rows, sequence]
        longest = max(len(r.generation.prompt_ids) + r.generation.max_tokens for r in rows)
        fits = len(rows) * longest <= self._cache_tokens and len(rows) <= self._max_rows
        return fits or len(rows) == 1

    def _prefill_batches(self, joining: set[int]) -> list[list[int]]:
        """Split joining rows into batches of similar length, bounded by `prefill_tokens`."""
        ordered = sorted(joining, key=lambda row: (len(self._rows[row].pending), row))
        batches: list[list[int]] = []
        for row in ordered:
            width = len(self._rows[row].pending)
            if batches and (len(batches[-1]) + 1) * width <= self._prefill_tokens:
                batches[-1].append(row)
            else:
                batches.append([row])
        return batches

    def _advance(self, rows: list[int]) -> list[int]:
        """Run the rows' pending ids and append one token each; rows that ended are returned."""
        sequences = [self._rows[row] for row in rows]
        pending = [sequence.pending for sequence in sequences]
        starts = [sequence.cached for sequence in sequences]
        logits = self._runner.forward(self._cache, rows, pending, starts)
        self.forwarded_tokens += sum(map(len, pending))
        for sequence, ids in zip(sequences, pending, strict=True):
            sequence.cached += len(ids)
        readings = _gather(logits, [sequence.wanted_ids for sequence in sequences])
        ended = []
        for row, sequence, (best, best_log_probability, values) in zip(
            rows, sequences, readings, strict=True
        ):
            finish = sequence.advance(best, best_log_probability, values)
            if finish is not None:
                next_id = None if finish == "cut" else best
                draft = sequence.partial.freeze(finish, next_id)
                self._finished.append((sequence.ticket, draft))
                ended.append(row)
        return ended

    def _release(self, row: int) -> None:
        """Free a row: keep its cache as a prefix and move the last row into its place."""
        sequence = self._rows[row]
        if sequence.cached:
            ids = tuple(sequence.ids[: sequence.cached])
            self._prefixes.put(ids, *self._cache.copy_of(row, sequence.cached))
        last = len(self._rows) - 1
        if row != last:
            self._cache.move(last, row, self._rows[last].cached)
            self._rows[row] = self._rows[last]
        self._rows.pop()


def _gather(
    logits: Tensor, wanted: list[tuple[int, ...]]
) -> list[tuple[int, float, tuple[float, ...]]]:
    """Per row: the most probable id, its log-probability, and those of the wanted ids.

    Args:
        logits: `[rows, vocabulary]`, float32, on the model's device.
        wanted: ids per row; only `rows * (2 + max(len))` numbers travel to the host.
    """
    width = max(1, *map(len, wanted))
    index = torch.zeros((len(wanted), width), dtype=torch.long)
    for row, ids in enumerate(wanted):
        index[row, : len(ids)] = torch.tensor(ids, dtype=torch.long)
    with torch.inference_mode():
        normaliser = logits.logsumexp(dim=-1, keepdim=True)
        best = logits.argmax(dim=-1, keepdim=True)
        picked = torch.cat((best, index.to(logits.device)), dim=1)
        values = (logits.gather(1, picked) - normaliser).double().cpu().tolist()
        best_ids = best[:, 0].cpu().tolist()
    return [
        (int(best_id), row_values[0], tuple(row_values[1 : 1 + len(ids)]))
        for best_id, row_values, ids in zip(best_ids, values, wanted, strict=True)
    ]
