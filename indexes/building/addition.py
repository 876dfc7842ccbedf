"""Adds passages to the files of an index: one more shard of each part.

The lookup is merged; the vectors stand in an exact FAISS file of their own, and beside the kept
ones where there are such. This module does not publish.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np

from indexes import vectors
from indexes.building.codes import fill
from indexes.building.journal import Journal
from indexes.building.plan import EncodedVectors
from indexes.building.reading import StoredCorpus
from indexes.checksums import CorpusDigest
from indexes.errors import EmptyCorpus
from indexes.index import Index
from indexes.lookup import LookupPart, merge_parts, shard_part, stored_id
from indexes.manifest import MATRIX_FOLDER, VectorsRecord
from indexes.matrix import MatrixFiles, matrix_name, write_matrix
from indexes.passage import Passage
from indexes.progress import Reporter
from indexes.shards import ShardWriter, lookup_name, shard_name, shard_passages
from indexes.writer import write_counts

_TRAINING_ROWS = 4096


def add_to_store(
    index: Index, store: Path, passages: Iterable[Passage], reporter: Reporter
) -> tuple[StoredCorpus, int]:
    """Write passages as one more shard, and the lookup with them.

    Args:
        index: the index as it is.
        store: the folder of the new store, in which the shards of the old one lie already.
        passages: those to add.
        reporter: told how many were read.

    Returns:
        The corpus, old and new, and how many passages were added.

    Raises:
        DuplicateId: two passages that are not deleted have the same id.
        EmptyCorpus: there is no passage to add.
    """
    old = index.store
    number = len(old.shard_rows)
    reporter.begin("reading", None)
    writer = ShardWriter(store, number, old.rows_per_batch)
    try:
        for passage in passages:
            writer.add(passage)
            reporter.tick(len(writer))
        if not len(writer):
            raise EmptyCorpus("There is no passage to add.", "Check the path and its format.")
    except BaseException:
        writer.abandon()
        raise
    writer.finish()
    reporter.end(len(writer))
    shard_rows = (*old.shard_rows, len(writer))
    hashes, rows = old.lookup

    def parts() -> Iterator[LookupPart]:
        yield LookupPart(hashes, rows)
        yield shard_part(store, number, len(old))

    def id_at(row: int) -> str:
        return stored_id(store, shard_rows, old.rows_per_batch, row)

    found = len(hashes) + len(writer)
    merge_parts(store, parts, found, id_at)
    write_counts(store, shard_rows, old.rows_per_batch, found)
    (store / lookup_name(number)).unlink()
    digest = CorpusDigest()
    for shard in range(len(shard_rows)):
        for passage in shard_passages(store / shard_name(shard)):
            digest.add(passage)
    return StoredCorpus(store, shard_rows, digest.hexdigest()), len(writer)


def add_vectors(
    index: Index,
    working: Path,
    corpus: StoredCorpus,
    encoded: EncodedVectors,
    journal: Journal,
    reporter: Reporter,
) -> VectorsRecord:
    """Encode the last shard, and write an exact FAISS file of it into the folder `working`."""
    manifest, encoder = index.manifest, encoded.record
    record = manifest.vectors_record
    number, rows = len(corpus.shard_rows) - 1, corpus.shard_rows[-1]
    factory = "Flat" if manifest.factory == "Flat" else "SQfp16"
    empty = vectors.make_index(factory, encoder.dimension, encoder.similarity)
    parts = working / "parts"
    matrices = MatrixFiles(parts, [rows], encoder.dimension)
    reporter.begin("encoding", rows)
    given = encoded.vectors([corpus.shard(number)])
    dtype = vectors.keeps_precision(empty) or "float16"
    write_matrix(matrices.file(0), given, rows, encoder.dimension, dtype)
    reporter.end(rows)
    if not empty.is_trained:
        vectors.train(empty, matrices.take(np.arange(min(rows, _TRAINING_ROWS))))
    name = f"added-{number:05d}.faiss"
    reporter.begin("adding", rows)
    fill(empty, matrices, working / name, parts, journal, reporter)
    if record.kept:
        os.replace(matrices.file(0), working / MATRIX_FOLDER / matrix_name(number))
    return replace(
        record,
        segments=(*record.segments, name),
        segment_rows=(*(record.segment_rows or (len(index),)), rows),
    )
