"""What both published procedures share: requests, passages, outcomes.

How the scripts' options are called here: `--ndocs` is `passages`, `--max_new_tokens`
`max_segment_tokens`, `--max_depth` `max_segments`, `--threshold` `released_threshold`, `--mode`
`mode`, `--w_rel` and `--w_sup` `w_rel` and `w_sup`, `--w_use` `released_w_use`, `--ignore_cont`
"no_support" in `drop`. Everything else of the configuration belongs to the paper's procedure.

Where a script fails before it has a prediction, the answer has the status "failed", an empty
text, what was written so far in `draft`, and a warning that says where the script fails. Where it
only fails while writing a prediction down, the prediction is the answer, with the warning.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

from decoding.codec import Part
from decoding.generation import Generation, limited
from decoding.prompt import question_parts
from decoding.released_output import ReleasedOutput, read_output, released_request, text_of
from decoding.segment import boundary_of, distribution_at, read_segment
from decoding.tree import Action, SegmentNode, SegmentTree
from retrievers.hit import Hit
from selfrag.answer import Answer, Citation, Decision
from selfrag.calibration import Calibration
from selfrag.controller.assemble import assemble
from selfrag.controller.inquiry import Inquiry
from selfrag.controller.options import template_texts
from selfrag.requests import Steps


def template(inquiry: Inquiry) -> tuple[Part, ...]:
    """The question's prompt as parts; a later prompt continues it with text."""
    return question_parts(*template_texts(inquiry.question))


def passage_parts(inquiry: Inquiry, hit: Hit) -> tuple[Part, ...]:
    """`[Retrieval]<paragraph>title\\ntext</paragraph>`, the newline also without a title."""
    vocabulary = inquiry.vocabulary
    body = f"{hit.passage.title}\n{hit.passage.text}"
    return (vocabulary.retrieval, vocabulary.paragraph_start, body, vocabulary.paragraph_end)


def request_for(
    inquiry: Inquiry, parts: Sequence[Part], what: str, max_tokens: int | None = None
) -> Generation | None:
    """The request for one prompt; None, with a warning, where it cannot be made.

    The scripts have no check for the length of a prompt (S12).
    """
    try:
        prompt = inquiry.prompts.codec.encode(parts, bos=True)
    except ValueError as error:
        inquiry.warn(f"{what} cannot be encoded and was left out: {error}.")
        return None
    wanted = inquiry.config.max_segment_tokens if max_tokens is None else max_tokens
    room = inquiry.context_limit - len(prompt)
    if room < 1:
        inquiry.warn(
            f"{what} does not fit the context of {inquiry.context_limit} tokens and was left out; "
            "the published script hands it to its engine all the same."
        )
        return None
    return released_request(prompt, min(wanted, room), inquiry.vocabulary)


def outputs_of(
    inquiry: Inquiry, requests: Sequence[Generation], first_node: int = 0
) -> Steps[list[ReleasedOutput | None]]:
    """Decode; one output for each request, None for one that a budget left unread."""
    wanted = max((request.max_tokens for request in requests), default=0)
    limits = list(requests)
    if inquiry.budget.max_generated_tokens is not None and wanted > 0:
        allowed, most = inquiry.affordable(len(requests))
        if allowed < len(requests) or most < wanted:
            inquiry.stop("max_generated_tokens")
        kept = requests[: max(allowed, 0)] if most >= 1 else []
        limits = [limited(request, most) for request in kept]
    if not limits:
        return [None for _ in requests]
    drafts = yield from inquiry.expand(limits, first_node=first_node)
    codec, vocabulary = inquiry.prompts.codec, inquiry.vocabulary
    outputs = [
        read_output(request, draft, codec, vocabulary)
        for request, draft in zip(limits, drafts, strict=True)
    ]
    return [*outputs, *[None] * (len(requests) - len(outputs))]


def shown(inquiry: Inquiry, parts: tuple[Part, ...]) -> str:
    """Parts as the script's engine decodes them under `released_special_tokens`."""
    kept = inquiry.config.released_special_tokens == "kept"
    return text_of(parts, inquiry.prompts.codec, special_tokens=kept)


def plain_output(inquiry: Inquiry) -> Steps[tuple[ReleasedOutput | None, Generation | None]]:
    """The continuation of the bare prompt and `[No Retrieval]`, with its request."""
    parts = (*template(inquiry), inquiry.vocabulary.no_retrieval)
    request = request_for(inquiry, parts, "The question")
    if request is None:
        return None, None
    (output,) = yield from outputs_of(inquiry, [request], first_node=1)
    return output, request


def add_node(
    inquiry: Inquiry,
    tree: SegmentTree,
    parent: SegmentNode,
    action: Action,
    request: Generation,
    output: ReleasedOutput,
    score: float,
    hit: Hit | None = None,
    length: int | None = None,
) -> SegmentNode:
    """Put an output into the tree under the script's score; only `length` tokens are its text.

    The node's measurements (distributions, sequence score) are those of `decoding.segment`.
    """
    draft = output.draft
    written = replace(draft, token_ids=draft.token_ids[:length])
    node = tree.add(
        parent,
        action,
        read_segment(written, inquiry.vocabulary),
        boundary_of(draft, inquiry.vocabulary),
        inquiry.config,
        passage_key=None if hit is None else hit.passage.id,
        passage_rank=0 if hit is None else hit.rank,
        prompt_ids=request.prompt_ids,
    )
    node.path_score, node.final, node.status = score, score, "finished"
    return node


def decided(
    inquiry: Inquiry,
    retrieves: bool,
    reason: str,
    *,
    output: ReleasedOutput | None = None,
    ratio: float | None = None,
    threshold: float | None = None,
) -> None:
    """Record the decision at the bare question."""
    vocabulary = inquiry.vocabulary
    reading = None if output is None else output.draft.readings[0]
    distribution = distribution_at(vocabulary.retrieve, reading, vocabulary)
    decision = Decision(
        depth=0,
        action="retrieve" if retrieves else "no_retrieval",
        p_retrieve=ratio,
        p_continue=None if distribution is None else distribution.share("continue"),
        mass=None if distribution is None else distribution.mass,
        threshold=threshold,
        reason=reason,
        node=0,
    )
    inquiry.decisions.append(decision)
    inquiry.log.emit(
        "decision.retrieve",
        node=0,
        action=decision.action,
        p_retrieve=ratio,
        threshold=threshold,
        mass=decision.mass,
        reason=reason,
    )


def finished(
    inquiry: Inquiry,
    tree: SegmentTree,
    best: SegmentNode | None,
    text: str,
    *,
    choice: str | None = None,
    option_scores: Mapping[str, float] | None = None,
    citations: tuple[Citation, ...] | None = None,
) -> Answer:
    """The answer with the script's own text; the scripts know no refusal."""
    inquiry.calibration = Calibration()
    answer = assemble(inquiry, tree, best, choice=choice, option_scores=option_scores)
    cited = answer.citations if citations is None else citations
    return replace(
        answer,
        text=text,
        citations=cited,
        status="complete" if inquiry.interrupted is None else "budget",
        answerable=None,
        draft=None,
        warnings=tuple(inquiry.warnings),
    )


def failed(inquiry: Inquiry, tree: SegmentTree, warning: str, draft: str | None = None) -> Answer:
    """The outcome where the published script ends with an error before it has a prediction."""
    if inquiry.interrupted is not None:
        return finished(inquiry, tree, None, draft or "")
    inquiry.warn(warning)
    return replace(finished(inquiry, tree, None, ""), status="failed", draft=draft or None)
