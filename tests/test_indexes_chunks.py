"""Sentences and passages cut from documents: nothing is lost, and little is torn apart."""

from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st
from storage_helpers import steady

from indexes.chunks import chunks_of, count_words, spans_of
from indexes.errors import InvalidSetting
from indexes.sentences import sentences_of

SPACED = st.text(st.sampled_from("abcAB.,;:!?…\"') \n\t-1é’”"))  # noqa: RUF001
ANY = st.text() | st.text(st.sampled_from("東京。、「」กำแพงเ abc.\n"))


def sentences(text: str) -> list[str]:
    return [text[start:end] for start, end in sentences_of(text)]


@pytest.mark.parametrize(
    "text",
    [
        "It costs 3.14 euros, or 1,000.50 dollars.",
        "Dr. J. R. R. Tolkien met Mrs. Smith in St. Louis.",
        "The U.S. Army used it, e.g. in Fig. 3 and No. 7.",
        'She asked "Why?" and went.',
        "See https://example.org/a.b?c=d for v2.0.1 of it.",
        "Wait... there is more.",
        "Am 3. Oktober war es so.",
    ],
)
def test_one_sentence_stays_whole(text: str) -> None:
    assert sentences(text) == [text]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("One. Two! Three? Four", ["One.", "Two!", "Three?", "Four"]),
        ('He said "No." Then he left.', ['He said "No."', "Then he left."]),
        ("It rose to 3.5. In 1990 it fell.", ["It rose to 3.5.", "In 1990 it fell."]),
        ("He said no. Then it ended.", ["He said no.", "Then it ended."]),
        ("東京は首都。「大阪は？」と言った。", ["東京は首都。", "「大阪は？」", "と言った。"]),  # noqa: RUF001
        ("यह एक है। वह दो है।", ["यह एक है।", "वह दो है।"]),
        ("A heading\n\nand text", ["A heading", "and text"]),
        ("Needed:\n- salt\n- pepper", ["Needed:", "- salt", "- pepper"]),
        (" \n ", []),
    ],
)
def test_sentences_by_hand(text: str, expected: list[str]) -> None:
    assert sentences(text) == expected


@steady
@given(ANY)
def test_sentences_hold_every_character(text: str) -> None:
    assert "".join("".join(sentences(text)).split()) == "".join(text.split())


@steady
@given(SPACED, st.integers(1, 8))
def test_chunks_joined_are_the_words_of_the_text(text: str, size: int) -> None:
    chunks = list(chunks_of(text, size))
    assert " ".join(chunks).split() == text.split()
    assert all(0 < len(chunk.split()) <= size for chunk in chunks)


@steady
@given(ANY, st.integers(1, 8))
def test_chunks_of_any_script_lose_nothing_and_keep_the_limit(text: str, size: int) -> None:
    chunks = list(chunks_of(text, size))
    assert "".join("".join(chunks).split()) == "".join(text.split())
    assert all(0 < count_words(chunk) <= size for chunk in chunks)


@steady
@given(ANY, st.integers(1, 8), st.integers(1, 4))
def test_overlapping_chunks(text: str, size: int, overlap: int) -> None:
    spans = list(spans_of(text, size, overlap))
    assert all(count_words(text[start:end]) <= size for start, end in spans)
    covered: set[int] = set()
    for start, end in spans:
        covered.update(range(start, end))
    assert {n for n, character in enumerate(text) if not character.isspace()} <= covered
    for (start, end), (next_start, next_end) in pairwise(spans):
        assert start < next_start and end < next_end


def test_chunks_end_at_sentences_and_paragraphs() -> None:
    text = "One two three. Four\nfive.\nSix\n\nSeven eight nine ten eleven twelve."
    pieces = ["One two three. Four five.", "Six", "Seven eight nine ten eleven", "twelve."]
    assert list(chunks_of(text, 5)) == pieces


def test_overlap_by_hand() -> None:
    text = "One two. Three four. Five six. Seven eight nine ten."
    none = ["One two. Three four.", "Five six.", "Seven eight nine ten."]
    assert list(chunks_of(text, 4)) == none
    # The last sentence fills a piece alone: nothing can be repeated in front of it.
    one = ["One two. Three four.", "Three four. Five six.", "Seven eight nine ten."]
    assert list(chunks_of(text, 4, 1)) == one
    # Of two sentences that were to be repeated, there is room for one.
    two = ["One two. Three four. Five six.", "Five six. Seven eight nine ten."]
    assert list(chunks_of(text, 6, 2)) == two


def test_long_sentences_are_cut_at_clauses_then_at_words() -> None:
    text = "One two three, four five six seven eight."
    assert list(chunks_of(text, 5)) == ["One two three,", "four five six seven eight."]
    assert list(chunks_of(text, 4)) == ["One two three,", "four five six seven", "eight."]
    assert list(chunks_of("a, b c d e f", 5)) == ["a, b c d e", "f"]


def test_scripts_without_spaces() -> None:
    # Two characters are a word, with their mark: 東京 都は 日本 の首 | 都、 人口 は多 い。
    assert list(chunks_of("東京都は日本の首都、人口は多い。", 4)) == [
        "東京都は日本の首",
        "都、人口は多い。",
    ]
    # Thai: in front of a cut stands a space where there is one.
    assert list(chunks_of("กรุงเทพ เป็นเมือง", 5)) == ["กรุงเทพ", "เป็นเมือง"]


def test_an_address_is_one_word() -> None:
    address = "https://example.org/" + "x" * 500
    assert list(chunks_of(f"See {address} now", 1)) == ["See", address, "now"]


@pytest.mark.parametrize(("words", "overlap"), [(0, 0), (5, -1)])
def test_sizes_that_make_no_sense(words: int, overlap: int) -> None:
    with pytest.raises(InvalidSetting):
        list(chunks_of("x", words, overlap))
