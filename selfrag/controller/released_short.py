"""What the published short-form script computes (github AkariAsai/self-rag, `run_short_form.py`).

The decision compares a ratio of *logarithms* with the threshold, which turns it round (S2); all
candidates are written to the end of text or the token limit; their scores include the probability
of control tokens and of the end of text; utility weighs 1 (S10); closed sets add up scores by the
exact text of the answer (S11). Short-form prompts are never cut and passages never merged (S12).
What the settings are called, and what happens where the script fails, is in `released_steps`. The
one patch: the script's own call passes an argument (`max_depth`) that its function does not take.

Not reproduced: the decision's generation, of which only position 0 is used, is that position only
(S8); an id that the script's table of log-probabilities lacks, which ends it with a KeyError (S3)
or counts as -100, exists here only where the probability is 0.
"""

from __future__ import annotations

from decoding.released_output import ReleasedOutput
from decoding.released_scores import (
    released_retrieval_ratio,
    released_sequence_score,
    released_short_relevance,
    released_short_score,
    released_short_utility,
    released_support,
)
from decoding.released_text import postprocess_option, strip_leading_mark
from decoding.tree import SegmentNode, SegmentTree
from retrievers.hit import Hit
from selfrag.answer import Answer
from selfrag.controller.inquiry import Inquiry
from selfrag.controller.paper import emit_committed, report_level
from selfrag.controller.released_steps import (
    add_node,
    decided,
    failed,
    finished,
    outputs_of,
    passage_parts,
    plain_output,
    request_for,
    shown,
    template,
)
from selfrag.requests import Steps

NO_THRESHOLD = (
    "The published short form ends with an UnboundLocalError here: without a threshold it looks "
    "for [Retrieval] in a prediction that does not exist yet (S4). Set released_threshold."
)
MISSING_ID = (
    "The published short form ends here, where [Retrieval] or [No Retrieval] has no probability: "
    "its table lacks the id (KeyError, S3)."
)
ALWAYS_ONE = (
    "The published short form ends with an AttributeError here: mode always_retrieve with one "
    "passage (S5). Use two passages, or mode 'adaptive'."
)
ALWAYS_NONE = (
    "The published short form ends with an IndexError here: mode always_retrieve without "
    "passages (S5)."
)
ADAPTIVE_NONE = (
    "The published short form ends with an UnboundLocalError here: it decided to retrieve, and "
    "there are no passages (S5)."
)
EMPTY_PREDICTION = (
    "The published short form ends with an IndexError after this question: it looks at the first "
    "character of an empty prediction."
)


def answer_released_short(inquiry: Inquiry) -> Steps[Answer]:
    """Decide, write every candidate, score, and take the best one or the best sum."""
    config, tree = inquiry.config, SegmentTree()
    if config.mode == "adaptive":
        if config.released_threshold is None:
            return failed(inquiry, tree, NO_THRESHOLD)
        choice = yield from _decide(inquiry, config.released_threshold)
        if choice is None:
            return failed(inquiry, tree, MISSING_ID)
        retrieves = choice
    else:
        retrieves = config.mode == "always"
        decided(inquiry, retrieves, "mode")
    if not retrieves:
        return (yield from _without_passages(inquiry, tree))
    hits = yield from inquiry.retrieve(inquiry.question.text, distinct=False)
    if not hits:
        return failed(inquiry, tree, ALWAYS_NONE if config.mode == "always" else ADAPTIVE_NONE)
    candidates = yield from _candidates(inquiry, tree, hits)
    if len(hits) == 1 and config.mode == "always":
        written = shown(inquiry, candidates[0][1].parts) if candidates else None
        return failed(inquiry, tree, ALWAYS_ONE, written)
    if not candidates:
        return failed(inquiry, tree, "No candidate could be written.")
    if inquiry.question.options:
        return _closed(inquiry, tree, candidates)
    best, output = max(candidates, key=lambda candidate: candidate[0].path_score)
    _report(inquiry, tree, candidates, best)
    return finished(inquiry, tree, best, _stored(inquiry, shown(inquiry, output.parts)))


Candidate = tuple[SegmentNode, ReleasedOutput]


def _decide(inquiry: Inquiry, threshold: float) -> Steps[bool | None]:
    """Whether the ratio of log-probabilities is above the threshold; None without a ratio."""
    request = request_for(inquiry, template(inquiry), "The question", max_tokens=0)
    if request is None:
        return None
    (output,) = yield from outputs_of(inquiry, [request])
    if output is None:
        return None
    no, retrieval, _ = output.retrieve
    if retrieval is None or no is None:
        return None
    ratio = released_retrieval_ratio(retrieval, no)
    if ratio is None:
        return None
    retrieves = ratio > threshold
    decided(inquiry, retrieves, "log_ratio", output=output, ratio=ratio, threshold=threshold)
    return retrieves


def _without_passages(inquiry: Inquiry, tree: SegmentTree) -> Steps[Answer]:
    """The continuation of `[No Retrieval]`, post-processed."""
    output, request = yield from plain_output(inquiry)
    if output is None or request is None:
        return failed(inquiry, tree, "The question could not be continued.")
    node = add_node(inquiry, tree, tree.root, "no_retrieval", request, output, 0.0)
    _report(inquiry, tree, [(node, output)], node)
    text = postprocess_option(shown(inquiry, output.parts))
    return finished(inquiry, tree, node, _stored(inquiry, text))


def _candidates(inquiry: Inquiry, tree: SegmentTree, hits: list[Hit]) -> Steps[list[Candidate]]:
    """One candidate per passage, under the script's score."""
    planned = []
    for hit in hits:
        parts = (*template(inquiry), *passage_parts(inquiry, hit))
        request = request_for(inquiry, parts, f"Passage {hit.passage.id!r} (rank {hit.rank})")
        if request is not None:
            planned.append((hit, request))
    outputs = yield from outputs_of(inquiry, [request for _, request in planned], first_node=1)
    candidates = []
    for (hit, request), output in zip(planned, outputs, strict=True):
        if output is not None:
            score = score_of(inquiry, output)
            node = add_node(inquiry, tree, tree.root, "retrieve", request, output, score, hit)
            candidates.append((node, output))
    return candidates


def score_of(inquiry: Inquiry, output: ReleasedOutput) -> float:
    """The script's score of one candidate; a flag that is off drops its term."""
    config = inquiry.config
    irrelevant, relevant = output.is_rel
    return released_short_score(
        released_sequence_score(output.log_probabilities) if config.released_seqscore else None,
        released_short_relevance(relevant, irrelevant),
        released_support(output.is_sup if config.released_groundness else None),
        released_short_utility(output.is_use if config.released_utility else None),
        w_rel=config.w_rel,
        w_sup=config.w_sup,
        w_use=config.released_w_use,
    )


def _closed(inquiry: Inquiry, tree: SegmentTree, candidates: list[Candidate]) -> Answer:
    """The answer string with the greatest sum of scores, the first one of equals."""
    sums: dict[str, float] = {}
    owners: dict[str, SegmentNode] = {}
    for node, output in candidates:
        string = postprocess_option(shown(inquiry, output.parts))
        sums[string] = sums.get(string, 0.0) + node.path_score
        if string not in owners or node.path_score > owners[string].path_score:
            owners[string] = node
    best = max(sums, key=lambda string: sums[string])
    _report(inquiry, tree, candidates, owners[best])
    text = _stored(inquiry, best)
    choice = text if text in (inquiry.question.options or {}) else None
    return finished(inquiry, tree, owners[best], text, choice=choice, option_scores=sums)


def _stored(inquiry: Inquiry, prediction: str) -> str:
    """The prediction as the script stores it."""
    if not prediction:
        inquiry.warn(EMPTY_PREDICTION)
    return strip_leading_mark(prediction)


def _report(
    inquiry: Inquiry, tree: SegmentTree, candidates: list[Candidate], best: SegmentNode
) -> None:
    if inquiry.log.active:
        report_level(inquiry, [node for node, _ in candidates], [best])
        emit_committed(inquiry, tree.path(best), 0)
