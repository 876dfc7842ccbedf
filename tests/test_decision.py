"""Retrieve, continue or go on without: thresholds, modes and doubtful positions."""

from __future__ import annotations

import math
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from scripted_rag import prompts

from decoding.config import DecodingConfig
from decoding.decision import RetrievalDecision, decide
from decoding.distributions import ReflectionDistribution

VOCABULARY = prompts().vocabulary
TEXT_ID = 100


def group(retrieval: float, no: float, keep: float = 0.0) -> ReflectionDistribution:
    logs = [math.log(p) if p else -math.inf for p in (no, retrieval, keep)]
    return ReflectionDistribution.from_log_probabilities(VOCABULARY.retrieve, logs)


def made(
    distribution: ReflectionDistribution | None,
    next_id: int | None = VOCABULARY.retrieval,
    at_root: bool = True,
    **config: Any,
) -> RetrievalDecision:
    settings = DecodingConfig(**config)
    return decide(distribution, next_id, settings, VOCABULARY, at_root=at_root)


@pytest.mark.parametrize(
    "retrieval, no, threshold, action",
    [
        (0.95, 0.03, 0.2, "retrieve"),  # the published ratio of log-probabilities says no here
        (0.03, 0.95, 0.2, "no_retrieval"),
        (0.2, 0.8, 0.2, "no_retrieval"),  # equal is not above
        (0.21, 0.79, 0.2, "retrieve"),
        (0.5, 0.5, 1.0, "no_retrieval"),
        (0.1, 0.9, 0.0, "retrieve"),
    ],
)
def test_the_threshold(retrieval: float, no: float, threshold: float, action: str) -> None:
    decision = made(group(retrieval, no), retrieve_threshold=threshold)
    assert decision.action == action and decision.reason == "threshold"
    assert decision.p_retrieve == pytest.approx(retrieval / (retrieval + no))
    assert decision.threshold == threshold and decision.mass == pytest.approx(retrieval + no)


@given(st.floats(1e-9, 0.49), st.floats(1e-9, 0.49), st.floats(0, 1))
def test_more_retrieval_never_means_less(retrieval: float, no: float, threshold: float) -> None:
    options = {"retrieve_threshold": threshold, "min_mass": 0.0}
    if made(group(retrieval, no), **options).action == "retrieve":
        assert made(group(min(0.5, retrieval * 1.01), no), **options).action == "retrieve"


@pytest.mark.parametrize("at_root", [True, False])
def test_continue_takes_no_part_in_the_ratio(at_root: bool) -> None:
    options: dict[str, Any] = {"continue_threshold": 1.0}
    decision = made(group(0.3, 0.1, 0.5), VOCABULARY.continue_evidence, at_root, **options)
    assert decision.p_retrieve == pytest.approx(0.75) and decision.action == "retrieve"
    assert decision.p_continue == pytest.approx(5 / 9)


def test_modes() -> None:
    no, yes = group(0.01, 0.9), group(0.9, 0.01)
    assert made(no, mode="always").action == "retrieve"
    assert made(None, None, mode="always").action == "retrieve"
    assert made(yes, mode="never").action == "no_retrieval"
    assert made(None, None, mode="never").action == "no_retrieval"
    assert made(yes, TEXT_ID, at_root=False, mode="never").action == "text"
    assert made(yes, VOCABULARY.retrieval, False, mode="never").action == "no_retrieval"
    assert {made(no, mode=mode).reason for mode in ("always", "never")} == {"mode"}


@pytest.mark.parametrize("on_uncertain, action", [("retrieve", "retrieve"), ("follow_text", "text")])
@pytest.mark.parametrize("at_root", [True, False])
def test_little_mass_is_uncertain(on_uncertain: str, action: str, at_root: bool) -> None:
    options = {"min_mass": 0.05, "on_uncertain": on_uncertain}
    for distribution in (group(0.001, 0.04), group(0.0, 0.0), None):
        decision = made(distribution, TEXT_ID, at_root, **options)
        assert decision.action == action and decision.reason == "uncertain"
        assert decision.threshold is None
    assert made(group(0.001, 0.06), TEXT_ID, at_root, **options).reason == "threshold"


def test_later_boundaries_have_their_own_threshold() -> None:
    distribution = group(0.4, 0.6)
    options = {"retrieve_threshold": 0.2, "later_threshold": 0.5}
    assert made(distribution, **options).action == "retrieve"
    later = made(distribution, at_root=False, **options)
    assert later.action == "no_retrieval" and later.threshold == 0.5
    assert made(distribution, at_root=False, retrieve_threshold=0.2).action == "retrieve"
    assert made(distribution, at_root=False, later_threshold=0.0).action == "retrieve"


def test_continue_is_for_later_boundaries_only() -> None:
    keeps = group(0.2, 0.1, 0.6)
    later = made(keeps, VOCABULARY.continue_evidence, at_root=False)
    assert later.action == "continue" and later.reason == "token" and later.threshold is None
    assert made(keeps, VOCABULARY.continue_evidence).action == "retrieve"
    always = made(keeps, VOCABULARY.continue_evidence, at_root=False, mode="always")
    assert always.action == "continue"
    never = made(keeps, VOCABULARY.continue_evidence, at_root=False, mode="never")
    assert never.action == "no_retrieval"


@pytest.mark.parametrize("share, action", [(0.29, "retrieve"), (0.3, "continue"), (0.9, "continue")])
def test_the_continue_threshold(share: float, action: str) -> None:
    rest = 0.9 * (1 - share)
    distribution = group(rest, 0.0, 0.9 * share)
    options = {"continue_threshold": 0.2999999}
    decision = made(distribution, VOCABULARY.retrieval, at_root=False, **options)
    assert decision.action == action
    assert decision.threshold == (0.2999999 if action == "continue" else 0.2)


def test_continue_needs_mass_or_the_token_itself() -> None:
    faint = group(0.001, 0.001, 0.003)
    assert made(faint, TEXT_ID, at_root=False).reason == "uncertain"
    chosen = made(faint, VOCABULARY.continue_evidence, at_root=False)
    assert chosen.action == "continue"


def test_an_opened_paragraph_is_a_retrieval() -> None:
    for at_root in (True, False):
        decision = made(group(0.0, 0.001, 0.5), VOCABULARY.paragraph_start, at_root)
        assert decision.action == "retrieve" and decision.reason == "token"


def test_ratios_far_below_underflow() -> None:
    logs = [-2000.0, -1999.0, -math.inf]
    distribution = ReflectionDistribution.from_log_probabilities(VOCABULARY.retrieve, logs)
    decision = made(distribution, min_mass=0.0)
    assert decision.p_retrieve == pytest.approx(1 / (1 + math.exp(-1)))
    assert decision.mass == 0.0 and decision.action == "retrieve"
