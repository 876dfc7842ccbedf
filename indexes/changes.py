"""Adds passages to an index, deletes them, and makes it compact again, without encoding anew.

Every change is a new generation, published in one step; files that do not change are linked into
it. Added passages are a further shard of the store and of the vectors, and an exact FAISS file of
their own. Deleted ones stay in the files, are marked in a bitmap, and are not found any more.
Words are counted again after an addition, as the scores of all passages depend on all of them;
deleted passages count in them until `compact_index`, which gives what a build of the remaining
passages gives.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import numpy as np
import numpy.typing as npt

from indexes import publish
from indexes.build import carry_out, is_full_disk, now
from indexes.building.addition import add_to_store, add_vectors
from indexes.building.journal import Journal
from indexes.building.plan import EncodedVectors, Plan, VectorParts
from indexes.building.resume import is_resumable
from indexes.building.words import build_words
from indexes.checksums import record_file
from indexes.encoding import PassageEncoder
from indexes.errors import (
    DiskFull,
    EncoderMismatch,
    IndexBusy,
    InterruptedBuild,
    InvalidSetting,
    MissingPart,
    UnknownIds,
)
from indexes.graph import has_graph
from indexes.graph_build import add_graph
from indexes.index import Index
from indexes.lookup import LookupPart, merge_parts
from indexes.manifest import (
    BM25_FOLDER,
    DELETED_FILE,
    STORE_FOLDER,
    EncoderRecord,
    Manifest,
)
from indexes.passage import Passage
from indexes.progress import Progress, Reporter
from indexes.readers import read_passages
from indexes.shards import ROWS_PER_FILE, Shard
from indexes.writer import write_counts

_BLOCK_ROWS = 4096


def delete_passages(path: Path | str, ids: Iterable[str]) -> Manifest:
    """Delete the passages with these ids from the index in the folder `path`.

    Returns:
        The new manifest.

    Raises:
        UnknownIds: the index has no such passages; nothing is deleted then.
        InvalidSetting: none would be left.
    """
    folder = Path(path)
    with _changing(folder) as (index, working):
        wanted = list(dict.fromkeys(ids))
        rows = index.store.rows_of(wanted)
        unknown = [wanted[number] for number in np.flatnonzero(rows < 0)]
        if unknown:
            raise UnknownIds(
                f"{len(unknown)} of {len(wanted)} ids are not in the index: {unknown[:5]}.",
                "Delete passages that it holds.",
            )
        deleted = _deleted(index)
        deleted[rows] = True
        left = int((~deleted).sum())
        if not left:
            raise InvalidSetting("No passage would be left.", "Remove the index's folder instead.")
        _relink(index, working, leave_out=_lookup_files())
        store = working / STORE_FOLDER
        part = LookupPart(*index.store.lookup, dropped=deleted)
        merge_parts(store, lambda: [part], left, lambda row: index.store[row].id)
        write_counts(store, index.store.shard_rows, index.store.rows_per_batch, left)
        _write_deleted(working, deleted)
        return _publish(index, working, deleted=int(deleted.sum()))


def add_passages(
    path: Path | str,
    source: Path | str | Iterable[Passage],
    *,
    encoder: PassageEncoder | None = None,
    batch_size: int = 256,
    progress: Callable[[Progress], None] | None = None,
) -> Manifest:
    """Add passages to the index in the folder `path`.

    Args:
        path: the index folder.
        source: a corpus file or folder, or passages.
        encoder: the one that the index was built with; None for an index without vectors.
        batch_size: passages per call of the encoder.
        progress: told how far the work is.

    Returns:
        The new manifest.

    Raises:
        DuplicateId: the index has a passage with the same id; delete it first.
        EncoderMismatch, MissingPart: the encoder is another one, or is missing.
        And all that reading a corpus raises. The index stays as it was then.
    """
    folder = Path(path)
    with _changing(folder) as (index, working), Reporter(progress) as reporter:
        manifest = index.manifest
        if manifest.encoder is not None:
            _check_encoder(index, encoder)
        _relink(index, working, leave_out={*_lookup_files(), BM25_FOLDER})
        passages = read_passages(source) if isinstance(source, Path | str) else source
        corpus, added = add_to_store(index, working / STORE_FOLDER, passages, reporter)
        parts = working / "parts"
        parts.mkdir()
        journal = Journal.start(folder / publish.JOURNAL_FILE, working, {"source": None})
        changed = replace(manifest, passages=len(corpus), corpus_sha256=corpus.sha256)
        if manifest.encoder is not None and encoder is not None:
            encoded = EncodedVectors(encoder, batch_size)
            record = add_vectors(index, working, corpus, encoded, journal, reporter)
            changed = replace(changed, vectors=record)
        if manifest.bm25 is not None:
            build_words(corpus, manifest.bm25, working / BM25_FOLDER, parts, journal, reporter)
        if manifest.deleted:
            deleted = np.concatenate([_deleted(index), np.zeros(added, dtype=bool)])
            _write_deleted(working, deleted)
        shutil.rmtree(parts)
        return _publish(index, working, changed)


def compact_index(
    path: Path | str,
    *,
    progress: Callable[[Progress], None] | None = None,
    rows_per_file: int = ROWS_PER_FILE,
) -> Manifest:
    """Build the index in the folder `path` again from what is left in it, without encoding.

    A graph that it had, up to date or not, is made again as well.

    Returns:
        The new manifest; apart from date and generation that of a build of the passages left.

    Raises:
        MissingPart: the index keeps no exact vectors, as those of format version 1 may not.
    """
    folder = Path(path)
    index = Index.open(folder)
    manifest = index.manifest
    deleted = _deleted(index)
    record = manifest.vectors_record
    source = None
    if manifest.encoder is not None:
        source = _StoredVectors(index, np.flatnonzero(~deleted), manifest.encoder)

    def passages() -> Iterator[Passage]:
        # Called while the folder is held.
        if Manifest.read(folder).generation != manifest.generation:
            raise IndexBusy(f"{folder} was changed at the same time.", "Compact it again.")
        return (passage for row, passage in enumerate(index.store) if not deleted[row])

    plan = Plan(
        folder=folder,
        passages=passages,
        source={"compaction": manifest.fingerprint},
        vectors=source,
        factory=record.requested,
        memory=record.memory,
        bm25=manifest.bm25,
        rows_per_file=rows_per_file,
    )
    compacted = carry_out(plan, progress=progress, overwrite=True)
    return add_graph(folder, progress=progress) if has_graph(manifest) else compacted


class _StoredVectors:
    """The vectors of an index, those of deleted rows left out."""

    def __init__(self, index: Index, rows: npt.NDArray[np.int64], record: EncoderRecord) -> None:
        self.record = record
        beside = index.path / record.name
        inside = record.name.startswith(f"{index.manifest.generation}/")
        self.folder: Path | None = beside if inside else None
        self._vectors = index.require_vectors()
        self._rows = rows
        if not self._vectors.lossless:
            raise MissingPart(
                f"The index {index.path} keeps no exact vectors.", "Build it again instead."
            )

    def vectors(self, shards: Sequence[Shard]) -> VectorParts:
        """See `indexes.building.plan.VectorSource.vectors`."""
        for shard in shards:
            end = shard.first_row + shard.rows
            for begin in range(shard.first_row, end, _BLOCK_ROWS):
                yield self._vectors.stored(self._rows[begin : min(begin + _BLOCK_ROWS, end)])


@contextmanager
def _changing(folder: Path) -> Iterator[tuple[Index, Path]]:
    """The index, held by this process, and an empty working folder, removed after an error."""
    Manifest.read(folder)
    with publish.locked(folder):
        journal = Journal.read(folder / publish.JOURNAL_FILE, folder / publish.WORKING_FOLDER)
        if journal is not None and is_resumable(journal):
            raise InterruptedBuild(
                f"{folder} holds an interrupted build.",
                "Run that build again to end it, or discard it with restart=True (--restart).",
            )
        publish.clean(folder)
        working = folder / publish.WORKING_FOLDER
        working.mkdir()
        try:
            yield Index.open(folder), working
        except BaseException as error:
            publish.clean(folder)
            if is_full_disk(error):
                raise DiskFull(
                    f"The disk of {folder} is full; the index is as it was.",
                    "Make room, then try again.",
                ) from error
            raise


def _deleted(index: Index) -> npt.NDArray[np.bool_]:
    """A copy of the marks of deleted rows."""
    if index.deleted is None:
        return np.zeros(len(index), dtype=bool)
    return index.deleted.copy()


def _write_deleted(working: Path, deleted: npt.NDArray[np.bool_]) -> None:
    file = working / DELETED_FILE
    file.unlink(missing_ok=True)  # it may be a link to the former generation's
    np.save(file, np.packbits(deleted, bitorder="little"), allow_pickle=False)


def _lookup_files() -> set[str]:
    return {f"{STORE_FOLDER}/{name}" for name in ("store.json", "id_hashes.npy", "id_rows.npy")}


def _relink(index: Index, working: Path, leave_out: set[str]) -> None:
    """Link the generation's files into the working folder, or copy them where links cannot be."""
    data = index.path / index.manifest.generation
    for file in sorted(data.rglob("*")):
        name = file.relative_to(data).as_posix()
        if not file.is_file() or name in leave_out or name.split("/")[0] in leave_out:
            continue
        target = working / name
        target.parent.mkdir(parents=True, exist_ok=True)
        try:
            os.link(file, target)
        except OSError:
            shutil.copy2(file, target)


def _check_encoder(index: Index, encoder: PassageEncoder | None) -> None:
    record = index.manifest.encoder
    assert record is not None, "the caller has looked"
    if encoder is None:
        raise MissingPart(
            f"The index {index.path} has vectors, and no encoder was given.",
            f"Give the encoder {record.name!r}.",
        )
    if encoder.fingerprint != record.fingerprint:
        raise EncoderMismatch(
            f"The encoder {encoder.name!r} (fingerprint {encoder.fingerprint[:12]}) is not the "
            f"one of the index {index.path} ({record.name!r}, {record.fingerprint[:12]}).",
            "Use the encoder that the index was built with.",
        )


def _publish(
    index: Index, working: Path, changed: Manifest | None = None, deleted: int | None = None
) -> Manifest:
    """Record the files of the working folder, those that were linked as they were; publish."""
    manifest = changed or index.manifest
    generation = publish.next_generation(index.path)
    before = index.path / index.manifest.generation
    files = {}
    for file in sorted(working.rglob("*")):
        if file.is_file():
            name = file.relative_to(working).as_posix()
            known = index.manifest.files.get(f"{index.manifest.generation}/{name}")
            same = known is not None and (before / name).samefile(file)
            files[f"{generation}/{name}"] = known if known and same else record_file(file)
    encoder = manifest.encoder
    if encoder is not None and encoder.name.startswith(f"{index.manifest.generation}/"):
        name = encoder.name.removeprefix(index.manifest.generation)
        encoder = replace(encoder, name=f"{generation}{name}")
    published = replace(
        manifest,
        created_at=now(),
        generation=generation,
        encoder=encoder,
        files=files,
        deleted=manifest.deleted if deleted is None else deleted,
        vectors=None if encoder is None else manifest.vectors_record,
        version=2,
    )
    publish.publish(index.path, working, published)
    return published
