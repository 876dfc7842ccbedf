"""The segment tree: every hypothesis of one question, kept whole.

A node is one segment after its parent's path. Nodes are only ever added and their status set;
nothing is removed, so the tree can be drawn, stored and scored again under other weights.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from typing import Literal

from decoding.config import DecodingConfig
from decoding.scores import ScoreWeights, final_score, hypothesis_score
from decoding.segment import Boundary, SegmentDraft, SegmentScores

Action = Literal["root", "retrieve", "continue", "no_retrieval", "text"]
Status = Literal[
    "root", "live", "finished", "unselected", "dropped", "repeated", "cut", "cancelled"
]


@dataclass(slots=True)
class SegmentNode:
    """One segment of one hypothesis.

    Attributes:
        id: position in the tree; creation order, hence deterministic.
        parent: the parent's id; None for the root.
        depth: segments on the path, this one included.
        action: what stands in front of the segment.
        passage_key: opaque key of its passage, or None.
        passage_rank: the passage's rank, from 1; 0 without one. Breaks ties.
        s_ret: the passage's retrieval score, see `scores.retrieval_score`; None without one.
        inserted_ids: control and passage ids that were put between the parent's path and the
            segment.
        prompt_ids: everything the model was given for this node.
        segment: what it wrote; None for the root.
        boundary: what it would do next; None inside a draft that holds several segments.
        path_score: the hypothesis score F up to here.
        final: F + w_use * s_use for a finished hypothesis, else None.
        status: "live" hypotheses may be expanded; "finished" ones are in the pool; "unselected"
            ones lost their level; "dropped" ones broke a hard constraint; "repeated" ones
            say what their path says already; "cut" ones were pruned.
    """

    id: int
    parent: int | None
    depth: int
    action: Action
    passage_key: str | None = None
    passage_rank: int = 0
    s_ret: float | None = None
    inserted_ids: tuple[int, ...] = ()
    prompt_ids: tuple[int, ...] = ()
    segment: SegmentDraft | None = None
    boundary: Boundary | None = None
    path_score: float = 0.0
    final: float | None = None
    status: Status = "live"

    @property
    def order(self) -> tuple[float, int, int]:
        """Sort key of a level: best F first, ties by (passage rank, id)."""
        return (-self.path_score, self.passage_rank, self.id)

    @property
    def final_order(self) -> tuple[float, int, int]:
        """Sort key of the pool: best final score first, ties by (passage rank, id)."""
        score = self.path_score if self.final is None else self.final
        return (-score, self.passage_rank, self.id)


@dataclass(slots=True)
class SegmentTree:
    """All nodes of one question, the root first."""

    nodes: list[SegmentNode] = field(default_factory=list)

    def __post_init__(self) -> None:
        if not self.nodes:
            self.nodes.append(SegmentNode(0, None, 0, "root", status="root"))

    @property
    def root(self) -> SegmentNode:
        """The question itself."""
        return self.nodes[0]

    def add(
        self,
        parent: SegmentNode,
        action: Action,
        segment: SegmentDraft,
        boundary: Boundary | None,
        config: DecodingConfig,
        *,
        passage_key: str | None = None,
        passage_rank: int = 0,
        s_ret: float | None = None,
        inserted_ids: tuple[int, ...] = (),
        prompt_ids: tuple[int, ...] = (),
    ) -> SegmentNode:
        """Append a node, its scores computed along its path."""
        node = SegmentNode(
            id=len(self.nodes),
            parent=parent.id,
            depth=parent.depth + 1,
            action=action,
            passage_key=passage_key,
            passage_rank=passage_rank,
            s_ret=s_ret,
            inserted_ids=inserted_ids,
            prompt_ids=prompt_ids,
            segment=segment,
            boundary=boundary,
        )
        self.nodes.append(node)
        node.path_score = path_score(self.scores(node), config)
        if boundary is not None and boundary.ended:
            node.final = final_score(node.path_score, boundary.utility, config.w_use)
        return node

    def path(self, node: SegmentNode) -> list[SegmentNode]:
        """The nodes from the first segment to `node`, the root left out."""
        steps: list[SegmentNode] = []
        current: SegmentNode | None = node
        while current is not None and current.parent is not None:
            steps.append(current)
            current = self.nodes[current.parent]
        return steps[::-1]

    def scores(self, node: SegmentNode) -> list[SegmentScores]:
        """Segment scores along the path to `node`."""
        return [
            replace(step.segment.scores, ret=step.s_ret)
            for step in self.path(node)
            if step.segment is not None
        ]

    def __iter__(self) -> Iterator[SegmentNode]:
        return iter(self.nodes)


def path_score(scores: list[SegmentScores], config: DecodingConfig) -> float:
    """F(h): weighted means of the segment scores along a path (DESIGN: a group measured nowhere
    counts 1/2). The paper's equation 4 adds segment scores; means keep long answers comparable.
    """
    return hypothesis_score(
        [score.seq for score in scores],
        [score.rel for score in scores],
        [score.sup for score in scores],
        ScoreWeights(config.w_seq, config.w_rel, config.w_sup, retrieval=config.w_ret or 0.0),
        [score.ret for score in scores],
    )
