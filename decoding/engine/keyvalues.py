"""Keys and values of a model: their shape, a stretch of positions, and the rows of a batch.

Nothing here knows token ids or what is attended to.
"""

from __future__ import annotations

import mmap
from dataclasses import dataclass
from math import prod
from typing import Any, NamedTuple

import torch
from torch import Tensor


@dataclass(frozen=True, slots=True)
class KeyValueShape:
    """What one position of a model's cache is made of."""

    layers: int
    heads: int
    head_size: int
    dtype: torch.dtype
    device: torch.device

    @classmethod
    def of_model(cls, model: Any) -> KeyValueShape:
        """Read from a Llama's configuration and the place and type of its embedding."""
        config = model.config
        size = getattr(config, "head_dim", None) or (
            config.hidden_size // config.num_attention_heads
        )
        weight = model.model.embed_tokens.weight
        heads = config.num_key_value_heads
        return cls(config.num_hidden_layers, heads, size, weight.dtype, weight.device)

    @property
    def bytes_per_layer(self) -> int:
        """Memory of the key and value of one position in one layer."""
        return 2 * self.heads * self.head_size * self.dtype.itemsize

    @property
    def bytes_per_position(self) -> int:
        """Memory of the keys and values of one position."""
        return self.layers * self.bytes_per_layer

    def empty(self, length: int) -> Tensor:
        """Memory with anything in it, `[layers, heads, length, head_size]`."""
        shape = (self.layers, self.heads, length, self.head_size)
        return torch.empty(shape, dtype=self.dtype, device=self.device)

    def zeros(self, rows: int, length: int) -> Tensor:
        """`[layers, rows, heads, length, head_size]`; the CPU's is taken when it is written to."""
        shape = (self.layers, rows, self.heads, length, self.head_size)
        size = prod(shape) * self.dtype.itemsize
        if self.device.type != "cpu" or not size or not hasattr(mmap, "MAP_PRIVATE"):
            return torch.zeros(shape, dtype=self.dtype, device=self.device)
        memory = mmap.mmap(-1, size, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS)
        return torch.frombuffer(memory, dtype=self.dtype).view(shape)


class Stretch(NamedTuple):
    """Keys and values of neighbouring positions, `[layers, heads, length, head_size]` each."""

    keys: Tensor
    values: Tensor

    @property
    def length(self) -> int:
        """Number of positions."""
        return int(self.keys.shape[2])


class RowCache:
    """What each running row holds for itself, `[layers, rows, heads, capacity, head_size]`.

    Rows `0..n-1` are in use, without gaps, so a decode step reads a view. Memory changes hands in
    `resize` only, which the engine calls when a row is admitted.
    """

    def __init__(self, shape: KeyValueShape) -> None:
        self._shape = shape
        self.keys = self.values = shape.zeros(0, 0)

    @property
    def rows(self) -> int:
        """Rows that there is room for."""
        return int(self.keys.shape[1])

    @property
    def capacity(self) -> int:
        """Positions that there is room for in each row."""
        return int(self.keys.shape[3])

    @property
    def bytes(self) -> int:
        """Memory held."""
        return self.keys.nbytes + self.values.nbytes

    def bytes_of(self, rows: int, capacity: int) -> int:
        """Memory that `resize(rows, capacity)` would hold."""
        return rows * capacity * self._shape.bytes_per_position

    def bytes_while_resized(self, rows: int, capacity: int, used: int) -> int:
        """The most memory that `resize` holds at any time."""
        new = self.bytes_of(rows, capacity)
        return max(self.bytes + new // 2, self.bytes // 2 + new) if used else new

    def resize(self, rows: int, capacity: int, used: int, kept: int) -> None:
        """Hold `rows` rows of `capacity` positions, keeping `kept` ones of the first `used` rows.

        With `used` 0 the old memory is given back before the new is taken; otherwise keys are
        copied first, then values.
        """
        if not used:
            self.keys = self.values = self._shape.zeros(0, 0)
        for name in ("keys", "values"):
            new = self._shape.zeros(rows, capacity)
            if used:
                new[:, :used, :, :kept] = getattr(self, name)[:, :used, :, :kept]
            setattr(self, name, new)

    def move(self, source: int, target: int, length: int) -> None:
        """Copy the first `length` positions of row `source` over row `target`."""
        self.keys[:, target, :, :length] = self.keys[:, source, :, :length]
        self.values[:, target, :, :length] = self.values[:, source, :, :length]

    def stretch(self, row: int, start: int, stop: int) -> Stretch:
        """A view of positions of one row."""
        return Stretch(self.keys[:, row, :, start:stop], self.values[:, row, :, start:stop])
