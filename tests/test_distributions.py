"""Reflection distributions: exact shares, underflow, and the way to JSON and back."""

from __future__ import annotations

import json
import math

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from decoding.distributions import ReflectionDistribution
from decoding.vocabulary import GROUPS, TokenGroup

relaxed = settings(max_examples=100, deadline=None, suppress_health_check=[HealthCheck.too_slow])
"""Busy machines are slow; nothing here depends on time."""

IS_REL = TokenGroup("IsRel", GROUPS["IsRel"], (7, 8))
IS_SUP = TokenGroup("IsSup", GROUPS["IsSup"], (1, 2, 3))
make = ReflectionDistribution.from_log_probabilities


def test_probabilities_are_absolute() -> None:
    # .06, .02 and .02 of the whole vocabulary: mass .1, shares .6, .2 and .2
    distribution = make(IS_SUP, [math.log(0.06), math.log(0.02), math.log(0.02)])
    assert distribution.group == "IsSup"
    assert distribution.probabilities == pytest.approx((0.06, 0.02, 0.02))
    assert distribution.mass == pytest.approx(0.1)
    assert distribution.probability("partially") == pytest.approx(0.02)
    assert distribution.share("fully") == pytest.approx(0.6)
    assert distribution.share("no") == pytest.approx(0.2)
    assert distribution.argmax == "fully"


def test_shares_survive_underflow() -> None:
    distribution = make(IS_REL, [-801.0, -800.0])
    assert distribution.probabilities == (0.0, 0.0)
    assert distribution.mass == 0.0
    # 1 / (1 + exp(-1)) = .7310585786300049
    assert distribution.share("relevant") == pytest.approx(0.7310585786300049, abs=1e-15)
    assert distribution.argmax == "relevant"


def test_a_group_without_mass_has_no_shares() -> None:
    distribution = make(IS_REL, [-math.inf, -math.inf])
    assert distribution.share("relevant") is None
    assert distribution.argmax is None
    assert distribution.mass == 0.0


def test_a_token_without_mass_has_share_zero() -> None:
    distribution = make(IS_REL, [-math.inf, -3.0])
    assert distribution.share("irrelevant") == 0.0
    assert distribution.share("relevant") == 1.0


def test_ties_go_to_the_first_token() -> None:
    assert make(IS_SUP, [-2.0, -1.0, -1.0]).argmax == "partially"


def test_bad_values_are_refused() -> None:
    with pytest.raises(ValueError, match="2 tokens; got 3"):
        make(IS_REL, [-1.0, -2.0, -3.0])
    with pytest.raises(ValueError, match="nan"):
        make(IS_REL, [-1.0, math.nan])
    with pytest.raises(ValueError, match="'fully' is no label of IsRel"):
        make(IS_REL, [-1.0, -2.0]).share("fully")
    with pytest.raises(ValueError, match="schema 9"):
        ReflectionDistribution.from_dict({"schema": 9})


values = st.one_of(st.floats(-2000.0, 0.0), st.just(-math.inf))


@relaxed
@given(st.lists(values, min_size=3, max_size=3))
def test_json_round_trip_is_exact(log_probabilities: list[float]) -> None:
    distribution = make(IS_SUP, log_probabilities)
    written = json.dumps(distribution.to_dict(), allow_nan=False)
    assert ReflectionDistribution.from_dict(json.loads(written)) == distribution


@relaxed
@given(st.lists(st.floats(-700.0, 0.0), min_size=3, max_size=3))
def test_shares_and_argmax_agree(log_probabilities: list[float]) -> None:
    distribution = make(IS_SUP, log_probabilities)
    shares = [distribution.share(label) or 0.0 for label in distribution.labels]
    assert math.fsum(shares) == pytest.approx(1.0)
    assert distribution.argmax is not None
    assert distribution.share(distribution.argmax) == max(shares)
    assert distribution.mass == pytest.approx(math.fsum(distribution.probabilities))
