"""The BM25 part of an index: word scores computed once, by bm25s, and read memory-mapped.

Row numbers are those of the passage store. On disk: numpy arrays and JSON, no pickle.
BM25 (Lucene's variant): sum over the query's words of
idf(w) * tf / (tf + k1 * (1 - b + b * length / mean length)),
idf(w) = ln(1 + (N - df + 0.5) / (df + 0.5)); Kamphuis et al., ECIR 2020, table 1.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Self

import numpy as np
import numpy.typing as npt

from indexes.errors import CorruptIndex, EmptyCorpus, InvalidSetting
from indexes.ranking import top_rows
from indexes.words import WordSettings, WordSplitter

_REBUILD = "Build the index again, or copy it again from its source."


@dataclass(frozen=True, slots=True)
class BM25Settings:
    """How words are scored.

    Attributes:
        k1: how fast repetitions of a word stop counting; at least 0.
        b: how much long passages are held back, 0 to 1.
        words: how texts and queries are cut into words.

    Raises:
        InvalidSetting: a number is out of range.
    """

    k1: float = 1.2
    b: float = 0.75
    words: WordSettings = field(default_factory=WordSettings)

    def __post_init__(self) -> None:
        if not 0 <= self.k1 < float("inf"):
            raise InvalidSetting(f"BM25's k1 is {self.k1}.", "It must be 0 or more.")
        if not 0 <= self.b <= 1:
            raise InvalidSetting(f"BM25's b is {self.b}.", "It must lie between 0 and 1.")

    def to_dict(self) -> dict[str, Any]:
        """The settings as JSON values."""
        return {"k1": self.k1, "b": self.b, "words": self.words.to_dict()}

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> BM25Settings:
        """The settings that `to_dict` wrote."""
        return cls(float(values["k1"]), float(values["b"]), WordSettings.from_dict(values["words"]))


class LexicalIndex:
    """Scores passages by the words they share with a query; made by `build` or `open`."""

    def __init__(self, engine: Any, rows: int, settings: BM25Settings) -> None:
        self.settings = settings
        self._engine = engine
        self._rows = rows
        self._splitter = WordSplitter(settings.words)

    @classmethod
    def build(
        cls,
        texts: Iterable[str],
        settings: BM25Settings,
        tick: Callable[[int], None] = lambda done: None,
    ) -> LexicalIndex:
        """Index texts; the first has row 0. `tick` is told after each how many are done.

        Raises:
            EmptyCorpus: no text has a word that is not a stopword.
        """
        import bm25s

        splitter = WordSplitter(settings.words)
        vocabulary: dict[str, int] = {}
        rows: list[list[int]] = []
        for text in texts:
            words = splitter.words(text)
            rows.append([vocabulary.setdefault(word, len(vocabulary)) for word in words])
            tick(len(rows))
        if not vocabulary:
            raise EmptyCorpus(
                f"BM25 found no word in {len(rows)} passages.",
                "Use other stopwords, or build without BM25.",
            )
        engine = bm25s.BM25(k1=settings.k1, b=settings.b, method="lucene")
        engine.index((rows, vocabulary), create_empty_token=False, show_progress=False)
        return cls(engine, len(rows), settings)

    def save(self, folder: Path) -> None:
        """Write the index to a folder."""
        self._engine.save(folder, allow_pickle=False, show_progress=False)

    @classmethod
    def open(cls, folder: Path, rows: int, settings: BM25Settings) -> Self:
        """Open what `save` wrote, memory-mapped, for a corpus of `rows` passages.

        Raises:
            CorruptIndex: a file is missing, unreadable or does not fit the others.
        """
        import bm25s

        try:
            engine = bm25s.BM25.load(folder, mmap=True, allow_pickle=False, show_progress=False)
        except Exception as error:  # JSON, numpy headers and arguments, each fails in its own way
            raise CorruptIndex(
                f"The BM25 part in {folder} is unreadable: {error}.", _REBUILD
            ) from (error)
        scores = engine.scores
        starts = scores["indptr"]
        fits = (
            scores["num_docs"] == rows
            and (engine.k1, engine.b, engine.method) == (settings.k1, settings.b, "lucene")
            and (engine.dtype, engine.int_dtype) == ("float32", "int32")
            and (scores["data"].dtype.kind, scores["indices"].dtype.kind) == ("f", "i")
            and starts.dtype.kind == "i"
            and all(part.ndim == 1 for part in (starts, scores["data"], scores["indices"]))
            and len(starts) == len(engine.vocab_dict) + 1
            and starts[0] == 0
            and starts[-1] == len(scores["data"]) == len(scores["indices"])
        )
        if not fits:
            raise CorruptIndex(
                f"The BM25 part in {folder} does not fit its manifest or itself.", _REBUILD
            )
        # Plain arrays on the same mapped bytes: numpy's memmap takes a microsecond for every slice.
        for name in ("data", "indices", "indptr"):
            scores[name] = np.asarray(scores[name])
        return cls(engine, rows, settings)

    def __len__(self) -> int:
        return self._rows

    def scores(self, query: str) -> npt.NDArray[np.float32]:
        """The BM25 score of every row, shape [rows]; 0 where no word is shared.

        Raises:
            CorruptIndex: the stored rows are out of range.
        """
        vocabulary = self._engine.vocab_dict
        known = [vocabulary[word] for word in self._splitter.words(query) if word in vocabulary]
        if not known:
            return np.zeros(self._rows, dtype=np.float32)
        try:
            return np.asarray(self._engine.get_scores_from_ids(known), dtype=np.float32)
        except (IndexError, ValueError) as error:
            raise CorruptIndex(f"The BM25 part is damaged: {error}.", _REBUILD) from error

    def word_scores(
        self, query: str, rows: npt.NDArray[np.int64]
    ) -> tuple[npt.NDArray[np.float32], npt.NDArray[np.float32]]:
        """What each word of a query adds to the scores of some rows; each word counts once.

        Returns:
            The scores, shape [rows, words], 0 where a row lacks a word; and the words' rarity
            (idf, see the module's text), shape [words]. Words that no row has are left out.
        """
        vocabulary = self._engine.vocab_dict
        words = dict.fromkeys(self._splitter.words(query))
        known = [vocabulary[word] for word in words if word in vocabulary]
        parts = self._engine.scores
        scores = np.zeros((len(rows), len(known)), dtype=np.float32)
        rarity = np.zeros(len(known), dtype=np.float32)
        for place, word in enumerate(known):
            start, end = parts["indptr"][word : word + 2]
            holders = parts["indices"][start:end]  # ascending
            if not len(holders):
                continue
            found = np.searchsorted(holders, rows).clip(max=len(holders) - 1)
            held = holders[found] == rows
            scores[held, place] = parts["data"][start:end][found[held]]
            rarity[place] = np.log1p((self._rows - len(holders) + 0.5) / (len(holders) + 0.5))
        return scores, rarity

    def search(self, query: str, k: int) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.float32]]:
        """The best rows that share a word with the query, at most `k`, and their scores."""
        scores = self.scores(query)
        rows = top_rows(scores, k)
        rows = rows[scores[rows] > 0]
        return rows, scores[rows]
