"""BM25: the same scores as a slow and obvious implementation, and the same as bm25s itself."""

from __future__ import annotations

import math
from collections import Counter
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from storage_helpers import steady

from indexes.errors import CorruptIndex, EmptyCorpus, InvalidSetting
from indexes.lexical import BM25Settings, LexicalIndex
from indexes.words import WordSettings

PLAIN = BM25Settings(words=WordSettings(stopwords="none"))
WORDS = st.lists(st.sampled_from("abcdefgh"), max_size=12)


def slow_scores(texts: list[list[str]], query: list[str], k1: float, b: float) -> list[float]:
    """The formula of `indexes.lexical`, word by word."""
    mean = sum(map(len, texts)) / len(texts)
    scores = []
    for text in texts:
        counts = Counter(text)
        score = 0.0
        for word in query:
            holders = sum(word in other for other in texts)
            if counts[word]:
                idf = math.log(1 + (len(texts) - holders + 0.5) / (holders + 0.5))
                length = k1 * (1 - b + b * len(text) / mean)
                score += idf * counts[word] / (counts[word] + length)
        scores.append(score)
    return scores


@steady
@given(
    st.lists(WORDS, min_size=1, max_size=12).filter(any),
    WORDS,
    st.sampled_from([(1.2, 0.75), (0.9, 0.4), (2.0, 0.0), (0.0, 1.0)]),
)
def test_scores_are_those_of_the_formula(
    texts: list[list[str]], query: list[str], numbers: tuple[float, float]
) -> None:
    k1, b = numbers
    index = LexicalIndex.build(map(" ".join, texts), BM25Settings(k1, b, PLAIN.words))
    expected = slow_scores(texts, query, k1, b)
    np.testing.assert_allclose(index.scores(" ".join(query)), expected, rtol=1e-5, atol=1e-6)


def test_a_score_by_hand() -> None:
    # Two passages of 2 and 4 words, mean 3; "sun" is in one of them, twice.
    # idf = ln(1 + (2 - 1 + 0.5) / (1 + 0.5)) = ln 2
    # tf part = 2 / (2 + 1.2 * (1 - 0.75 + 0.75 * 4 / 3)) = 2 / 3.5
    index = LexicalIndex.build(["moon star", "sun sun moon star"], PLAIN)
    assert index.scores("sun").tolist() == pytest.approx([0.0, math.log(2) * 2 / 3.5])


def test_equal_scores_come_in_row_order_and_zero_is_no_hit() -> None:
    index = LexicalIndex.build(["cat", "dog", "cat", "cat", "dog"], PLAIN)
    rows, scores = index.search("cat", 5)
    assert rows.tolist() == [0, 2, 3]
    assert len(set(scores.tolist())) == 1
    assert index.search("cat", 2)[0].tolist() == [0, 2]
    assert index.search("unicorn", 3)[0].tolist() == []


def test_round_trip(tmp_path: Path) -> None:
    texts = ["Zürich is a city", "the sun is a star", "a star of the city"]
    settings = BM25Settings(1.5, 0.5, WordSettings(stopwords=("of", "is")))
    built = LexicalIndex.build(texts, settings)
    built.save(tmp_path)
    opened = LexicalIndex.open(tmp_path, 3, BM25Settings.from_dict(settings.to_dict()))
    for query in ("zurich", "star city", "is of", ""):
        np.testing.assert_array_equal(built.scores(query), opened.scores(query))
    assert {file.suffix for file in tmp_path.iterdir()} == {".npy", ".json"}


def test_damaged_parts_are_named(tmp_path: Path) -> None:
    LexicalIndex.build(["one two", "two three"], PLAIN).save(tmp_path)
    with pytest.raises(CorruptIndex, match="fit"):
        LexicalIndex.open(tmp_path, 3, PLAIN)
    with pytest.raises(CorruptIndex, match="fit"):
        LexicalIndex.open(tmp_path, 2, BM25Settings(k1=9, words=PLAIN.words))
    for file in sorted(tmp_path.iterdir()):
        whole = file.read_bytes()
        for data in (b"", b"garbage", whole[: len(whole) // 2]):
            file.write_bytes(data)
            with pytest.raises(CorruptIndex):
                LexicalIndex.open(tmp_path, 2, PLAIN)
        file.unlink()
        with pytest.raises(CorruptIndex):
            LexicalIndex.open(tmp_path, 2, PLAIN)
        file.write_bytes(whole)
    LexicalIndex.open(tmp_path, 2, PLAIN)


def test_settings_are_checked() -> None:
    for numbers in ((-1, 0.5), (float("nan"), 0.5), (float("inf"), 0.5), (1.2, 1.5)):
        with pytest.raises(InvalidSetting):
            BM25Settings(*numbers)
    with pytest.raises(EmptyCorpus, match="no word"):
        LexicalIndex.build(["!!!", "..."], PLAIN)


def test_word_scores_are_what_each_word_alone_would_score() -> None:
    texts = ["red red wine", "wine and bread", "bread", "white wine", "salt"]
    index = LexicalIndex.build(texts, BM25Settings())
    rows = np.array([4, 0, 2, 3], dtype=np.int64)
    query = "Red wine, wine with nothing of bread"
    scores, rarity = index.word_scores(query, rows)
    slow = np.stack([index.scores(word)[rows] for word in ("red", "wine", "bread")], axis=1)
    assert np.array_equal(scores, slow)
    # idf = ln(1 + (5 - df + 0.5) / (df + 0.5)) for df 1, 3 and 2.
    assert rarity == pytest.approx(np.log([1 + 4.5 / 1.5, 1 + 2.5 / 3.5, 1 + 3.5 / 2.5]))
    assert index.word_scores("nothing", rows)[0].shape == (4, 0)
