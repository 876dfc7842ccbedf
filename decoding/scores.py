"""The scores of the Self-RAG paper, as pure functions of log-probabilities.

Source: Asai et al., "Self-RAG", ICLR 2024, section 3.3 (equations 3 and 4) and appendix A.3
(details of the scores at inference): every critique score is the share of the desirable tokens
within their group, and a segment is scored by its sequence probability plus the weighted sum of
its critique scores. What the published scripts compute instead is in `released_scores`.

All probabilities come as natural log-probabilities under the full softmax. Shares are taken in
log space, so that they are right where the probabilities themselves would underflow. A group
that has no mass at all (every log-probability is minus infinity) was not measured: None, never
a made-up number. This module knows nothing of token ids, models or trees.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

UTILITY_WEIGHTS = (-1.0, -0.5, 0.0, 0.5, 1.0)
"""What `[Utility:1]` to `[Utility:5]` count in the utility score."""

SUPPORT_AFTER_IRRELEVANT = 0.0
"""s_sup of a segment that was written after `[Irrelevant]`, whose grammar has no IsSup token."""

UNMEASURED = 0.5
"""What a mean counts on a path where its score was measured nowhere."""


@dataclass(frozen=True, slots=True)
class ScoreWeights:
    """Weights of the parts of a hypothesis' score; the paper's defaults (section 4.3,
    inference settings: IsRel 1, IsSup 1, IsUse 0.5; the sequence probability counts 1). The
    retriever's own score has no part in the paper, hence the weight 0.
    """

    sequence: float = 1.0
    relevance: float = 1.0
    support: float = 1.0
    utility: float = 0.5
    retrieval: float = 0.0

    def __post_init__(self) -> None:
        """Refuse weights that are not finite numbers."""
        for name in ("sequence", "relevance", "support", "utility", "retrieval"):
            value = getattr(self, name)
            if not math.isfinite(value):
                raise ValueError(f"the weight {name!r} must be a finite number, got {value!r}")


def log_sum_exp(values: Sequence[float]) -> float:
    """log(sum(exp(v))) without overflow or underflow; minus infinity for no mass.

    Raises:
        ValueError: a value is not a number, or plus infinity.
    """
    if any(math.isnan(value) or value == math.inf for value in values):
        raise ValueError(f"log-probabilities must be numbers below plus infinity, got {values}")
    top = max(values, default=-math.inf)
    if top == -math.inf:
        return -math.inf
    return top + math.log(math.fsum(math.exp(value - top) for value in values))


def shares(log_probabilities: Sequence[float]) -> tuple[float, ...] | None:
    """Probabilities within a group: each one's share of the group's mass; None without mass."""
    if log_sum_exp(log_probabilities) == -math.inf:
        return None
    top = max(log_probabilities)
    relative = [math.exp(value - top) for value in log_probabilities]
    total = math.fsum(relative)
    return tuple(value / total for value in relative)


def retrieval_ratio(log_p_retrieval: float, log_p_no: float) -> float | None:
    """p(Retrieval) / (p(Retrieval) + p(No Retrieval)), in 0 to 1 (section 3.3, adaptive
    retrieval): retrieve where it is above the threshold.

    `[Continue to Use Evidence]` takes no part. The published short-form script puts the
    log-probabilities themselves into this ratio, which turns the decision round; see
    `released_scores.released_retrieval_ratio`.
    """
    both = shares((log_p_retrieval, log_p_no))
    return None if both is None else both[0]


def relevance_score(log_p_relevant: float, log_p_irrelevant: float) -> float | None:
    """s_rel = p(Relevant) / (p(Relevant) + p(Irrelevant)), in 0 to 1 (appendix A.3).

    Note the order of the arguments: the desirable token first, whatever the vocabulary's order.
    The published long-form script lets a raw -100 stand for a missing id; see
    `released_scores.released_long_relevance`.
    """
    both = shares((log_p_relevant, log_p_irrelevant))
    return None if both is None else both[0]


def support_score(log_p_fully: float, log_p_partially: float, log_p_no: float) -> float | None:
    """s_sup = (p(Fully) + p(Partially) / 2) / sum of the three, in 0 to 1 (appendix A.3).

    After `[Irrelevant]` there is no IsSup token to read: callers count
    `SUPPORT_AFTER_IRRELEVANT`. The published scripts count 0 wherever no IsSup token was
    written, also where the output was cut off; here that is a missing measurement.
    """
    three = shares((log_p_fully, log_p_partially, log_p_no))
    return None if three is None else three[0] + 0.5 * three[1]


def utility_score(log_probabilities: Sequence[float]) -> float | None:
    """s_use = sum(w_i p_i) / sum(p_i) with w = (-1, -1/2, 0, 1/2, 1), in -1 to 1 (appendix A.3).

    Args:
        log_probabilities: those of `[Utility:1]` to `[Utility:5]`, in this order.

    The published long-form script always gets 0 here; see `released_scores`.
    """
    if len(log_probabilities) != len(UTILITY_WEIGHTS):
        raise ValueError(
            f"a utility score needs {len(UTILITY_WEIGHTS)} log-probabilities, "
            f"got {len(log_probabilities)}"
        )
    five = shares(log_probabilities)
    if five is None:
        return None
    return math.fsum(w * p for w, p in zip(UTILITY_WEIGHTS, five, strict=True))


def sequence_score(text_log_probabilities: Sequence[float]) -> float | None:
    """exp(mean log-probability) of a segment's text tokens, in 0 to 1; None without a token.

    The paper's p(y_t | x, d, y_<t) (section 3.3, equation 3), normalised by length. Control
    tokens and the end of text are the caller's to leave out; the published script keeps them in,
    see `released_scores.released_sequence_score`.
    """
    if not text_log_probabilities:
        return None
    return math.exp(math.fsum(text_log_probabilities) / len(text_log_probabilities))


def mean_measured(values: Iterable[float | None], default: float = UNMEASURED) -> float:
    """Mean of the values that were measured; `default` where none was."""
    measured = [value for value in values if value is not None]
    return math.fsum(measured) / len(measured) if measured else default


def hypothesis_score(
    sequence: Iterable[float | None],
    relevance: Iterable[float | None],
    support: Iterable[float | None],
    weights: ScoreWeights,
    retrieval: Iterable[float | None] = (),
) -> float:
    """F(h) = w_seq mean(seq) + w_rel mean(s_rel) + w_sup mean(s_sup) + w_ret mean(s_ret) over a
    path's segments.

    Each mean runs over the segments where the score was measured, and counts 1/2 where it was
    measured nowhere. Extends equations 3 and 4 of the paper (section 3.3), which score one
    segment, to paths of different lengths; the published long-form script multiplies the segments'
    scores instead, see `released_scores.released_path_score`. Not bounded to 1: the range is 0
    to the sum of the four weights. s_ret is `retrieval_score` of a segment's passage; the paper
    leaves it out, which is its weight of 0.
    """
    return (
        weights.sequence * mean_measured(sequence)
        + weights.relevance * mean_measured(relevance)
        + weights.support * mean_measured(support)
        + weights.retrieval * mean_measured(retrieval)
    )


def retrieval_score(score: float, best: float) -> float | None:
    """s_ret: a passage's retrieval score over that of the best passage found with it, in 0 to 1.

    So it does not depend on the scale of the retriever's scores, but on where their zero lies:
    best for cosines and for weighted fusion, nearly flat for reciprocal ranks. None where even
    the best score is not positive; a negative score counts 0.
    """
    if not best > 0.0 or not math.isfinite(best):
        return None
    return min(1.0, max(0.0, score / best))


def final_score(hypothesis: float, utility: float | None, utility_weight: float) -> float:
    """F(h) + w_use s_use of a finished hypothesis; a utility that was not measured counts 0.

    Utility exists only at the very end of an output, so unfinished hypotheses compete without
    it (the training-time grammar; the paper's equation 4 counts it per segment).
    """
    return hypothesis + utility_weight * (0.0 if utility is None else utility)
