"""Finds candidates: the passages from which each segment's own is chosen.

The query is what an answering model would ask with: the instruction for the first segment, the
instruction and the segment before for later ones. The text that is to be supported is not in it,
unless asked for (the published procedure does that, so that its passages are easier than those of
an answering model). Rows that bring passages of their own are given the first of those.

Candidates are found for every segment that may need one; a query does not depend on what is
chosen, so one search serves a whole batch of rows. This module knows nothing of labels.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Protocol

from decoding.vocabulary import RETRIEVAL
from indexes.passage import Passage
from selfrag.controller.queries import later_queries, taken_in_turn
from selfrag.training.generator.drafts import Candidate, Draft, LeftOut
from selfrag.training.generator.options import GeneratorDataOptions
from selfrag.training.stages import Drop, InputLine, Process, Row

if TYPE_CHECKING:
    from retrievers.base import Retriever

Place = tuple[int, int]
"""A row of a batch and a segment of it."""


class PassageLookup(Protocol):
    """Finds a passage by its id: an index's store, or a dictionary."""

    def __contains__(self, passage_id: object, /) -> bool:
        """Whether there is one."""

    def get(self, passage_id: str, /) -> Passage | None:
        """The passage with an id that is there."""


def queries_of(draft: Draft, place: int, options: GeneratorDataOptions) -> list[str]:
    """What is asked for the passages of a segment (paper, appendix A.3; without gold: what the
    controller asks, `selfrag.controller.queries`)."""
    if options.gold_in_query:
        return [f"{draft.question} {draft.segments[place].text}"]
    if place == 0:
        return [draft.question]
    return later_queries(draft.question, draft.segments[place - 1].text, options.query)


def retrieving(
    retriever: Retriever | None, known: PassageLookup | None, options: GeneratorDataOptions
) -> Process:
    """The third step. known: where evidence that was not found can be had."""

    def process(lines: Sequence[InputLine]) -> list[Sequence[Row] | Drop]:
        drafts = [Draft.from_dict(line.row or {}) for line in lines]
        found = _search(drafts, retriever, options)
        return [_with_candidates(row, draft, found) for row, draft in enumerate(drafts)]

    def _with_candidates(
        row: int, draft: Draft, found: Mapping[Place, Sequence[Passage]]
    ) -> Sequence[Row] | Drop:
        for place in _places(draft):
            if (row, place) not in found:
                return Drop(
                    "nothing to search",
                    f"segment {place} needs passages; give a retriever, or `passages` in the row",
                )
            draft = with_candidates(draft, place, found[row, place], known, options)
            segment = draft.segments[place]
            if segment.opening == RETRIEVAL and not segment.candidates:
                left_out = ", ".join(f"{one.passage}: {one.reason}" for one in draft.left_out)
                return Drop("no passage found", f"segment {place}; left out: {left_out or 'none'}")
        return [replace(draft, pool=()).to_dict()]

    return process


def with_candidates(
    draft: Draft,
    place: int,
    found: Sequence[Passage],
    known: PassageLookup | None,
    options: GeneratorDataOptions,
) -> Draft:
    """The draft with the candidates of one segment, made of the passages found for it."""
    segment = draft.segments[place]
    candidates: list[Candidate] = []
    left_out = list(draft.left_out)
    for passage in found:
        if problem := _problem(passage, candidates, options):
            left_out.append(LeftOut(place, passage.id, problem))
        else:
            candidates.append(Candidate(passage))
    evidence = segment.evidence or ()
    if options.ensure_evidence and not any(one.passage.id in evidence for one in candidates):
        for passage in _evidence(draft, evidence, known):
            if problem := _problem(passage, candidates, options):
                left_out.append(LeftOut(place, passage.id, problem))
                continue
            del candidates[options.passages - 1 :]
            candidates.append(Candidate(passage, ensured=True))
            break
    kept = dict.fromkeys(left_out)  # a passage that is found and ensured has one reason
    draft = replace(draft, left_out=tuple(kept))
    return draft.with_segment(place, replace(segment, candidates=tuple(candidates)))


def _places(draft: Draft) -> list[int]:
    """The segments that may need passages."""
    return [place for place, segment in enumerate(draft.segments) if segment.may_retrieve]


def _search(
    drafts: Sequence[Draft], retriever: Retriever | None, options: GeneratorDataOptions
) -> dict[Place, list[Passage]]:
    """The passages for every segment that may need some; a place that nothing can serve has no
    entry."""
    found: dict[Place, list[Passage]] = {}
    queries: dict[Place, list[str]] = {}
    for row, draft in enumerate(drafts):
        for place in _places(draft):
            if draft.pool:
                found[row, place] = list(draft.pool[: options.passages])
            elif retriever is not None:
                queries[row, place] = queries_of(draft, place, options)
    if queries and retriever is not None:
        asked = [query for several in queries.values() for query in several]
        rankings = iter(retriever.search_many(asked, options.passages))
        for where, several in queries.items():
            hits = taken_in_turn([next(rankings) for _ in several], options.passages)
            found[where] = [hit.passage for hit in hits]
    return found


def _evidence(
    draft: Draft, evidence: Sequence[str], known: PassageLookup | None
) -> Sequence[Passage]:
    """The known evidence that can be had, from the row's own passages or the corpus."""
    pool = {passage.id: passage for passage in draft.pool}
    passages: list[Passage] = []
    for passage_id in evidence:
        passage = pool.get(passage_id)
        if passage is None and known is not None and passage_id in known:
            passage = known.get(passage_id)
        if passage is not None:
            passages.append(passage)
    return passages


def _problem(passage: Passage, before: Sequence[Candidate], options: GeneratorDataOptions) -> str:
    """Why a passage cannot be a candidate; "" where it can."""
    if not passage.text.strip():
        return "passage without text"
    if len(passage.title) + len(passage.text) > options.longest_passage:
        return "passage too long"
    if any(one.passage.id == passage.id for one in before):
        return "passage twice"
    return ""
