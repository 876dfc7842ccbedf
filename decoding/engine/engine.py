"""Continuous batching: sequences join and leave the batch at every step.

The engine owns its rows, caches and queue and is driven from one thread through `Backend`. A step
is one pass of the model: one new token for every running row (and some guessed ones, where rows are
few), and as much of the waiting prompts as fits. It never moves the vocabulary's width to the host.
"""

from __future__ import annotations

from itertools import chain, islice
from typing import Any

import torch

from decoding.engine.batch import Row, compact, running, shared_prefixes
from decoding.engine.graphs import DecodeGraphs
from decoding.engine.keyvalues import KeyValueShape
from decoding.engine.llama import LlamaRunner
from decoding.engine.memory import CacheMemory
from decoding.engine.precision import warn_if_slow
from decoding.engine.prefill import PrefillQueue
from decoding.engine.readings import gather
from decoding.engine.rows import Shared
from decoding.engine.speculation import Speculation
from decoding.generation import Draft, Generation
from decoding.queue import RequestQueue

_DEFAULT_POSITIONS = 65_536
_DEFAULT_LIMIT = 4 * 2**30
_SPECULATION = 16


class BatchedEngine(RequestQueue):
    """`Backend` over a Llama: exact greedy decoding of many sequences at once.

    Args:
        model: a loaded `LlamaForCausalLM`, or a model of the same module layout. Its plain
            linear layers are joined in place (see `projections`).
        fingerprint: names weights, tokenizer and dtype.
        max_rows: sequences that run at the same time.
        prefill_tokens: prompt positions that one pass may take; a longer prompt takes several.
            None is 512 on the CPU, whose products are no faster with more, and 8,192 elsewhere.
        cache_bytes: memory for keys and values, of running rows and kept prefixes together.
            None is room for 65,536 positions, at most 4 GiB (8,192 positions of a 7B in half
            precision) or, on CUDA, half of the device's free memory.
        speculation: tokens up to which a decode step is filled with guesses, which are verified
            (docs/engines.md); 0 guesses nothing. None is 16 on the CPU and 0 elsewhere, where it
            was never measured.
    """

    resumes_cheaply = True

    def __init__(
        self,
        model: Any,
        *,
        fingerprint: str,
        max_rows: int = 64,
        prefill_tokens: int | None = None,
        cache_bytes: int | None = None,
        speculation: int | None = None,
    ) -> None:
        super().__init__(int(model.config.max_position_embeddings))
        self.fingerprint = fingerprint
        self._runner = LlamaRunner(model)
        shape = KeyValueShape.of_model(model)
        warn_if_slow(shape.dtype, shape.device)
        if cache_bytes is None:
            cache_bytes = _default_limit(shape)
        self._memory = CacheMemory(shape, cache_bytes, max_rows)
        self._prefill = PrefillQueue(self._memory.tree, self._memory.rows)
        self._graphs = DecodeGraphs(self._runner) if shape.device.type == "cuda" else None
        self._max_rows = max_rows
        on_cpu = shape.device.type == "cpu"
        self._prefill_tokens = prefill_tokens or (512 if on_cpu else 8_192)
        if speculation is None:
            speculation = _SPECULATION if on_cpu else 0
        self._speculation = Speculation(speculation)
        self._rows: list[Row] = []
        self._shared: list[Shared] | None = None
        self.forwarded_tokens = 0

    @property
    def cached_bytes(self) -> int:
        """Memory that keys and values hold now; never more than `cache_bytes`."""
        return self._memory.bytes

    def _accept(self, generation: Generation) -> None:
        """CacheTooSmall where its keys and values exceed `cache_bytes`."""
        self._memory.check(generation)

    @torch.inference_mode()
    def step(self) -> bool:
        """One position for every running sequence; waiting ones join first."""
        self._admit()
        decoding = [row for row in self._rows if row.reading]
        if self._shared is None:
            self._shared = shared_prefixes([row.shared_nodes() for row in decoding])
        prompts = self._prefill.take(self._prefill_tokens)
        read = prompts.tokens
        drafts = self._speculation.drafts([row.sequence for row in decoding], read)
        batch = running(self._memory.rows, decoding, self._shared, drafts)
        if batch is None and not read:
            return False
        logits = None
        if self._graphs is not None and batch is not None and not read:
            logits = self._graphs.run(batch, len(self._rows))
        if logits is None:
            logits = self._runner.forward(batch, prompts)
        self.forwarded_tokens += read + sum(1 + len(draft) for draft in drafts)
        for row in decoding:
            row.own += 1
        joined = self._prefill.advance()
        if joined:
            self._shared = None
        if logits is not None:
            drafted = [*zip(decoding, drafts, strict=True), *((row, ()) for row in joined)]
            wanted = [row.sequence.wanted_behind(len(draft)) for row, draft in drafted]
            readings = iter(gather(logits, list(chain.from_iterable(wanted))))
            done = set()
            for row, draft in drafted:
                found = list(islice(readings, 1 + len(draft)))
                used, finish = row.sequence.follow(draft, found)
                row.own += used - 1
                self._speculation.learn(row.sequence, len(draft), used - 1)
                if finish is not None:
                    next_id = None if finish == "cut" else found[used - 1][0]
                    self._finish(row, row.sequence.partial.freeze(finish, next_id))
                    done.add(row)
            self._remove(done)
        return bool(self._rows or self._waiting)

    @torch.inference_mode()
    def _cancel_running(self, ticket: int) -> None:
        for row in self._rows:
            if row.sequence.ticket == ticket:
                self._prefill.remove(row)
                self._finish(row, row.sequence.partial.freeze("cancelled", None))
                self._remove({row})
                return

    def progress(self, ticket: int) -> tuple[int, ...]:
        """Ids appended so far; empty for a request that is not running."""
        for row in self._rows:
            if row.sequence.ticket == ticket:
                return tuple(row.sequence.partial.token_ids)
        return ()

    def forget(self) -> None:
        """Let go of all that was computed and written before; nothing may be running.

        What is asked next is computed as by a new engine, whose memory and products this one has.

        Raises:
            RuntimeError: something is running, or waits.
        """
        if self._rows or self._waiting:
            raise RuntimeError("requests are running; step until nothing does")
        self._prefill.drop_all()
        self._memory.tree.clear()
        self._speculation = Speculation(self._speculation.size)

    def _admit(self) -> None:
        """Give waiting sequences a row, starting from the longest known prefix."""
        if not self._rows:
            self._prefill.drop_all()
            if self._runner.refresh():
                self._memory.tree.clear()
        budget = self._prefill_tokens - self._prefill.tokens
        while self._waiting and len(self._rows) < self._max_rows and budget > 0:
            others = [item.generation for item in islice(self._waiting, 1, self._max_rows)]
            placed = self._memory.place(self._waiting[0], self._rows, others)
            if placed is None:
                return
            row, node = placed
            self._waiting.popleft()
            self._rows.append(row)
            self._prefill.add(row, node)
            self._shared = None
            budget = self._prefill_tokens - self._prefill.tokens

    def _finish(self, row: Row, draft: Draft) -> None:
        """Hand the draft over and leave what was computed in the tree."""
        self._finished.append((row.sequence.ticket, draft))
        self._speculation.finish(row.sequence, draft.next_id)
        self._memory.keep(row, self._rows)

    def _remove(self, done: set[Row]) -> None:
        """Take rows out of the batch."""
        if done:
            self._rows = compact(self._memory.rows, self._rows, done)
            self._shared = None


def _default_limit(shape: KeyValueShape) -> int:
    """`cache_bytes` where none is given."""
    most = _DEFAULT_LIMIT
    if shape.device.type == "cuda":
        most = torch.cuda.mem_get_info(shape.device)[0] // 2
    return min(most, _DEFAULT_POSITIONS * shape.bytes_per_position)
