"""Names in texts: titles by longest match, runs of capitalised words, and single proper words.

A name is compared as the words of its text, lower-cased and with accents folded, joined by single
spaces: its key. This module reads texts and titles; it knows nothing of passages, rows or graphs.
"""

from __future__ import annotations

import hashlib
import re
import unicodedata
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import NamedTuple

from indexes.words import ENGLISH_STOPWORDS

LONGEST_NAME = 16
"""Names of more words than this are compared by their first words only, so matching is linear."""

_WORD = re.compile(r"[^\W_]+")
_SENTENCE_END = re.compile(r"[.!?:;\"\n]")
_SHORTEST_PROPER = 3
_BRACKET = re.compile(r"\s*\([^()]*\)\s*$")
_INSIDE = " -\u2013'\u2019"  # also the dash and the apostrophe of print
_JOINING_WORDS = "of the de del della di du da la le van von der den for in on at"
_JOINING = frozenset(_JOINING_WORDS.split())


class Word(NamedTuple):
    """A word of a text: its folded form, where it stands, and whether it begins with a capital.

    A tuple and no dataclass, because building makes one for every word of a corpus.
    """

    folded: str
    start: int
    end: int
    capital: bool


def words_of(text: str) -> list[Word]:
    """The words of a text in order; digits count as capitals, since names may hold them."""
    return [
        Word(fold(match[0]), match.start(), match.end(), not match[0][0].islower())
        for match in _WORD.finditer(text)
    ]


def fold(word: str) -> str:
    """A word without case and accents."""
    lowered = word.lower()
    if lowered.isascii():
        return lowered
    decomposed = unicodedata.normalize("NFKD", lowered)
    bare = "".join(letter for letter in decomposed if not unicodedata.combining(letter))
    return unicodedata.normalize("NFC", bare).lower()


def key_of(text: str) -> str:
    """The key under which a name is compared; empty for a text without words."""
    return " ".join(word.folded for word in words_of(text)[:LONGEST_NAME])


def hash_of_key(key: str) -> int:
    """The 64-bit number under which a key is looked up (BLAKE2b, so equal on every machine)."""
    return int.from_bytes(hashlib.blake2b(key.encode(), digest_size=8).digest(), "little")


def alias_of(title: str) -> str | None:
    """A title without its bracketed disambiguation ("Foo (film)"), or None where it has none."""
    alias = _BRACKET.sub("", title)
    return alias if alias != title and key_of(alias) else None


@dataclass(frozen=True, slots=True)
class Spelling:
    """How a name must be written to count as mentioned.

    Attributes:
        name: the number of the name.
        capitals: the positions of the words that must begin with a capital.
    """

    name: int
    capitals: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Mention:
    """A name found in a text: its number, and where its first word begins."""

    name: int
    start: int


def capitals_of(title: str, *, is_alias: bool) -> tuple[int, ...]:
    """Which words of a title a mention must write with a capital.

    "Ice hockey" may stand in lower case, "Gone with the Wind" must keep its capitals, and so must
    "Fame" when it is short for "Fame (1980 film)", because the bare word is an ordinary one.
    """
    words = words_of(title)[:LONGEST_NAME]
    inner = [place for place, word in enumerate(words) if place and word.capital]
    if not inner and not is_alias:
        return ()
    return tuple(
        place
        for place in range(len(words))
        if words[place].capital and words[place].folded not in ENGLISH_STOPWORDS
    )


def is_matchable(title: str) -> bool:
    """Whether a title may be looked for in texts: it has a word, and is no single stop word."""
    words = words_of(title)
    if not words:
        return False
    return len(words) > 1 or (words[0].folded not in ENGLISH_STOPWORDS and len(words[0].folded) > 1)


class NameMatcher:
    """Finds known names in texts: at every word the longest name that begins there.

    The table of first words makes most words cost one look-up, so a text costs time in
    proportion to its length, whatever the number of names.

    Args:
        spellings: by key, how each name must be written.
    """

    def __init__(self, spellings: Mapping[str, Spelling]) -> None:
        self._spellings = spellings
        self._longest: dict[str, int] = {}
        for key in spellings:
            first, length = key.split(" ", 1)[0], key.count(" ") + 1
            if length > self._longest.get(first, 0):
                self._longest[first] = length

    def find(self, words: list[Word]) -> Iterator[Mention]:
        """The names in a text's words, in order; found names do not overlap."""
        place = 0
        while place < len(words):
            length = min(self._longest.get(words[place].folded, 0), len(words) - place)
            while length:
                key = " ".join(word.folded for word in words[place : place + length])
                spelling = self._spellings.get(key)
                if spelling is not None and all(
                    words[place + i].capital for i in spelling.capitals
                ):
                    yield Mention(spelling.name, words[place].start)
                    break
                length -= 1
            place += length or 1


def capitalised_names(text: str, words: list[Word]) -> Iterator[tuple[str, int]]:
    """Runs of at least two capitalised words: their keys, and where each begins.

    Words such as "of" may stand inside a run. A run ends at punctuation, and does not begin with
    a stop word, because those have their capital from the sentence.
    """
    run: list[Word] = []
    joined = 0  # how many words of the run's end are joining words, which may have to go

    def finished() -> tuple[str, int] | None:
        kept = run[: len(run) - joined]
        while kept and kept[0].folded in ENGLISH_STOPWORDS:
            kept = kept[1:]
        if sum(word.capital for word in kept) < 2 or all(w.folded.isdigit() for w in kept):
            return None
        return " ".join(word.folded for word in kept[:LONGEST_NAME]), kept[0].start

    for word in words:
        if run and not text[run[-1].end : word.start].strip(_INSIDE):
            if word.capital:
                run.append(word)
                joined = 0
                continue
            if word.folded in _JOINING and joined < 2:
                run.append(word)
                joined += 1
                continue
        if run and (found := finished()):
            yield found
        run, joined = ([word], 0) if word.capital and not word.folded.isdigit() else ([], 0)
    if run and (found := finished()):
        yield found


def proper_words(text: str, words: list[Word]) -> Iterator[str]:
    """The folded words of a text that are written like names, with repetitions.

    That is, with a capital that the beginning of a sentence does not explain: the word stands
    inside one, or another capitalised word follows it ("Marie Curie was"). Stop words, numbers and
    words of one or two letters are left out.
    """
    for place, word in enumerate(words):
        if not is_proper(word):
            continue
        before = text[words[place - 1].end : word.start] if place else "."
        if _SENTENCE_END.search(before):
            if place + 1 == len(words):
                continue
            following = words[place + 1]
            if not following.capital or text[word.end : following.start] != " ":
                continue
        yield word.folded


def is_proper(word: Word) -> bool:
    """Whether a word, wherever it stands, could be one of a name."""
    return (
        word.capital
        and len(word.folded) >= _SHORTEST_PROPER
        and word.folded not in ENGLISH_STOPWORDS
        and not word.folded.isdigit()
    )
