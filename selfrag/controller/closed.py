"""Closed-set questions: multiple choice, true or false.

"sum": every passage's candidate is finished and read as an option; an option's score is the sum
of its candidates' final scores (paper, section 4.1; the published script sums too, but over raw
strings). "likelihood": an option's score is the sum over passages of p(Relevant) times the exp of
the mean log-probability of the option's own tokens. Nothing is pruned: every candidate counts.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from decoding.generation import Generation
from decoding.search import BeamSearch
from decoding.segment import boundary_of, read_segment
from decoding.tree import SegmentNode
from selfrag.answer import Answer
from selfrag.controller.assemble import assemble
from selfrag.controller.branches import BranchBuilder
from selfrag.controller.inquiry import Inquiry
from selfrag.controller.options import read_option
from selfrag.controller.paper import finish_candidates, plan
from selfrag.requests import Steps


def answer_closed(
    inquiry: Inquiry, prompt: tuple[int, ...], options: Mapping[str, str]
) -> Steps[Answer]:
    """Score every option and answer with the best; ties go to the option listed first."""
    if inquiry.config.closed_set == "likelihood":
        return (yield from _by_likelihood(inquiry, prompt, options))
    return (yield from _by_sum(inquiry, prompt, options))


def _by_sum(inquiry: Inquiry, prompt: tuple[int, ...], options: Mapping[str, str]) -> Steps[Answer]:
    search = yield from finish_candidates(inquiry, prompt, prune=False)
    codec = inquiry.prompts.codec
    scores = dict.fromkeys(options, 0.0)
    chosen: dict[str, SegmentNode] = {}
    for node in sorted(search.pool, key=lambda node: node.final_order):
        text = "" if node.segment is None else codec.decode(node.segment.text_ids)
        key = read_option(text, options)
        if key is not None:
            scores[key] += node.path_score if node.final is None else node.final
            chosen.setdefault(key, node)
    if not chosen:
        inquiry.warn("No candidate named exactly one of the options.")
        return assemble(inquiry, search.tree, search.best(), option_scores=scores)
    choice = max(chosen, key=lambda key: (scores[key], -list(options).index(key)))
    return assemble(
        inquiry,
        search.tree,
        chosen[choice],
        choice=choice,
        option_scores=scores,
        text=options[choice],
    )


def _by_likelihood(
    inquiry: Inquiry, prompt: tuple[int, ...], options: Mapping[str, str]
) -> Steps[Answer]:
    search = BeamSearch(inquiry.config)
    builder = BranchBuilder(inquiry, search.tree, prompt)
    branches = yield from plan(inquiry, search, builder, search.tree.root, prompt)
    vocabulary, codec = inquiry.vocabulary, inquiry.prompts.codec
    keys = list(options)
    written = {key: codec.encode([vocabulary.relevant, options[key]], bos=False) for key in keys}
    generations, owners = [], []
    for branch in branches:
        for key in keys:
            ids = written[key] if branch.generation.first_ids else written[key][1:]
            generations.append(
                Generation(
                    branch.generation.prompt_ids,
                    max_tokens=len(ids),
                    forced_ids=ids,
                    read_ids=vocabulary.read_ids,
                )
            )
            owners.append((branch, key))
    allowed, most = inquiry.affordable(len(generations))
    if allowed < len(generations) or most < max(map(len, written.values())):
        inquiry.stop("max_generated_tokens")
        return assemble(inquiry, search.tree, None)
    drafts = yield from inquiry.expand(generations, first_node=len(search.tree.nodes))
    scores = dict.fromkeys(keys, 0.0)
    best_of: dict[str, tuple[float, int]] = {}
    for (branch, key), draft in zip(owners, drafts, strict=True):
        read = read_segment(draft, vocabulary)
        # Every option is written behind [Relevant]; what the model thought of the passage counts.
        doubted = read.is_rel is not None and read.is_rel.argmax == "irrelevant"
        segment = replace(read, irrelevant=doubted)
        node = search.tree.add(
            branch.parent,
            branch.action,
            segment,
            boundary_of(draft, vocabulary),
            inquiry.config,
            passage_key=branch.passage_key,
            passage_rank=branch.passage_rank,
            inserted_ids=branch.inserted_ids,
            prompt_ids=branch.generation.prompt_ids,
        )
        if draft.finish == "cancelled":
            node.status = "cancelled"
            continue
        node.status = "finished"
        relevance = 1.0 if segment.scores.rel is None else segment.scores.rel
        value = relevance * (segment.scores.seq or 0.0)
        scores[key] += value
        if key not in best_of or value > best_of[key][0]:
            best_of[key] = (value, node.id)
    if not best_of:
        inquiry.warn("No option could be scored.")
        return assemble(inquiry, search.tree, None, option_scores=scores)
    choice = max(keys, key=lambda key: (scores[key], -keys.index(key)))
    return assemble(
        inquiry,
        search.tree,
        search.tree.nodes[best_of[choice][1]],
        choice=choice,
        option_scores=scores,
        text=options[choice],
    )
