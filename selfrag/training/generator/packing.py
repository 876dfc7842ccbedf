"""Batches of encoded rows: which rows go together, and what the model is told of them.

A batch is a table of sequences. Where rows are grouped, a sequence is one row, padded on the right;
where they are packed, the batch is one sequence of rows that do not see each other. One rule says
what is seen in a tree, among packed rows and in padding: a token sees those before it that it is
not behind the end of (`encoding.EncodedRow.ends`). This module knows nothing of text and models.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import count, islice
from random import Random

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.utils.data import Sampler

from selfrag.training.generator.encoding import EncodedRow
from selfrag.training.masking import IGNORED

POOL = 1024
"""Rows whose lengths are compared; a larger pool makes batches of one kind follow each other."""


def attention_mask(ends: Tensor, dtype: torch.dtype = torch.float32) -> Tensor:
    """What each token sees, to be added to attention scores.

    ends: (rows, length), see `EncodedRow`. Returns (rows, 1, length, length): 0 where token i (next
    to last axis) sees token j, the lowest number of `dtype` elsewhere.
    """
    places = torch.arange(ends.shape[1], device=ends.device)
    seen = (places[None, None, :] <= places[None, :, None]) & (
        places[None, :, None] <= ends[:, None, :]
    )
    mask = torch.zeros(seen.shape, dtype=dtype, device=ends.device)
    return mask.masked_fill_(~seen, torch.finfo(dtype).min)[:, None]


def positions(before: Tensor) -> Tensor:
    """The number of tokens that each token sees before itself: its place in its own path.

    before: (rows, length), see `EncodedRow`; padding has -1 and so position 0.
    """
    table = before.cpu().numpy()
    result = np.zeros_like(table)
    for row, line in zip(result, table, strict=True):
        follows = line == np.arange(-1, len(line) - 1)
        follows[0] = False
        starts = np.flatnonzero(~follows)
        lengths = np.diff(starts, append=len(line))
        for start, length in zip(starts.tolist(), lengths.tolist(), strict=True):
            parent = line[start]
            first = row[parent] + 1 if parent >= 0 else 0
            row[start : start + length] = np.arange(first, first + length)
    return torch.from_numpy(result).to(before.device)


def joined(rows: Sequence[EncodedRow]) -> EncodedRow:
    """Rows one after the other; none sees another."""
    starts = np.cumsum([0, *(len(row) for row in rows[:-1])])
    return EncodedRow(
        np.concatenate([row.ids for row in rows]),
        np.concatenate([row.labels for row in rows]),
        np.concatenate([row.ends + start for row, start in zip(rows, starts, strict=True)]).astype(
            np.int32
        ),
        np.concatenate(
            [
                np.where(row.before < 0, -1, row.before + start)
                for row, start in zip(rows, starts, strict=True)
            ]
        ).astype(np.int32),
    )


def padded(rows: Sequence[EncodedRow], pad_id: int, multiple: int = 8) -> dict[str, Tensor]:
    """Rows as tensors (rows, length) of int64: input_ids, labels, ends, before, position_ids.

    The length is that of the longest row, rounded up to the `multiple`. Padding sees padding.
    """
    length = -(-max(len(row) for row in rows) // multiple) * multiple
    fills = {"input_ids": pad_id, "labels": IGNORED, "ends": length - 1, "before": -1}
    tables = {name: np.full((len(rows), length), fill, np.int64) for name, fill in fills.items()}
    for index, row in enumerate(rows):
        values = (row.ids, row.labels, row.ends, row.before)
        for table, value in zip(tables.values(), values, strict=True):
            table[index, : len(row)] = value
    batch = {name: torch.from_numpy(table) for name, table in tables.items()}
    batch["position_ids"] = positions(batch["before"])
    return batch


class TokenBatches(Sampler[list[int]]):
    """Endless batches of row numbers, of about `tokens` tokens each, padding included.

    Each epoch has every row once, in an order of its own that `seed` decides. Rows of similar
    length go together where they are padded; where they are packed, they fill `tokens` as well as
    they can. A longer row stands alone. With several processes each takes its share of the batches.
    """

    def __init__(
        self,
        lengths: NDArray[np.int64],
        tokens: int,
        *,
        packed: bool,
        seed: int,
        rank: int = 0,
        processes: int = 1,
    ) -> None:
        self.lengths, self.tokens, self.packed, self.seed = lengths, tokens, packed, seed
        self.rank, self.processes = rank, processes

    def epoch(self, number: int) -> list[list[int]]:
        """The batches of one epoch, for all processes."""
        order = np.random.default_rng((self.seed, number)).permutation(len(self.lengths))
        batches: list[list[int]] = []
        for start in range(0, len(order), POOL):
            pool = order[start : start + POOL]
            pool = pool[np.argsort(self.lengths[pool], kind="stable")]
            cut = self._filled(pool[::-1]) if self.packed else self._grouped(pool)
            Random(self.seed * 1_000_003 + number * 1009 + start).shuffle(cut)
            batches.extend(cut)
        return batches

    def steps(self, epochs: int, accumulate: int) -> int:
        """Optimiser steps that the epochs take; the last one is filled up with further rows."""
        total = sum(len(self.epoch(number)) for number in range(epochs))
        return -(-total // (self.processes * accumulate))

    def __iter__(self) -> Iterator[list[int]]:
        every = (batch for number in count() for batch in self.epoch(number))
        return islice(every, self.rank, None, self.processes)

    def _grouped(self, pool: NDArray[np.int64]) -> list[list[int]]:
        """Neighbours in length, which is that of the last, times their number."""
        batches: list[list[int]] = []
        for row in pool.tolist():
            if not batches or (len(batches[-1]) + 1) * int(self.lengths[row]) > self.tokens:
                batches.append([])
            batches[-1].append(row)
        return batches

    def _filled(self, pool: NDArray[np.int64]) -> list[list[int]]:
        """First fit, the longest first."""
        batches: list[list[int]] = []
        rooms: list[int] = []
        for row in pool.tolist():
            length = int(self.lengths[row])
            place = next((i for i, room in enumerate(rooms) if room >= length), None)
            if place is None:
                place = len(batches)
                batches.append([])
                rooms.append(self.tokens)
            batches[place].append(row)
            rooms[place] -= length
        return batches
