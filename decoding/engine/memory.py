"""One limit for everything the engine keeps: kept prefixes and running rows together.

A request that could never fit is refused when it is submitted. One that does not fit now waits
until rows have finished; prefixes that nobody needs give way, least recently used first.
"""

from __future__ import annotations

from collections.abc import Sequence

from decoding.engine.batch import Row
from decoding.engine.keyvalues import KeyValueShape, RowCache
from decoding.engine.prefixes import PrefixNode, PrefixTree, common_prefix
from decoding.engine.sequence import RunningSequence
from decoding.errors import CacheTooSmall
from decoding.generation import Generation

SHARING_BYTES = 2 * 2**20
"""A prefix is read by reference where that saves reading this much in each layer of each step.

A further stretch costs one attention call and one merge in every layer. Measured on one core, with
a model of 4 layers and width 256 and 10 rows over 100 shared positions (1.8 MB a layer): reading by
reference and from copies took the same time, within the noise.
"""

_STEP = 32
"""Rows hold a multiple of this many positions."""

_WORTH_JOINING = 8
"""A common beginning of waiting prompts at least this long is computed once for all of them."""


class CacheMemory:
    """The prefix tree and the rows' own cache under one limit.

    Args:
        shape: what a position is made of.
        limit: bytes for both together.
        max_rows: rows that may run at the same time.
    """

    def __init__(self, shape: KeyValueShape, limit: int, max_rows: int) -> None:
        self.tree = PrefixTree(shape)
        self.rows = RowCache(shape)
        self.limit = limit
        self._shape = shape
        self._max_rows = max_rows

    @property
    def bytes(self) -> int:
        """Memory held."""
        return self.tree.bytes + self.rows.bytes

    def check(self, generation: Generation) -> None:
        """Refuse a request whose own keys and values exceed the limit."""
        positions = len(generation.prompt_ids) + generation.max_tokens
        needed = self.rows.bytes_of(1, _rounded(positions))
        if needed > self.limit:
            raise CacheTooSmall(
                f"A request of {positions} positions needs {needed:,} bytes of keys and values; "
                f"the limit is {self.limit:,}.",
                "Give the engine more cache_bytes, shorten the prompt or ask for fewer tokens.",
            )

    def place(
        self,
        sequence: RunningSequence,
        running: Sequence[Row],
        waiting: Sequence[Generation],
    ) -> tuple[Row, PrefixNode | None] | None:
        """A row for `sequence`, or None while there is no room.

        With the row comes a new node for the beginning that it has in common with requests that
        wait and that nobody has computed yet; the caller computes it before the row.
        """
        generation = sequence.generation
        ids, total = generation.prompt_ids, len(generation.prompt_ids) + generation.max_tokens
        node, matched = self.tree.match(ids, len(ids) - 1)
        self.tree.acquire(node)
        common = [_common(ids, other.prompt_ids) for other in waiting]
        joint = max(common, default=0)
        joint = joint if joint - matched >= _WORTH_JOINING else matched
        shared = matched if joint > matched else _worth_sharing(node, running, common, self._shape)
        for planned, start in ((joint, shared), (matched, shared), (matched, matched)):
            extra = (planned - matched) * self._shape.bytes_per_position
            own = total - max(planned if planned > matched else start, start)
            if self._reserve(own, extra, running, node, len(waiting)):
                return self._row(sequence, node, matched, planned, start, len(running))
        self.tree.release(node)
        if running:
            return None
        self.tree.evict(self.tree.bytes)
        assert self._reserve(total, 0, running, self.tree.root, 0), "checked when submitted"
        self.tree.acquire(self.tree.root)
        return self._row(sequence, self.tree.root, 0, 0, 0, 0)

    def keep(self, row: Row, running: Sequence[Row]) -> None:
        """Leave in the tree what a row has computed, where there is room, and let go of it."""
        sequence, tree = row.sequence, self.tree
        ids = tuple(sequence.ids[: row.computed])
        node, known = tree.match(ids, len(ids))
        needed = (len(ids) - known) * self._shape.bytes_per_position
        if needed:
            tree.acquire(node)
            if self._make_room(needed, running, node):
                child = tree.extend(node, ids[known:])
                assert child.block is not None
                own = self.rows.stretch(row.index, known - row.shared, row.own)
                child.block.keys.copy_(own.keys)
                child.block.values.copy_(own.values)
                child.block.ready = True
            tree.release(node)
        tree.release(row.node)

    def _row(
        self,
        sequence: RunningSequence,
        node: PrefixNode,
        matched: int,
        planned: int,
        shared: int,
        index: int,
    ) -> tuple[Row, PrefixNode | None]:
        """Make the row: a planned node below `node`, or a copy of what is not shared."""
        if planned > matched:
            child = self.tree.extend(node, sequence.generation.prompt_ids[matched:planned])
            self.tree.acquire(child)
            self.tree.release(node)
            return Row(sequence, child, planned, planned, 0, index), child
        row = Row(sequence, node, matched, shared, 0, index)
        begin = 0
        for link in node.chain():
            if begin >= shared:
                home = self.rows.stretch(index, begin - shared, begin - shared + len(link.ids))
                home.keys.copy_(link.stretch().keys)
                home.values.copy_(link.stretch().values)
            begin += len(link.ids)
        row.own = matched - shared
        return row, None

    def _reserve(
        self, own: int, extra: int, running: Sequence[Row], node: PrefixNode, wanted: int
    ) -> bool:
        """Make room for one more row of `own` positions and `extra` bytes in the tree.

        `wanted` is how many more rows would come if they could.
        """
        count, cache = len(running) + 1, self.rows
        if count <= cache.rows and own <= cache.capacity:
            return self._make_room(extra, running, node)
        capacity = _rounded(max(own, cache.capacity if running else 0))
        held = cache.bytes if running else 0
        for rows in self._row_counts(count, capacity, wanted):
            growth = cache.bytes_of(rows, capacity) + held - cache.bytes
            if self._make_room(growth + extra, running, node):
                cache.resize(rows, capacity, len(running))
                return True
        return False

    def _row_counts(self, count: int, capacity: int, wanted: int) -> list[int]:
        """Numbers of rows to try: generous within 3/4 of the limit, then just enough.

        Where that much holds a single row, rows come before kept prefixes.
        """
        held, each = self.rows.rows, self.rows.bytes_of(1, capacity)
        more = max(count + wanted, 2 * held) if count > held else held
        rows = min(self._max_rows, more, self.limit * 3 // 4 // each)
        if rows <= count == 1:
            rows = min(self._max_rows, more, self.limit // each)
        return [rows, count] if rows > count else [count]

    def _make_room(self, needed: int, running: Sequence[Row], node: PrefixNode) -> bool:
        """Evict until `needed` more bytes fit; nothing is evicted where that cannot be."""
        missing = self.bytes + needed - self.limit
        if missing <= 0:
            return True
        held = {link.block for row in running for link in row.node.chain()}
        held.update(link.block for link in node.chain())
        if missing > self.tree.bytes - sum(block.bytes for block in held if block is not None):
            return False
        return self.tree.evict(missing)


def _worth_sharing(
    node: PrefixNode,
    running: Sequence[Row],
    common: Sequence[int],
    shape: KeyValueShape,
) -> int:
    """How much of a known prefix to read by reference rather than from a copy in the row.

    Down to the deepest node that enough rows read, running ones that do so by reference and
    waiting ones that begin alike; what is still to be computed can only be read by reference.
    """
    readers: dict[PrefixNode, int] = {}
    for row in running:
        for link in row.shared_nodes():
            readers[link] = readers.get(link, 0) + 1
    shared = length = 0
    for link in node.chain():
        length += len(link.ids)
        others = readers.get(link, 0) + sum(1 for other in common if other >= length)
        assert link.block is not None
        if others * len(link.ids) * shape.bytes_per_layer >= SHARING_BYTES or not link.block.ready:
            shared = length
    return shared


def _common(ids: tuple[int, ...], other: tuple[int, ...]) -> int:
    """Positions that two prompts can share: each needs its last id for itself."""
    if ids[0] != other[0]:
        return 0
    return common_prefix(ids[: len(ids) - 1], other[: len(other) - 1])


def _rounded(positions: int) -> int:
    return -(-positions // _STEP) * _STEP
