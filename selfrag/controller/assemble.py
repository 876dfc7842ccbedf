"""From a search tree and the hypothesis that won to an `Answer`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Literal

from decoding.codec import join_segments
from decoding.scores import mean_measured
from decoding.segment import SegmentDraft
from decoding.tree import SegmentNode, SegmentTree
from selfrag.answer import NOT_FOUND, SCHEMA_VERSION, Answer, Citation, Segment, Usage
from selfrag.controller.inquiry import Inquiry

Status = Literal["complete", "budget", "not_found", "refused", "failed"]


def assemble(
    inquiry: Inquiry,
    tree: SegmentTree,
    best: SegmentNode | None,
    *,
    choice: str | None = None,
    option_scores: Mapping[str, float] | None = None,
    text: str | None = None,
) -> Answer:
    """The answer of `best`'s path; `text` overrides what its segments say (closed sets)."""
    path = [] if best is None else tree.path(best)
    answerable = _answerable(inquiry, tree, best)
    found = best is not None and answerable is not False
    citations, numbers = cite(inquiry, path if found else [])
    segments = _segments(inquiry, path, numbers or [None] * len(path))
    written = join_segments(segment.text for segment in segments).strip()
    status: Status = "complete"
    if inquiry.interrupted is not None:
        status = "budget"
        inquiry.warn(f"Stopped early ({inquiry.interrupted}); this is the best so far.")
    shown, draft = written if text is None else text, None
    if not found:
        status = "not_found" if status == "complete" else status
        shown, draft = NOT_FOUND, written or None
    answer = Answer(
        question=inquiry.question.text,
        text=shown,
        segments=segments,
        citations=citations,
        decisions=tuple(inquiry.decisions),
        usage=usage_of(inquiry),
        warnings=tuple(inquiry.warnings),
        answerable=answerable,
        draft=draft,
        status=status,
        score=None if best is None else (best.path_score if best.final is None else best.final),
        choice=choice,
        option_scores=option_scores,
        procedure=inquiry.config.procedure,
        configuration=inquiry.config.to_dict(),
        tree=tree_data(inquiry, tree, path),
    )
    return answer


def refused(inquiry: Inquiry, reason: str) -> Answer:
    """The answer to a question that cannot be asked."""
    inquiry.warn(reason)
    return Answer(
        question=str(inquiry.question.text),
        text="",
        segments=(),
        citations=(),
        decisions=(),
        usage=Usage(),
        warnings=tuple(inquiry.warnings),
        status="refused",
        procedure=inquiry.config.procedure,
        configuration=inquiry.config.to_dict(),
    )


def is_cited(segment: SegmentDraft, passage_key: str | None) -> bool:
    """A segment cites its passage unless the model itself says that it does not rest on it."""
    if passage_key is None:
        return False
    unsupported = segment.is_sup is not None and segment.is_sup.argmax == "no"
    return bool(segment.text_ids) and not segment.irrelevant and not unsupported


def cite(
    inquiry: Inquiry, path: Sequence[SegmentNode]
) -> tuple[tuple[Citation, ...], list[int | None]]:
    """Citations in order of first use, and the citation number of each segment or None."""
    used: dict[str, list[int]] = {}
    numbers: list[int | None] = []
    for index, node in enumerate(path):
        if node.segment is None or not is_cited(node.segment, node.passage_key):
            numbers.append(None)
            continue
        used.setdefault(str(node.passage_key), []).append(index)
        numbers.append(list(used).index(str(node.passage_key)) + 1)
    citations = []
    for number, (key, indices) in enumerate(used.items(), start=1):
        passage = inquiry.hits[key].passage
        citations.append(Citation(number, passage.id, passage.title, passage.text, tuple(indices)))
    return tuple(citations), numbers


def usage_of(inquiry: Inquiry) -> Usage:
    """What the question has cost; the driver adds the seconds."""
    return Usage(
        prompt_tokens=inquiry.prompt_tokens,
        generated_tokens=inquiry.generated_tokens,
        expansions=inquiry.expansions,
        retrievals=inquiry.retrievals,
        passages=len(inquiry.hits),
        cached=inquiry.cached,
        pruned=inquiry.pruned,
        pruned_tokens=inquiry.pruned_tokens,
        unwritten_tokens=inquiry.unwritten_tokens,
        cached_tokens=inquiry.cached_tokens,
        model_calls=inquiry.model_calls,
    )


def tree_data(inquiry: Inquiry, tree: SegmentTree, path: Sequence[SegmentNode]) -> dict[str, Any]:
    """The whole tree as plain data, for `selfrag.trace`."""
    return {
        "schema_version": SCHEMA_VERSION,
        "question": inquiry.question.text,
        "nodes": [_node_data(inquiry, node) for node in tree],
        "selected": [node.id for node in path],
    }


def _node_data(inquiry: Inquiry, node: SegmentNode) -> dict[str, Any]:
    codec = inquiry.prompts.codec
    hit = inquiry.hits.get(node.passage_key or "")
    segment, boundary = node.segment, node.boundary
    scores = None if segment is None else segment.scores
    distributions = {} if segment is None else {"IsRel": segment.is_rel, "IsSup": segment.is_sup}
    if boundary is not None:
        distributions |= {"Retrieve": boundary.retrieve, "IsUse": boundary.is_use}
    return {
        "id": node.id,
        "parent": node.parent,
        "depth": node.depth,
        "action": node.action,
        "passage_id": node.passage_key,
        "passage_title": None if hit is None else hit.passage.title,
        "passage_text": None if hit is None else hit.passage.text,
        "passage_rank": node.passage_rank,
        "prompt_ids": list(node.prompt_ids),
        "token_ids": [] if segment is None else list(segment.token_ids),
        "text": "" if segment is None else codec.decode(segment.text_ids),
        "literal": "" if segment is None else codec.literal(segment.token_ids),
        "scores": {
            "seq": None if scores is None else scores.seq,
            "rel": None if scores is None else scores.rel,
            "sup": None if scores is None else scores.sup,
            "ret": node.s_ret,
            "use": None if boundary is None else boundary.utility,
            "F": node.path_score,
            "final": node.final,
        },
        "distributions": {
            name: value.to_dict() for name, value in distributions.items() if value is not None
        },
        "status": node.status,
        "finish": None if boundary is None else boundary.finish,
    }


def _segments(
    inquiry: Inquiry, path: Sequence[SegmentNode], numbers: Sequence[int | None]
) -> tuple[Segment, ...]:
    drafts = [node.segment for node in path if node.segment is not None]
    texts = inquiry.prompts.codec.segment_texts([draft.text_ids for draft in drafts])
    ratios = {decision.node: decision.p_retrieve for decision in inquiry.decisions}
    segments = []
    for node, draft, text, number in zip(path, drafts, texts, numbers, strict=True):
        scores = draft.scores
        segments.append(
            Segment(
                text=text,
                passage_id=node.passage_key,
                citation=number,
                action="text" if node.action == "root" else node.action,
                p_retrieve=None if node.parent is None else ratios.get(node.parent),
                p_relevant=scores.rel,
                p_supported=None
                if draft.is_sup is None
                else {label: draft.is_sup.share(label) or 0.0 for label in draft.is_sup.labels},
                utility=None if node.boundary is None else node.boundary.utility,
                sequence=scores.seq,
                score=node.path_score,
                relevance_forced=draft.relevance_forced,
            )
        )
    return tuple(segments)


def _answerable(inquiry: Inquiry, tree: SegmentTree, best: SegmentNode | None) -> bool | None:
    """False when retrieval was wanted and nothing supported came of it; None uncalibrated."""
    wanted = any(
        decision.action == "retrieve" or decision.reason == "no_passages"
        for decision in inquiry.decisions
    )
    if best is None:
        return False if wanted and inquiry.interrupted is None else None
    if inquiry.calibration.answerable(None, None) is None:
        return None
    if not wanted:
        return True
    scores = tree.scores(best)
    relevance = mean_measured((score.rel for score in scores), default=0.0)
    support = mean_measured((score.sup for score in scores), default=0.0)
    utility = None if best.boundary is None else best.boundary.utility
    return inquiry.calibration.answerable(relevance, support, utility)
