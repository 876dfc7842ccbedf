"""Re-scored trees choose what the controller chooses."""

from __future__ import annotations

import random

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from random_scripts import NAMES, random_script
from scripted_rag import ListRetriever, nodes, passages, scripted

from decoding.config import DecodingConfig
from decoding.rescoring import Measurements, choose, final_scores
from decoding.scores import ScoreWeights, final_score, hypothesis_score
from decoding.search import BeamSearch
from decoding.segment import Boundary, SegmentDraft
from decoding.tree import SegmentNode

measured = st.none() | st.sampled_from([0.0, 0.25, 0.5, 1.0]) | st.floats(0, 1)
candidate = st.tuples(measured, measured, measured, st.none() | st.floats(-1, 1), measured)
setting = st.builds(ScoreWeights, *[st.sampled_from([0.0, 0.5, 1.0, 1.7])] * 5)


def table(questions: list[list[tuple[float | None, ...]]]) -> Measurements:
    rows = np.array([row for question in questions for row in question], dtype=float).reshape(-1, 5)
    *four, retrieval = rows.T
    counts = np.array([len(q) for q in questions], dtype=np.int64)
    return Measurements(*four, counts=counts, retrieval=retrieval)


@settings(deadline=None)
@given(
    st.lists(st.lists(candidate, max_size=5), max_size=5), st.lists(setting, min_size=1, max_size=4)
)
def test_equals_the_search(
    questions: list[list[tuple[float | None, ...]]], weights: list[ScoreWeights]
) -> None:
    chosen = choose(table(questions), weights)
    scores = final_scores(table(questions), weights)
    assert chosen.shape == (len(weights), len(questions))
    for number, w in enumerate(weights):
        flat = []
        for index, rows in enumerate(questions):
            pool = []
            for place, (seq, rel, sup, use, ret) in enumerate(rows):
                path = hypothesis_score([seq], [rel], [sup], w, [ret])
                node = SegmentNode(place + 1, 0, 1, "retrieve", passage_rank=place + 1)
                node.path_score, node.final = path, final_score(path, use, w.utility)
                pool.append(node)
                flat.append(node.final)
            best = BeamSearch(DecodingConfig(), pool=pool).best()
            assert chosen[number, index] == (-1 if best is None else best.id - 1)
        assert scores[number].tolist() == flat


@settings(max_examples=25, deadline=None)
@given(
    st.lists(st.integers(0, 10**6), min_size=1, max_size=3),
    st.lists(setting, min_size=1, max_size=3),
)
def test_equals_the_controller(seeds: list[int], weights: list[ScoreWeights]) -> None:
    found: list[list[int]] = [[] for _ in weights]
    rows: list[list[tuple[float | None, ...]]] = []
    for seed in seeds:
        rag, _ = scripted(
            random_script(random.Random(seed)),
            ListRetriever(passages(*NAMES)),
            mode="always",
            form="short",
        )
        with rag:
            for number, w in enumerate(weights):
                config = rag.config.replace(
                    prune=False,
                    w_seq=w.sequence,
                    w_rel=w.relevance,
                    w_sup=w.support,
                    w_use=w.utility,
                    w_ret=w.retrieval,
                )
                answer = rag.ask("Q", config=config)
                found[number].append(answer.tree["selected"][0] - 1)
        parts = ("seq", "rel", "sup", "use", "ret")
        rows.append([tuple(n["scores"][p] for p in parts) for n in nodes(answer)[1:]])
    assert choose(table(rows), weights).tolist() == found


def test_nodes_become_measurements() -> None:
    def node(identifier: int, rank: int, logs: tuple[float, ...], use: float | None) -> SegmentNode:
        segment = SegmentDraft((), (), logs, None, None)
        boundary = Boundary(None, None, None, "stop", True, use)
        return SegmentNode(
            identifier, 0, 1, "retrieve", passage_rank=rank, segment=segment, boundary=boundary
        )

    made = Measurements.of_nodes([[node(1, 2, (0.0,), None), node(2, 1, (), 0.5)], []])
    assert made.counts.tolist() == [2, 0]
    np.testing.assert_array_equal(made.sequence, [np.nan, 1.0])
    np.testing.assert_array_equal(made.utility, [0.5, np.nan])
    assert np.isnan(made.relevance).all() and np.isnan(made.support).all()
    assert choose(made, [ScoreWeights(utility=2.0), ScoreWeights()]).tolist() == [[0, -1], [1, -1]]


def test_shapes_that_do_not_fit_are_refused() -> None:
    empty = np.empty(0)
    with pytest.raises(ValueError, match="relevance"):
        Measurements(np.ones(2), empty, np.ones(2), np.ones(2), np.array([2]), np.ones(2))
    with pytest.raises(ValueError, match="not decoded"):
        Measurements.of_nodes([[SegmentNode(1, 0, 1, "retrieve")]])
    assert choose(table([[], []]), [ScoreWeights()]).tolist() == [[-1, -1]]
