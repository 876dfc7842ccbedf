"""Builds an index: passages to a store, their vectors to FAISS, their words to BM25.

Passages are read once, in a stream, and encoded in batches from the store. The result is
published in one step (see `indexes.publish`); an interrupted build is resumed (see
`indexes.building`). This module does not know which models encode.
"""

from __future__ import annotations

import errno
import os
from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from indexes import publish, vectors
from indexes.building.pipeline import Pipeline
from indexes.building.plan import EncodedVectors, Plan
from indexes.building.resume import begin, keeps
from indexes.building.source import identity_of
from indexes.building.workers import RayVectors
from indexes.cluster import RayCluster
from indexes.encoding import PassageEncoder
from indexes.errors import DiskFull, InvalidSetting
from indexes.lexical import BM25Settings
from indexes.manifest import Manifest
from indexes.passage import Passage
from indexes.progress import Progress, Reporter
from indexes.readers import read_passages
from indexes.shards import ROWS_PER_FILE

_NO_SPACE = (errno.ENOSPC, getattr(errno, "EDQUOT", errno.ENOSPC))


def build_index(
    source: Path | str | Iterable[Passage],
    out: Path | str,
    *,
    encoder: PassageEncoder | None,
    factory: str = "auto",
    memory: int | None = None,
    progress: Callable[[Progress], None] | None = None,
    overwrite: bool = False,
    restart: bool = False,
    bm25: bool | BM25Settings = True,
    bundle_encoder: bool = False,
    batch_size: int = 256,
    rows_per_file: int = ROWS_PER_FILE,
    reading: Mapping[str, Any] | None = None,
    corpus_path: Path | str | None = None,
    ray: RayCluster | None = None,
) -> Manifest:
    """Build an index of `source` in the folder `out` and publish it in one step.

    A build of a file or folder that was interrupted, by a kill or an error, is gone on with when
    it is called again with the same settings; a `ResumedBuild` warning says so.

    Args:
        source: a corpus file or folder (see `indexes.readers.read_passages`), or passages.
        out: a new or empty folder, or with `overwrite` an index that is to be replaced. Until
            the new index is complete the old one stays as it is.
        encoder: makes the vectors; None builds an index that has BM25 only.
        factory: a FAISS factory string, or "auto" (see `indexes.choice`).
        memory: bytes that searching may keep resident, for "auto"; None for no limit.
        progress: told how far the build is; without it a bar is drawn if stderr is a terminal.
        overwrite: whether an index in `out` may be replaced, and an interrupted build with other
            settings discarded.
        restart: whether to discard an interrupted build with the same settings too.
        bm25: whether, and with which settings, words are indexed.
        bundle_encoder: copy the encoder's files into the index, so that it needs nothing else.
            An encoder whose folder lies inside `out` is always copied.
        batch_size: passages per call of the encoder.
        rows_per_file: passages in a shard, after each of which a build can be resumed.
        reading: further arguments of `read_passages`, for a file or folder.
        corpus_path: the file or folder that passages come from, where `source` is a stream of
            them made with the arguments in `reading`; without it such a build is not resumed.
        ray: the Ray cluster whose workers encode; without it this process does. The index is the
            same, and a build that was begun in one way can be gone on with in the other.

    Returns:
        The published manifest.

    Raises:
        IndexExists, IndexBusy: `out` may not be written.
        InterruptedBuild: `out` holds an interrupted build with other settings.
        CorpusFormatError, DuplicateId, InvalidPassage, EmptyCorpus: the corpus cannot be indexed.
        InvalidSetting: a setting is not allowed, or does not fit the corpus.
        DimensionMismatch, InvalidVectors: the encoder does not keep its word.
        DiskFull: there is no space left; what was finished is kept.
        MissingLibrary, ClusterUnreachable, EncoderNotLoaded, WorkerFailed: with `ray`.
    """
    folder = Path(out)
    settings = BM25Settings() if bm25 is True else (bm25 or None)
    if encoder is None and settings is None:
        raise InvalidSetting(
            "Neither an encoder nor BM25 was asked for.", "An index needs at least one of them."
        )
    if batch_size < 1 or rows_per_file < 1:
        raise InvalidSetting(
            f"The batch size is {batch_size}, a shard has {rows_per_file} passages.",
            "Both must be 1 or more.",
        )
    if encoder is None and ray is not None:
        raise InvalidSetting("A Ray cluster encodes, and there is no encoder.", "Leave one out.")
    if encoder is not None and bundle_encoder and encoder.folder is None:
        raise InvalidSetting(
            f"The encoder {encoder.name!r} has no files to bundle.", "Leave bundling out."
        )
    options = dict(reading or {})
    path = source if isinstance(source, Path | str) else corpus_path
    identity: dict[str, Any] | None = None
    if path is not None:
        read = {name: str(value) for name, value in options.items()}
        identity = {**identity_of(Path(path)), "reading": read}
    plan = Plan(
        folder=folder,
        passages=lambda: (
            read_passages(source, **options) if isinstance(source, Path | str) else source
        ),
        source=identity,
        vectors=None if encoder is None else EncodedVectors(encoder, batch_size),
        factory=factory,
        memory=memory,
        bm25=settings,
        bundle=bundle_encoder,
        batch_size=batch_size,
        rows_per_file=rows_per_file,
    )
    if encoder is None or ray is None:
        return carry_out(plan, progress=progress, overwrite=overwrite, restart=restart)
    publish.prepare(folder, overwrite)  # looked at before a cluster is started, and again
    with ray.joined() as workers:
        plan = replace(plan, vectors=RayVectors(encoder, batch_size, workers))
        return carry_out(plan, progress=progress, overwrite=overwrite, restart=restart)


def carry_out(
    plan: Plan,
    *,
    progress: Callable[[Progress], None] | None = None,
    overwrite: bool = False,
    restart: bool = False,
) -> Manifest:
    """Build what a plan says and publish it; arguments and errors are those of `build_index`."""
    folder = plan.folder
    if plan.vectors is not None and plan.factory != "auto":
        # Found out before hours of work: the string and the similarity.
        record = plan.vectors.record
        vectors.make_index(plan.factory, record.dimension, record.similarity)
    publish.prepare(folder, overwrite)
    with publish.locked(folder):
        publish.prepare(folder, overwrite)
        working, journal, started = begin(
            folder, plan.settings(), now(), overwrite=overwrite, restart=restart
        )
        try:
            with Reporter(progress) as reporter:
                pipeline = Pipeline(plan, working, journal, reporter)
                manifest = pipeline.run(publish.next_generation(folder), started)
            publish.publish(folder, working, manifest)
        except BaseException as error:
            if (ready := journal.get("ready")) is not None:
                publish.take_back(folder, ready["generation"])
            if not keeps(journal, working, error):
                publish.clean(folder)
            if is_full_disk(error):
                raise DiskFull(
                    f"The disk of {folder} is full; {len(journal)} parts of the build are "
                    "finished.",
                    "Make room, then run the same build again: it goes on after them.",
                ) from error
            raise
    return manifest


def is_full_disk(error: BaseException) -> bool:
    """Whether an error says that there is no space left, or no more allowed."""
    return isinstance(error, OSError) and error.errno in _NO_SPACE


def now() -> str:
    """The time in UTC; SOURCE_DATE_EPOCH sets it (reproducible-builds.org)."""
    epoch = os.environ.get("SOURCE_DATE_EPOCH", "")
    time = datetime.fromtimestamp(int(epoch), UTC) if epoch.isdigit() else datetime.now(UTC)
    return time.isoformat(timespec="seconds")
