"""An index opened for reading: its manifest, passages, vectors and word scores.

Opening compares the manifest with itself, and the size and the ends of every file with it; data
are memory-mapped. It does not know how queries become vectors.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from indexes.checksums import sha256_of_file
from indexes.errors import CorruptIndex, MissingPart, StorageError
from indexes.lexical import LexicalIndex
from indexes.manifest import (
    BM25_FOLDER,
    DELETED_FILE,
    MATRIX_FOLDER,
    STORE_FOLDER,
    EncoderRecord,
    Manifest,
)
from indexes.matrix import MatrixFiles
from indexes.nearest import VectorIndex
from indexes.store import PassageStore
from indexes.vectors import open_vectors


class Index:
    """An open index; made by `Index.open`.

    Attributes:
        path: the index folder.
        manifest: what it was made of.
        store: its passages; row numbers are the numbers of vectors and word scores.
        vectors: the vectors, or None where they were not built or not asked for.
        bm25: the lexical index, or None where it was not built or not asked for.
        deleted: which rows are deleted and never found, shape [rows]; None for none.
    """

    def __init__(
        self,
        path: Path,
        manifest: Manifest,
        store: PassageStore,
        vectors: VectorIndex | None,
        bm25: LexicalIndex | None,
        deleted: npt.NDArray[np.bool_] | None = None,
    ) -> None:
        self.path = path
        self.manifest = manifest
        self.store = store
        self.vectors = vectors
        self.bm25 = bm25
        self.deleted = deleted

    @classmethod
    def open(
        cls,
        path: Path | str,
        *,
        vectors: bool = True,
        bm25: bool = True,
        full_check: bool = False,
        threads: int | None = None,
    ) -> Index:
        """Open the index in the folder `path`.

        Args:
            path: a folder that `build_index` wrote.
            vectors: open the vectors, if there are any.
            bm25: open the word scores, if there are any.
            full_check: compare every byte with its checksum, which reads all files.
            threads: of FAISS while it searches; None leaves FAISS's own setting, and any number
                is set back after each search.

        Raises:
            NotAnIndex: there is no index.
            CorruptIndex: a file is missing, truncated, altered, or does not fit the others.
            UnsupportedVersion: another version of the program wrote it.
        """
        folder = Path(path)
        manifest = Manifest.read(folder)
        while True:
            try:
                return cls._open(folder, manifest, vectors, bm25, full_check, threads)
            except StorageError:
                # A build may have replaced the index between two looks: then open the new one.
                current = Manifest.read(folder)
                if current.generation == manifest.generation:
                    raise
                manifest = current

    @classmethod
    def _open(
        cls,
        folder: Path,
        manifest: Manifest,
        vectors: bool,
        bm25: bool,
        full_check: bool,
        threads: int | None,
    ) -> Index:
        manifest.check_files(folder)
        if full_check:
            for name, record in manifest.files.items():
                if sha256_of_file(folder / name) != record.sha256:
                    raise CorruptIndex(
                        f"{folder / name} was altered after it was written.",
                        "Build the index again, or copy it again from its source.",
                    )
        data = folder / manifest.generation
        rows = manifest.passages
        store = PassageStore.open(data / STORE_FOLDER)
        if len(store) != rows:
            raise CorruptIndex(
                f"{folder} holds {len(store)} passages; its manifest says {rows}.",
                "Build the index again, or copy it again from its source.",
            )
        matrix, words = None, None
        deleted = open_deleted(data, manifest)
        if vectors and manifest.encoder is not None:
            matrix = _open_vectors(data, store, manifest, manifest.encoder, deleted, threads)
        if bm25 and manifest.bm25 is not None:
            words = _LiveLexicalIndex.open(data / BM25_FOLDER, rows, manifest.bm25)
            words.deleted = deleted
        return cls(folder, manifest, store, matrix, words, deleted)

    @property
    def fingerprint(self) -> str:
        """Identifies corpus, encoder and settings."""
        return self.manifest.fingerprint

    def __len__(self) -> int:
        return len(self.store)

    def info(self) -> dict[str, Any]:
        """What the index is made of, as JSON values."""
        return {"path": str(self.path), **self.manifest.summary()}

    def require_vectors(self) -> VectorIndex:
        """The vectors.

        Raises:
            MissingPart: the index has no vectors, or was opened without them.
        """
        if self.vectors is None:
            raise MissingPart(
                f"The index {self.path} has no vectors open.",
                'Build it with an encoder, or search it with kind="bm25".',
            )
        return self.vectors

    def require_bm25(self) -> LexicalIndex:
        """The lexical index.

        Raises:
            MissingPart: the index has no word scores, or was opened without them.
        """
        if self.bm25 is None:
            raise MissingPart(
                f"The index {self.path} has no BM25 part open.",
                'Build it with BM25, or search it with kind="dense".',
            )
        return self.bm25


class _LiveLexicalIndex(LexicalIndex):
    """A lexical index that does not find deleted rows."""

    deleted: npt.NDArray[np.bool_] | None = None

    def scores(self, query: str) -> npt.NDArray[np.float32]:
        """See `LexicalIndex.scores`; deleted rows have 0."""
        scores = super().scores(query)
        if self.deleted is not None:
            scores = np.where(self.deleted, np.float32(0), scores)
        return scores


def _open_vectors(
    data: Path,
    store: PassageStore,
    manifest: Manifest,
    encoder: EncoderRecord,
    deleted: npt.NDArray[np.bool_] | None,
    threads: int | None,
) -> VectorIndex:
    record = manifest.vectors_record
    dimension, similarity = encoder.dimension, encoder.similarity
    counts = record.segment_rows or (len(store),)
    if sum(counts) != len(store) or len(counts) != len(record.segments):
        raise CorruptIndex(
            f"{data} holds vectors of {counts} passages, and {len(store)} passages.",
            "Build the index again, or copy it again from its source.",
        )
    segments = [
        # Later segments are exact, and have nothing to set.
        open_vectors(
            data / name, rows, dimension, similarity, "" if number else manifest.search_parameters
        )
        for number, (name, rows) in enumerate(zip(record.segments, counts, strict=True))
    ]
    kept = None
    if record.kept:
        kept = MatrixFiles(data / MATRIX_FOLDER, store.shard_rows, dimension)
        kept.open()
    return VectorIndex(segments, similarity, kept, record.refine, deleted, threads)


def open_deleted(data: Path, manifest: Manifest) -> npt.NDArray[np.bool_] | None:
    """Which rows are deleted, by the data folder of an index: shape [rows]; None for none.

    Raises:
        CorruptIndex: the file of marks is unreadable, or does not fit the manifest.
    """
    if not manifest.deleted:
        return None
    file = data / DELETED_FILE
    try:
        bits = np.load(file, allow_pickle=False)
        deleted = np.unpackbits(bits, count=manifest.passages, bitorder="little").astype(bool)
    except Exception as error:  # numpy parses the header as Python, which fails in many ways
        raise CorruptIndex(f"{file} is unreadable: {error}.", "Copy the index again.") from error
    if int(deleted.sum()) != manifest.deleted:
        raise CorruptIndex(
            f"{file} marks {int(deleted.sum())} passages as deleted; the manifest says "
            f"{manifest.deleted}.",
            "Copy the index again.",
        )
    return deleted
