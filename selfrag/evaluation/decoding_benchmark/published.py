"""The published procedure's decoding: every prompt prefilled whole, a large table for each token.

The scripts ask vLLM for the 5,000 (short form) or 32,000 (long form) most probable tokens at every
position, which become one Python dict for each token, of which 13 entries at three positions are
read. They answer one question at a time, with one call for its passages. What is decoded, and to
where, is `selfrag.controller.released_short` and `released_long`.

Two engines: vLLM as the scripts use it, and the same on transformers where vLLM is missing.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from importlib import import_module
from pathlib import Path
from typing import Any

from torch import Tensor

from decoding.generation import Draft, Generation, Watch
from decoding.sequence import RunningSequence, check_fits
from selfrag.evaluation.decoding_benchmark.generating import GenerateBackend, Reading

SHORT_TABLE, LONG_TABLE = 5_000, 32_000
"""`logprobs=` of run_short_form.py (L92) and of run_long_form_static.py."""

CACHE_BYTES = 2**30
"""Keys and values of ten continuations with a prompt each."""


class PublishedOnTransformers(GenerateBackend):
    """transformers' `generate` with the scripts' tables.

    Args:
        model: any causal model of transformers.
        fingerprint: names weights, tokenizer and dtype.
        table: entries of a position's table; the whole vocabulary where it is smaller.
        rows: prompts of one call, the script's `--ndocs`.
    """

    def __init__(self, model: Any, *, fingerprint: str, table: int, rows: int) -> None:
        super().__init__(model, fingerprint=fingerprint, rows=rows)
        self._table = table
        self._kept: list[dict[int, float]] = []

    def step(self) -> bool:
        """Answer everything that waits; tables are kept until the call is over, as vLLM does."""
        super().step()
        self._kept.clear()
        return False

    def read(self, scores: Tensor, wanted: Sequence[tuple[int, ...]]) -> list[Reading]:
        """A table for every row; an id that it lacks has the log-probability -inf."""
        size = min(self._table, scores.shape[-1])
        found = scores.log_softmax(dim=-1).topk(size)
        rows = zip(found.indices.cpu().tolist(), found.values.cpu().tolist(), strict=True)
        tables = [dict(zip(ids, values, strict=True)) for ids, values in rows]
        self._kept += tables
        return [_reading(table, ids) for table, ids in zip(tables, wanted, strict=True)]

    def _batches(self, waiting: list[RunningSequence]) -> list[list[RunningSequence]]:
        """In the order of the questions: a call for the passages of one parent."""
        return [waiting[at : at + self._rows] for at in range(0, len(waiting), self._rows)]


class PublishedOnVllm:
    """vLLM as the scripts use it: no prefix cache, `logprobs=` of thousands.

    Args:
        folder: checkpoint in the Hugging Face format.
        fingerprint: names weights, tokenizer and dtype.
        table: entries of a position's table; the whole vocabulary where it is smaller.
        rows: prompts of one call.
        dtype: as vLLM calls it.
        eager: without compiled kernels.

    `table` and `rows` may be changed while nothing waits.

    Raises:
        ImportError: vLLM is not installed.
    """

    def __init__(
        self,
        folder: Path,
        *,
        fingerprint: str,
        table: int,
        rows: int,
        dtype: str = "float32",
        eager: bool = False,
    ) -> None:
        self.fingerprint = fingerprint
        self.table, self.rows = table, rows
        vllm: Any = import_module("vllm")
        self._sampling = vllm.SamplingParams
        self._engine: Any = vllm.LLM(
            model=str(folder),
            dtype=dtype,
            max_logprobs=-1,
            enable_prefix_caching=False,
            enforce_eager=eager,
            kv_cache_memory_bytes=CACHE_BYTES,
            disable_log_stats=True,
            use_tqdm_on_load=False,
        )
        self.context_limit = int(self._engine.llm_engine.model_config.max_model_len)
        self._vocabulary = int(self._engine.llm_engine.model_config.get_vocab_size())
        self._waiting: list[RunningSequence] = []
        self._finished: list[tuple[int, Draft]] = []
        self._tickets = 0

    def submit(self, generation: Generation, watch: Watch | None = None) -> int:
        """Queue a request."""
        check_fits(generation, self.context_limit)
        self._tickets += 1
        self._waiting.append(RunningSequence(self._tickets, generation, watch))
        return self._tickets

    def step(self) -> bool:
        """Answer everything that waits, one call for the passages of one parent."""
        waiting, self._waiting = self._waiting, []
        for at in range(0, len(waiting), self.rows):
            self._generate(waiting[at : at + self.rows])
        return False

    def poll(self) -> list[tuple[int, Draft]]:
        """Finished drafts since the last poll."""
        finished, self._finished = self._finished, []
        return finished

    def close(self) -> None:
        """End vLLM's worker, and free its memory."""
        self._engine.llm_engine.engine_core.shutdown()

    def cancel(self, ticket: int) -> None:
        """A call cannot be interrupted."""

    def progress(self, ticket: int) -> tuple[int, ...]:
        """Nothing is known of a call until it returns."""
        return ()

    def _generate(self, sequences: list[RunningSequence]) -> None:
        prompts = [{"prompt_token_ids": list(s.generation.prompt_ids)} for s in sequences]
        settings = [
            self._sampling(
                temperature=0.0,
                max_tokens=max(1, sequence.generation.max_tokens),
                logprobs=min(self.table, self._vocabulary),
                stop_token_ids=sorted(sequence.generation.stop_ids),
                skip_special_tokens=False,
            )
            for sequence in sequences
        ]
        outputs = self._engine.generate(prompts, settings, use_tqdm=False)
        for sequence, output in zip(sequences, outputs, strict=True):
            tables = [
                {token: entry.logprob for token, entry in position.items()}
                for position in output.outputs[0].logprobs
            ]
            written = tuple(output.outputs[0].token_ids)
            self._finished.append((sequence.ticket, draft_from_tables(sequence, written, tables)))


def draft_from_tables(
    sequence: RunningSequence, written: Sequence[int], tables: Sequence[dict[int, float]]
) -> Draft:
    """The draft that an output with its tables amounts to.

    Args:
        sequence: the request, not yet advanced.
        written: ids of the output, a written end of text included.
        tables: one for each written id.
    """
    for token, table in zip(written, tables, strict=True):
        values = tuple(table.get(i, -math.inf) for i in sequence.wanted_ids)
        finish = sequence.advance(token, table[token], values)
        if finish is not None:
            return sequence.partial.freeze(finish, token)
    return sequence.partial.freeze("limit", None)


def _reading(table: dict[int, float], wanted: tuple[int, ...]) -> Reading:
    """The most probable entry, which a sorted table has first, and the wanted ones."""
    best = next(iter(table))
    return best, table[best], tuple(table.get(token, -math.inf) for token in wanted)
