"""Builds the BM25 part from the shards of a store: the same files as bm25s makes, in a stream.

Words are counted shard by shard; then postings are merged and scored, one range of words at a
time. Memory holds the vocabulary, the lengths of passages, and one shard or range.
The formula is that of `indexes.lexical`, in bm25s's own order of operations and precision.
"""

from __future__ import annotations

import json
import math
import os
from array import array
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import IO, Any

import numpy as np
import numpy.typing as npt

from indexes.building.journal import Journal
from indexes.building.reading import StoredCorpus
from indexes.errors import EmptyCorpus
from indexes.lexical import BM25Settings
from indexes.lookup import write_npy_header
from indexes.passage import text_for_search
from indexes.progress import Reporter
from indexes.shards import shard_passages
from indexes.words import WordSplitter

_POSTINGS_PER_RANGE = 400_000
_PARTS = ("words", "counts", "rows", "frequencies", "lengths")


def build_words(
    corpus: StoredCorpus,
    settings: BM25Settings,
    folder: Path,
    parts: Path,
    journal: Journal,
    reporter: Reporter,
    postings_per_range: int = _POSTINGS_PER_RANGE,
) -> list[Path]:
    """Write the BM25 part of an index into `folder`; the files in `parts` that it used.

    Raises:
        EmptyCorpus: no passage has a word that is not a stopword.
    """
    reporter.begin("counting words", len(corpus))
    vocabulary: dict[str, int] = {}
    used: list[Path] = []
    splitter = WordSplitter(settings.words)
    for number in range(len(corpus.shard_rows)):
        names = parts / f"vocabulary-{number:05d}.json"
        files = [_part(parts, number, what) for what in _PARTS]
        if journal.get(f"words {number}") is None:
            known = len(vocabulary)
            _count_shard(corpus, number, splitter, vocabulary, files, reporter)
            new = list(vocabulary)[known:]
            names.write_text(json.dumps(new), encoding="utf-8", newline="\n")
            journal.finish(f"words {number}", [*files, names])
        else:
            for word in json.loads(names.read_text(encoding="utf-8")):
                vocabulary[word] = len(vocabulary)
        used += [*files, names]
    if not vocabulary:
        raise EmptyCorpus(
            f"BM25 found no word in {len(corpus)} passages.",
            "Use other stopwords, or build without BM25.",
        )
    _save_frame(folder, settings, vocabulary, len(corpus))
    words = len(vocabulary)
    del vocabulary
    _merge(corpus, settings, words, folder, parts, postings_per_range)
    reporter.end(len(corpus))
    return used


def _count_shard(
    corpus: StoredCorpus,
    number: int,
    splitter: WordSplitter,
    vocabulary: dict[str, int],
    files: list[Path],
    reporter: Reporter,
) -> None:
    words, rows, frequencies, lengths = array("i"), array("i"), array("i"), array("i")
    first = corpus.first_row(number)
    for row, passage in enumerate(shard_passages(corpus.shard_file(number))):
        found = splitter.words(text_for_search(passage))
        lengths.append(len(found))
        for word, count in Counter(found).items():
            words.append(vocabulary.setdefault(word, len(vocabulary)))
            rows.append(row)
            frequencies.append(count)
        reporter.tick(first + row + 1)
    order = np.argsort(np.frombuffer(words, np.int32), kind="stable")
    distinct, counts = np.unique(np.frombuffer(words, np.int32), return_counts=True)
    columns: tuple[npt.NDArray[Any], ...] = (
        distinct,
        counts,
        np.frombuffer(rows, np.int32)[order],
        np.frombuffer(frequencies, np.int32)[order],
        np.frombuffer(lengths, np.int32),
    )
    for file, column in zip(files, columns, strict=True):
        with file.open("wb") as stream:
            np.save(stream, column, allow_pickle=False)


def _save_frame(
    folder: Path, settings: BM25Settings, vocabulary: dict[str, int], rows: int
) -> None:
    """Have bm25s write its own settings and vocabulary; the scores are put beside them."""
    import bm25s

    engine = bm25s.BM25(k1=settings.k1, b=settings.b, method="lucene")
    nothing = np.empty(0, dtype=np.int32)
    engine.scores = {"data": nothing, "indices": nothing, "indptr": nothing, "num_docs": rows}
    engine.vocab_dict = vocabulary
    engine.nonoccurrence_array = None
    engine.save(folder, allow_pickle=False, show_progress=False)


def _merge(
    corpus: StoredCorpus,
    settings: BM25Settings,
    words: int,
    folder: Path,
    parts: Path,
    postings_per_range: int,
) -> None:
    shards = range(len(corpus.shard_rows))
    frequency = np.zeros(words, dtype=np.int64)
    for number in shards:
        frequency[np.load(_part(parts, number, "words"))] += np.load(_part(parts, number, "counts"))
    lengths = np.concatenate([np.load(_part(parts, number, "lengths")) for number in shards])
    importance = _importance(frequency, len(corpus))
    total = int(frequency.sum())
    kind = np.dtype(np.int32)
    starts = np.concatenate([[0], np.cumsum(frequency)]).astype(np.int64)
    with _new(folder / "indptr.csc.index.npy", starts.dtype, len(starts)) as stream:
        stream.write(starts.tobytes())
    # bm25s computes in float64 from here on and rounds the product to float32.
    mean = lengths.mean()
    with (
        _new(folder / "data.csc.index.npy", np.dtype(np.float32), total) as scores_file,
        _new(folder / "indices.csc.index.npy", kind, total) as rows_file,
    ):
        for begin, end in _ranges(frequency, postings_per_range):
            for found, rows, counts in _postings(corpus, parts, begin, end):
                norm = settings.k1 * ((1 - settings.b) + settings.b * lengths[rows] / mean)
                count = counts.astype(np.float32)
                scores = importance[found] * (count / (norm + count))
                scores_file.write(scores.astype(np.float32).tobytes())
                rows_file.write(rows.astype(kind).tobytes())
    for name in ("indptr", "data", "indices"):
        file = folder / f"{name}.csc.index.npy"
        os.replace(f"{file}.new", file)


def _postings(
    corpus: StoredCorpus, parts: Path, begin: int, end: int
) -> Iterator[tuple[npt.NDArray[np.int32], npt.NDArray[np.int64], npt.NDArray[np.int32]]]:
    """Words, rows and counts of the postings of words from `begin` to below `end`, in order.

    One word comes shard by shard, as a frequent word's postings are many; several come at once.
    """
    pieces = (_piece(corpus, parts, number, begin, end) for number in range(len(corpus.shard_rows)))
    if end - begin == 1:
        yield from pieces
        return
    words, rows, counts = (np.concatenate(columns) for columns in zip(*pieces, strict=True))
    order = np.argsort(words, kind="stable")
    yield words[order], rows[order], counts[order]


def _piece(
    corpus: StoredCorpus, parts: Path, number: int, begin: int, end: int
) -> tuple[npt.NDArray[np.int32], npt.NDArray[np.int64], npt.NDArray[np.int32]]:
    words = np.load(_part(parts, number, "words"))
    counts = np.load(_part(parts, number, "counts"))
    low, high = np.searchsorted(words, [begin, end])
    first = int(counts[:low].sum())
    last = first + int(counts[low:high].sum())
    rows = np.load(_part(parts, number, "rows"), mmap_mode="r")[first:last]
    frequencies = np.load(_part(parts, number, "frequencies"), mmap_mode="r")[first:last]
    return (
        np.repeat(words[low:high], counts[low:high]),
        rows.astype(np.int64) + corpus.first_row(number),
        np.array(frequencies),
    )


def _importance(frequency: npt.NDArray[np.int64], rows: int) -> npt.NDArray[np.float32]:
    """The idf of every word, by `math.log`, whose last bit is not always that of `numpy.log`."""
    distinct, places = np.unique(frequency, return_inverse=True)
    values = [math.log(1 + (rows - df + 0.5) / (df + 0.5)) for df in distinct.tolist()]
    return np.array(values, dtype=np.float32)[places]


def _ranges(frequency: npt.NDArray[np.int64], postings: int) -> Iterator[tuple[int, int]]:
    """Consecutive words with at most `postings` together, or one word with more."""
    begin, total = 0, 0
    for word, count in enumerate(frequency.tolist()):
        if word > begin and total + count > postings:
            yield begin, word
            begin, total = word, 0
        total += count
    yield begin, len(frequency)


def _part(parts: Path, number: int, what: str) -> Path:
    return parts / f"{what}-{number:05d}.npy"


def _new(file: Path, dtype: np.dtype[Any], length: int) -> IO[bytes]:
    stream = open(f"{file}.new", "wb")  # noqa: SIM115  # the caller's with statement closes it
    write_npy_header(stream, dtype, (length,))
    return stream
