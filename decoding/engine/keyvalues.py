"""Keys and values of a model: their shape, a stretch of positions, and the rows of a batch.

Nothing here knows token ids or what is attended to.
"""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass
from typing import Any, NamedTuple

import torch
from torch import Tensor

from decoding.engine.reserve import Reserve


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

    def rows(self, rows: int, length: int) -> tuple[int, ...]:
        """`[layers, rows, heads, length, head_size]`."""
        return (self.layers, rows, self.heads, length, self.head_size)


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
    `resize` and `give_back` only, which the engine calls when a row is admitted.

    Args:
        shape: what a position is made of.
        most: bytes that it will never exceed. On the CPU it has address space for them from the
            beginning, grows where it lies and keeps what it took until `give_back`.
    """

    def __init__(self, shape: KeyValueShape, most: int) -> None:
        self._shape = shape
        self._reserves: list[Reserve] = []
        self._held = 0
        if shape.device.type == "cpu":
            with suppress(OSError):
                self._reserves = [Reserve(max(1, most // 2)) for _ in range(2)]
        self.keys, self.values = self._made(0, 0, 0), self._made(1, 0, 0)

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
        """Memory held, with what is kept for later."""
        return max(self._held, self._used)

    @property
    def spare(self) -> int:
        """Memory that is kept for later: `give_back` frees as much."""
        return self.bytes - self._used

    def bytes_of(self, rows: int, capacity: int) -> int:
        """Memory that `rows` rows of `capacity` positions take."""
        return rows * capacity * self._shape.bytes_per_position

    def bytes_while_resized(self, rows: int, capacity: int, used: int) -> int:
        """The most memory that `resize` holds at any time."""
        new = self.bytes_of(rows, capacity)
        if self._reserves:
            layer = min(new, self._used) // (2 * self._shape.layers) if used else 0
            return max(self.bytes, new) + layer
        return max(self._used + new // 2, self._used // 2 + new) if used else new

    def resize(self, rows: int, capacity: int, used: int, kept: int) -> None:
        """Hold `rows` rows of `capacity` positions, keeping `kept` ones of the first `used` rows.

        What the other places hold is anything that was ever written, or zeros.
        """
        if not used and not self._reserves:
            self.keys = self.values = self._made(0, 0, 0)
        for place, name in enumerate(("keys", "values")):
            old, new = getattr(self, name), self._made(place, rows, capacity)
            # In one place, no layer may be written over before it was read.
            layers = range(self._shape.layers)
            for layer in layers if new.stride(0) <= old.stride(0) else reversed(layers):
                if used:
                    new[layer, :used, :, :kept] = old[layer, :used, :, :kept].clone()
            setattr(self, name, new)
        if self._reserves:
            self._held = max(self._held, self._used)

    def give_back(self) -> None:
        """Free what is kept for later."""
        if self.spare:
            for reserve in self._reserves:
                reserve.give_back(self.keys.nbytes)
            self._held = 0

    @property
    def _used(self) -> int:
        return self.keys.nbytes + self.values.nbytes

    def _made(self, place: int, rows: int, capacity: int) -> Tensor:
        """Keys (0) or values (1) for so many rows."""
        shape = self._shape.rows(rows, capacity)
        if self._reserves:
            return self._reserves[place].view(shape, self._shape.dtype)
        return torch.zeros(shape, dtype=self._shape.dtype, device=self._shape.device)

    def move(self, source: int, target: int, length: int) -> None:
        """Copy the first `length` positions of row `source` over row `target`."""
        self.keys[:, target, :, :length] = self.keys[:, source, :, :length]
        self.values[:, target, :, :length] = self.values[:, source, :, :length]

    def stretch(self, row: int, start: int, stop: int) -> Stretch:
        """A view of positions of one row."""
        return Stretch(self.keys[:, row, :, start:stop], self.values[:, row, :, start:stop])
