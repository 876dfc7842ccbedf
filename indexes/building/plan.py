"""What is to be built: from which passages and vectors, with which settings."""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt

from indexes.encoding import PassageEncoder
from indexes.lexical import BM25Settings
from indexes.manifest import EncoderRecord
from indexes.passage import Passage
from indexes.shards import ROWS_PER_FILE, Shard, shard_passages
from indexes.vectors import check_vectors

VectorParts = Generator[npt.NDArray[np.float32], None, None]
"""Matrices of float32, one below the other."""


class VectorSource(Protocol):
    """Gives the vectors of passages that stand in a store."""

    @property
    def record(self) -> EncoderRecord:
        """The encoder that the vectors come from."""
        ...

    @property
    def folder(self) -> Path | None:
        """Where the encoder's files lie; None where there are none."""
        ...

    def vectors(self, shards: Sequence[Shard]) -> VectorParts:
        """The vectors of one shard or more in row order, in parts that do not cross shards.

        A source may work ahead of what was taken from it. Its caller closes it.
        """
        ...


class EncodedVectors:
    """Vectors that an encoder makes, in batches that do not cross shards.

    So a build that goes on after a shard makes the same batches, and the same bits.
    """

    def __init__(self, encoder: PassageEncoder, batch_size: int) -> None:
        self._encoder = encoder
        self._batch_size = batch_size

    @property
    def folder(self) -> Path | None:
        """See `VectorSource.folder`."""
        return self._encoder.folder

    @property
    def record(self) -> EncoderRecord:
        """See `VectorSource.record`."""
        encoder = self._encoder
        return EncoderRecord(
            name=encoder.name,
            fingerprint=encoder.fingerprint,
            dimension=encoder.dimension,
            similarity=encoder.similarity,
            query_prefix=encoder.query_prefix,
            passage_prefix=encoder.passage_prefix,
            normalise=encoder.normalise,
            pooling=encoder.pooling,
        )

    def vectors(self, shards: Sequence[Shard]) -> VectorParts:
        """See `VectorSource.vectors`."""
        for shard in shards:
            yield from self.encoded(shard_passages(shard.file))

    def encoded(self, passages: Iterable[Passage]) -> VectorParts:
        """The vectors of passages, a batch at a time.

        Raises:
            DimensionMismatch, InvalidVectors: the encoder does not keep its word.
        """
        batch: list[Passage] = []
        for passage in passages:
            batch.append(passage)
            if len(batch) == self._batch_size:
                yield self._checked(batch)
                batch = []
        if batch:
            yield self._checked(batch)

    def _checked(self, batch: list[Passage]) -> npt.NDArray[np.float32]:
        matrix = self._encoder.encode_passages(batch)
        return check_vectors(matrix, len(batch), self._encoder.dimension)


@dataclass(frozen=True, slots=True)
class Plan:
    """A build.

    Attributes:
        folder: of the index.
        passages: gives the corpus from its beginning.
        source: identifies the corpus, as JSON values; None where it cannot be read a second time,
            so that an interrupted build cannot be resumed.
        vectors: None for an index without vectors.
        factory: FAISS factory string or "auto".
        memory: budget in bytes for "auto"; None for no limit.
        bm25: None for an index without BM25.
        bundle: whether to copy the encoder's files into the index.
        batch_size: passages per call of the encoder.
        rows_per_file: passages in a shard.
    """

    folder: Path
    passages: Callable[[], Iterable[Passage]]
    source: Mapping[str, Any] | None
    vectors: VectorSource | None
    factory: str = "auto"
    memory: int | None = None
    bm25: BM25Settings | None = None
    bundle: bool = False
    batch_size: int = 256
    rows_per_file: int = ROWS_PER_FILE

    def settings(self) -> dict[str, Any]:
        """All that the bytes of the index depend on, as JSON values."""
        return {
            "source": None if self.source is None else dict(self.source),
            "encoder": None if self.vectors is None else self.vectors.record.to_dict(),
            "factory": self.factory,
            "memory": self.memory,
            "bm25": None if self.bm25 is None else self.bm25.to_dict(),
            "bundle": self.bundle,
            "batch_size": self.batch_size,
            "rows_per_file": self.rows_per_file,
        }
