"""One limit for everything the engine keeps: kept prefixes and running rows together.

A request that could never fit is refused when it is submitted. One that does not fit now waits
until rows have finished; prefixes that nobody needs give way, least recently used first.
"""

from __future__ import annotations

from collections.abc import Sequence

from decoding.engine.batch import Row
from decoding.engine.keyvalues import KeyValueShape, RowCache
from decoding.engine.prefixes import PrefixNode, PrefixTree, common_prefix
from decoding.errors import CacheTooSmall
from decoding.generation import Generation
from decoding.sequence import RunningSequence

SHARING_BYTES = 4 * 2**20
"""A prefix is read by reference where that saves reading this much in each layer of each step.

A further stretch costs an attention call and a merge in every layer. Measured on two cores with 12
heads of 64: 10, 30 and 60 rows read a common beginning from copies and by reference in the same
time where the copies are 2 to 4, 3 to 7 and 7 MB larger; four times that is half the time.
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
        self.rows = RowCache(shape, limit)
        self.limit = limit
        self._shape = shape
        self._max_rows = max_rows

    @property
    def bytes(self) -> int:
        """Memory held."""
        return self.tree.bytes + self.rows.bytes

    def check(self, generation: Generation) -> None:
        """Refuse a request whose own keys and values exceed the limit."""
        positions = _positions(generation)
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
        ids, total = generation.prompt_ids, _positions(generation)
        node, matched = self.tree.match(ids, len(ids) - 1)
        self.tree.acquire(node)
        common = [_common(ids, other.prompt_ids) for other in waiting]
        joint = max(common, default=0)
        joint = joint if joint - matched >= _WORTH_JOINING else matched
        plans = []
        for planned in sorted({joint, matched}, reverse=True):
            shared = _worth_sharing(node, planned, running, common, self._shape)
            if self._holds(len(running) + 1 + len(waiting), total - shared):
                plans.append((planned, shared))
            plans.append((planned, planned))
        shared = plans[0][1]
        wishes = [
            _positions(other) - (shared if length >= shared else 0)
            for other, length in zip(waiting, common, strict=True)
        ]
        for planned, shared in plans:
            extra = (planned - matched) * self._shape.bytes_per_position
            if self._reserve(total - shared, wishes, extra, running, node):
                return self._row(sequence, node, matched, planned, shared, len(running))
        self.tree.release(node)
        if running:
            return None
        self.tree.evict(self.tree.bytes)
        assert self._reserve(total, (), 0, running, self.tree.root), "checked when submitted"
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
        """Make the row, and the planned node below `node` where there is one."""
        if planned > matched:
            child = self.tree.extend(node, sequence.generation.prompt_ids[matched:planned])
            self.tree.acquire(child)
            self.tree.release(node)
            node = child
        row = Row(sequence, node, planned, shared, planned - shared, index)
        return row, node if planned > matched else None

    def _reserve(
        self,
        own: int,
        wishes: Sequence[int],
        extra: int,
        running: Sequence[Row],
        node: PrefixNode,
    ) -> bool:
        """Make room for one more row of `own` positions and `extra` bytes in the tree.

        `wishes` are the positions of the rows that would come next.
        """
        count, cache = len(running) + 1, self.rows
        if count <= cache.rows and own <= cache.capacity:
            return self._make_room(extra, running, node)
        for rows, positions in self._sizes(len(running), own, wishes):
            if cache.spare and self._more(rows, positions, len(running)) + extra > self._free:
                cache.give_back()
            more = self._more(rows, positions, len(running))
            if self._make_room(more + extra, running, node):
                kept = max((row.own for row in running), default=0)
                cache.resize(rows, positions, len(running), kept)
                return True
        return False

    @property
    def _free(self) -> int:
        """Bytes that the limit leaves."""
        return self.limit - self.bytes

    def _more(self, rows: int, positions: int, used: int) -> int:
        """Bytes that resizing the rows takes beyond what they hold."""
        return self.rows.bytes_while_resized(rows, positions, used) - self.rows.bytes

    def _holds(self, rows: int, positions: int) -> bool:
        """Whether so many rows have room for so much of their own; otherwise they share more."""
        needed = self.rows.bytes_of(min(rows, self._max_rows), _rounded(positions))
        return needed <= self.limit * 3 // 4

    def _sizes(self, running: int, own: int, wishes: Sequence[int]) -> list[tuple[int, int]]:
        """Rows and positions to try: generous within 3/4 of the limit, then just enough.

        What runs is copied, so that neither grows by little. Where 3/4 of the limit hold a single
        row, rows come before kept prefixes.
        """
        count, held = running + 1, self.rows.rows
        old = self.rows.capacity if running else 0
        capacity = widest = _rounded(max(own, old))
        if own > old:
            widest = _rounded(max(own, old * 3 // 2, *wishes))
        generous, each = self.limit * 3 // 4, self.rows.bytes_of(1, capacity)
        least = count if count <= held else min(self._max_rows, max(count, running * 5 // 4))
        more = max(count + len(wishes), 2 * held) if count > held else held
        rows = min(self._max_rows, more, generous // each)
        if rows <= count == 1:
            rows = min(self._max_rows, more, self.limit // each)
        sizes = [(rows, capacity), (least, capacity)] if rows > least else [(least, capacity)]
        if self.rows.bytes_of(sizes[0][0], widest) <= generous:
            sizes.insert(0, (sizes[0][0], widest))
        return sizes

    def _make_room(self, needed: int, running: Sequence[Row], node: PrefixNode) -> bool:
        """Give back and evict until `needed` more bytes fit; nothing is evicted if they cannot."""
        if needed > self._free:
            self.rows.give_back()
        missing = needed - self._free
        if missing <= 0:
            return True
        held = {link.block for row in running for link in row.node.chain()}
        held.update(link.block for link in node.chain())
        if missing > self.tree.bytes - sum(block.bytes for block in held if block is not None):
            return False
        return self.tree.evict(missing)


def _worth_sharing(
    node: PrefixNode,
    planned: int,
    running: Sequence[Row],
    common: Sequence[int],
    shape: KeyValueShape,
) -> int:
    """How much of a prefix to read by reference rather than from a copy in the row.

    Down to the deepest node that enough rows read, running ones that do so by reference and
    waiting ones that begin alike. What lies between the known prefix and `planned` will be a node
    of its own.
    """
    readers: dict[PrefixNode, int] = {}
    for row in running:
        for link in row.shared_nodes():
            readers[link] = readers.get(link, 0) + 1
    shared = length = 0
    stretches = [(len(link.ids), readers.get(link, 0)) for link in node.chain()]
    known = sum(positions for positions, _ in stretches)
    for positions, reading in (*stretches, (planned - known, 0)):
        length += positions
        others = reading + sum(1 for other in common if other >= length)
        if others * positions * shape.bytes_per_layer >= SHARING_BYTES and positions:
            shared = length
    return shared


def _positions(generation: Generation) -> int:
    """Positions of the whole text."""
    return len(generation.prompt_ids) + generation.max_tokens


def _common(ids: tuple[int, ...], other: tuple[int, ...]) -> int:
    """Positions that two prompts can share: each needs its last id for itself."""
    if ids[0] != other[0]:
        return 0
    return common_prefix(ids[: len(ids) - 1], other[: len(other) - 1])


def _rounded(positions: int) -> int:
    return -(-positions // _STEP) * _STEP
