"""What the published Self-RAG scripts compute, defects included.

Source: github AkariAsai/self-rag, `run_short_form.py` and `run_long_form_static.py` (2024-03).
These functions exist so that published numbers can be checked (procedures "released-short" and
"released-long"); the paper's own formulas are in `scores`. Each docstring says how it differs.

The scripts read a table of the most probable tokens of each position, where an id can be absent:
a missing log-probability is passed as None. Groups come as sequences in the vocabulary's order.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence

MISSING_LOG_PROBABILITY = -100.0
"""What the scripts put in place of a log-probability that their table lacks."""


def _probability(log_probability: float | None) -> float:
    if log_probability is None:
        return math.exp(MISSING_LOG_PROBABILITY)
    return math.exp(log_probability)


def released_retrieval_ratio(log_p_retrieval: float, log_p_no: float) -> float | None:
    """Short form: log p(R) / (log p(R) + log p(N)), with the logarithms themselves.

    The paper's ratio has the probabilities (`scores.retrieval_ratio`). As logarithms are
    negative, this one falls where the paper's rises, so the decision is turned round. The script
    fails with a KeyError on a missing id and divides by zero where both are 0; that is None here.
    """
    total = log_p_retrieval + log_p_no
    return None if total == 0.0 or math.isinf(total) else log_p_retrieval / total


def released_sequence_score(log_probabilities: Sequence[float]) -> float:
    """Short form: exp(cumulative log-probability / number of tokens), over *all* tokens.

    Reflection tokens and the end of text are included, which `scores.sequence_score` leaves out.
    An output without tokens scores exp(0 / 1) = 1. The long form never uses it.
    """
    return math.exp(math.fsum(log_probabilities) / max(len(log_probabilities), 1))


def released_short_relevance(log_p_relevant: float | None, log_p_irrelevant: float | None) -> float:
    """Short form: p(Rel) / (p(Rel) + p(Irrel)) at position 0; a missing id has log-probability
    -100, so with both missing the score is 1/2. Otherwise as the paper's.
    """
    relevant, irrelevant = _probability(log_p_relevant), _probability(log_p_irrelevant)
    return relevant / (relevant + irrelevant)


def released_long_relevance(log_p_relevant: float | None, log_p_irrelevant: float | None) -> float:
    """Long form: as the short form's, but a missing id counts as the *probability* -100.

    So the score is below 0 where `[Irrelevant]` is missing (p = .9: .9 / -99.1 = -.009) and above
    1 where `[Relevant]` is (p = .9: -100 / -99.1 = 1.009).
    """
    relevant, irrelevant = (
        MISSING_LOG_PROBABILITY if value is None else math.exp(value)
        for value in (log_p_relevant, log_p_irrelevant)
    )
    return relevant / (relevant + irrelevant)


def released_support(log_probabilities: Sequence[float | None] | None) -> float:
    """Both forms: (p(Fully) + p(Partially) / 2) / sum at the first IsSup token written; 0 where
    none was (after `[Irrelevant]`, but also where the output was cut off). The paper leaves such
    a segment unmeasured. A missing id has log-probability -100.
    """
    if log_probabilities is None:
        return 0.0
    fully, partially, no_support = (_probability(value) for value in log_probabilities)
    total = fully + partially + no_support
    return fully / total + 0.5 * (partially / total)


def released_short_utility(log_probabilities: Sequence[float | None] | None) -> float:
    """Short form: sum(w_i p_i) / sum(p_i) at the first IsUse token written, w = (-1, -1/2, 0,
    1/2, 1); 0 where none was. A missing id has log-probability -100.
    """
    if log_probabilities is None:
        return 0.0
    one, two, three, four, five = (_probability(value) for value in log_probabilities)
    total = one + two + three + four + five
    return (-one - 0.5 * two + 0.5 * four + five) / total


def released_long_utility() -> float:
    """Long form: always 0. The script collects three IsSup probabilities where five of IsUse are
    expected, and takes 0 as there are not five.
    """
    return 0.0


def released_short_score(
    sequence: float | None,
    relevance: float,
    support: float,
    utility: float,
    *,
    w_rel: float = 1.0,
    w_sup: float = 1.0,
    w_use: float = 1.0,
) -> float:
    """Short form: exp(mean log p) + w_rel s_rel + w_sup s_sup + w_use s_use of one candidate.

    `sequence` None: the script ran without its sequence-score flag, which drops the term. Its
    default w_use is 1, where the paper says 1/2.
    """
    return (sequence or 0.0) + w_rel * relevance + w_sup * support + w_use * utility


def released_long_score(
    relevance: float, support: float, *, w_rel: float = 1.0, w_sup: float = 1.0
) -> float:
    """Long form: w_rel s_rel + w_sup s_sup of one node. No sequence score (its flag is not
    passed on) and a utility that is always 0; the weights are fixed to 1 in the script.
    """
    return w_rel * relevance + w_sup * support + 0.5 * released_long_utility()


def released_path_score(node_scores: Iterable[float]) -> float:
    """Long form: the *product* of a path's node scores, where the paper adds. 1 for no node."""
    return math.prod(node_scores)


def released_remap_ratio(
    log_p_retrieval: float | None, log_p_no: float | None, log_p_continue: float | None
) -> float:
    """Long form, at a written `[No Retrieval]`: (p(R) + p(C)) / (p(R) + p(N)); can exceed 1.

    A missing id has log-probability -100. 0 where the denominator is 0.
    """
    retrieval, no, carry_on = (
        _probability(value) for value in (log_p_retrieval, log_p_no, log_p_continue)
    )
    return 0.0 if retrieval + no == 0.0 else (retrieval + carry_on) / (retrieval + no)


def released_remaps_to_retrieval(ratio: float, threshold: float) -> bool:
    """Long form: whether a written `[No Retrieval]` is read as `[Retrieval]`.

    The script compares the ratio with the threshold, and then the outcome (0 or 1) with the
    threshold once more: a threshold of 1 or above never remaps, one below 0 always does.
    """
    return float(ratio > threshold) > threshold
