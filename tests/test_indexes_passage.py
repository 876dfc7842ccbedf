"""Passages, words and the order of rows."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from storage_helpers import steady

from indexes.errors import InvalidPassage, InvalidSetting
from indexes.passage import Passage, text_for_search
from indexes.ranking import top_rows
from indexes.words import WordSettings, WordSplitter


def test_passage_round_trip() -> None:
    passage = Passage("1", "Title", "Text", {"a": [1, 2]})
    assert Passage.from_dict(passage.to_dict()) == passage
    assert hash(passage) == hash(Passage("1", "Title", "Text", {"b": 1}))


@pytest.mark.parametrize(
    "values",
    [
        {"id": "", "text": "x"},
        {"id": 1, "text": "x"},
        {"id": "1", "text": None},
        {"id": "1"},
        {"id": "1", "text": "x", "colour": "red"},
        {"id": "1", "text": "x", "metadata": []},
    ],
)
def test_bad_passages_are_refused_with_a_hint(values: dict[str, object]) -> None:
    with pytest.raises(InvalidPassage) as caught:
        Passage.from_dict(values)
    assert caught.value.hint


def test_search_text_is_title_and_text() -> None:
    assert text_for_search(Passage("1", "T", "x")) == "T x"
    assert text_for_search(Passage("1", "", "x")) == "x"


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("The Café in Zürich", ["cafe", "zurich"]),
        ("H2O and O2, 3.14", ["h2o", "o2", "3", "14"]),
        ("snake_case don't", ["snake", "case", "don", "t"]),
        ("ﬁnal ﬂight", ["final", "flight"]),
        ("東京タワー is tall", ["東", "京", "タ", "ワ", "ー", "tall"]),
        ("서울 Москва", ["서울", "москва"]),
        ("Йод", ["иод"]),
        ("", []),
    ],
)
def test_words(text: str, words: list[str]) -> None:
    assert WordSplitter(WordSettings()).words(text) == words


def test_own_stopwords_go_through_the_same_folding() -> None:
    splitter = WordSplitter(WordSettings(stopwords=("CAFÉ",)))
    assert splitter.words("the café") == ["the"]
    kept = WordSplitter(WordSettings(fold_accents=False, stopwords="none"))
    assert kept.words("The Café") == ["the", "café"]


def test_unknown_stopword_list() -> None:
    with pytest.raises(InvalidSetting, match="klingon"):
        WordSettings(stopwords="klingon")


@steady
@given(st.text())
def test_words_are_stable(text: str) -> None:
    splitter = WordSplitter(WordSettings(stopwords="none"))
    words = splitter.words(text)
    assert splitter.words(" ".join(words)) == words
    assert all(words)


@steady
@given(st.lists(st.integers(0, 5), max_size=30), st.integers(0, 35))
def test_top_rows_is_a_stable_sort(values: list[int], k: int) -> None:
    scores = np.array(values, dtype=np.float32)
    expected = sorted(range(len(values)), key=lambda row: (-values[row], row))[:k]
    assert top_rows(scores, k).tolist() == expected
