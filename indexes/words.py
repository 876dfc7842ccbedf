"""Words for lexical search: how a text becomes the tokens that BM25 counts.

Lower case, accents folded, runs of letters and digits; Chinese and Japanese characters one by
one. No stemming. The settings are saved with an index and used for its queries.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from indexes.errors import InvalidSetting

_ACCENTS = re.compile("[\u0300-\u036f]")
_IDEOGRAPHS = "\u3040-\u30ff\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff"
_WORD = re.compile(rf"[{_IDEOGRAPHS}]|[^\W_{_IDEOGRAPHS}]+")

_ENGLISH = """
    a about also an and any are as at be been but by can could did do does for from had has have
    he her him his how i if in into is it its me my no nor not of on or our she should so some such
    than that the their them then there these they this those to was we were what when where which
    who whom whose why will with would you your
"""
ENGLISH_STOPWORDS: frozenset[str] = frozenset(_ENGLISH.split())
"""Function and question words; measured slightly better than bm25s's list on question sets."""

_NAMED_LISTS = {"english": ENGLISH_STOPWORDS, "none": frozenset[str]()}


@dataclass(frozen=True, slots=True)
class WordSettings:
    """How texts are cut into words.

    Attributes:
        fold_accents: "é" counts as "e" (also compatibility forms: "ﬁ" as "fi").
        stopwords: words left out: "english", "none", or a tuple of words of one's own, which go
            through the same lower-casing and folding as a text does.

    Raises:
        InvalidSetting: the name of a stopword list is unknown.
    """

    fold_accents: bool = True
    stopwords: str | tuple[str, ...] = "english"

    def __post_init__(self) -> None:
        if isinstance(self.stopwords, str) and self.stopwords not in _NAMED_LISTS:
            raise InvalidSetting(
                f"The stopword list {self.stopwords!r} is unknown.",
                f"Allowed are {sorted(_NAMED_LISTS)} or a tuple of words.",
            )

    def to_dict(self) -> dict[str, Any]:
        """The settings as JSON values."""
        named = isinstance(self.stopwords, str)
        return {
            "fold_accents": self.fold_accents,
            "stopwords": self.stopwords if named else list(self.stopwords),
        }

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> WordSettings:
        """The settings that `to_dict` wrote."""
        stopwords = values["stopwords"]
        named = isinstance(stopwords, str)
        return cls(bool(values["fold_accents"]), stopwords if named else tuple(stopwords))


class WordSplitter:
    """Cuts texts into words by `WordSettings`."""

    def __init__(self, settings: WordSettings) -> None:
        self.settings = settings
        chosen = settings.stopwords
        self._stopwords = (
            _NAMED_LISTS[chosen]
            if isinstance(chosen, str)
            else frozenset(word for entry in chosen for word in self._all_words(entry))
        )

    def words(self, text: str) -> list[str]:
        """The words of a text in order, stopwords left out, repetitions kept."""
        stopwords = self._stopwords
        return [word for word in self._all_words(text) if word not in stopwords]

    def _all_words(self, text: str) -> list[str]:
        lowered = text.lower()
        if self.settings.fold_accents and not lowered.isascii():
            decomposed = unicodedata.normalize("NFKD", lowered)
            # Compatibility forms may decompose into capitals; marks of scripts in which they are
            # letters stay, and are composed again.
            lowered = unicodedata.normalize("NFC", _ACCENTS.sub("", decomposed)).lower()
        return _WORD.findall(lowered)
