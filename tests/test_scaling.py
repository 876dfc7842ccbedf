"""How groups are read: scaling, its fit, and that the published procedures do without."""

from __future__ import annotations

import math
from dataclasses import replace
from itertools import pairwise
from pathlib import Path
from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st
from scripted_rag import ListRetriever, nodes, passages, scripted

from decoding.distributions import ReflectionDistribution
from decoding.generation import Generation
from decoding.scaling import Scaling, choice_offsets
from decoding.scores import log_sum_exp
from decoding.sequence import preferred
from decoding.vocabulary import GROUPS, TokenGroup
from selfrag.calibration import Calibration
from selfrag.errors import CorruptCheckpoint
from selfrag.evaluation.scaling_fit import Known, fit_scaling
from selfrag.expansions import generation_key

IS_REL = TokenGroup("IsRel", GROUPS["IsRel"], (7, 8))
IS_SUP = TokenGroup("IsSup", GROUPS["IsSup"], (1, 2, 3))
LOGS = st.lists(st.floats(-40, 0), min_size=3, max_size=3)
SCALINGS = st.builds(Scaling, st.floats(0.1, 10), st.tuples(*[st.floats(-5, 5) for _ in range(3)]))


def test_by_hand() -> None:
    """Shares .8 and .2 in a mass of one half; T = 2 takes roots, ln 2 doubles the second one."""
    scaling = Scaling(2.0, (0.0, math.log(2)))
    found = [math.exp(value) for value in scaling.apply([math.log(0.4), math.log(0.1)])]
    whole = math.sqrt(0.8) + 2 * math.sqrt(0.2)
    assert found == pytest.approx(
        [0.5 * math.sqrt(0.8) / whole, 0.5 * 2 * math.sqrt(0.2) / whole], abs=1e-12
    )


@given(LOGS, SCALINGS)
def test_the_mass_stays(logs: list[float], scaling: Scaling) -> None:
    assert log_sum_exp(scaling.apply(logs)) == pytest.approx(log_sum_exp(logs), abs=1e-9)


@given(LOGS, st.floats(0.1, 10))
def test_a_temperature_alone_keeps_the_order(logs: list[float], temperature: float) -> None:
    scaled = Scaling(temperature, (0.0, 0.0, 0.0)).apply(logs)
    order = sorted(range(3), key=logs.__getitem__)
    assert all(scaled[a] <= scaled[b] + 1e-12 for a, b in pairwise(order))


def test_no_mass_stays_no_mass() -> None:
    assert Scaling(2.0, (1.0, 0.0)).apply([-math.inf, -math.inf]) == (-math.inf, -math.inf)


@pytest.mark.parametrize("wrong", [(0.0, (0.0,)), (math.nan, (0.0,)), (1.0, (math.inf,))])
def test_scalings_are_finite(wrong: tuple[float, tuple[float, ...]]) -> None:
    with pytest.raises(ValueError, match="no scaling"):
        Scaling(*wrong)


def test_a_fit_finds_what_was_done_to_the_probabilities() -> None:
    """Truths are drawn from true shares; the model reports them cooled and moved."""
    rng = Random(1)
    known = []
    for _ in range(4000):
        true = [rng.gammavariate(1, 1) for _ in range(3)]
        label = rng.choices(range(3), true)[0]
        logs = [math.log(value / sum(true)) for value in true]
        reported = [
            2.5 * (value - offset) for value, offset in zip(logs, (0.6, 0, -0.6), strict=True)
        ]
        mass = log_sum_exp(reported)
        found = ReflectionDistribution.from_log_probabilities(IS_SUP, [v - mass for v in reported])
        known.append(Known(found, (found.labels[label],)))
    scaling = fit_scaling(known)
    assert scaling.temperature == pytest.approx(2.5, rel=0.1)
    assert scaling.offsets == pytest.approx((0.6, 0.0, -0.6), abs=0.1)


def test_a_fit_to_little_stays_near_what_it_was() -> None:
    """Without the penalty three right readings would ask for a temperature of zero."""
    sure = ReflectionDistribution.from_log_probabilities(IS_REL, [math.log(0.1), math.log(0.9)])
    scaling = fit_scaling([Known(sure, ("relevant",))] * 3)
    assert 0.5 < scaling.temperature < 1.0
    with pytest.raises(ValueError, match="no reading"):
        fit_scaling([])


def test_several_labels_may_be_right() -> None:
    """Half of the time either of the last two is right, and never the first: it loses its share."""
    even = ReflectionDistribution.from_log_probabilities(IS_SUP, [math.log(1 / 3)] * 3)
    scaling = fit_scaling([Known(even, even.labels[1:])] * 400)
    first, second, third = scaling.apply(even.log_probabilities)
    assert math.exp(first) < 0.03
    assert second == pytest.approx(third, abs=1e-6)


SCRIPT = {
    "### Response:\n": {"[Retrieval]": 0.6, "[No Retrieval]": 0.2},
    "w1</paragraph>": {"[Relevant]": 0.8, "[Irrelevant]": 0.2},
    "[Relevant]": {"a": 0.9},
    "a": {"[Utility:5]": 0.5, "[Utility:4]": 0.1, "[Utility:1]": 0.2},
    "[Utility:5]": {"</s>": 0.9},
}


def test_a_calibrated_model_is_read_so() -> None:
    scalings = {"IsRel": Scaling(2.0, (0.0, 0.0))}
    values = {}
    for name, calibration in (("plain", Calibration()), ("scaled", Calibration(scalings=scalings))):
        rag, _ = scripted(SCRIPT, ListRetriever(passages("w1")), calibration=calibration)
        with rag:
            values[name] = rag.ask("Q?").segments[0].p_relevant
            config = rag.config.replace(procedure="released-short")
            released = rag.ask("Q?", config=config).tree["nodes"]
            values[f"released {name}"] = [node["scores"].get("rel") for node in released]
    assert values["plain"] == pytest.approx(0.8)
    assert values["scaled"] == pytest.approx(math.sqrt(0.8) / (math.sqrt(0.8) + math.sqrt(0.2)))
    assert values["released plain"] == values["released scaled"]


def test_the_token_that_is_written_is_the_scaled_choice() -> None:
    """p(Relevant) = .4: [Irrelevant] as it is, [Relevant] where its odds are doubled."""
    script = {**SCRIPT, "w1</paragraph>": {"[Relevant]": 0.4, "[Irrelevant]": 0.6}}
    script["[Irrelevant]"] = {"a": 0.9}
    written = []
    for offset in (0.0, math.log(1.4), math.log(1.6)):
        calibration = Calibration(scalings={"IsRel": Scaling(1.0, (0.0, offset))})
        rag, _ = scripted(script, ListRetriever(passages("w1")), calibration=calibration)
        with rag:
            written.append(nodes(rag.ask("Q?"))[1]["literal"][:11])
    assert written == ["[Irrelevant", "[Irrelevant", "[Relevant]a"]
    assert choice_offsets(Scaling(3.0, (0.0, 2.0)), None) == (0.0, 6.0)
    assert choice_offsets(None, None) == ()


@given(st.floats(-8, 8), SCALINGS, st.floats(0.01, 0.99))
def test_a_threshold_is_of_the_scaled_share(log_odds: float, drawn: Scaling, least: float) -> None:
    scaling = Scaling(drawn.temperature, drawn.offsets[:2])
    logs = [-math.log1p(math.exp(log_odds)), -math.log1p(math.exp(-log_odds))]
    share = math.exp(scaling.apply(logs)[1])
    if abs(share - least) > 1e-6:
        chosen = preferred(logs, choice_offsets(scaling, least))
        assert (chosen == 1) == (share > least)


def test_a_relevance_threshold_of_the_configuration_comes_first() -> None:
    script = {**SCRIPT, "w1</paragraph>": {"[Relevant]": 0.4, "[Irrelevant]": 0.6}}
    script["[Irrelevant]"] = {"a": 0.9}
    for calibrated, named, token in (
        (None, 0.3, "[Relevant]"),
        (0.3, None, "[Relevant]"),
        (0.3, 0.45, "[Irrelevant]"),
        (None, None, "[Irrelevant]"),
    ):
        rag, _ = scripted(
            script,
            ListRetriever(passages("w1")),
            calibration=Calibration(relevance_threshold=calibrated),
            relevance_threshold=named,
        )
        with rag:
            assert nodes(rag.ask("Q?"))[1]["literal"].startswith(token)


def test_stored_drafts_know_the_offsets_of_their_choice() -> None:
    plain = Generation((1,), 5, first_ids=(2, 3))
    keys = {
        generation_key("f", replace(plain, first_offsets=offsets))
        for offsets in ((), (0.0, 1.0), (1.0, 0.0))
    }
    assert len(keys) == 3
    with pytest.raises(ValueError, match="one offset for each"):
        replace(plain, first_offsets=(1.0,))


def test_the_file_keeps_scalings(tmp_path: Path) -> None:
    given = Calibration(0.5, 0.25, "dev", scalings={"IsSup": Scaling(1.5, (0.1, 0.0, -0.1))})
    given.save(tmp_path)
    assert Calibration.load(tmp_path) == given
    assert Calibration.load(tmp_path).scalings == given.scalings
    for text in (
        '{"scalings": {"IsRel": {}}}',
        '{"scalings": {"IsRel": {"temperature": 0, "offsets": []}}}',
        '{"scalings": 3}',
    ):
        (tmp_path / "calibration.json").write_text(text)
        with pytest.raises(CorruptCheckpoint, match=r"calibration\.json"):
            Calibration.load(tmp_path)


def test_scalings_must_fit_their_group() -> None:
    rag_calibrations = ({"IsRel": Scaling(1.0, (0.0,))}, {"IsNot": Scaling(1.0, (0.0, 0.0))})
    for scalings in rag_calibrations:
        with pytest.raises(ValueError, match=r"does not fit|unknown groups"):
            scripted(
                SCRIPT, ListRetriever(passages("w1")), calibration=Calibration(scalings=scalings)
            )
