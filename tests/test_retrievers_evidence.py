"""Pairs of evidence: by hand, and against loops over all pairs."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from storage_helpers import steady

from retrievers.evidence import (
    ALONE,
    PAIRS,
    Features,
    Numbers,
    Ties,
    alone_features,
    best_partners,
    pair_features,
)

# Three candidates and two words, of which the second has three quarters of the rarity.
FEATURES = Features(
    words=np.array([[2.0, 0], [0, 4], [1, 1]], dtype=np.float32),
    rarity=np.array([1.0, 3], dtype=np.float32),
    walk=np.array([1.0, 0.25, 0], dtype=np.float32),
    closeness=np.array([0.9, 0.5, 0.6], dtype=np.float32),
)


def made(seed: int, count: int, firsts: int, words: int) -> tuple[Features, Ties, Numbers]:
    random = np.random.default_rng(seed)

    def numbers(*shape: int) -> Numbers:
        return (random.random(shape) * random.integers(0, 2, shape)).astype(np.float32)

    features = Features(numbers(count, words), numbers(words), numbers(count), numbers(count))
    ties = Ties(*(numbers(firsts, count) * 4 for _ in range(3)))
    return features, ties, numbers(count)


def test_what_speaks_for_a_passage_alone_by_hand() -> None:
    # Words held 1/4, 3/4, all; the median of 0.9, 0.5, 0.6 is 0.6, so closeness counts in steps
    # of 0.3 from 0.9.
    expected = [[0.25, 1.0, 1.0, 0.0], [0.75, 0.5, 0.25, -4 / 3], [1.0, 0.0, 0.0, -1.0]]
    assert alone_features(FEATURES) == pytest.approx(np.array(expected), abs=1e-6)


def test_a_pair_by_hand() -> None:
    # r = [1, 0], [0, 1], [1/2, 1/4]. Passages 0 and 1 cover all of the question: 1/4 + 3/4 = 1,
    # where each alone covers 1/4 or 3/4, so the balance is min(3/4, 1/4). Passages 0 and 2 cover
    # 1/4 + 3/4 * 1/4 = 7/16; passage 2 alone 1/8 + 3/16 = 5/16; min(3/16, 1/8) = 1/8.
    alone = np.array([5.0, 6, 7], dtype=np.float32)
    ties = Ties(
        named=np.array([[0, 0.5, 0]], dtype=np.float32),
        names=np.array([[0, 0.25, 0]], dtype=np.float32),
        shared=np.array([[0, 0.5, 4]], dtype=np.float32),
    )
    found = pair_features(alone, np.array([0]), FEATURES, ties)
    assert found[0, 1] == pytest.approx([5, 6, 0.25, 0.5, 1.25, 0.5])
    # Shared words count up to 3, and up to 1 among the ties: (0 + 0 + 1) * 7/16.
    assert found[0, 2] == pytest.approx([5, 7, 1 / 8, 3, 7 / 16, 0])


def test_the_best_partner_counts_for_both_and_nobody_is_his_own() -> None:
    pairs = np.array([[9.0, 1, 2], [3, 9, 0]], dtype=np.float32)
    # 0 takes part in (0, 1) = 1, (0, 2) = 2 and (1, 0) = 3; 1 in (0, 1), (1, 0), (1, 2) = 0.
    assert best_partners(pairs, np.array([0, 1])).tolist() == [3, 3, 2]


def test_without_words_vectors_or_ties_numbers_stay_finite() -> None:
    nothing = np.zeros(2, dtype=np.float32)
    features = Features(
        np.zeros((2, 0), dtype=np.float32), np.zeros(0, dtype=np.float32), nothing, None
    )
    alone = alone_features(features) @ ALONE
    ties = Ties(*(np.zeros((1, 2), dtype=np.float32) for _ in range(3)))
    pairs = pair_features(alone, np.array([1]), features, ties) @ PAIRS
    assert best_partners(pairs, np.array([1])).tolist() == [0, 0]


@steady
@given(st.integers(0, 2**16), st.integers(2, 7), st.integers(1, 4), st.integers(0, 4))
def test_pairs_are_those_of_a_loop_over_pairs(seed: int, count: int, firsts: int, t: int) -> None:
    features, ties, alone = made(seed, count, firsts, t)
    chosen = np.random.default_rng(seed).permutation(count)[:firsts]
    ties = Ties(*(getattr(ties, name)[: len(chosen)] for name in ("named", "names", "shared")))
    highest = [max(1e-9, *features.words[:, word].tolist()) for word in range(t)]
    total = max(1e-9, float(sum(features.rarity.tolist())))

    def covered(*rows: int) -> float:
        return sum(
            features.rarity[word] / total * max(features.words[row, word] for row in rows) / most
            for word, most in enumerate(highest)
        )

    found = pair_features(alone, chosen, features, ties)
    best = [-np.inf] * count
    for place, p in enumerate(chosen.tolist()):
        for q in range(count):
            named, names, shared = (
                float(part[place, q]) for part in (ties.named, ties.names, ties.shared)
            )
            both = covered(p, q)
            tied = min(named + names + min(shared, 1), 1.5)
            expected = [
                *(alone[p], alone[q], both - max(covered(p), covered(q)), min(shared, 3)),
                *(tied * both, named * both),
            ]
            assert found[place, q] == pytest.approx(expected, abs=1e-5)
            if p != q:
                score = float(found[place, q] @ PAIRS)
                best[p], best[q] = max(best[p], score), max(best[q], score)
    assert best_partners(found @ PAIRS, chosen) == pytest.approx(best, abs=1e-4)
