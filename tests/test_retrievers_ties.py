"""What ties passages: by hand, and against a loop over names and words."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.sparse import csr_matrix
from storage_helpers import steady

from retrievers.ties import Holdings, TieFinder


def holdings(rows: list[list[int]]) -> Holdings:
    return Holdings.of(csr_matrix(np.array(rows, dtype=np.float64)))


def rarity(count: int, passages: int) -> float:
    return float(np.log(1 + passages / (1 + count)) / np.log(1 + passages))


def test_ties_by_hand() -> None:
    # Passage 0 mentions name 1, the title of passage 1. Passages 1 and 2 both mention name 2, and
    # hold word 0. Nothing ties 0 to 2.
    finder = TieFinder(
        titles=holdings([[1, 0, 0], [0, 1, 0], [0, 0, 0]]),
        mentions=holdings([[0, 1, 0], [0, 0, 1], [0, 0, 1]]),
        words=holdings([[0], [1], [1]]),
    )
    rows = np.arange(3)
    ties = finder.between(np.array([0, 1]), rows, [], [], 0.3)
    two = rarity(2, 3)  # name 1 stands in two passages, as a title and as a mention
    assert ties.named == pytest.approx(np.array([[0, two, 0], [two, 0, 0]]))
    assert ties.names == pytest.approx(np.array([[two, 0, 0], [0, two, two]]))
    assert ties.shared == pytest.approx(np.array([[0, 0, 0], [0, two, two]]))
    asked = finder.between(np.array([0, 1]), rows, [1], [0], 0.5)
    assert asked.named == pytest.approx(ties.named / 2)
    assert not asked.shared.any()
    scores = np.zeros(3)
    assert finder.tied_to([0], [], 9, scores).tolist() == [0, 1]
    assert finder.tied_to([2], [], 9, scores).tolist() == [1, 2]
    assert finder.tied_to([2], [], 1, scores).tolist() == [1]
    assert finder.tied_to([2], [], 1, np.array([0.0, 0.1, 0.2])).tolist() == [2]
    assert finder.tied_to([], [], 9, scores).tolist() == []


def test_what_too_many_passages_hold_leads_nowhere() -> None:
    for count, found in ((30, 30), (31, 0)):
        nothing = [[0]] * count
        finder = TieFinder(holdings(nothing), holdings(nothing), holdings([[1]] * count))
        assert len(finder.tied_to([0], [], 99, np.zeros(count))) == found


@steady
@given(st.integers(0, 2**16), st.integers(1, 6), st.integers(1, 5))
def test_ties_are_those_of_a_loop(seed: int, passages: int, things: int) -> None:
    random = np.random.default_rng(seed)
    titles, mentions, words = (random.integers(0, 2, (passages, things)) for _ in range(3))
    finder = TieFinder(*(holdings(part.tolist()) for part in (titles, mentions, words)))
    firsts = random.permutation(passages)[:2]
    asked_names, asked_words = [0], [things - 1]
    ties = finder.between(firsts, np.arange(passages), asked_names, asked_words, 0.3)
    strength = np.zeros(passages)
    for place, p in enumerate(firsts.tolist()):
        for q in range(passages):
            named = names = shared = 0.0
            for thing in range(things):
                weight = rarity(int(titles[:, thing].sum() + mentions[:, thing].sum()), passages)
                weight *= 0.3 if thing in asked_names else 1
                named += weight * mentions[p, thing] * titles[q, thing]
                named += weight * titles[p, thing] * mentions[q, thing]
                names += weight * mentions[p, thing] * mentions[q, thing]
                if thing not in asked_words:
                    word_weight = rarity(int(words[:, thing].sum()), passages)
                    shared += word_weight * words[p, thing] * words[q, thing]
            assert ties.named[place, q] == pytest.approx(min(named, 1), abs=1e-5)
            assert ties.names[place, q] == pytest.approx(names, abs=1e-5)
            assert ties.shared[place, q] == pytest.approx(shared, abs=1e-5)
    for thing in range(things):
        weight = rarity(int(titles[:, thing].sum() + mentions[:, thing].sum()), passages)
        if (titles + mentions)[firsts, thing].any():
            strength += weight * (titles[:, thing] + mentions[:, thing])
        if thing not in asked_words and words[firsts, thing].any():
            strength += rarity(int(words[:, thing].sum()), passages) * words[:, thing]
    found = finder.tied_to(firsts.tolist(), asked_words, passages, np.zeros(passages))
    assert set(found.tolist()) == set(np.flatnonzero(strength).tolist())
    assert np.all(np.diff(strength[found]) <= 1e-9)
