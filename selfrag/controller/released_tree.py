"""The tree of the published long-form script; what it is and what it gets wrong is described in
`released_long`.
"""

from __future__ import annotations

from dataclasses import dataclass

from decoding.codec import Part
from decoding.generation import Generation
from decoding.released_output import ReleasedOutput, reading_at
from decoding.released_scores import (
    released_long_relevance,
    released_long_score,
    released_remap_ratio,
    released_remaps_to_retrieval,
    released_support,
)
from decoding.released_text import END_OF_TEXT
from decoding.tree import SegmentNode, SegmentTree
from retrievers.hit import Hit
from selfrag.controller.inquiry import Inquiry
from selfrag.controller.paper import report_level
from selfrag.controller.released_steps import (
    add_node,
    outputs_of,
    passage_parts,
    request_for,
    shown,
)
from selfrag.requests import Steps

NO_GROUNDING = (
    "The published long form ends with an AttributeError here: with --use_utility and without "
    "--use_grounding it looks through the missing IsSup tokens (L1)."
)
NO_THRESHOLD = (
    "The published long form ends with a TypeError here: a text holds [No Retrieval], and there "
    "is no threshold to compare with. Set released_threshold."
)


class ScriptFailure(Exception):
    """The published script ends with an error here; the message says which."""


@dataclass(slots=True)
class ReleasedBranch:
    """A node with what the script stores beside it."""

    node: SegmentNode
    prompt: tuple[Part, ...]
    segment: tuple[Part, ...]
    continues: bool
    only_end: bool = False


def grow(
    inquiry: Inquiry, tree: SegmentTree, root: ReleasedBranch, hits: list[Hit]
) -> Steps[tuple[list[ReleasedBranch], dict[int, ReleasedBranch]]]:
    """The survivors of the deepest level that has any, best first, and every branch by node."""
    config = inquiry.config
    branches, level, deepest = {tree.root.id: root}, [root], list[ReleasedBranch]()
    for _ in range(1, config.max_segments):
        terminated = any(branch.only_end for branch in level)
        parents = [branch for branch in level if branch.continues and not branch.only_end]
        children = yield from _expand(inquiry, tree, parents, hits)
        for branch in children:
            branch.node.status = "unselected"
            branches[branch.node.id] = branch
        ranked = sorted(children, key=lambda child: -child.node.path_score)
        level = ranked[: config.beam_width]
        for branch in level:
            branch.node.status = "live" if branch.continues else "finished"
        if not level:
            break
        nodes = [branch.node for branch in children]
        report_level(inquiry, nodes, [branch.node for branch in level])
        deepest = level
        if terminated or inquiry.interrupted is not None:
            break
    return deepest, branches


def _expand(
    inquiry: Inquiry, tree: SegmentTree, parents: list[ReleasedBranch], hits: list[Hit]
) -> Steps[list[ReleasedBranch]]:
    """Every parent with every passage; what a child stores as its prompt is the script's (L3)."""
    planned: list[tuple[ReleasedBranch, Hit, Generation]] = []
    for parent in parents:
        for hit in hits:
            parts = (*parent.prompt, *parent.segment, *passage_parts(inquiry, hit))
            what = f"Passage {hit.passage.id!r} (rank {hit.rank})"
            request = request_for(inquiry, parts, what)
            if request is not None:
                planned.append((parent, hit, request))
    requests = [request for _, _, request in planned]
    outputs = yield from outputs_of(inquiry, requests, first_node=len(tree.nodes))
    children: list[ReleasedBranch] = []
    stored = {parent.node.id: parent.segment for parent in parents}
    for (parent, hit, request), output in zip(planned, outputs, strict=True):
        if output is None:
            continue
        parts = _remapped(inquiry, output)
        retrieval = inquiry.vocabulary.retrieval
        continues = retrieval in parts
        segment = parts[: parts.index(retrieval)] if continues else parts
        score = score_of(inquiry, output)
        if parent.node.parent is not None:
            score *= parent.node.path_score
        control = sum(isinstance(part, int) for part in segment)
        length = _length(output, control, inquiry) if continues else None
        node = add_node(inquiry, tree, parent.node, "retrieve", request, output, score, hit, length)
        only_end = shown(inquiry, parts) == END_OF_TEXT
        prompt = (*parent.prompt, *stored[parent.node.id])
        children.append(ReleasedBranch(node, prompt, segment, continues, only_end))
        stored[parent.node.id] = segment
    return children


def score_of(inquiry: Inquiry, output: ReleasedOutput) -> float:
    """Relevance plus support, whatever the flags and weights say (L1, L2)."""
    config = inquiry.config
    if config.released_utility and not config.released_groundness and output.is_use is not None:
        raise ScriptFailure(NO_GROUNDING)
    irrelevant, relevant = output.is_rel
    return released_long_score(
        released_long_relevance(relevant, irrelevant),
        released_support(output.is_sup if config.released_groundness else None),
    )


def _remapped(inquiry: Inquiry, output: ReleasedOutput) -> tuple[Part, ...]:
    """The parts as the script reads them, each `[No Retrieval]` looked at once more.

    The script cuts the text at every `[No Retrieval]` and writes a tag behind every piece, also
    behind the last one, which had none.
    """
    vocabulary = inquiry.vocabulary
    if inquiry.config.released_special_tokens == "stripped":
        return tuple(part for part in output.parts if isinstance(part, str))
    if vocabulary.no_retrieval not in output.parts:
        return output.parts
    threshold = inquiry.config.released_threshold
    if threshold is None:
        raise ScriptFailure(NO_THRESHOLD)
    tags = []
    for position, token_id in enumerate(output.draft.token_ids):
        if token_id == vocabulary.no_retrieval:
            reading = reading_at(output.draft, position, vocabulary.retrieve, vocabulary)
            no, retrieval, carry_on = reading
            ratio = released_remap_ratio(retrieval, no, carry_on)
            remaps = released_remaps_to_retrieval(ratio, threshold)
            tags.append(vocabulary.retrieval if remaps else vocabulary.no_retrieval)
    following = iter([*tags, vocabulary.no_retrieval])
    parts = [next(following) if part == vocabulary.no_retrieval else part for part in output.parts]
    return (*parts, next(following))


def _length(output: ReleasedOutput, control: int, inquiry: Inquiry) -> int | None:
    """How many tokens stand in front of the control token number `control`, counted from 0."""
    ids = inquiry.vocabulary.control_ids
    positions = [at for at, token_id in enumerate(output.draft.token_ids) if token_id in ids]
    return positions[control] if control < len(positions) else None
