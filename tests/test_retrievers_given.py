"""Given passages: the shapes in which questions come with their passages."""

from __future__ import annotations

import gzip
import json

import pytest
from storage_helpers import CORPUS, shared_data

from indexes.passage import Passage
from retrievers.base import Retriever
from retrievers.errors import InvalidPassages, InvalidQuery
from retrievers.given import GivenPassages


def test_order_is_kept_whatever_the_query() -> None:
    given = GivenPassages(CORPUS)
    assert isinstance(given, Retriever)
    assert [hit.passage for hit in given.search("anything", 4)] == list(CORPUS[:4])
    assert [hit.rank for hit in given.search("", 100)] == [1, 2, 3, 4, 5, 6]
    assert given.search_many(["a", "b"], 1) == [given.search("a", 1)] * 2
    with pytest.raises(InvalidQuery):
        given.search("x", 0)


def test_mappings_and_rows() -> None:
    entries = [
        {"id": 7, "title": "A", "text": " x", "score": "1.5", "hasanswer": True},
        {"text": "y", "title": None, "score": 0.5},
    ]
    for key in ("ctxs", "top_contexts", "docs"):
        hits = GivenPassages({"question": "?", key: entries}).search("?", 5)
        assert [hit.passage for hit in hits] == [
            Passage("7", "A", " x"),
            Passage("given-2", "", "y"),
        ]
        assert [hit.score for hit in hits] == [1.5, 0.5]
    assert len(GivenPassages({"ctxs": None})) == 0


def test_without_a_score_for_each_none_counts() -> None:
    given = GivenPassages([{"text": "x", "score": 3}, {"text": "y"}, {"text": "z"}])
    assert [hit.score for hit in given.search("?", 3)] == [0.0, 0.0, 0.0]


def test_empty_texts_are_left_out_and_counted() -> None:
    given = GivenPassages([{"text": ""}, {"text": None}, {"text": "x"}])
    assert [(hit.passage.id, hit.rank) for hit in given.search("?", 3)] == [("given-3", 1)]
    assert given.left_out == 2


@pytest.mark.parametrize(
    "passages", ["text", 5, ["text"], [{"title": "x"}], {"question": "?"}, [{"text": 5}], [None]]
)
def test_what_cannot_be_read_is_refused(passages: object) -> None:
    with pytest.raises(InvalidPassages) as caught:
        GivenPassages(passages)  # type: ignore[arg-type]
    assert caught.value.hint


@pytest.mark.parametrize(
    "passage",
    [{"text": "a \ud800 b"}, {"title": "\udfff", "text": "x"}, Passage("\ud800", "", "x")],
)
def test_lone_surrogates_are_refused(passage: object) -> None:
    with pytest.raises(InvalidPassages, match=r"passage 2 .*UTF-8"):
        GivenPassages([{"text": "fine"}, passage])  # type: ignore[list-item]


def test_fingerprint_tells_passages_and_order() -> None:
    assert GivenPassages(CORPUS).fingerprint == GivenPassages(list(CORPUS)).fingerprint
    assert GivenPassages(CORPUS).fingerprint != GivenPassages(CORPUS[::-1]).fingerprint


@pytest.mark.parametrize(
    ("file", "count"),
    [
        (("popqa", "selfrag_ctxs100.jsonl.gz"), 25),
        (("arc_challenge", "selfrag_ctxs100.jsonl.gz"), 20),
        (("factscore_bio", "selfrag_bio500.jsonl.gz"), 10),
        (("odqa_retrieved", "asqa500.jsonl.gz"), 5),
    ],
)
def test_published_rows(file: tuple[str, str], count: int) -> None:
    with gzip.open(shared_data(*file), "rt", encoding="utf-8") as lines:
        for line in lines:
            row = json.loads(line)
            given = GivenPassages(row)
            assert len(given) + given.left_out == len(row["ctxs"]) == count
            hits = given.search(row["question"], count)
            assert [hit.rank for hit in hits] == list(range(1, len(given) + 1))
