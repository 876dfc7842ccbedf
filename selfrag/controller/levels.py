"""Decoding one level of the tree: in which order, with which branches given up on the way.

"together" decodes all branches at once, those that can score most submitted first: fewest forward
passes. "leaders" holds every branch back once its IsRel is known, finishes as many as can survive,
the best first, and then those of the rest that can still change the answer: fewest tokens, at up to
twice the passes. "auto" finishes with the leaders all that these will hardly cut: few tokens where
branches differ, and few passes where they do not. It does not even read the passage of a branch
that its path or its retrieval score puts far behind, before those ahead of it are finished. A
backend for which holding back is not cheap decodes them together.
"""

from __future__ import annotations

from collections.abc import Sequence

from decoding.generation import Draft, PartialDraft, Watch, limited
from decoding.pruning import LevelPruner
from decoding.search import BeamSearch
from decoding.segment import boundary_of, read_segment
from decoding.standing import Contender
from decoding.tree import SegmentNode
from selfrag.controller.branches import PlannedBranch
from selfrag.controller.inquiry import Inquiry
from selfrag.requests import Branch, Steps


def expand_level(
    inquiry: Inquiry,
    search: BeamSearch,
    branches: Sequence[PlannedBranch],
    *,
    prune: bool | None = None,
    finishing: bool = False,
) -> Steps[list[SegmentNode]]:
    """Decode the branches and add them to the tree, in order."""
    config, tree = inquiry.config, search.tree
    allowed, most = inquiry.affordable(len(branches))
    if allowed < len(branches) or most < 1:
        inquiry.stop("max_generated_tokens")
    branches = branches[: max(allowed, 0)] if most >= 1 else []
    if not branches:
        return []
    contenders = []
    for branch in branches:
        path = [] if config.allow_repeats else tree.path(branch.parent)
        contenders.append(
            Contender(
                tuple(tree.scores(branch.parent)),
                limited(branch.generation, most),
                branch.s_ret,
                frozenset(node.segment.text_ids for node in path if node.segment is not None),
            )
        )
    pruner = LevelPruner(
        config,
        inquiry.vocabulary,
        contenders,
        places=1 if finishing else config.beam_width,
        bonus=config.w_use if finishing else 0.0,
    )
    if (config.prune if prune is None else prune) and may_prune(inquiry, branches, finishing):
        drafts = yield from decode_pruned(inquiry, pruner, len(tree.nodes))
    else:
        generations = [contender.generation for contender in contenders]
        drafts = yield from inquiry.expand(generations, first_node=len(tree.nodes))
    for index, draft in enumerate(drafts):
        if draft.finish == "cut":
            pruner.check_cut(index, draft)
            inquiry.note_cut(contenders[index].generation, draft)
    nodes = [
        add_node(search, branch, draft, inquiry)
        for branch, draft in zip(branches, drafts, strict=True)
    ]
    if most < config.max_segment_tokens and any(draft.finish == "limit" for draft in drafts):
        inquiry.stop("max_generated_tokens")
    return nodes


def may_prune(inquiry: Inquiry, branches: Sequence[PlannedBranch], finishing: bool) -> bool:
    """Whether what a pruned branch does not write can change nothing but the cost.

    A token budget that may run out is shared out by what is left of it, and more is left where
    branches are given up: then nothing is pruned, so that the budget means the same either way.
    """
    limit, config = inquiry.budget.max_generated_tokens, inquiry.config
    if limit is None:
        return True
    later = 0 if finishing else config.max_segments - branches[0].parent.depth - 1
    most = len(branches) + later * config.beam_width * config.passages
    return limit - inquiry.generated_tokens >= most * config.max_segment_tokens


def decode_pruned(
    inquiry: Inquiry, pruner: LevelPruner, first_node: int
) -> Steps[tuple[Draft, ...]]:
    """The contenders' drafts, in order; those that were given up are cut."""
    drafts: dict[int, Draft] = {}
    everyone = pruner.best_first()
    order = inquiry.config.order
    at_once = order == "together" or (order == "auto" and not inquiry.resumes_cheaply)
    if at_once or len(everyone) <= pruner.places:
        yield from _round(inquiry, pruner, first_node, everyone, drafts)
        return tuple(drafts[index] for index in range(len(drafts)))
    held: set[int] = set()
    unread = set(everyone)
    while wanted := _to_read(pruner, everyone, unread, all_at_once=order == "leaders"):
        unread -= set(wanted)
        yield from _round(inquiry, pruner, first_node, wanted, drafts, held)
    for last in (False, True):
        waiting = [index for index in pruner.best_first() if index in held - pruner.cuts]
        if not last and order == "leaders":
            waiting = waiting[: pruner.places]
        elif not last:
            waiting = [index for index in pruner.ahead() if index in waiting]
        else:
            for index in sorted(unread):
                if pruner.dismiss(index):
                    drafts[index] = Draft((), (), {}, None, "cut")
            waiting += [index for index in pruner.best_first() if index in unread - pruner.cuts]
        held -= set(waiting)
        yield from _round(inquiry, pruner, first_node, waiting, drafts)
    return tuple(drafts[index] for index in range(len(drafts)))


def _to_read(
    pruner: LevelPruner, everyone: Sequence[int], unread: set[int], *, all_at_once: bool
) -> list[int]:
    """Of the contenders of which nothing was asked, those whose first position is wanted now.

    Those ahead by what is known before: path and retrieval score. Where others are ahead once
    these were read, the rest are read as well, together.
    """
    ahead = everyone if all_at_once else pruner.ahead()
    if unread.isdisjoint(ahead):
        return []
    first = len(unread) == len(everyone)
    return [index for index in (ahead if first else everyone) if index in unread]


def _round(
    inquiry: Inquiry,
    pruner: LevelPruner,
    first_node: int,
    indices: Sequence[int],
    drafts: dict[int, Draft],
    held: set[int] | None = None,
) -> Steps[None]:
    """Decode some contenders, from where they were held back.

    With `held`, one token of each, and those that wait after it are put into the set.
    """
    if not indices:
        return
    branches = []
    for index in indices:
        watch = pruner.watch(index)
        if held is not None:
            watch = _holding(watch, index, held)
        generation = pruner.contenders[index].generation
        branches.append(Branch(generation, first_node + index, watch, drafts.get(index)))
    done = yield from inquiry.expand_branches(
        branches, lambda place, draft: pruner.complete(indices[place], draft)
    )
    drafts.update(zip(indices, done, strict=True))


def _holding(watch: Watch, index: int, held: set[int]) -> Watch:
    """The same watcher, after which the branch waits in any case."""

    def hold(partial: PartialDraft) -> bool:
        if not watch(partial):
            held.add(index)
        return True

    return hold


def add_node(
    search: BeamSearch, branch: PlannedBranch, draft: Draft, inquiry: Inquiry
) -> SegmentNode:
    """Put a decoded branch into the tree."""
    return search.tree.add(
        branch.parent,
        branch.action,
        read_segment(draft, inquiry.vocabulary),
        boundary_of(draft, inquiry.vocabulary, inquiry.config.end_threshold),
        inquiry.config,
        passage_key=branch.passage_key,
        passage_rank=branch.passage_rank,
        s_ret=branch.s_ret,
        inserted_ids=branch.inserted_ids,
        prompt_ids=branch.generation.prompt_ids,
    )
