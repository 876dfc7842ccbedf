"""Builds an index: passages to a store, their vectors to FAISS, their words to BM25.

Passages are read once, in a stream, and encoded in batches from the store. The result is
published in one step (see `indexes.publish`). This module does not know which models encode.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Iterable, Iterator
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import numpy.typing as npt

from indexes import publish, vectors
from indexes.checksums import record_file
from indexes.encoding import PassageEncoder
from indexes.errors import EmptyCorpus, InvalidSetting
from indexes.lexical import BM25Settings, LexicalIndex
from indexes.manifest import (
    BM25_FOLDER,
    ENCODER_FOLDER,
    STORE_FOLDER,
    VECTORS_FILE,
    EncoderRecord,
    Manifest,
)
from indexes.passage import Passage, text_for_search
from indexes.progress import Progress, Reporter
from indexes.readers import read_passages
from indexes.store import PassageStore
from indexes.writer import PassageStoreWriter


def build_index(
    source: Path | str | Iterable[Passage],
    out: Path | str,
    *,
    encoder: PassageEncoder | None,
    factory: str = "auto",
    progress: Callable[[Progress], None] | None = None,
    overwrite: bool = False,
    bm25: bool | BM25Settings = True,
    bundle_encoder: bool = False,
    batch_size: int = 256,
) -> Manifest:
    """Build an index of `source` in the folder `out` and publish it in one step.

    Args:
        source: a corpus file or folder (see `indexes.readers.read_passages`), or passages.
        out: a new or empty folder, or with `overwrite` an index that is to be replaced. Until
            the new index is complete the old one stays as it is.
        encoder: makes the vectors; None builds an index that has BM25 only.
        factory: a FAISS factory string, or "auto": exact search up to 200,000 passages.
        progress: told how far the build is; without it a bar is drawn if stderr is a terminal.
        overwrite: whether an index in `out` may be replaced.
        bm25: whether, and with which settings, words are indexed.
        bundle_encoder: copy the encoder's files into the index, so that it needs nothing else.
            An encoder whose folder lies inside `out` is always copied.
        batch_size: passages per call of the encoder.

    Returns:
        The published manifest.

    Raises:
        IndexExists, IndexBusy: `out` may not be written.
        CorpusFormatError, DuplicateId, InvalidPassage, EmptyCorpus: the corpus cannot be indexed.
        InvalidSetting: a setting is not allowed, or does not fit the corpus.
        DimensionMismatch, InvalidVectors: the encoder does not keep its word.
    """
    folder = Path(out)
    settings = BM25Settings() if bm25 is True else (bm25 or None)
    if encoder is None and settings is None:
        raise InvalidSetting(
            "Neither an encoder nor BM25 was asked for.", "An index needs at least one of them."
        )
    if batch_size < 1:
        raise InvalidSetting(f"The batch size is {batch_size}.", "It must be 1 or more.")
    if encoder is not None:
        # Found out before hours of work: the string, the similarity and the bundle.
        if factory != "auto":
            vectors.make_index(factory, encoder.dimension, encoder.similarity)
        if bundle_encoder and encoder.folder is None:
            raise InvalidSetting(
                f"The encoder {encoder.name!r} has no files to bundle.", "Leave bundling out."
            )
    publish.prepare(folder, overwrite)
    with publish.locked(folder):
        publish.prepare(folder, overwrite)
        working = publish.start(folder)
        try:
            with Reporter(progress) as reporter:
                build = _Build(folder, working, reporter)
                manifest = build.run(source, encoder, factory, settings, bundle_encoder, batch_size)
            publish.publish(folder, working, manifest)
        except BaseException:
            shutil.rmtree(working, ignore_errors=True)
            raise
    return manifest


class _Build:
    """One build in its working folder, not yet published."""

    def __init__(self, folder: Path, working: Path, reporter: Reporter) -> None:
        self._folder = folder
        self._working = working
        self._reporter = reporter

    def run(
        self,
        source: Path | str | Iterable[Passage],
        encoder: PassageEncoder | None,
        factory: str,
        settings: BM25Settings | None,
        bundle: bool,
        batch_size: int,
    ) -> Manifest:
        generation = publish.next_generation(self._folder)
        store, corpus_sha256 = self._store(source)
        record, parameters, used_factory = None, "", None
        if encoder is not None:
            used_factory = vectors.choose_factory(len(store)) if factory == "auto" else factory
            parameters = self._vectors(store, encoder, used_factory, batch_size)
            record = self._record(encoder, generation, bundle)
        if settings is not None:
            self._words(store, settings)
        files = {
            f"{generation}/{file.relative_to(self._working).as_posix()}": record_file(file)
            for file in sorted(self._working.rglob("*"))
            if file.is_file()
        }
        return Manifest(
            created_at=_now(),
            corpus_sha256=corpus_sha256,
            passages=len(store),
            generation=generation,
            encoder=record,
            factory=used_factory,
            search_parameters=parameters,
            bm25=settings,
            files=files,
        )

    def _store(self, source: Path | str | Iterable[Passage]) -> tuple[PassageStore, str]:
        passages = read_passages(source) if isinstance(source, Path | str) else source
        self._reporter.begin("reading", None)
        with PassageStoreWriter(self._working / STORE_FOLDER) as writer:
            for passage in passages:
                writer.add(passage)
                self._reporter.tick(len(writer))
            if not len(writer):
                raise EmptyCorpus("The corpus holds no passage.", "Check the path and its format.")
            store = writer.finish()
        self._reporter.end(len(store))
        return store, writer.digest.hexdigest()

    def _vectors(
        self, store: PassageStore, encoder: PassageEncoder, factory: str, batch_size: int
    ) -> str:
        index = vectors.make_index(factory, encoder.dimension, encoder.similarity)
        sample = vectors.training_rows(index, len(store))
        if len(sample):
            self._reporter.begin("training", len(sample))
            chosen = (store[int(row)] for row in sample)
            parts = list(self._encode(chosen, encoder, batch_size))
            vectors.train(index, np.concatenate(parts))
            self._reporter.end(len(sample))
        self._reporter.begin("encoding", len(store))
        for part in self._encode(store, encoder, batch_size):
            index.add(part)
        vectors.write_vectors(index, self._working / VECTORS_FILE)
        return vectors.search_parameters(index)

    def _encode(
        self, passages: Iterable[Passage], encoder: PassageEncoder, batch_size: int
    ) -> Iterator[npt.NDArray[np.float32]]:
        done = 0
        batch: list[Passage] = []

        def encoded() -> npt.NDArray[np.float32]:
            nonlocal done
            matrix = encoder.encode_passages(batch)
            done += len(batch)
            self._reporter.tick(done)
            return vectors.check_vectors(matrix, len(batch), encoder.dimension)

        for passage in passages:
            batch.append(passage)
            if len(batch) == batch_size:
                yield encoded()
                batch = []
        if batch:
            yield encoded()

    def _words(self, store: PassageStore, settings: BM25Settings) -> None:
        self._reporter.begin("counting words", len(store))
        texts = (text_for_search(passage) for passage in store)
        lexical = LexicalIndex.build(texts, settings, self._reporter.tick)
        lexical.save(self._working / BM25_FOLDER)

    def _record(self, encoder: PassageEncoder, generation: str, bundle: bool) -> EncoderRecord:
        name = encoder.name
        source = encoder.folder
        if source is not None:
            inside = source.resolve().is_relative_to(self._folder.resolve())
            if bundle or inside:
                ignored = shutil.ignore_patterns(".*", "README.md")
                shutil.copytree(source, self._working / ENCODER_FOLDER, ignore=ignored)
                name = f"{generation}/{ENCODER_FOLDER}"
            elif Path(name).is_dir():
                name = Path(os.path.relpath(source.resolve(), self._folder.resolve())).as_posix()
        return EncoderRecord(
            name=name,
            fingerprint=encoder.fingerprint,
            dimension=encoder.dimension,
            similarity=encoder.similarity,
            query_prefix=encoder.query_prefix,
            passage_prefix=encoder.passage_prefix,
            normalise=encoder.normalise,
            pooling=encoder.pooling,
        )


def _now() -> str:
    # SOURCE_DATE_EPOCH makes builds reproducible byte for byte (reproducible-builds.org).
    epoch = os.environ.get("SOURCE_DATE_EPOCH", "")
    now = datetime.fromtimestamp(int(epoch), UTC) if epoch.isdigit() else datetime.now(UTC)
    return now.isoformat(timespec="seconds")
