"""The rows that run: what each sees by reference, what it holds itself, and who shares what."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import accumulate

import torch

from decoding.engine.keyvalues import RowCache, Stretch
from decoding.engine.prefixes import Block, PrefixNode
from decoding.engine.rows import Running, Shared
from decoding.sequence import RunningSequence


@dataclass(slots=True, eq=False)
class Row:
    """A running sequence and its cache.

    Attributes:
        sequence: the request and what has been written.
        node: the node of the prefix tree where its known prefix ends; held while it runs.
        matched: positions of that prefix.
        shared: how many of them it reads from the tree; the others have a place in its row.
        own: positions in its row of the cache, from the first of those others on.
        index: its row of the cache.
        settled: whether the others were copied into their place.
        reading: whether its prompt has been computed, so that it takes part in decode steps.
    """

    sequence: RunningSequence
    node: PrefixNode
    matched: int
    shared: int
    own: int
    index: int
    settled: bool = False
    reading: bool = False

    @property
    def computed(self) -> int:
        """Positions whose keys and values exist, or will before they are read."""
        return self.shared + self.own

    def shared_nodes(self) -> list[PrefixNode]:
        """The nodes that it reads by reference as long as it runs, from the text's beginning on."""
        nodes = self.node.chain()
        return nodes[: _count(nodes, self.shared)]

    def seen_nodes(self) -> list[PrefixNode]:
        """The nodes that it reads by reference now."""
        return self.shared_nodes() if self.settled else self.node.chain()

    def past(self, cache: RowCache) -> Stretch | None:
        """What it holds itself of what is computed."""
        start = 0 if self.settled else self.matched - self.shared
        return cache.stretch(self.index, start, self.own) if start < self.own else None

    def settle(self, cache: RowCache) -> None:
        """Copy what has a place in its row from the tree, once all of it has been computed.

        Many short stretches cost a decode step more than they save; before, they are read by
        reference.
        """
        nodes = self.node.chain()
        if self.settled or not all(node.block.ready for node in nodes if node.block):
            return
        start = 0
        for stretch in stretches(nodes[_count(nodes, self.shared) :]):
            place = cache.stretch(self.index, start, start + stretch.length)
            place.keys.copy_(stretch.keys)
            place.values.copy_(stretch.values)
            start += stretch.length
        self.settled = True


def _count(nodes: Sequence[PrefixNode], positions: int) -> int:
    """How many of the nodes lie within the first positions."""
    ends = accumulate(len(node.ids) for node in nodes)
    return sum(end <= positions for end in ends)


def stretches(nodes: Sequence[PrefixNode]) -> list[Stretch]:
    """Views of a chain's keys and values; neighbours in one block come as one."""
    ranges: list[tuple[Block, int, int]] = []
    for node in nodes:
        assert node.block is not None
        if ranges and ranges[-1][0] is node.block and ranges[-1][2] == node.start:
            ranges[-1] = (node.block, ranges[-1][1], node.stop)
        else:
            ranges.append((node.block, node.start, node.stop))
    return [block.stretch(start, stop) for block, start, stop in ranges]


def shared_prefixes(seen: Sequence[Sequence[PrefixNode]]) -> list[Shared]:
    """What is read of the tree by reference, each stretch once, with its readers.

    Args:
        seen: the nodes that each reader sees; readers are known by their places in it.
    """
    readers: dict[PrefixNode, list[int]] = {}
    for index, nodes in enumerate(seen):
        for node in nodes:
            readers.setdefault(node, []).append(index)
    chains: list[list[PrefixNode]] = []
    ends: dict[PrefixNode, list[PrefixNode]] = {}
    for node, indices in readers.items():
        chain = ends.get(node.parent) if node.parent is not None else None
        if chain is None or readers[chain[-1]] != indices:
            chain = []
            chains.append(chain)
        chain.append(node)
        ends[node] = chain
    return [Shared(stretches(chain), _rows_of(readers[chain[-1]])) for chain in chains]


def _rows_of(indices: list[int]) -> slice | torch.Tensor:
    """Rows as a slice where they are neighbours, which is a view."""
    if indices[-1] - indices[0] + 1 == len(indices):
        return slice(indices[0], indices[-1] + 1)
    return torch.tensor(indices)


def running(
    cache: RowCache,
    rows: Sequence[Row],
    shared: Sequence[Shared],
    drafts: Sequence[tuple[int, ...]],
) -> Running | None:
    """The decode step of rows that have read their prompts, with what is drafted for each."""
    if not rows:
        return None
    ids, positions, own = list[int](), list[int](), list[int]()
    for row, draft in zip(rows, drafts, strict=True):
        width = 1 + len(draft)
        ids += (row.sequence.last_id, *draft)
        positions += range(row.computed, row.computed + width)
        own += range(row.own, row.own + width)
    widths = [1 + len(draft) for draft in drafts] if any(drafts) else ()
    return Running(cache, ids, positions, own, shared, widths)


def compact(cache: RowCache, rows: list[Row], gone: set[Row]) -> list[Row]:
    """Close the gaps that finished rows leave, moving as few rows as possible.

    Rows that have read their prompts stay in front of those that have not.
    """
    kept = [row for row in rows if row not in gone]
    reading = [row for row in kept if row.reading]
    joining = [row for row in kept if not row.reading]
    places = {row.index for row in reading if row.index < len(reading)}
    holes = (place for place in range(len(reading)) if place not in places)
    for row in reading:
        if row.index >= len(reading):
            _move(cache, row, next(holes))
    for place, row in enumerate(joining, start=len(reading)):
        if row.index != place:
            _move(cache, row, place)
    return sorted(kept, key=lambda row: row.index)


def _move(cache: RowCache, row: Row, place: int) -> None:
    cache.move(row.index, place, row.own)
    row.index = place
