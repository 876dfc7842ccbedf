"""Builds an index from vectors that others have computed, matched to the corpus by ids.

Vectors may come in any order; they are put into the order of the passages on disk, in a stream.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt

from indexes.build import carry_out
from indexes.building.plan import EncodedVectors, Plan, VectorParts
from indexes.building.source import identity_of
from indexes.encoding import PassageEncoder
from indexes.errors import InvalidSetting, VectorsDoNotMatch
from indexes.given import GivenBlock, read_vectors
from indexes.lexical import BM25Settings
from indexes.manifest import EncoderRecord, Manifest
from indexes.progress import Progress
from indexes.readers import read_passages
from indexes.shards import ROWS_PER_FILE, Shard
from indexes.store import PassageStore
from indexes.vectors import check_vectors

_BLOCK_ROWS = 4096


def import_index(
    source: Path | str,
    files: Sequence[Path | str],
    out: Path | str,
    *,
    encoder: PassageEncoder,
    ids: Path | str | None = None,
    id_column: str = "id",
    vector_column: str = "embedding",
    factory: str = "auto",
    memory: int | None = None,
    progress: Callable[[Progress], None] | None = None,
    overwrite: bool = False,
    restart: bool = False,
    bm25: bool | BM25Settings = True,
    bundle_encoder: bool = False,
    rows_per_file: int = ROWS_PER_FILE,
) -> Manifest:
    """Build an index of a corpus from the vectors in `files`.

    Args:
        source: the corpus, a file or folder.
        files: of vectors; see `indexes.given` for what they may be.
        out: the folder of the index.
        encoder: what the vectors were made with; queries will be encoded with it. Vectors of an
            encoder that normalises are brought to length 1.
        ids: the ids that belong to one npy file.
        id_column: of parquet files.
        vector_column: of parquet files.
        factory: see `indexes.build.build_index`, likewise for what follows.
        memory: see there.
        progress: see there.
        overwrite: see there.
        restart: see there.
        bm25: see there.
        bundle_encoder: see there.
        rows_per_file: see there.

    Returns:
        The published manifest.

    Raises:
        VectorsDoNotMatch: passages have no vector, or vectors no passage; the message counts them.
        VectorFileError: a file of vectors is missing, damaged or not what it should be.
        DimensionMismatch: they have another dimension than the encoder's.
        And all that `indexes.build.build_index` raises.
    """
    paths = [Path(file) for file in files]
    if not paths:
        raise InvalidSetting("No file of vectors was given.", "Name at least one.")
    ids_path = None if ids is None else Path(ids)
    used = [*paths, *([] if ids_path is None else [ids_path])]
    folder = Path(out)
    vectors = GivenVectors(
        EncodedVectors(encoder, 1),
        lambda: read_vectors(paths, ids_path, id_column, vector_column),
        folder,
    )
    plan = Plan(
        folder=folder,
        passages=lambda: read_passages(source),
        source={**identity_of(Path(source)), "vectors": [identity_of(file) for file in used]},
        vectors=vectors,
        factory=factory,
        memory=memory,
        bm25=BM25Settings() if bm25 is True else (bm25 or None),
        bundle=bundle_encoder,
        rows_per_file=rows_per_file,
    )
    return carry_out(plan, progress=progress, overwrite=overwrite, restart=restart)


class GivenVectors:
    """Vectors in any order, given to the passages of a store by their ids.

    Args:
        encoder: whose record the index is going to carry.
        blocks: gives all ids and vectors from the beginning.
        folder: of the index; they are sorted in a file of its working folder.
    """

    def __init__(
        self, encoder: EncodedVectors, blocks: Callable[[], Iterator[GivenBlock]], folder: Path
    ) -> None:
        self.record: EncoderRecord = encoder.record
        self.folder: Path | None = encoder.folder
        self._blocks = blocks
        self._index_folder = folder
        self._sorted: Path | None = None

    def vectors(self, shards: Sequence[Shard]) -> VectorParts:
        """See `indexes.building.plan.VectorSource.vectors`."""
        if self._sorted is None:
            self._sorted = self._sort(PassageStore.open(shards[0].file.parent))
        dimension = self.record.dimension
        with self._sorted.open("rb") as stream:
            for shard in shards:
                stream.seek(shard.first_row * dimension * 4)
                for begin in range(0, shard.rows, _BLOCK_ROWS):
                    count = min(_BLOCK_ROWS, shard.rows - begin)
                    numbers = np.fromfile(stream, np.float32, count * dimension)
                    yield numbers.reshape(count, dimension)

    def _sort(self, store: PassageStore) -> Path:
        file = store.path.parent / "parts" / "given.float32"
        dimension = self.record.dimension
        seen = np.zeros(len(store), dtype=bool)
        unknown, doubled = 0, 0
        first_unknown = first_doubled = ""
        with file.open("wb") as stream:
            for ids, given in self._blocks():
                matrix = check_vectors(given, len(ids), dimension)
                if self.record.normalise:
                    lengths = np.linalg.norm(matrix, axis=1, keepdims=True)
                    matrix = np.asarray(matrix / np.where(lengths > 0, lengths, 1), np.float32)
                rows = store.rows_of(ids)
                if (rows < 0).any():
                    first_unknown = first_unknown or ids[int(np.flatnonzero(rows < 0)[0])]
                    unknown += int((rows < 0).sum())
                    matrix, rows = matrix[rows >= 0], rows[rows >= 0]
                again = seen[rows]
                again[np.setdiff1d(np.arange(len(rows)), np.unique(rows, return_index=True)[1])] = (
                    True
                )
                if again.any():
                    first_doubled = first_doubled or store[int(rows[again][0])].id
                    doubled += int(again.sum())
                seen[rows] = True
                # Runs of neighbouring rows, in which most files come, are written at once.
                for run in np.split(np.arange(len(rows)), np.flatnonzero(np.diff(rows) != 1) + 1):
                    if len(run):
                        stream.seek(int(rows[run[0]]) * dimension * 4)
                        stream.write(matrix[run].tobytes())
        missing = int((~seen).sum())
        if missing or unknown or doubled:
            self._refuse(store, seen, unknown, first_unknown, doubled, first_doubled)
        return file

    def _refuse(
        self,
        store: PassageStore,
        seen: npt.NDArray[np.bool_],
        unknown: int,
        first_unknown: str,
        doubled: int,
        first_doubled: str,
    ) -> None:
        found = []
        if missing := int((~seen).sum()):
            first = store[int(np.flatnonzero(~seen)[0])].id
            found.append(f"{missing} passages have no vector (the first is {first!r})")
        if unknown:
            found.append(f"{unknown} vectors have no passage (the first is of {first_unknown!r})")
        if doubled:
            found.append(f"{doubled} vectors are given again (the first is of {first_doubled!r})")
        raise VectorsDoNotMatch(
            f"Vectors and corpus do not belong together: {'; '.join(found)}.",
            "Give the vectors of exactly this corpus, and all of their files.",
        )
