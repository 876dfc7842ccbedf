"""Prompts that are being read: in order, packed into passes of a bounded number of tokens.

A job is the rest of a row's prompt, or a beginning that several waiting prompts have in common.
Jobs depend on earlier ones only, so that one pass can compute a common beginning and what follows
it: within each layer, keys and values are written before anything attends to them.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass

from decoding.engine.batch import Row, shared_prefixes
from decoding.engine.fresh import Fresh, Prompts
from decoding.engine.keyvalues import RowCache
from decoding.engine.prefixes import PrefixNode, PrefixTree


@dataclass(slots=True, eq=False)
class RowJob:
    """What a row has still to read of its prompt."""

    row: Row

    @property
    def left(self) -> int:
        """Tokens to compute."""
        return len(self.row.sequence.generation.prompt_ids) - self.row.computed

    def fresh(self, count: int, cache: RowCache) -> tuple[Fresh, list[PrefixNode]]:
        """The next `count` tokens as part of a pass, and what they see of the tree."""
        row = self.row
        start, home = row.computed, cache.stretch(row.index, row.own, row.own + count)
        ids = row.sequence.generation.prompt_ids[start : start + count]
        fresh = Fresh(ids, start, home, row.past(cache), reads=count == self.left)
        return fresh, row.seen_nodes()

    def advance(self, count: int) -> None:
        """Note what was computed."""
        self.row.own += count


class NodeJob:
    """A common beginning that becomes a node of the tree; splits of it do not matter here."""

    def __init__(self, node: PrefixNode) -> None:
        assert node.block is not None
        self.node, self.block, self.ids = node, node.block, node.ids
        self.done = 0
        self.position = sum(len(link.ids) for link in node.chain()) - len(node.ids)

    @property
    def left(self) -> int:
        """Tokens to compute."""
        return len(self.ids) - self.done

    def fresh(self, count: int, cache: RowCache) -> tuple[Fresh, list[PrefixNode]]:
        """The next `count` tokens as part of a pass, and what they see of the tree."""
        stop = self.done + count
        past = self.block.stretch(0, self.done) if self.done else None
        home = self.block.stretch(self.done, stop)
        fresh = Fresh(self.ids[self.done : stop], self.position + self.done, home, past)
        return fresh, [link for link in self.node.chain() if link.block is not self.block]

    def advance(self, count: int) -> None:
        """Note what was computed."""
        self.done += count
        self.block.ready = not self.left


class PrefillQueue:
    """Jobs in the order in which they are computed."""

    def __init__(self, tree: PrefixTree, cache: RowCache) -> None:
        self._tree, self._cache = tree, cache
        self._jobs: deque[RowJob | NodeJob] = deque()
        self._taken: list[tuple[RowJob | NodeJob, int]] = []

    @property
    def tokens(self) -> int:
        """Tokens that wait."""
        return sum(job.left for job in self._jobs)

    def add(self, row: Row, node: PrefixNode | None) -> None:
        """Queue a row that was admitted, behind the new node that it begins with.

        A row that lacks only its last id, behind nothing that is still to be computed, takes part
        in decode steps at once: the next one is its reading.
        """
        job = RowJob(row)
        if not self._jobs and node is None and job.left == 1:
            row.settle(self._cache)
            row.reading = True
            return
        if node is not None:
            self._tree.acquire(node)
            self._jobs.append(NodeJob(node))
        self._jobs.append(job)

    def take(self, budget: int) -> Prompts:
        """The next pass, of at most `budget` tokens; only `advance` counts it as computed."""
        texts, seen, self._taken = [], [], []
        for job in self._jobs:
            count = min(budget, job.left)
            if not count:
                break
            budget -= count
            self._taken.append((job, count))
            fresh, nodes = job.fresh(count, self._cache)
            texts.append(fresh)
            seen.append(nodes)
        return Prompts(texts, shared_prefixes(seen))

    def advance(self) -> list[Row]:
        """Note that the pass was computed; the rows that have read their prompts, in order."""
        finished = []
        for job, count in self._taken:
            job.advance(count)
            if job.left:
                continue
            self._jobs.popleft()
            if isinstance(job, NodeJob):
                self._tree.release(job.node)
            else:
                job.row.settle(self._cache)
                job.row.reading = True
                finished.append(job.row)
        self._taken = []
        return finished

    def remove(self, row: Row) -> None:
        """Forget a row that was cancelled; common beginnings stay, others wait for them."""
        self._jobs = deque(
            job for job in self._jobs if not (isinstance(job, RowJob) and job.row is row)
        )

    def drop_all(self) -> None:
        """Forget common beginnings that no row waits for any more."""
        while self._jobs:
            job = self._jobs.pop()
            assert isinstance(job, NodeJob), "a row was left behind"
            self._tree.release(job.node)
            self._tree.remove_unready(job.node)
