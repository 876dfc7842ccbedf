"""Segment-level beam search: which hypotheses live, which are finished, which one answers.

At every level all new candidates compete by F for B places. A finished candidate that takes a
place moves to the pool and stays there; the others that took one live on. Since finished and
live candidates compete for the same places, a weak branch that merely ends early can neither
become the answer by being alone in the pool nor keep a better one from being expanded.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from decoding.config import DecodingConfig
from decoding.segment import SegmentDraft
from decoding.tree import SegmentNode, SegmentTree


@dataclass(slots=True)
class BeamSearch:
    """The state of one search; the caller adds nodes to `tree` and closes each level."""

    config: DecodingConfig
    tree: SegmentTree = field(default_factory=SegmentTree)
    live: list[SegmentNode] = field(default_factory=list)
    pool: list[SegmentNode] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.live = [self.tree.root]

    def close_level(self, candidates: Sequence[SegmentNode]) -> list[SegmentNode]:
        """Select the level's survivors, best first, and set every candidate's status."""
        eligible = self.admit(candidates)
        survivors = sorted(eligible, key=lambda node: node.order)[: self.config.beam_width]
        for node in eligible:
            node.status = "unselected"
        for node in survivors:
            node.status = "finished" if node.final is not None else "live"
        self.live = [node for node in survivors if node.status == "live"]
        self.pool += [node for node in survivors if node.status == "finished"]
        return survivors

    def best(self) -> SegmentNode | None:
        """The best of the pool, or the best live hypothesis where nothing has finished."""
        if self.pool:
            return min(self.pool, key=lambda node: node.final_order)
        written = [node for node in self.live if node.parent is not None]
        return min(written, key=lambda node: node.order) if written else None

    def admit(self, candidates: Sequence[SegmentNode]) -> list[SegmentNode]:
        """The candidates that may compete; sets the status of the others.

        A branch that was called off half-way competes only where none was completed.
        """
        admitted, cancelled = [], []
        for node in candidates:
            finish = None if node.boundary is None else node.boundary.finish
            if node.segment is not None and breaks_constraint(node.segment, self.config):
                node.status = "dropped"
            elif finish == "cut":
                node.status = "cut"
            elif not self.config.allow_repeats and repeats(self.tree, node):
                node.status = "repeated"
            elif finish == "cancelled":
                node.status = "cancelled"
                cancelled.append(node)
            else:
                admitted.append(node)
        return admitted or cancelled


def repeats(tree: SegmentTree, node: SegmentNode) -> bool:
    """Whether a candidate says, token for token, what its path says already."""
    if node.parent is None or node.segment is None:
        return False
    return repeats_path(node.segment, tree.path(tree.nodes[node.parent]))


def repeats_path(segment: SegmentDraft, path: Sequence[SegmentNode]) -> bool:
    """Whether a segment to come would repeat one of the path; an empty one never does.

    Retrieval with the last segment in the query finds the same passage again, and greedy decoding
    then writes the same sentence with the same scores: a loop that no score of its own ends.
    """
    texts = {earlier.segment.text_ids for earlier in path if earlier.segment is not None}
    return bool(segment.text_ids) and segment.text_ids in texts


def breaks_constraint(segment: SegmentDraft, config: DecodingConfig) -> bool:
    """Whether the segment is one that `config.drop` forbids (hard constraints, section 3.3)."""
    verdicts = {
        "irrelevant": segment.irrelevant,
        "no_support": segment.is_sup is not None and segment.is_sup.argmax == "no",
        "partially": segment.is_sup is not None and segment.is_sup.argmax == "partially",
    }
    return any(verdicts[name] for name in config.drop)
