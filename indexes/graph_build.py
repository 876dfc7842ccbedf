"""Builds the graph part of an index, in two passes over the passages and in linear time.

The first pass collects titles, the second finds them in texts, with the capitalised names that
are no title and with single proper words. A capitalised name or a proper word is kept when at
least two passages hold it and at most a twentieth of them do (or twenty): any other connects
nothing, or everything.
"""

from __future__ import annotations

import shutil
from array import array
from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from indexes import publish
from indexes.checksums import record_file
from indexes.graph import ALIAS, ENTITY, GRAPH_FOLDER, LOWER_CASE, TITLE, Graph
from indexes.graph_names import (
    NameMatcher,
    Spelling,
    Word,
    alias_of,
    capitalised_names,
    capitals_of,
    hash_of_key,
    is_matchable,
    is_proper,
    key_of,
    proper_words,
    words_of,
)
from indexes.index import open_deleted
from indexes.manifest import STORE_FOLDER, Manifest
from indexes.passage import Passage
from indexes.progress import Progress, Reporter
from indexes.store import PassageStore

_FEWEST_PASSAGES = 2
_ALWAYS_ALLOWED_PASSAGES = 20
_LARGEST_SHARE = 20


def add_graph(path: Path | str, *, progress: Callable[[Progress], None] | None = None) -> Manifest:
    """Build the graph of the index in the folder `path` and record it in its manifest.

    The manifest is replaced in one step, at the end. A graph that is there already is built again;
    when that is killed while files are written, the index is left without a graph.

    Returns:
        The manifest with the graph's files.

    Raises:
        NotAnIndex, CorruptIndex, UnsupportedVersion: there is no sound index.
        IndexBusy: another process is writing to the folder.
    """
    folder = Path(path)
    Manifest.read(folder)
    with publish.locked(folder):
        manifest = Manifest.read(folder)
        data = folder / manifest.generation
        target = f"{manifest.generation}/{GRAPH_FOLDER}"
        others = {
            name: record
            for name, record in manifest.files.items()
            if not name.startswith(f"{target}/")
        }
        store = PassageStore.open(data / STORE_FOLDER)
        with Reporter(progress) as reporter:
            reporter.begin("finding names", len(store))
            graph = build_graph(store, reporter.tick, open_deleted(data, manifest))
        if len(others) < len(manifest.files):
            # Readers must not find a record without its files, whenever we are killed.
            replace(manifest, files=others).write(folder)
        shutil.rmtree(folder / target, ignore_errors=True)
        graph.save(folder / target, manifest.corpus_fingerprint)
        publish.flush_to_disk(folder / target)
        files = {f"{target}/{file.name}": record_file(file) for file in (folder / target).iterdir()}
        manifest = replace(manifest, files={**others, **files})
        manifest.write(folder)
    return manifest


def build_graph(
    passages: Sequence[Passage] | PassageStore,
    tick: Callable[[int], None] = lambda done: None,
    deleted: npt.NDArray[np.bool_] | None = None,
) -> Graph:
    """The graph of passages, whose rows are their places; `tick` is told how many are done.

    Rows marked in `deleted`, shape [rows], are connected with nothing.
    """
    names = _Names()
    for row, passage in enumerate(passages):
        if deleted is None or not deleted[row]:
            names.add_title(row, passage.title)
    words = _Words()
    matcher = NameMatcher(names.spellings)
    for row, passage in enumerate(passages):
        if deleted is None or not deleted[row]:
            cut = words_of(passage.text)
            names.add_text(row, passage.text, cut, matcher)
            words.add(row, passage, cut)
        tick(row + 1)
    names.add_entities(len(passages))
    return names.graph(len(passages), words)


def _connecting(counts: npt.NDArray[np.int64], passages: int) -> npt.NDArray[np.bool_]:
    """Which of the things that so many passages hold connect some of them, but not most."""
    most = max(_ALWAYS_ALLOWED_PASSAGES, passages // _LARGEST_SHARE)
    return (counts >= _FEWEST_PASSAGES) & (counts <= most)


class _Words:
    """The proper words found so far, and in which passages."""

    def __init__(self) -> None:
        self._numbers: dict[str, int] = {}
        self._found = array("q")  # row and word in turn

    def add(self, row: int, passage: Passage, words: list[Word]) -> None:
        """Take a passage's proper words in; in a title every capital counts."""
        proper = {word.folded for word in words_of(passage.title) if is_proper(word)}
        for word in proper.union(proper_words(passage.text, words)):
            self._found.extend((row, self._numbers.setdefault(word, len(self._numbers))))

    def arrays(self, passages: int) -> dict[str, Any]:
        """The arrays of the graph that hold them: words are numbered in the order of hashes."""
        found = _table(self._found, 2)
        counts = np.bincount(found[:, 1], minlength=len(self._numbers))
        kept = np.flatnonzero(_connecting(counts, passages))
        keys = list(self._numbers)
        hashes = np.array([hash_of_key(keys[word]) for word in kept], dtype=np.uint64)
        order = np.argsort(hashes, kind="stable")
        renumbered = np.full(len(keys), -1, dtype=np.int64)
        renumbered[kept[order]] = np.arange(len(kept))
        found[:, 1] = renumbered[found[:, 1]]
        found = found[found[:, 1] >= 0]
        found = found[np.lexsort((found[:, 1], found[:, 0]))]
        return {
            "word_starts": _starts(found[:, 0], passages),
            "word_numbers": found[:, 1].astype(np.int32),
            "word_hashes": hashes[order],
        }


class _Names:
    """The names and edges found so far."""

    def __init__(self) -> None:
        self.spellings: dict[str, Spelling] = {}
        self._numbers: dict[str, int] = {}
        self._kinds: list[int] = []
        self._titles = array("q")  # row and name in turn
        self._own: dict[int, tuple[int, ...]] = {}
        self._mentions = array("q")  # row, name and place in the text in turn
        self._entities: dict[str, int] = {}
        self._found = array("q")  # entity, row and place in turn

    def add_title(self, row: int, title: str) -> None:
        """Take a passage's title in, and the title without its bracket."""
        alias = alias_of(title)
        forms = [(title, TITLE)] if alias is None else [(title, TITLE), (alias, ALIAS)]
        for form, kind in forms:
            key = key_of(form)
            if not key:
                continue
            name = self._number(key, kind)
            own = self._own.get(row, ())
            if name not in own:
                self._own[row] = (*own, name)
                self._titles.extend((row, name))
            if is_matchable(form):
                self._spell(key, Spelling(name, capitals_of(form, is_alias=kind == ALIAS)))

    def add_text(self, row: int, text: str, words: list[Word], matcher: NameMatcher) -> None:
        """Take the names in a passage's text in; of each its first place counts."""
        places: dict[int, int] = {}
        for mention in matcher.find(words):
            places.setdefault(mention.name, mention.start)
        seen: set[str] = set()
        for key, start in capitalised_names(text, words):
            name = self._numbers.get(key)
            if name is not None:
                places.setdefault(name, start)
            elif key not in seen:
                seen.add(key)
                entity = self._entities.setdefault(key, len(self._entities))
                self._found.extend((entity, row, start))
        own = self._own.get(row, ())
        for name, start in places.items():
            if name not in own:
                self._mentions.extend((row, name, start))

    def add_entities(self, passages: int) -> None:
        """Make nodes of the capitalised names that connect some passages, but not most."""
        found = _table(self._found, 3)
        counts = np.bincount(found[:, 0], minlength=len(self._entities))
        kept = _connecting(counts, passages)
        names = np.full(len(kept), -1, dtype=np.int64)
        for key, entity in self._entities.items():
            if kept[entity]:
                names[entity] = self._number(key, ENTITY)
        self._entities.clear()
        connecting = found[kept[found[:, 0]]]
        rows = np.stack([connecting[:, 1], names[connecting[:, 0]], connecting[:, 2]], axis=1)
        self._mentions.extend(rows.ravel().tolist())

    def graph(self, passages: int, words: _Words) -> Graph:
        """All of it as arrays."""
        mentions, titles = _table(self._mentions, 3), _table(self._titles, 2)
        mentions = mentions[np.lexsort((mentions[:, 1], mentions[:, 0]))]
        titles = titles[np.lexsort((titles[:, 1], titles[:, 0]))]
        keys = [key.encode() for key in self._numbers]
        hashes = np.array([hash_of_key(key) for key in self._numbers], dtype=np.uint64)
        order = np.argsort(hashes, kind="stable")
        return Graph(
            mention_starts=_starts(mentions[:, 0], passages),
            mention_names=mentions[:, 1].astype(np.int32),
            mention_places=mentions[:, 2].astype(np.int32),
            title_starts=_starts(titles[:, 0], passages),
            title_names=titles[:, 1].astype(np.int32),
            name_hashes=hashes[order],
            name_numbers=order.astype(np.int32),
            name_kinds=np.array(self._kinds, dtype=np.uint8),
            name_bytes=np.frombuffer(b"".join(keys), dtype=np.uint8),
            name_byte_starts=_running_sum(len(key) for key in keys),
            **words.arrays(passages),
        )

    def _number(self, key: str, kind: int) -> int:
        name = self._numbers.setdefault(key, len(self._numbers))
        if name == len(self._kinds):
            self._kinds.append(0)
        self._kinds[name] |= kind
        return name

    def _spell(self, key: str, spelling: Spelling) -> None:
        """Of two titles with one key, the one that asks for fewer capitals is looked for."""
        known = self.spellings.get(key)
        if known is None or len(spelling.capitals) < len(known.capitals):
            self.spellings[key] = spelling
        if not spelling.capitals:
            self._kinds[spelling.name] |= LOWER_CASE


def _table(numbers: array[int], columns: int) -> npt.NDArray[np.int64]:
    return np.array(numbers, dtype=np.int64).reshape(-1, columns)


def _starts(rows: npt.NDArray[np.int64], count: int) -> npt.NDArray[np.int64]:
    return _running_sum(np.bincount(rows, minlength=count).tolist())


def _running_sum(lengths: Iterable[int]) -> npt.NDArray[np.int64]:
    return np.cumsum(np.array([0, *lengths], dtype=np.int64))
