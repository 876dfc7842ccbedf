"""Score functions against values computed by hand."""

from __future__ import annotations

import math
import subprocess
import sys

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from decoding import released_scores as released
from decoding import scores
from decoding.scores import ScoreWeights

relaxed = settings(max_examples=100, deadline=None, suppress_health_check=[HealthCheck.too_slow])
"""Busy machines are slow; nothing here depends on time."""

log = math.log
NOTHING = -math.inf


def close(value: float) -> object:
    return pytest.approx(value, abs=1e-12)


def test_retrieval_ratio() -> None:
    assert scores.retrieval_ratio(log(0.95), log(0.03)) == close(0.95 / 0.98)  # .969
    assert scores.retrieval_ratio(log(0.03), log(0.95)) == close(0.03 / 0.98)
    assert scores.retrieval_ratio(NOTHING, log(0.5)) == 0.0
    assert scores.retrieval_ratio(NOTHING, NOTHING) is None


def test_ratios_survive_underflow() -> None:
    # exp(-900) is 0 in double precision; the ratio is 1 / (1 + exp(-1)) = .7310585786300049.
    assert math.exp(-900.0) == 0.0
    assert scores.relevance_score(-900.0, -901.0) == close(0.7310585786300049)
    assert scores.retrieval_ratio(-901.0, -900.0) == close(1 - 0.7310585786300049)


def test_relevance_score() -> None:
    # .6 / (.6 + .2) = .75; the desirable token comes first.
    assert scores.relevance_score(log(0.6), log(0.2)) == close(0.75)
    assert scores.relevance_score(log(0.2), log(0.6)) == close(0.25)
    assert scores.relevance_score(NOTHING, NOTHING) is None


def test_support_score() -> None:
    # (.06 + .02 / 2) / (.06 + .02 + .02) = .07 / .1
    assert scores.support_score(log(0.06), log(0.02), log(0.02)) == close(0.7)
    assert scores.support_score(log(0.5), NOTHING, NOTHING) == close(1.0)
    assert scores.support_score(NOTHING, log(0.5), NOTHING) == close(0.5)
    assert scores.support_score(NOTHING, NOTHING, log(0.5)) == close(0.0)
    assert scores.support_score(NOTHING, NOTHING, NOTHING) is None


def test_utility_score() -> None:
    # -1(.1) - .5(.1) + 0(.2) + .5(.2) + 1(.4) = .35, and the same for a tenth of the mass
    probabilities = (0.1, 0.1, 0.2, 0.2, 0.4)
    assert scores.utility_score([log(p) for p in probabilities]) == close(0.35)
    assert scores.utility_score([log(p / 10) for p in probabilities]) == close(0.35)
    assert scores.utility_score([log(0.3), *[NOTHING] * 4]) == close(-1.0)
    assert scores.utility_score([NOTHING] * 5) is None
    with pytest.raises(ValueError, match="got 3"):
        scores.utility_score([0.0, 0.0, 0.0])


def test_sequence_score() -> None:
    # sqrt(.5 * .125) = sqrt(.0625) = .25
    assert scores.sequence_score([log(0.5), log(0.125)]) == close(0.25)
    assert scores.sequence_score([0.0]) == 1.0
    assert scores.sequence_score([]) is None


def test_mean_measured() -> None:
    assert scores.mean_measured([0.25, None, 0.75]) == 0.5
    assert scores.mean_measured([0.0]) == 0.0
    assert scores.mean_measured([None, None]) == 0.5
    assert scores.mean_measured([], default=0.0) == 0.0


def test_hypothesis_and_final_score() -> None:
    # Two segments; IsRel measured in the first only, IsSup nowhere (counts 1/2):
    # 1 * (.25 + .75) / 2 + 2 * .9 + 3 * .5 = .5 + 1.8 + 1.5 = 3.8
    weights = ScoreWeights(sequence=1.0, relevance=2.0, support=3.0)
    value = scores.hypothesis_score([0.25, 0.75], [0.9, None], [None, None], weights)
    assert value == close(3.8)
    # 3.8 + .5 * .35 = 3.975; utility not measured counts 0
    assert scores.final_score(value, 0.35, 0.5) == close(3.975)
    assert scores.final_score(value, None, 0.5) == value
    assert scores.final_score(value, -1.0, 0.5) == close(3.3)
    # with the retriever: 3.8 + 2 * (.4 + 1) / 2 = 5.2; not measured counts 1/2
    weights = ScoreWeights(1.0, 2.0, 3.0, retrieval=2.0)
    parts = ([0.25, 0.75], [0.9, None], [None, None], weights)
    assert scores.hypothesis_score(*parts, [0.4, None, 1.0]) == close(5.2)
    assert scores.hypothesis_score(*parts) == close(4.8)


def test_retrieval_score() -> None:
    assert scores.retrieval_score(0.3, 0.4) == close(0.75)
    assert scores.retrieval_score(0.4, 0.4) == 1.0
    assert scores.retrieval_score(-0.1, 0.4) == 0.0
    assert scores.retrieval_score(0.0, 0.0) is None
    assert scores.retrieval_score(-2.0, -1.0) is None
    assert scores.retrieval_score(1.0, math.inf) is None


def test_default_weights_are_the_papers() -> None:
    weights = ScoreWeights()
    assert (weights.sequence, weights.relevance, weights.support) == (1.0, 1.0, 1.0)
    assert weights.utility == 0.5 and weights.retrieval == 0.0
    with pytest.raises(ValueError, match="'support'"):
        ScoreWeights(support=math.nan)


def test_not_a_number_is_refused() -> None:
    with pytest.raises(ValueError, match="nan"):
        scores.relevance_score(math.nan, -1.0)
    with pytest.raises(ValueError, match="inf"):
        scores.support_score(math.inf, -1.0, -1.0)


log_probabilities = st.floats(min_value=-5000.0, max_value=0.0)


@relaxed
@given(st.lists(log_probabilities, min_size=5, max_size=5), st.floats(-100.0, 0.0))
def test_shares_do_not_depend_on_mass(values: list[float], shift: float) -> None:
    shifted = [value + shift for value in values]
    assert scores.shares(shifted) == pytest.approx(scores.shares(values), abs=1e-9)
    assert math.fsum(scores.shares(values) or ()) == pytest.approx(1.0)
    assert -1.0 - 1e-12 <= (scores.utility_score(values) or 0.0) <= 1.0 + 1e-12
    assert 0.0 <= (scores.support_score(*values[:3]) or 0.0) <= 1.0 + 1e-12


@relaxed
@given(log_probabilities, log_probabilities, log_probabilities)
def test_ratio_rises_with_the_wanted_token(low: float, high: float, other: float) -> None:
    low, high = sorted((low, high))
    first, second = scores.retrieval_ratio(low, other), scores.retrieval_ratio(high, other)
    assert first is not None and second is not None and first <= second


def test_released_ratio_is_turned_round() -> None:
    # ln .95 = -.0512933, ln .03 = -3.5065579: -.0512933 / -3.5578512 = .01442
    ratio = released.released_retrieval_ratio(log(0.95), log(0.03))
    assert ratio == pytest.approx(0.01441692, abs=1e-7)
    # The more probable [Retrieval] is, the smaller: P(R) = .03 gives .98558.
    assert released.released_retrieval_ratio(log(0.03), log(0.95)) == pytest.approx(
        0.98558308, abs=1e-7
    )
    assert released.released_retrieval_ratio(0.0, 0.0) is None


def test_released_sequence_score_counts_all_tokens() -> None:
    # Text .5 and .125 with a control token of probability 1: (.0625) ** (1/3) = .39685
    assert released.released_sequence_score([log(0.5), log(0.125), 0.0]) == pytest.approx(
        0.3968502629920499
    )
    assert released.released_sequence_score([]) == 1.0


def test_released_relevance_with_missing_ids() -> None:
    short, long = released.released_short_relevance, released.released_long_relevance
    assert short(log(0.6), log(0.2)) == close(0.75)
    assert long(log(0.6), log(0.2)) == close(0.75)
    # short: .9 / (.9 + exp(-100)) is 1 to double precision; both missing gives 1/2
    assert short(log(0.9), None) == close(1.0)
    assert short(None, log(0.9)) == close(0.0)
    assert short(None, None) == close(0.5)
    # long: .9 / (.9 - 100) = -.009082; -100 / (-100 + .9) = 1.009082
    assert long(log(0.9), None) == pytest.approx(-0.9 / 99.1)
    assert long(None, log(0.9)) == pytest.approx(100 / 99.1)
    assert long(None, None) == close(0.5)


def test_released_support_and_utility() -> None:
    assert released.released_support([log(0.06), log(0.02), log(0.02)]) == close(0.7)
    assert released.released_support([log(0.5), None, None]) == close(1.0)
    assert released.released_support(None) == 0.0
    five = [log(p) for p in (0.1, 0.1, 0.2, 0.2, 0.4)]
    assert released.released_short_utility(five) == close(0.35)
    assert released.released_short_utility([None, None, None, None, log(0.4)]) == close(1.0)
    assert released.released_short_utility(None) == 0.0
    assert released.released_long_utility() == 0.0


def test_released_scores() -> None:
    # .25 + .75 + .7 + .35 = 2.05 with the script's w_use of 1; .25 + .75 + .7 + .175 with 1/2
    assert released.released_short_score(0.25, 0.75, 0.7, 0.35) == close(2.05)
    assert released.released_short_score(0.25, 0.75, 0.7, 0.35, w_use=0.5) == close(1.875)
    # without the sequence flag; 2 * .75 + 3 * .7 + .35
    assert released.released_short_score(None, 0.75, 0.7, 0.35, w_rel=2.0, w_sup=3.0) == close(3.95)
    assert released.released_long_score(0.75, 0.7) == close(1.45)
    # a path of two nodes: 1.45 * 1.2 = 1.74, not their sum
    assert released.released_path_score([1.45, 1.2]) == close(1.74)


def test_released_remap() -> None:
    # (.2 + .3) / (.2 + .1) = 1.667: above 1, although called a ratio
    ratio = released.released_remap_ratio(log(0.2), log(0.1), log(0.3))
    assert ratio == close(5 / 3)
    assert released.released_remaps_to_retrieval(ratio, 0.2)
    assert not released.released_remaps_to_retrieval(ratio, 1.0)  # 1 > 1 is false
    assert not released.released_remaps_to_retrieval(0.1, 0.2)
    assert released.released_remaps_to_retrieval(0.0, -1.0)  # 0 > -1: always
    # both missing: (2 exp(-100)) / (2 exp(-100)) = 1
    assert released.released_remap_ratio(None, None, None) == close(1.0)
    assert released.released_remap_ratio(NOTHING, NOTHING, log(0.3)) == 0.0


@pytest.mark.parametrize("module", ["scores", "released_scores", "distributions", "grammar"])
def test_imports_neither_torch_nor_transformers(module: str) -> None:
    code = (
        f"import sys, decoding.{module}\n"
        "heavy = {'torch', 'transformers', 'tokenizers', 'numpy'} & set(sys.modules)\n"
        "assert not heavy, heavy"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
