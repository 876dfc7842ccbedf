"""Prompts that are being read: in order, packed into passes of a bounded number of tokens.

A job is the rest of a row's prompt, or a beginning that several waiting prompts have in common.
Jobs depend on earlier ones only, so that one pass can compute a common beginning and what follows
it: within each layer, keys and values are written before anything attends to them.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass

from decoding.engine.batch import Row, stretches
from decoding.engine.keyvalues import RowCache
from decoding.engine.llama import Fresh
from decoding.engine.prefixes import PrefixNode, PrefixTree


@dataclass(slots=True, eq=False)
class RowJob:
    """What a row has still to read of its prompt."""

    row: Row

    @property
    def left(self) -> int:
        """Tokens to compute."""
        return len(self.row.sequence.generation.prompt_ids) - self.row.computed

    def fresh(self, count: int, cache: RowCache) -> Fresh:
        """The next `count` tokens as part of a pass."""
        row, start = self.row, self.row.computed
        ids = row.sequence.generation.prompt_ids[start : start + count]
        past = stretches(row.shared_nodes())
        if row.own:
            past.append(cache.stretch(row.index, 0, row.own))
        home = cache.stretch(row.index, row.own, row.own + count)
        return Fresh(ids, start, home, past, reads=count == self.left)

    def advance(self, count: int, tree: PrefixTree) -> Row | None:
        """Note what was computed; the row when it has read its prompt."""
        self.row.own += count
        if self.left:
            return None
        self.row.reading = True
        return self.row


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

    def fresh(self, count: int, cache: RowCache) -> Fresh:
        """The next `count` tokens as part of a pass."""
        above = [link for link in self.node.chain() if link.block is not self.block]
        past = stretches(above)
        stop = self.done + count
        if self.done:
            past.append(self.block.stretch(0, self.done))
        home = self.block.stretch(self.done, stop)
        return Fresh(self.ids[self.done : stop], self.position + self.done, home, past, False)

    def advance(self, count: int, tree: PrefixTree) -> None:
        """Note what was computed; a complete node is released to whoever needs it."""
        self.done += count
        if not self.left:
            self.block.ready = True
            tree.release(self.node)


class PrefillQueue:
    """Jobs in the order in which they are computed."""

    def __init__(self, tree: PrefixTree) -> None:
        self._tree = tree
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
            row.reading = True
            return
        if node is not None:
            self._tree.acquire(node)
            self._jobs.append(NodeJob(node))
        self._jobs.append(job)

    def take(self, budget: int, cache: RowCache) -> list[Fresh]:
        """The next pass, of at most `budget` tokens; nothing changes until `advance`."""
        fresh, self._taken = [], []
        for job in self._jobs:
            count = min(budget, job.left)
            if not count:
                break
            budget -= count
            self._taken.append((job, count))
            fresh.append(job.fresh(count, cache))
        return fresh

    def advance(self) -> list[Row]:
        """Note that the pass was computed; the rows that have read their prompts, in order."""
        finished = []
        for job, count in self._taken:
            row = job.advance(count, self._tree)
            if row is not None:
                finished.append(row)
            if not job.left:
                self._jobs.popleft()
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
