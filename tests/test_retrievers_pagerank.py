"""The walk: by hand, against a dense reference, and that no probability is lost."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.sparse import csr_matrix
from storage_helpers import steady

from retrievers.pagerank import Edges, Shares, Walk, personalised_pagerank

Matrix = npt.NDArray[np.float64]


def transition(
    mentions: Matrix,
    titles: Matrix,
    shares: Shares,
    name_weights: Matrix,
    own_weights: Matrix,
    mention_weights: Matrix,
    attraction: Matrix,
) -> Matrix:
    """The slow reference: from which passage the walk goes to which, written out edge by edge."""
    passages, names = mentions.shape
    result = np.zeros((passages, passages))

    def leave(name: int, wanted: float) -> Matrix:
        bearing = titles[:, name] * attraction
        holding = mentions[:, name] * attraction
        if bearing.sum() and holding.sum():
            return wanted * bearing / bearing.sum() + (1 - wanted) * holding / holding.sum()
        return (bearing + holding) / (bearing + holding).sum()

    for passage in range(passages):
        seen = mentions[passage] * mention_weights[passage] * name_weights
        own = titles[passage] * own_weights
        follow = shares.follow if seen.sum() and own.sum() else float(seen.sum() > 0)
        for name in range(names):
            if seen[name]:
                part = follow * seen[name] / seen.sum()
                result[passage] += part * leave(name, shares.to_titled)
            if own[name]:
                part = (1 - follow) * own[name] / own.sum()
                result[passage] += part * leave(name, shares.to_same_title)
    return result


def test_a_graph_worked_out_by_hand() -> None:
    # Passage 0 mentions name 1, the title of passage 1; passages 0 and 1 have titles 0 and 1;
    # passage 2 has neither. With follow 3/4, to_titled 1, to_same_title 1:
    # from 0: 3/4 to 1 (its mention), 1/4 back to 0 (its own title); from 1: to 1; from 2: lost.
    # s = (1 - d) e0 + d (P^T s + lost e0) with d = 1/2 and seeds e0:
    # s0 = 1/2 + 1/2 * 1/4 s0        => s0 = 4/7
    # s1 = 1/2 * (3/4 s0 + s1)       => s1 = 3/4 s0 = 3/7
    mentions = csr_matrix(np.array([[0.0, 1.0], [0, 0], [0, 0]]))
    titles = csr_matrix(np.array([[1.0, 0.0], [0, 1], [0, 0]]))
    ones = np.ones(2)
    walk = Walk(
        Edges.of(mentions, titles), Shares(0.75, 1.0, 1.0), ones, ones, np.ones(1), np.ones(3)
    )
    seeds = np.array([1.0, 0.0, 0.0])
    scores = personalised_pagerank(walk.step, seeds, 0.5, tolerance=1e-12, most_steps=200)
    assert scores == pytest.approx([4 / 7, 3 / 7, 0.0], abs=1e-9)


def test_mass_that_nothing_leads_on_starts_again_at_the_seeds() -> None:
    empty = csr_matrix((2, 1))
    walk = Walk(
        Edges.of(empty, empty),
        Shares(0.5, 0.5, 0.5),
        np.ones(1),
        np.ones(1),
        np.ones(0),
        np.ones(2),
    )
    scores = personalised_pagerank(walk.step, np.array([0.25, 0.75]), 0.9)
    assert scores == pytest.approx([0.25, 0.75])


@st.composite
def graphs(draw: st.DrawFn) -> tuple[Matrix, Matrix, Shares, int]:
    passages, names = draw(st.integers(1, 7)), draw(st.integers(1, 6))
    generator = np.random.default_rng(draw(st.integers(0, 2**32)))
    density = draw(st.sampled_from([0.1, 0.3, 0.7]))
    titles = (generator.random((passages, names)) < density).astype(float)
    mentions = (generator.random((passages, names)) < density) * (1 - titles)
    share = st.sampled_from([0.0, 0.3, 0.9, 1.0])
    shares = Shares(draw(share), draw(share), draw(share))
    return mentions, titles, shares, draw(st.integers(0, 2**32))


@steady
@given(graphs(), st.sampled_from([0.0, 0.5, 0.9]))
def test_the_walk_equals_the_dense_solution_and_its_scores_sum_to_one(
    graph: tuple[Matrix, Matrix, Shares, int], damping: float
) -> None:
    mentions, titles, shares, seed = graph
    passages, names = mentions.shape
    generator = np.random.default_rng(seed)
    name_weights, own_weights = generator.uniform(0.1, 2, (2, names))
    factors = generator.uniform(0.5, 3, mentions.shape)
    attraction = generator.uniform(0.1, 2, passages)
    seeds = generator.uniform(0, 1, passages)
    seeds /= seeds.sum()

    sparse = csr_matrix(mentions)
    rows = np.repeat(np.arange(passages), np.diff(sparse.indptr))
    walk = Walk(
        Edges.of(sparse, csr_matrix(titles)),
        shares,
        name_weights,
        own_weights,
        factors[rows, sparse.indices],
        attraction,
    )
    scores = personalised_pagerank(walk.step, seeds, damping, tolerance=1e-13, most_steps=2_000)

    matrix = transition(mentions, titles, shares, name_weights, own_weights, factors, attraction)
    matrix += np.outer(1 - matrix.sum(axis=1), seeds)
    expected = np.linalg.solve(np.eye(passages) - damping * matrix.T, (1 - damping) * seeds)
    assert scores == pytest.approx(expected, abs=1e-9)
    assert scores.sum() == pytest.approx(1.0)
    assert scores.min() >= 0
