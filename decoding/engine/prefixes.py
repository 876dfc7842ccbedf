"""Key/value caches of finished rows, found again by their token ids.

A new sequence starts from the longest cached prefix of its prompt, so an instruction or a parent
path is computed once, whichever question or branch comes back to it.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Sequence

from torch import Tensor


class PrefixCache:
    """Token ids -> (keys, values), least recently used entries dropped beyond `max_tokens`."""

    def __init__(self, max_tokens: int) -> None:
        self._max_tokens = max_tokens
        self._entries: OrderedDict[tuple[int, ...], tuple[Tensor, Tensor]] = OrderedDict()
        self._tokens = 0

    def put(self, ids: tuple[int, ...], keys: Tensor, values: Tensor) -> None:
        """Keep the cache of `ids`; `keys` and `values` are `[layers, heads, len(ids), size]`."""
        if ids in self._entries or len(ids) > self._max_tokens:
            return
        self._entries[ids] = (keys, values)
        self._tokens += len(ids)
        while self._tokens > self._max_tokens:
            dropped, _ = self._entries.popitem(last=False)
            self._tokens -= len(dropped)

    def longest(self, ids: Sequence[int]) -> tuple[int, Tensor, Tensor] | None:
        """Length, keys and values of the longest cached prefix of `ids`, or None.

        The last id is never served from the cache: its logits are what the caller wants.
        """
        best, best_length = None, 0
        limit = len(ids) - 1
        for entry in self._entries:
            length = common_prefix(entry, ids, limit)
            if length > best_length:
                best, best_length = entry, length
        if best is None:
            return None
        self._entries.move_to_end(best)
        keys, values = self._entries[best]
        return best_length, keys[:, :, :best_length], values[:, :, :best_length]

    def clear(self) -> None:
        """Forget everything."""
        self._entries.clear()
        self._tokens = 0


def common_prefix(left: Sequence[int], right: Sequence[int], limit: int) -> int:
    """Length of the common prefix of two id sequences, at most `limit`."""
    length = min(len(left), len(right), limit)
    for index in range(length):
        if left[index] != right[index]:
            return index
    return length
