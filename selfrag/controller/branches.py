"""From a hypothesis and a decision to the generations that extend it.

A branch's prompt is the question, the path so far and what the decision inserts. When the context
is short, the oldest passages of the path go first; then the new passage is cut at a sentence;
one that does not fit at all is dropped. Each of these leaves a warning in the answer.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

from decoding.generation import Generation
from decoding.scaling import choice_offsets
from decoding.scores import retrieval_score
from decoding.tree import Action, SegmentNode, SegmentTree
from retrievers.hit import Hit
from selfrag.controller.inquiry import MIN_ROOM, Inquiry


@dataclass(frozen=True, slots=True)
class PlannedBranch:
    """A branch that is about to be expanded."""

    parent: SegmentNode
    action: Action
    inserted_ids: tuple[int, ...]
    generation: Generation
    passage_key: str | None = None
    passage_rank: int = 0
    s_ret: float | None = None


class BranchBuilder:
    """Builds the branches of one question's tree."""

    def __init__(self, inquiry: Inquiry, tree: SegmentTree, prompt: tuple[int, ...]) -> None:
        self._inquiry = inquiry
        self._tree = tree
        self._prompt = prompt
        vocabulary = inquiry.vocabulary
        self._critique_stops = frozenset(vocabulary.is_sup.ids)
        ends = {*vocabulary.utility, *vocabulary.eos_ids, vocabulary.paragraph_start}
        self._segment_stops = frozenset({*vocabulary.retrieve.ids, *ends})
        self._answer_stops = frozenset({vocabulary.retrieval, *ends})

    def plain(self, parent: SegmentNode, action: Action) -> PlannedBranch | None:
        """A branch without a new passage: keep the evidence, go without, or write on."""
        vocabulary = self._inquiry.vocabulary
        inserted = {
            "continue": (vocabulary.continue_evidence,),
            "no_retrieval": (vocabulary.no_retrieval,),
        }.get(action, ())
        prompt = self._fit_path(parent, len(inserted))
        if prompt is None:
            self._inquiry.warn("The context is full; the answer ends here.")
            return None
        kept = (parent.passage_key, parent.passage_rank) if action == "continue" else (None, 0)
        return PlannedBranch(
            parent, action, inserted, self._generation((*prompt, *inserted), first=False), *kept
        )

    def with_passages(self, parent: SegmentNode, hits: list[Hit]) -> list[PlannedBranch]:
        """One branch per passage, those that fit, in the order of their ranks."""
        branches = []
        best = max((hit.score for hit in hits), default=0.0)
        for hit in hits:
            branch = self._with_passage(parent, hit)
            if branch is not None:
                s_ret = retrieval_score(hit.score, best)
                branches.append(replace(branch, s_ret=s_ret))
        return branches

    def _with_passage(self, parent: SegmentNode, hit: Hit) -> PlannedBranch | None:
        inquiry, passage = self._inquiry, hit.passage
        try:
            whole = inquiry.prompts.passage(passage.title, passage.text)
        except ValueError as error:
            inquiry.warn(f"Passage {passage.id!r} cannot be encoded and was dropped: {error}.")
            return None
        prompt, inserted = self._fit_path(parent, len(whole)), whole
        if prompt is None:
            prompt = self._path_ids(parent, keep_last=0)
            self._warn_of_short_path(parent)
            room = inquiry.context_limit - MIN_ROOM - len(prompt)
            fitted = inquiry.prompts.fit_passage(passage.title, passage.text, room)
            if fitted is None:
                inquiry.warn(
                    f"Passage {passage.id!r} (rank {hit.rank}) does not fit the context of "
                    f"{inquiry.context_limit} tokens and was dropped."
                )
                return None
            inquiry.warn(
                f"Passage {passage.id!r} (rank {hit.rank}) was cut at a sentence to fit the "
                f"context of {inquiry.context_limit} tokens."
            )
            inserted = fitted.ids
        return PlannedBranch(
            parent,
            "retrieve",
            inserted,
            self._generation((*prompt, *inserted), first=True),
            passage.id,
            hit.rank,
        )

    def _generation(self, prompt: tuple[int, ...], *, first: bool) -> Generation:
        """What to decode after `prompt`; with `first`, an IsRel token stands at position 0."""
        inquiry = self._inquiry
        vocabulary, short = inquiry.vocabulary, inquiry.config.form == "short"
        threshold = inquiry.config.relevance_threshold
        return Generation(
            prompt_ids=prompt,
            max_tokens=inquiry.room(len(prompt)),
            stop_ids=self._answer_stops if short else self._segment_stops,
            closing_ids=frozenset() if short else self._critique_stops,
            first_ids=vocabulary.is_rel.ids if first else (),
            first_offsets=choice_offsets(vocabulary.is_rel.scaling, threshold) if first else (),
            read_ids=vocabulary.read_ids,
        )

    def _fit_path(self, parent: SegmentNode, extra: int) -> tuple[int, ...] | None:
        """The longest form of the path that leaves room for `extra` ids and for writing."""
        inquiry = self._inquiry
        wanted = min(inquiry.config.max_segment_tokens, inquiry.context_limit // 2)
        steps = len(self._tree.path(parent))
        for keep in range(steps, -1, -1):
            ids = self._path_ids(parent, keep_last=keep)
            least = wanted if keep else MIN_ROOM
            if len(ids) + extra + least <= inquiry.context_limit:
                if keep < steps:
                    self._warn_of_short_path(parent)
                return ids
        return None

    def _warn_of_short_path(self, parent: SegmentNode) -> None:
        """Say that passages of the path are missing from a prompt that should hold them."""
        if parent.parent is not None and self._inquiry.config.path == "training":
            self._inquiry.warn(
                "The context was short: the oldest passages were left out of the prompt."
            )

    def _path_ids(self, parent: SegmentNode, keep_last: int) -> tuple[int, ...]:
        """Question and path; only the last `keep_last` segments keep passages and critiques."""
        path = self._tree.path(parent)
        first_kept = 0 if keep_last >= len(path) else len(path) - keep_last
        if self._inquiry.config.path == "text":
            first_kept = len(path)
        ids = list(self._prompt)
        for index, node in enumerate(path):
            if node.segment is None:
                continue
            if index >= first_kept:
                ids += node.inserted_ids
                ids += node.segment.token_ids
            else:
                ids += node.segment.text_ids
        return tuple(ids)
