"""A radix tree over token ids whose nodes own keys and values.

What was computed once for an instruction, a passage or a parent path is found again by its ids and
read where it lies: matching, splitting and forking copy nothing. The tree does not know the model,
the rows of the batch or the limit; the engine asks it to evict.
"""

from __future__ import annotations

import heapq
from collections.abc import Iterator, Sequence

from decoding.engine.keyvalues import KeyValueShape, Stretch


class Block:
    """Memory that the nodes of one line of the tree share after splits.

    Nodes view neighbouring ranges from position 0 on. Leaves go first, so what dies is always
    its end. `ready` is False until its keys and values have been computed.
    """

    __slots__ = ("keys", "ready", "values")

    def __init__(self, shape: KeyValueShape, length: int) -> None:
        self.keys = shape.empty(length)
        self.values = shape.empty(length)
        self.ready = False

    @property
    def bytes(self) -> int:
        """Memory held, dead positions included."""
        return self.keys.nbytes + self.values.nbytes

    def stretch(self, start: int, stop: int) -> Stretch:
        """A view of positions of this block."""
        return Stretch(self.keys[:, :, start:stop], self.values[:, :, start:stop])


class PrefixNode:
    """Some ids that follow those of the parent; `references` say who needs it to stay."""

    __slots__ = ("block", "children", "ids", "parent", "references", "start", "used")

    def __init__(
        self, ids: tuple[int, ...], parent: PrefixNode | None, block: Block | None, start: int
    ) -> None:
        self.ids = ids
        self.parent = parent
        self.block = block
        self.start = start
        self.children: dict[int, PrefixNode] = {}
        self.references = 0
        self.used = 0

    @property
    def stop(self) -> int:
        """Where its range of the block ends."""
        return self.start + len(self.ids)

    def stretch(self) -> Stretch:
        """Its keys and values, a view."""
        assert self.block is not None
        return self.block.stretch(self.start, self.stop)

    def chain(self) -> list[PrefixNode]:
        """The nodes from below the root down to this one."""
        nodes: list[PrefixNode] = []
        node: PrefixNode | None = self
        while node is not None and node.parent is not None:
            nodes.append(node)
            node = node.parent
        return nodes[::-1]


class PrefixTree:
    """Longest known prefix of some ids, by reference; least recently used leaves are evicted."""

    def __init__(self, shape: KeyValueShape) -> None:
        self.root = PrefixNode((), None, None, 0)
        self.bytes = 0
        self._shape = shape
        self._clock = 0
        self._leaves: list[tuple[int, int, PrefixNode]] = []
        self._entries = 0
        self._tidy_at = 1024

    def match(self, ids: Sequence[int], limit: int) -> tuple[PrefixNode, int]:
        """The node that ends the longest known prefix of `ids[:limit]`, and its length.

        Where the prefix ends inside a node, the node is split there. A node whose block is not
        ready is found too: it is computed before whoever comes after it.
        """
        self._clock += 1
        wanted = tuple(ids[:limit])
        node, length = self.root, 0
        while length < len(wanted):
            child = node.children.get(wanted[length])
            if child is None:
                break
            common = common_prefix(child.ids, wanted[length : length + len(child.ids)])
            node = child if common == len(child.ids) else self._split(child, common)
            length += common
            node.used = self._clock
        self._offer(node)
        return node, length

    def extend(self, node: PrefixNode, ids: Sequence[int]) -> PrefixNode:
        """A new child with memory for `ids`, not ready, which the caller fills.

        The caller has matched up to `node`, so no child begins with `ids[0]`.
        """
        if not ids or ids[0] in node.children:
            raise ValueError("a child needs ids of its own")
        block = Block(self._shape, len(ids))
        child = PrefixNode(tuple(ids), node, block, 0)
        child.used = self._clock
        node.children[ids[0]] = child
        self.bytes += block.bytes
        self._offer(child)
        return child

    def acquire(self, node: PrefixNode) -> PrefixNode:
        """Fork by reference: the node and those above it stay until it is released."""
        node.references += 1
        return node

    def release(self, node: PrefixNode) -> None:
        """Give a reference back."""
        assert node.references > 0 or node is self.root, "released more often than acquired"
        node.references -= 1
        self._offer(node)

    def evict(self, needed: int) -> bool:
        """Free at least `needed` bytes, least recently used unreferenced leaves first.

        Returns whether that many were freed. A leaf that shares its block with nodes that stay
        gives its part back by copying theirs, which takes their size for a moment.
        """
        target = self.bytes - needed
        while self.bytes > target and self._leaves:
            used, _, node = heapq.heappop(self._leaves)
            if used == node.used and self._is_loose(node):
                self._remove(node)
        return self.bytes <= target

    def clear(self) -> None:
        """Let go of every node; nobody may need one."""
        assert not any(node.references for node in self.nodes()), "a node is needed"
        self.root.children.clear()
        self.bytes, self._leaves = 0, []

    def remove_unready(self, node: PrefixNode) -> None:
        """Take out a node that will not be computed, and those above it that only led there."""
        while node is not self.root and node.block and not node.block.ready:
            parent = node.parent
            if parent is None or not self._is_loose(node):
                return
            self._remove(node)
            node = parent

    def nodes(self) -> Iterator[PrefixNode]:
        """Every node below the root."""
        waiting = list(self.root.children.values())
        while waiting:
            node = waiting.pop()
            waiting += node.children.values()
            yield node

    def _split(self, node: PrefixNode, length: int) -> PrefixNode:
        """Put a node for the first `length` ids above `node`, which keeps the rest."""
        assert node.parent is not None
        head = PrefixNode(node.ids[:length], node.parent, node.block, node.start)
        head.used = node.used
        node.parent.children[head.ids[0]] = head
        node.ids, node.start, node.parent = node.ids[length:], node.start + length, head
        head.children[node.ids[0]] = node
        return head

    def _is_loose(self, node: PrefixNode) -> bool:
        """Whether it may be evicted: in the tree, nothing below it, nobody needs it."""
        parent = node.parent
        attached = parent is not None and parent.children.get(node.ids[0]) is node
        return attached and not node.children and not node.references

    def _offer(self, node: PrefixNode) -> None:
        """Queue a loose node for eviction; older entries of it are skipped when they come up."""
        if not self._is_loose(node):
            return
        self._entries += 1
        heapq.heappush(self._leaves, (node.used, self._entries, node))
        if len(self._leaves) >= self._tidy_at:
            latest = {id(node): (node.used, entry, node) for _, entry, node in self._leaves}
            self._leaves = [entry for entry in latest.values() if self._is_loose(entry[2])]
            heapq.heapify(self._leaves)
            self._tidy_at = max(1024, 2 * len(self._leaves))

    def _remove(self, node: PrefixNode) -> None:
        """Detach a loose node and free its positions."""
        parent, block = node.parent, node.block
        assert parent is not None and block is not None
        del parent.children[node.ids[0]]
        before = block.bytes
        if node.start == 0:
            self.bytes -= before
        else:
            block.keys = block.keys[:, :, : node.start].clone()
            block.values = block.values[:, :, : node.start].clone()
            self.bytes -= before - block.bytes
        node.block, node.parent = None, None
        self._offer(parent)


def common_prefix(left: Sequence[int], right: Sequence[int]) -> int:
    """Length of the common prefix of two id sequences of one type."""
    length = min(len(left), len(right))
    if left[:length] == right[:length]:
        return length
    low, high = 0, length - 1
    while low < high:
        middle = (low + high + 1) // 2
        if left[low:middle] == right[low:middle]:
            low = middle
        else:
            high = middle - 1
    return low
