"""Fusion: golden values by hand, the two ways of telling passages apart, settings."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from storage_helpers import CORPUS, HashEncoder, steady

from indexes.build import build_index
from indexes.index import Index
from indexes.passage import Passage
from retrievers.base import check_queries
from retrievers.bm25 import BM25Retriever
from retrievers.dense import DenseRetriever
from retrievers.errors import InvalidRetriever
from retrievers.fusion import HybridRetriever, fuse
from retrievers.given import GivenPassages
from retrievers.hit import Hit

PASSAGES = {name: Passage(name, "", f"text {name}") for name in "abcd"}


class Ranked:
    """A retriever with a fixed answer."""

    def __init__(self, *pairs: tuple[str, float]) -> None:
        self._hits = [Hit(PASSAGES[p], s, rank) for rank, (p, s) in enumerate(pairs, start=1)]
        self.fingerprint = repr(pairs)
        self.asked: list[int] = []

    def search(self, query: str, k: int) -> list[Hit]:
        return self.search_many([query], k)[0]

    def search_many(self, queries: Sequence[str], k: int) -> list[list[Hit]]:
        check_queries(queries, k)
        self.asked.append(k)
        return [self._hits[:k] for _ in queries]


FIRST = Ranked(("a", 9.0), ("b", 5.0), ("c", 1.0))
SECOND = Ranked(("c", 0.8), ("d", 0.6), ("a", 0.4))


def test_reciprocal_ranks_by_hand() -> None:
    # a: 1/61 + 1/63; b: 1/62; c: 1/63 + 1/61; d: 1/62. Ties in order of first appearance.
    hits = HybridRetriever([FIRST, SECOND]).search("q", 4)
    assert [hit.passage.id for hit in hits] == ["a", "c", "b", "d"]
    assert [hit.score for hit in hits] == pytest.approx(
        [1 / 61 + 1 / 63, 1 / 61 + 1 / 63, 1 / 62, 1 / 62]
    )
    assert [hit.rank for hit in hits] == [1, 2, 3, 4]


def test_weighted_scores_by_hand() -> None:
    # Brought to 0..1: first a 1, b 1/2, c 0; second c 1, d 1/2, a 0. Weights 1 and 3.
    # c: 0 + 3 = 3; d: 3/2; a: 1 + 0 = 1; b: 1/2.
    hits = HybridRetriever([FIRST, SECOND], method="weighted", weights=[1, 3]).search("q", 4)
    assert [hit.passage.id for hit in hits] == ["c", "d", "a", "b"]
    assert [hit.score for hit in hits] == pytest.approx([3, 1.5, 1, 0.5])


def test_weighted_ranks_by_hand() -> None:
    fused = fuse([[("a", 0.0)], [("b", 0.0), ("a", 0.0)]], [2.0, 1.0], "rrf")
    assert fused == pytest.approx({"a": 2 / 61 + 1 / 62, "b": 1 / 61})


def test_equal_scores_count_fully_and_empty_rankings_count_nothing() -> None:
    assert fuse([[("a", 3.0), ("b", 3.0)], []], [1.0, 1.0], "weighted") == {"a": 1.0, "b": 1.0}


@steady
@given(st.lists(st.permutations("abcd"), min_size=1, max_size=4))
def test_reciprocal_rank_fusion_ignores_the_order_of_rankings(orders: list[list[str]]) -> None:
    rankings = [[(name, 0.0) for name in order] for order in orders]
    weights = [1.0] * len(rankings)
    assert fuse(rankings, weights, "rrf") == pytest.approx(fuse(rankings[::-1], weights, "rrf"))


@steady
@given(
    st.lists(st.integers(0, 50), min_size=1, max_size=6, unique=True),
    st.sampled_from([0.25, 3.0, 1024.0]),
    st.integers(-5, 5),
)
def test_weighted_fusion_ignores_scale_and_offset(
    scores: list[int], scale: float, offset: int
) -> None:
    pairs = [(str(n), float(score)) for n, score in enumerate(sorted(scores, reverse=True))]
    moved = [(name, scale * (score + offset)) for name, score in pairs]
    other = [("0", 2.0), ("9", 1.0)]
    one, two = (fuse([p, other], [0.4, 0.6], "weighted") for p in (pairs, moved))
    assert one == pytest.approx(two)
    assert list(one) == list(two)


def test_depth_is_asked_of_the_members() -> None:
    members = [Ranked(("a", 1.0)), Ranked(("b", 1.0))]
    hybrid = HybridRetriever(members, depth=30)
    hybrid.search("q", 5)
    hybrid.search("q", 50)
    assert [member.asked for member in members] == [[30, 50], [30, 50]]


def test_rows_and_ids_give_the_same_fusion(tmp_path: Path) -> None:
    build_index(CORPUS, tmp_path / "index", encoder=HashEncoder())
    index = Index.open(tmp_path / "index")
    dense, bm25 = DenseRetriever(index, HashEncoder()), BM25Retriever(index)
    by_row = HybridRetriever([dense, bm25])
    by_id = HybridRetriever([HybridRetriever([dense]), HybridRetriever([bm25])])
    for query in ("capital of France", "Seine", "title"):
        rows, ids = by_row.search(query, 6), by_id.search(query, 6)
        assert {hit.passage.id: hit.score for hit in rows} == pytest.approx(
            {hit.passage.id: hit.score for hit in ids}
        )


def test_a_passage_given_twice_counts_once() -> None:
    given_twice = GivenPassages([PASSAGES["a"], PASSAGES["b"], PASSAGES["a"]])
    hits = HybridRetriever([given_twice]).search("q", 5)
    assert [hit.passage.id for hit in hits] == ["a", "b"]
    assert [hit.score for hit in hits] == pytest.approx([1 / 61, 1 / 62])


@pytest.mark.parametrize(
    "settings",
    [
        {"retrievers": []},
        {"method": "vote"},
        {"depth": 0},
        {"weights": [1]},
        {"weights": [1, 0]},
        {"weights": [1, float("nan")]},
    ],
)
def test_settings_are_checked(settings: dict[str, object]) -> None:
    with pytest.raises(InvalidRetriever) as caught:
        HybridRetriever(**{"retrievers": [FIRST, SECOND], **settings})  # type: ignore[arg-type]
    assert caught.value.hint
