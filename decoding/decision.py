"""Retrieve, keep the evidence, or go on without: the choice at one segment boundary.

Paper, section 3.3: retrieve when p(Retrieval) / (p(Retrieval) + p(No Retrieval)) > delta. The
published short-form script takes that ratio of log-probabilities, which inverts it; this does not.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from decoding.config import DecodingConfig
from decoding.distributions import ReflectionDistribution
from decoding.scores import retrieval_ratio
from decoding.vocabulary import ReflectionVocabulary

Choice = Literal["retrieve", "continue", "no_retrieval", "text"]


@dataclass(frozen=True, slots=True)
class RetrievalDecision:
    """A choice with what it rests on; see `selfrag.answer.Decision` for the fields."""

    action: Choice
    p_retrieve: float | None
    p_continue: float | None
    mass: float | None
    threshold: float | None
    reason: str


def decide(
    distribution: ReflectionDistribution | None,
    next_id: int | None,
    config: DecodingConfig,
    vocabulary: ReflectionVocabulary,
    *,
    at_root: bool,
) -> RetrievalDecision:
    """The choice at a boundary.

    Args:
        distribution: the Retrieve group's distribution there; None where it was not read.
        next_id: the vocabulary's most probable id there.
        config: mode and thresholds.
        vocabulary: whose ids `next_id` is one of.
        at_root: True in front of the first segment, where there is no evidence to keep.
    """
    p_retrieve = None if distribution is None else _ratio(distribution, vocabulary)
    p_continue = None if distribution is None else distribution.share("continue")
    mass = None if distribution is None else distribution.mass
    wants_token = next_id in vocabulary.retrieve.ids or next_id == vocabulary.paragraph_start

    def made(action: Choice, reason: str, threshold: float | None = None) -> RetrievalDecision:
        return RetrievalDecision(action, p_retrieve, p_continue, mass, threshold, reason)

    if config.mode == "never":
        return made("no_retrieval" if at_root or wants_token else "text", "mode")
    if not at_root and p_continue is not None and next_id != vocabulary.paragraph_start:
        least = config.continue_threshold
        keeps = (
            distribution is not None and distribution.argmax == "continue"
            if least is None
            else p_continue >= least
        )
        if keeps and (wants_token or (mass or 0.0) >= config.min_mass):
            return made("continue", "threshold" if least is not None else "token", least)
    if config.mode == "always":
        return made("retrieve", "mode")
    if next_id == vocabulary.paragraph_start:
        return made("retrieve", "token")
    if p_retrieve is None or mass is None or mass < config.min_mass:
        if config.on_uncertain == "retrieve":
            return made("retrieve", "uncertain")
        return made("text", "uncertain")
    threshold = config.retrieve_threshold if at_root else config.boundary_threshold
    if p_retrieve > threshold:
        return made("retrieve", "threshold", threshold)
    return made("no_retrieval", "threshold", threshold)


def _ratio(distribution: ReflectionDistribution, vocabulary: ReflectionVocabulary) -> float | None:
    """p(Retrieval) / (p(Retrieval) + p(No Retrieval)) of a Retrieve distribution."""
    ids, values = vocabulary.retrieve.ids, distribution.log_probabilities
    return retrieval_ratio(
        values[ids.index(vocabulary.retrieval)], values[ids.index(vocabulary.no_retrieval)]
    )
