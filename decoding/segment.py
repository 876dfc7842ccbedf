"""A draft read as a segment: text, critique distributions and what comes next.

The grammar of reference training (paper, table 1 and section 3.2.2): a segment may begin with an
IsRel token, carries text, and may end with an IsSup token. `[Utility:*]` follows the last one.
"""

from __future__ import annotations

from dataclasses import dataclass

from decoding.distributions import ReflectionDistribution
from decoding.generation import Draft, Finish, PartialDraft
from decoding.scores import (
    SUPPORT_AFTER_IRRELEVANT,
    sequence_score,
    support_score,
    utility_score,
)
from decoding.vocabulary import ReflectionVocabulary, TokenGroup


@dataclass(frozen=True, slots=True)
class SegmentScores:
    """Measurements of one segment; None is "not measured".

    seq: exp(mean log-probability of the text tokens); rel: p(Rel) / (p(Rel) + p(Irrel));
    sup: (p(Fully) + p(Partially) / 2) / sum, and 0 after `[Irrelevant]`; ret: what the retriever
    said of its passage, see `scores.retrieval_score`.
    """

    seq: float | None = None
    rel: float | None = None
    sup: float | None = None
    ret: float | None = None


@dataclass(frozen=True, slots=True)
class SegmentDraft:
    """One segment as the model wrote it.

    Attributes:
        token_ids: all its ids, critique tokens included, in order.
        text_ids: the ids that are text.
        text_log_probabilities: natural log-probabilities of `text_ids`.
        is_rel, is_sup: distributions at the positions of those tokens, or None.
        relevance_forced: the IsRel token was not the vocabulary's most probable one.
        irrelevant: `[Irrelevant]` is what the segment was written behind. With a
            `relevance_threshold` that need not be the more probable token.
    """

    token_ids: tuple[int, ...]
    text_ids: tuple[int, ...]
    text_log_probabilities: tuple[float, ...]
    is_rel: ReflectionDistribution | None
    is_sup: ReflectionDistribution | None
    relevance_forced: bool = False
    irrelevant: bool = False

    @property
    def scores(self) -> SegmentScores:
        """Its sequence, relevance and support scores."""
        sup = SUPPORT_AFTER_IRRELEVANT if self.irrelevant else None
        if self.is_sup is not None and not self.irrelevant:
            sup = support_score(*self.is_sup.log_probabilities)
        rel = None if self.is_rel is None else self.is_rel.share("relevant")
        return SegmentScores(sequence_score(self.text_log_probabilities), rel, sup)


@dataclass(frozen=True, slots=True)
class Boundary:
    """What the model would do after a draft.

    Attributes:
        next_id: the vocabulary's most probable id there, or None when not computed.
        retrieve: distribution of the Retrieve group there, or None.
        is_use: distribution of the IsUse group there, or None.
        finish: why the draft ended.
        ended: the model closed its answer (`[Utility:*]` or end of text comes next).
        utility: expected utility in [-1, 1] when `[Utility:*]` comes next, else None.

    With an `end_threshold` (`boundary_of`) the masses of the two groups decide which comes next.
    """

    next_id: int | None
    retrieve: ReflectionDistribution | None
    is_use: ReflectionDistribution | None
    finish: Finish
    ended: bool
    utility: float | None


def distribution_at(
    group: TokenGroup, reading: tuple[float, ...] | None, vocabulary: ReflectionVocabulary
) -> ReflectionDistribution | None:
    """The group's distribution in a reading of `vocabulary.read_ids`, or None without one."""
    if reading is None:
        return None
    return ReflectionDistribution.from_log_probabilities(group, vocabulary.slice(group, reading))


def boundary_of(
    draft: Draft, vocabulary: ReflectionVocabulary, end_threshold: float | None = None
) -> Boundary:
    """What comes after `draft`.

    With an `end_threshold`, where the next token is one of the IsUse or Retrieve groups, the answer
    ends if p(IsUse) / (p(IsUse) + p(Retrieve)), of the groups' masses, reaches it.
    """
    reading = draft.last_reading
    is_use = distribution_at(vocabulary.is_use, reading, vocabulary)
    retrieve = distribution_at(vocabulary.retrieve, reading, vocabulary)
    has_utility = draft.next_id in vocabulary.utility
    undecided = has_utility or draft.next_id in vocabulary.retrieve.ids
    if end_threshold is not None and undecided and is_use is not None and retrieve is not None:
        both = is_use.mass + retrieve.mass
        has_utility = both > 0.0 and is_use.mass / both >= end_threshold
    ended = has_utility or draft.next_id in vocabulary.eos_ids
    return Boundary(
        next_id=draft.next_id,
        retrieve=retrieve,
        is_use=is_use,
        finish=draft.finish,
        ended=ended,
        utility=utility_score(is_use.log_probabilities)
        if has_utility and is_use is not None
        else None,
    )


def read_segment(draft: Draft | PartialDraft, vocabulary: ReflectionVocabulary) -> SegmentDraft:
    """The draft as one segment; of each critique group the first token counts.

    In the long form a draft is one segment by construction, since it stops at the next border.
    In the short form it is the whole answer, read as the published code reads it.
    """
    text_ids: list[int] = []
    text_log_probabilities: list[float] = []
    critiques: dict[str, ReflectionDistribution] = {}
    irrelevant = False
    for position, token in enumerate(draft.token_ids):
        if token not in vocabulary.control_ids:
            text_ids.append(token)
            text_log_probabilities.append(draft.log_probabilities[position])
            continue
        group = vocabulary.group_of(token)
        if group is None or group.name in critiques:
            continue
        distribution = distribution_at(group, draft.readings.get(position), vocabulary)
        if distribution is not None:
            critiques[group.name] = distribution
            irrelevant = irrelevant or token == vocabulary.irrelevant
    return SegmentDraft(
        token_ids=tuple(draft.token_ids),
        text_ids=tuple(text_ids),
        text_log_probabilities=tuple(text_log_probabilities),
        is_rel=critiques.get("IsRel"),
        is_sup=critiques.get("IsSup"),
        relevance_forced=not draft.first_was_argmax,
        irrelevant=irrelevant,
    )
