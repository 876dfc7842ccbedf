"""Names in texts: what counts as mentioned."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st
from storage_helpers import steady

from indexes.graph_names import (
    NameMatcher,
    Spelling,
    alias_of,
    capitalised_names,
    capitals_of,
    is_matchable,
    key_of,
    proper_words,
    words_of,
)


def found(titles: list[str], text: str) -> list[tuple[str, int]]:
    spellings = {
        key_of(title): Spelling(number, capitals_of(title, is_alias=False))
        for number, title in enumerate(titles)
    }
    mentions = NameMatcher(spellings).find(words_of(text))
    return [(titles[mention.name], mention.start) for mention in mentions]


def test_the_longest_title_is_found_where_it_stands() -> None:
    titles = ["New York", "New York City", "York"]
    assert found(titles, "From York to New York City and New York.") == [
        ("York", 5),
        ("New York City", 13),
        ("New York", 31),
    ]


def test_accents_case_of_small_words_and_punctuation_do_not_hide_a_title() -> None:
    titles = ["José Ferreyra", "The Beatles", "Paris, Texas"]
    text = "Jose Ferreyra heard the Beatles in Paris, Texas."
    assert [title for title, _ in found(titles, text)] == titles


def test_proper_names_must_keep_their_capitals_and_ordinary_words_need_none() -> None:
    assert found(["Blue Moon"], "a blue moon") == []
    assert found(["Ice hockey", "Politician"], "a politician who plays ice hockey") == [
        ("Politician", 2),
        ("Ice hockey", 23),
    ]
    assert capitals_of("Fame", is_alias=True) == (0,)
    assert capitals_of("Fame", is_alias=False) == ()
    assert capitals_of("Gone with the Wind", is_alias=False) == (0, 3)


def test_aliases_lose_a_bracket_at_the_end_only() -> None:
    assert alias_of("Kiss and Tell (1945 film)") == "Kiss and Tell"
    assert alias_of("Kiss and Tell") is None
    assert alias_of("(What's the Story) Morning Glory?") is None
    assert alias_of("(film)") is None


def test_a_single_stop_word_or_letter_is_never_looked_for() -> None:
    assert [is_matchable(title) for title in ("It", "!!!", "M", "The Who", "Up")] == [
        False,
        False,
        False,
        True,
        True,
    ]


def test_capitalised_names_are_runs_without_the_sentences_first_stop_word() -> None:
    text = "The Duke of Wellington met Anna. In Paris he saw Emma Smith, John and 12 March 1990."
    names = list(capitalised_names(text, words_of(text)))
    assert names == [
        ("duke of wellington", 4),
        ("emma smith", text.index("Emma")),
        ("march 1990", text.index("March")),
    ]


def test_proper_words_have_a_capital_that_no_sentence_explains() -> None:
    text = "Red wine of Sisvel. Motorola and Élan left. Marie Curie saw 1914; The X Man. Alone"
    # Red, Motorola and Alone begin a sentence and nothing follows them with a capital; Marie is
    # followed by Curie; "The" is a stop word, "X" short, "1914" a number.
    assert list(proper_words(text, words_of(text))) == ["sisvel", "elan", "marie", "curie", "man"]
    assert list(proper_words("", [])) == []


@steady
@given(st.text(max_size=200), st.lists(st.text(min_size=1, max_size=12), max_size=6))
def test_found_names_lie_in_the_text_in_order_and_spell_their_key(
    text: str, titles: list[str]
) -> None:
    words = words_of(text)
    places = {word.start: number for number, word in enumerate(words)}
    keys = [key_of(title) for title in titles]
    spellings = {key: Spelling(number, ()) for number, key in enumerate(keys) if key}
    last = -1
    for mention in NameMatcher(spellings).find(words):
        first = places[mention.start]
        key = keys[mention.name]
        length = key.count(" ") + 1
        assert " ".join(word.folded for word in words[first : first + length]) == key
        assert first > last
        last = first + length - 1


@steady
@given(st.text(alphabet="aB é'-1", max_size=30))
def test_matching_finds_what_an_obvious_search_finds(text: str) -> None:
    titles = ["a B", "B", "1 a", "a B é"]
    keys = {key_of(title): number for number, title in enumerate(titles)}
    matcher = NameMatcher({key: Spelling(number, ()) for key, number in keys.items()})
    words = words_of(text)
    expected, place = [], 0
    while place < len(words):
        for length in (3, 2, 1):
            key = " ".join(word.folded for word in words[place : place + length])
            if key in keys and len(words) - place >= length:
                expected.append(keys[key])
                place += length
                break
        else:
            place += 1
    assert [mention.name for mention in matcher.find(words)] == expected
