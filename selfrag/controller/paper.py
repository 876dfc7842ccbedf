"""The paper's procedure (algorithm 1, section 3.3): decide, expand, score, select.

Long form: a beam search over segments. Short form: one expansion, every candidate finished.
"""

from __future__ import annotations

from collections.abc import Sequence

from decoding.decision import decide
from decoding.generation import Generation
from decoding.search import BeamSearch
from decoding.segment import distribution_at
from decoding.tree import SegmentNode
from retrievers.hit import Hit
from selfrag.answer import Answer, Decision
from selfrag.controller.assemble import assemble, is_cited
from selfrag.controller.branches import BranchBuilder, PlannedBranch
from selfrag.controller.inquiry import Inquiry
from selfrag.controller.levels import expand_level
from selfrag.controller.queries import later_queries, taken_in_turn
from selfrag.requests import Steps


def answer_long(inquiry: Inquiry, prompt: tuple[int, ...]) -> Steps[Answer]:
    """Segment-level beam search until every hypothesis is finished or a limit is reached."""
    search = BeamSearch(inquiry.config)
    builder = BranchBuilder(inquiry, search.tree, prompt)
    committed = 0
    while search.live and search.live[0].depth < inquiry.config.max_segments:
        previous = search.live
        branches: list[PlannedBranch] = []
        for parent in previous:
            branches += yield from plan(inquiry, search, builder, parent, prompt)
        if not branches or (inquiry.interrupted is not None and search.live[0].depth > 0):
            break
        nodes = yield from expand_level(inquiry, search, branches)
        survivors = search.close_level(nodes)
        report_level(inquiry, nodes, survivors)
        if not survivors:
            if any(node.status == "dropped" for node in nodes):
                inquiry.warn("Every branch was dropped; see the tree.")
            elif nodes:
                inquiry.warn("The answer ends where every next segment would repeat it.")
            search.live = [node for node in previous if node.parent is not None]
            break
        committed = commit(inquiry, search, committed)
        if inquiry.interrupted is not None:
            break
    best = search.best()
    if inquiry.log.active and best is not None:
        emit_committed(inquiry, search.tree.path(best), committed)
    return assemble(inquiry, search.tree, best)


def answer_short(inquiry: Inquiry, prompt: tuple[int, ...]) -> Steps[Answer]:
    """One expansion; every candidate is finished and the best by F + w_use s_use wins."""
    search = yield from finish_candidates(inquiry, prompt, prune=inquiry.config.prune)
    best = search.best()
    if inquiry.log.active and best is not None:
        emit_committed(inquiry, search.tree.path(best), 0)
    return assemble(inquiry, search.tree, best)


def finish_candidates(
    inquiry: Inquiry, prompt: tuple[int, ...], *, prune: bool
) -> Steps[BeamSearch]:
    """The short form's tree: one finished candidate per passage, all of them in the pool."""
    search = BeamSearch(inquiry.config)
    builder = BranchBuilder(inquiry, search.tree, prompt)
    branches = yield from plan(inquiry, search, builder, search.tree.root, prompt)
    nodes = yield from expand_level(inquiry, search, branches, prune=prune, finishing=True)
    search.pool = search.admit(nodes)
    for node in search.pool:
        node.status = "finished"
    search.live = []
    best = search.best()
    report_level(inquiry, nodes, [] if best is None else [best])
    if best is None and nodes:
        inquiry.warn("Every branch was dropped; see the tree.")
    return search


def plan(
    inquiry: Inquiry,
    search: BeamSearch,
    builder: BranchBuilder,
    parent: SegmentNode,
    prompt: tuple[int, ...],
) -> Steps[list[PlannedBranch]]:
    """Decide at the parent's border and build the branches that follow from it."""
    config, vocabulary = inquiry.config, inquiry.vocabulary
    at_root = parent.parent is None
    if not at_root and parent.boundary is not None:
        distribution, next_id = parent.boundary.retrieve, parent.boundary.next_id
    elif config.mode == "adaptive":
        request = Generation(prompt, max_tokens=0, read_ids=vocabulary.read_ids)
        (draft,) = yield from inquiry.expand([request])
        distribution = distribution_at(vocabulary.retrieve, draft.last_reading, vocabulary)
        next_id = draft.next_id
    else:
        distribution, next_id = None, None
    decision = decide(distribution, next_id, config, vocabulary, at_root=at_root)
    action, reason = decision.action, decision.reason
    branches: list[PlannedBranch] = []
    if action == "retrieve":
        hits = yield from retrieve_for(inquiry, parent)
        branches = builder.with_passages(parent, hits)
        if not branches:
            action, reason = "no_retrieval", "no_passages"
    if action != "retrieve":
        branch = builder.plain(parent, action)
        branches = [] if branch is None else [branch]
    made = Decision(
        depth=parent.depth,
        action=action,
        p_retrieve=decision.p_retrieve,
        p_continue=decision.p_continue,
        mass=decision.mass,
        threshold=decision.threshold,
        reason=reason,
        node=parent.id,
    )
    inquiry.decisions.append(made)
    inquiry.log.emit(
        "decision.retrieve",
        node=parent.id,
        action=action,
        p_retrieve=made.p_retrieve,
        threshold=made.threshold,
        mass=made.mass,
        reason=reason,
    )
    return branches


def retrieve_for(inquiry: Inquiry, parent: SegmentNode) -> Steps[list[Hit]]:
    """Passages for what follows the parent; see `queries`."""
    question = inquiry.question.text
    if parent.segment is None:
        return (yield from inquiry.retrieve(question))
    last = inquiry.prompts.codec.decode(parent.segment.text_ids).strip()
    kind = inquiry.config.query or "question+segment"
    lists = []
    for query in later_queries(question, last, kind):
        lists.append((yield from inquiry.retrieve(query)))
    return lists[0] if len(lists) == 1 else taken_in_turn(lists, inquiry.config.passages)


def report_level(
    inquiry: Inquiry, nodes: Sequence[SegmentNode], survivors: Sequence[SegmentNode]
) -> None:
    """Emit what a level's candidates scored and which of them survive."""
    if not inquiry.log.active:
        return
    for node in nodes:
        scores = None if node.segment is None else node.segment.scores
        inquiry.log.emit(
            "candidate.scored",
            node=node.id,
            parent=node.parent,
            passage_id=node.passage_key,
            text=""
            if node.segment is None
            else inquiry.prompts.codec.decode(node.segment.text_ids),
            seq=None if scores is None else scores.seq,
            rel=None if scores is None else scores.rel,
            sup=None if scores is None else scores.sup,
            ret=node.s_ret,
            use=None if node.boundary is None else node.boundary.utility,
            F=node.path_score,
            final=node.final,
            status=node.status,
        )
    inquiry.log.emit("beam.selected", nodes=[node.id for node in survivors])


def commit(inquiry: Inquiry, search: BeamSearch, committed: int) -> int:
    """Emit the segments that every hypothesis still in play shares; how many there are now."""
    if not inquiry.log.active:
        return committed
    paths = [search.tree.path(node) for node in (*search.live, *search.pool)]
    shared = 0
    for steps in zip(*paths, strict=False):
        if any(step is not steps[0] for step in steps):
            break
        shared += 1
    emit_committed(inquiry, paths[0][:shared] if paths else [], committed)
    return max(committed, shared)


def emit_committed(inquiry: Inquiry, path: Sequence[SegmentNode], already: int) -> None:
    """Emit `segment.committed` for the path's segments after the first `already`."""
    drafts = [node.segment for node in path if node.segment is not None]
    texts = inquiry.prompts.codec.segment_texts([draft.text_ids for draft in drafts])
    for index in range(already, len(drafts)):
        node = path[index]
        inquiry.log.emit(
            "segment.committed",
            index=index,
            node=node.id,
            text=texts[index],
            passage_id=node.passage_key if is_cited(drafts[index], node.passage_key) else None,
        )
