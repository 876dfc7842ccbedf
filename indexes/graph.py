"""The graph part of an index: which passage mentions which names, and which names are its titles.

Passages are nodes by their row. Names are nodes of their own: titles, titles without their
bracket, and capitalised names that stand in several passages. Two sparse matrices of shape
[passages, names] hold the edges: `mentions` and `titles`. On disk they are the three arrays of
scipy's CSR form, beside the sorted hashes that lead from a name's key to its number; all are
numpy arrays that are memory-mapped on opening. A third matrix, `words`, says which proper words
(single words written like names) a passage holds: it connects passages that mention one person or
place by a part of the name. This module knows nothing of queries or scores.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from indexes.errors import CorruptIndex, OutdatedPart, UnsupportedVersion
from indexes.graph_names import LONGEST_NAME, hash_of_key, words_of
from indexes.manifest import Manifest
from indexes.words import ENGLISH_STOPWORDS

GRAPH_VERSION = 2
GRAPH_FOLDER = "graph"
COUNTS_FILE = "graph.json"
TITLE, ALIAS, ENTITY, LOWER_CASE = 1, 2, 4, 8
"""Bits of a name's kind: a title, one without its bracket, a capitalised name of no passage's,
and one that may be mentioned in lower case."""

_REBUILD = "Add the graph to the index again."
_ARRAYS: dict[str, type[np.generic]] = {
    "mention_starts": np.int64,
    "mention_names": np.int32,
    "mention_places": np.int32,
    "title_starts": np.int64,
    "title_names": np.int32,
    "name_hashes": np.uint64,
    "name_numbers": np.int32,
    "name_kinds": np.uint8,
    "name_bytes": np.uint8,
    "name_byte_starts": np.int64,
    "word_starts": np.int64,
    "word_numbers": np.int32,
    "word_hashes": np.uint64,
}


def has_graph(manifest: Manifest) -> bool:
    """Whether an index records files of a graph, up to date or not."""
    inside = f"{manifest.generation}/{GRAPH_FOLDER}/"
    return any(name.startswith(inside) for name in manifest.files)


@dataclass(frozen=True, slots=True, eq=False)
class Graph:
    """Passages, names and what connects them; P passages, N names.

    Attributes:
        mention_starts: shape [P + 1]; the mentions of row p are numbers starts[p] to starts[p + 1].
        mention_names: the mentioned names, ascending within a row; a passage's own are left out.
        mention_places: where in the passage's text each is mentioned first, in characters.
        title_starts: shape [P + 1], likewise for the passages' own titles.
        title_names: at most two names a passage: its title, and the title without its bracket.
        name_hashes: the hashes of the names' keys, ascending, shape [N].
        name_numbers: the name that each hash belongs to, shape [N].
        name_kinds: bits `TITLE`, `ALIAS`, `ENTITY` and `LOWER_CASE` of each name, shape [N].
        name_bytes: the names' keys as UTF-8, one after the other.
        name_byte_starts: shape [N + 1]; where each name's key begins in them.
        word_starts: shape [P + 1]; the proper words of row p are numbers starts[p] to
            starts[p + 1] of `word_numbers`.
        word_numbers: the proper words, ascending within a row.
        word_hashes: the hash of each proper word, ascending, so that a word's number is its place.
    """

    mention_starts: npt.NDArray[np.int64]
    mention_names: npt.NDArray[np.int32]
    mention_places: npt.NDArray[np.int32]
    title_starts: npt.NDArray[np.int64]
    title_names: npt.NDArray[np.int32]
    name_hashes: npt.NDArray[np.uint64]
    name_numbers: npt.NDArray[np.int32]
    name_kinds: npt.NDArray[np.uint8]
    name_bytes: npt.NDArray[np.uint8]
    name_byte_starts: npt.NDArray[np.int64]
    word_starts: npt.NDArray[np.int64]
    word_numbers: npt.NDArray[np.int32]
    word_hashes: npt.NDArray[np.uint64]

    @property
    def passages(self) -> int:
        """How many passages there are."""
        return len(self.mention_starts) - 1

    @property
    def names(self) -> int:
        """How many names there are."""
        return len(self.name_kinds)

    def mentions(self) -> Any:
        """Passages by mentioned names: a CSR matrix of ones, shape [P, N]."""
        return self._matrix(self.mention_starts, self.mention_names, self.names)

    def titles(self) -> Any:
        """Passages by their own titles: a CSR matrix of ones, shape [P, N]."""
        return self._matrix(self.title_starts, self.title_names, self.names)

    def words(self) -> Any:
        """Passages by proper words: a CSR matrix of ones, shape [P, words]."""
        return self._matrix(self.word_starts, self.word_numbers, len(self.word_hashes))

    def words_in(self, query: str) -> list[int]:
        """The numbers of the proper words that a query holds, however it writes them."""
        if not len(self.word_hashes):
            return []
        hashes = {hash_of_key(word.folded) for word in words_of(query)}
        wanted = np.array(sorted(hashes), dtype=np.uint64)
        places = np.searchsorted(self.word_hashes, wanted).clip(max=len(self.word_hashes) - 1)
        found: list[int] = places[self.word_hashes[places] == wanted].tolist()
        return found

    def key(self, name: int) -> str:
        """The key of a name: its words, folded, with single spaces."""
        start, end = self.name_byte_starts[name : name + 2]
        return bytes(self.name_bytes[start:end]).decode()

    def name_of(self, key: str) -> int | None:
        """The number of the name with this key, or None."""
        hashed = np.uint64(hash_of_key(key))
        place = int(np.searchsorted(self.name_hashes, hashed))
        if place == self.names or self.name_hashes[place] != hashed:
            return None
        name = int(self.name_numbers[place])
        return name if self.key(name) == key else None

    def names_in(self, query: str) -> list[int]:
        """The names in a query, longest first at every word, without overlap, each once.

        Capitals count only for single words, and only if the query has any: people write titles
        in questions as they like.
        """
        words = words_of(query)
        lower_case = not any(word.capital and not word.folded.isdigit() for word in words)
        found: dict[int, None] = {}
        place = 0
        while place < len(words):
            length = min(LONGEST_NAME, len(words) - place)
            while length:
                key = " ".join(word.folded for word in words[place : place + length])
                name = self.name_of(key)
                if name is not None and length == 1:
                    plain = bool(self.name_kinds[name] & LOWER_CASE)
                    if key in ENGLISH_STOPWORDS or not (
                        words[place].capital or lower_case or plain
                    ):
                        name = None
                if name is not None:
                    found[name] = None
                    break
                length -= 1
            place += length or 1
        return list(found)

    def save(self, folder: Path, corpus: str) -> None:
        """Write the graph to a new folder.

        Args:
            folder: where.
            corpus: identifies the passages (see `indexes.manifest.Manifest.corpus_fingerprint`).
        """
        folder.mkdir(parents=True)
        for name in _ARRAYS:
            np.save(folder / f"{name}.npy", getattr(self, name), allow_pickle=False)
        counts = {
            "schema_version": GRAPH_VERSION,
            "corpus": corpus,
            "passages": self.passages,
            "names": self.names,
        }
        text = json.dumps(counts, indent=2) + "\n"
        (folder / COUNTS_FILE).write_text(text, encoding="utf-8", newline="\n")

    @classmethod
    def open(cls, folder: Path, passages: int, corpus: str) -> Graph:
        """Open what `save` wrote, memory-mapped, for a corpus of so many passages.

        `corpus` is the fingerprint of the passages that can be found now.

        Numbers are checked to lie in range, because scipy trusts them.

        Raises:
            CorruptIndex: a file is missing, unreadable or does not fit the others.
            OutdatedPart: passages were added or deleted since.
            UnsupportedVersion: another version of the program wrote it.
        """
        try:
            counts = json.loads((folder / COUNTS_FILE).read_text(encoding="utf-8"))
            version = counts["schema_version"]
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise CorruptIndex(f"The graph in {folder} is unreadable: {error!r}.", _REBUILD) from (
                error
            )
        if version != GRAPH_VERSION:
            raise UnsupportedVersion(
                f"The graph in {folder} has schema version {version!r}; this program reads "
                f"{GRAPH_VERSION}.",
                "Use a matching version of the program, or add the graph again.",
            )
        if counts.get("corpus") != corpus:
            raise OutdatedPart(
                f"The graph in {folder} was made before passages were added or deleted.", _REBUILD
            )
        graph = cls(**{name: _open_array(folder, name, dtype) for name, dtype in _ARRAYS.items()})
        names = graph.names
        fits = (
            (graph.passages, counts.get("passages"), counts.get("names"))
            == (passages, passages, names)
            and _are_rows(graph.mention_starts, graph.mention_names, passages, names)
            and _are_rows(graph.title_starts, graph.title_names, passages, names)
            and len(graph.mention_places) == len(graph.mention_names)
            and len(graph.name_hashes) == len(graph.name_numbers) == names
            and _in_range(graph.name_numbers, names)
            and _are_starts(graph.name_byte_starts, names, len(graph.name_bytes))
            and _are_rows(graph.word_starts, graph.word_numbers, passages, len(graph.word_hashes))
        )
        if not fits:
            raise CorruptIndex(f"The graph in {folder} does not fit its index or itself.", _REBUILD)
        return graph

    def _matrix(
        self, starts: npt.NDArray[np.int64], numbers: npt.NDArray[np.int32], columns: int
    ) -> Any:
        from scipy.sparse import csr_matrix

        ones = np.ones(len(numbers), dtype=np.float64)
        return csr_matrix((ones, numbers, starts), shape=(self.passages, columns))


def _open_array(folder: Path, name: str, dtype: type[np.generic]) -> npt.NDArray[Any]:
    file = folder / f"{name}.npy"
    try:
        array = np.load(file, mmap_mode="r", allow_pickle=False)
    except Exception as error:  # numpy parses the header as Python, which fails in many ways
        raise CorruptIndex(f"{file} is no readable array: {error}.", _REBUILD) from error
    if array.dtype != np.dtype(dtype) or array.ndim != 1:
        raise CorruptIndex(f"{file} has another type or shape than a graph's.", _REBUILD)
    return np.asarray(array)


def _are_starts(starts: npt.NDArray[np.int64], rows: int, entries: int) -> bool:
    return (
        len(starts) == rows + 1
        and int(starts[0]) == 0
        and int(starts[-1]) == entries
        and bool(np.all(starts[1:] >= starts[:-1]))
    )


def _are_rows(
    starts: npt.NDArray[np.int64], names: npt.NDArray[np.int32], rows: int, count: int
) -> bool:
    return _are_starts(starts, rows, len(names)) and _in_range(names, count)


def _in_range(numbers: npt.NDArray[np.int32], count: int) -> bool:
    return not len(numbers) or (int(numbers.min()) >= 0 and int(numbers.max()) < count)
