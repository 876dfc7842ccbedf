"""What the published long-form script computes (github AkariAsai/self-rag,
`run_long_form_static.py`).

A tree over the *same* passages at every level (L10): a node is expanded when its text holds
`[Retrieval]`, and its segment is what stands before the first one. The score of a node is the
product of relevance plus support along its path (L1, L2, L9); the best `beam_width` of a level go
on, and only the deepest level answers, so what was finished earlier is lost as soon as a sibling
grows (L9). A path's prompt has texts and critique tokens but no passages (L4), and every child
but the first stores its sibling's segment in place of its parent's (L3). With special tokens
stripped, as the pinned engine does, no text ever holds `[Retrieval]`: adaptive mode never
retrieves, and the tree has one level (L5).

What the settings are called, and what happens where the script fails, is in `released_steps`;
`max_segments` is the script's `--max_depth`, which allows one level less. Not reproduced: an id
that the script's table of 32,000 log-probabilities lacks (L8) exists only where the probability
is 0; control strings that a model spells out in ordinary tokens are text.
"""

from __future__ import annotations

from decoding.codec import Part
from decoding.released_output import ReleasedOutput
from decoding.released_text import fix_spacing, postprocess, write_with_citations
from decoding.scores import retrieval_ratio
from decoding.tree import SegmentNode, SegmentTree
from selfrag.answer import Answer, Citation
from selfrag.controller.inquiry import Inquiry
from selfrag.controller.paper import emit_committed, report_level
from selfrag.controller.released_steps import (
    add_node,
    decided,
    failed,
    finished,
    outputs_of,
    plain_output,
    request_for,
    shown,
    template,
)
from selfrag.controller.released_tree import ReleasedBranch, ScriptFailure, grow
from selfrag.requests import Steps

DECISION_TOKENS = 25
"""Length of the text in which the adaptive mode looks for `[Retrieval]`."""

MODE_NEVER = (
    "The published long form ends with an UnboundLocalError here: mode no_retrieval returns a "
    "tree that was never made (L7); `draft` is what it wrote before."
)
WRITER_FAILS = (
    "The published long form fails after this prediction: without retrieval it returns a string, "
    "of which its FactScore writer takes the first character, and then ends with a KeyError (L6)."
)
NO_LEVEL = (
    "The published long form ends with a KeyError here: its tree has no level, because there are "
    "no passages or max_segments (--max_depth) is 1."
)
NO_SECOND_PATH = (
    "The published long form ends with a KeyError after this prediction: its best path is empty, "
    "and there is no second one (L11)."
)


def answer_released_long(inquiry: Inquiry) -> Steps[Answer]:
    """Decide once, grow the tree over static passages, and write its deepest level's best path."""
    config, tree = inquiry.config, SegmentTree()
    if inquiry.question.options:
        inquiry.warn("The published long form knows no closed sets; the options are text.")
    if config.mode == "never":
        decided(inquiry, False, "mode")
        output, _ = yield from plain_output(inquiry)
        draft = None if output is None else _first_paragraph(inquiry, output)
        return failed(inquiry, tree, MODE_NEVER, draft)
    retrieves = True
    if config.mode == "always":
        decided(inquiry, True, "mode")
    else:
        retrieves = yield from _decide(inquiry)
    if not retrieves:
        return (yield from _without_passages(inquiry, tree))
    hits = yield from inquiry.retrieve(inquiry.question.text, distinct=False)
    root = ReleasedBranch(tree.root, template(inquiry), (), continues=True)
    try:
        deepest, branches = yield from grow(inquiry, tree, root, hits)
    except ScriptFailure as failure:
        return failed(inquiry, tree, str(failure))
    if not deepest:
        return failed(inquiry, tree, NO_LEVEL)
    return _write(inquiry, tree, deepest, branches)


def _decide(inquiry: Inquiry) -> Steps[bool]:
    """`[Retrieval]` in the first paragraph of a short text, *and* the ratio over the threshold."""
    config, vocabulary = inquiry.config, inquiry.vocabulary
    kept = config.released_special_tokens == "kept"
    tokens = DECISION_TOKENS if kept else 0
    request = request_for(inquiry, template(inquiry), "The question", max_tokens=tokens)
    output = None
    if request is not None:
        (output,) = yield from outputs_of(inquiry, [request])
    if output is None:
        decided(inquiry, False, "text")
        return False
    no, retrieval, _ = output.retrieve
    ratio = None
    if no is not None and retrieval is not None:
        ratio = retrieval_ratio(retrieval, no)
    if not kept or not _says_retrieval(output.parts, vocabulary.retrieval):
        decided(inquiry, False, "text", output=output, ratio=ratio)
        return False
    threshold = config.released_threshold
    if threshold is None:
        decided(inquiry, False, "no_threshold", output=output, ratio=ratio)
        return False
    retrieves = ratio is not None and ratio > threshold
    decided(inquiry, retrieves, "threshold", output=output, ratio=ratio, threshold=threshold)
    return retrieves


def _says_retrieval(parts: tuple[Part, ...], retrieval: int) -> bool:
    """Whether `[Retrieval]` stands in front of the first empty line."""
    for part in parts:
        if part == retrieval:
            return True
        if isinstance(part, str) and "\n\n" in part:
            return False
    return False


def _without_passages(inquiry: Inquiry, tree: SegmentTree) -> Steps[Answer]:
    """The continuation of `[No Retrieval]` up to the first empty line."""
    output, request = yield from plain_output(inquiry)
    if output is None or request is None:
        return failed(inquiry, tree, "The question could not be continued.")
    node = add_node(inquiry, tree, tree.root, "no_retrieval", request, output, 0.0)
    report_level(inquiry, [node], [node])
    _committed(inquiry, [node])
    text = postprocess(_first_paragraph(inquiry, output))
    if inquiry.config.released_writer == "factscore":
        inquiry.warn(WRITER_FAILS)
        text = fix_spacing(text)
    return finished(inquiry, tree, node, text)


def _first_paragraph(inquiry: Inquiry, output: ReleasedOutput) -> str:
    return shown(inquiry, output.parts).split("\n\n")[0]


def _write(
    inquiry: Inquiry,
    tree: SegmentTree,
    deepest: list[ReleasedBranch],
    branches: dict[int, ReleasedBranch],
) -> Answer:
    """The best path as the script's writer for the task puts it down."""
    config, survivors = inquiry.config, {branch.node.id for branch in deepest}
    for node in tree:
        if node.status == "finished" and node.id not in survivors:
            node.status = "unselected"
    ignores = "no_support" in config.drop
    paths = [
        [
            branch
            for branch in (branches[0], *(branches[node.id] for node in tree.path(leaf.node)))
            if not (ignores and inquiry.vocabulary.no_support in branch.segment)
        ]
        for leaf in deepest
    ]
    texts = [[shown(inquiry, branch.segment) for branch in path] for path in paths]
    best = deepest[0].node
    if config.released_writer == "factscore":
        text = fix_spacing(postprocess(" ".join(texts[0])))
        _committed(inquiry, tree.path(best))
        return finished(inquiry, tree, best, text)
    cited = write_with_citations(texts)
    if cited is None:
        inquiry.warn(NO_SECOND_PATH)
        return finished(inquiry, tree, best, "")
    best = deepest[cited.path].node
    _committed(inquiry, tree.path(best))
    nodes = [paths[cited.path][position].node for position in cited.positions]
    return finished(inquiry, tree, best, cited.text, citations=_citations(inquiry, nodes))


def _citations(inquiry: Inquiry, nodes: list[SegmentNode]) -> tuple[Citation, ...]:
    """The script's `docs`: one entry for every segment written, the same passage or not."""
    citations = []
    for number, node in enumerate(nodes, start=1):
        passage = inquiry.hits[str(node.passage_key)].passage
        segments = (node.depth - 1,)
        citations.append(Citation(number, passage.id, passage.title, passage.text, segments))
    return tuple(citations)


def _committed(inquiry: Inquiry, path: list[SegmentNode]) -> None:
    if inquiry.log.active:
        emit_committed(inquiry, path, 0)
