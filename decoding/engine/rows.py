"""The running rows' part of a pass: their new tokens, where these are kept, what they attend to.

A row has one new token, or several of which the first is known to belong to its text and the others
are guesses. What the tokens are and what becomes of them is not known here.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import accumulate

import torch
from torch import Tensor

from decoding.engine.attention import Part, attend_all, attend_own, merge_into, taken
from decoding.engine.keyvalues import RowCache, Stretch


@dataclass(frozen=True, slots=True)
class Shared:
    """A prefix that some rows of a pass, or texts, read together.

    Attributes:
        stretches: its positions, wherever they lie, in the order of the text.
        rows: who reads it.
    """

    stretches: Sequence[Stretch]
    rows: slice | Tensor


@dataclass(frozen=True, slots=True)
class Running:
    """New tokens of the rows `0..n-1` of a cache, row after row: one for each, or more.

    Attributes:
        ids: the new tokens.
        positions: the position of each in its row's text.
        own: the place of each in its row's own cache.
        shared: what rows see besides.
        widths: how many tokens each row has; () is one for each.
    """

    cache: RowCache
    ids: Sequence[int]
    positions: Sequence[int]
    own: Sequence[int]
    shared: Sequence[Shared] = ()
    widths: Sequence[int] = ()


class Layout:
    """Which row each token of a pass belongs to, where rows have several.

    Args:
        widths: tokens of each row, one at least.
        device: where the pass is computed.
    """

    def __init__(self, widths: Sequence[int], device: torch.device) -> None:
        self.starts = [0, *accumulate(widths)]
        self.count, self.width = len(widths), max(widths)
        counts = torch.tensor(widths, device=device)
        self.rows = torch.arange(self.count, device=device).repeat_interleave(counts)
        self._columns: Tensor | None = None
        if min(widths) < self.width:
            starts = torch.tensor(self.starts[:-1], device=device)
            column = torch.arange(self.width, device=device)
            self._columns = starts[:, None] + column.clamp(max=counts[:, None] - 1)
            own = torch.arange(self.starts[-1], device=device) - starts[self.rows]
            self._places = self.rows * self.width + own

    def spread(self, tokens: Tensor) -> Tensor:
        """`[tokens, ...]` to `[rows * width, ...]`: short rows repeat their last token."""
        return tokens if self._columns is None else taken(tokens, self._columns.flatten())

    def gathered(self, part: Part) -> Part:
        """Attention of the tokens alone."""
        if self._columns is None:
            return part
        return Part(taken(part.output, self._places), taken(part.log_sum, self._places))


def tokens_of(starts: Sequence[int], rows: slice | Tensor, device: torch.device) -> slice | Tensor:
    """Places of some rows' tokens, where row `i` begins at `starts[i]` and ends at the next."""
    if isinstance(rows, slice):
        return slice(starts[rows.start], starts[rows.stop])
    found = [range(starts[row], starts[row + 1]) for row in rows.tolist()]
    return torch.tensor([token for tokens in found for token in tokens], device=device)


class RowsPass:
    """The running rows' part of a pass: what does not change from layer to layer.

    Args:
        cache: what the rows hold themselves.
        own: `[tokens]`, the place of each new token in its row's part of the cache.
        span: places that are read; no new token lies behind them.
        hidden: `[tokens, span]`, see `attend_own`; with a layout, spread by it.
        shared: what tokens see besides; places in the flat sequence in the place of rows.
        layout: which row each token belongs to; None where token i is that of row i.
    """

    def __init__(
        self,
        cache: RowCache,
        own: Tensor,
        span: int,
        hidden: Tensor | None,
        shared: Sequence[Shared] = (),
        layout: Layout | None = None,
    ) -> None:
        self.count = own.shape[0]
        self._cache, self._own, self._span = cache, own, span
        self._hidden, self._shared, self._layout = hidden, shared, layout
        if layout is None:
            self._held, self._rows = self.count, torch.arange(self.count, device=own.device)
        else:
            self._held, self._rows = layout.count, layout.rows

    @classmethod
    def of(cls, running: Running, place: Tensor) -> RowsPass:
        """Bring a decode step to where the tensor `place` is, in its type."""
        own, span = torch.tensor(running.own, device=place.device), max(running.own) + 1
        level = min(running.own) == max(running.own)
        hidden = None if level else beyond(own, span, place.dtype)
        if not running.widths:
            return cls(running.cache, own, span, hidden, running.shared)
        layout = Layout(running.widths, place.device)
        hidden = None if hidden is None else layout.spread(hidden)
        shared = [
            Shared(item.stretches, tokens_of(layout.starts, item.rows, place.device))
            for item in running.shared
        ]
        return cls(running.cache, own, span, hidden, shared, layout)

    def write(self, layer: int, key: Tensor, value: Tensor) -> None:
        """Put the new positions, `[tokens, key_value_heads, head_size]`, into the cache."""
        self._cache.keys[layer][self._rows, :, self._own] = key
        self._cache.values[layer][self._rows, :, self._own] = value

    def attend(self, layer: int, query: Tensor, scale: float) -> Tensor:
        """`[tokens, heads, head_size]`, over the rows' own positions and what they share."""
        keys = self._cache.keys[layer][: self._held, :, : self._span]
        values = self._cache.values[layer][: self._held, :, : self._span]
        layout = self._layout
        if layout is None:
            whole = attend_own(query, keys, values, self._hidden, scale)
        else:
            asked = layout.spread(query)
            whole = layout.gathered(attend_own(asked, keys, values, self._hidden, scale))
        for shared in self._shared:
            for stretch in shared.stretches:
                keys, values = stretch.keys[layer], stretch.values[layer]
                part = attend_all(taken(query, shared.rows), keys, values, scale)
                merge_into(whole, shared.rows, part)
        return whole.output


def beyond(own: Tensor, span: int, dtype: torch.dtype) -> Tensor:
    """`[tokens, span]`: 0 up to each new token's place and -inf behind it."""
    later = torch.arange(span, device=own.device) > own[:, None]
    return torch.zeros(later.shape, dtype=dtype, device=own.device).masked_fill_(
        later, float("-inf")
    )
