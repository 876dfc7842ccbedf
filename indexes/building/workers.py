"""Encodes on the workers of a Ray cluster, with Ray Data, in place of this process.

Passages are cut into pieces of a few of the encoder's batches, which are the batches of a build
without Ray, so that the vectors are the same. Pieces are read on the machine of the build, the only
one that needs its folder, encoded by actors that load the encoder once, and come back in order.
Ray Data keeps as many of them under way as its object store has room for. A piece whose worker died
is encoded again; one that ended several workers ends the build.
"""

from __future__ import annotations

import logging
import os
import pickle
import traceback
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from typing import Any

import numpy as np
import numpy.typing as npt

from indexes.building.plan import EncodedVectors, VectorParts
from indexes.cluster import Workers, import_ray
from indexes.encoding import PassageEncoder
from indexes.errors import EncoderMismatch, EncoderNotLoaded, InvalidSetting, WorkerFailed
from indexes.shards import Shard, passages_of, shard_batches

_BATCHES_PER_PIECE = 16
_ATTEMPTS = 4
_RESUME = "Run the same build again, with Ray or without: it goes on after the last whole shard."


class RayVectors(EncodedVectors):
    """Vectors that workers make with copies of an encoder; see `VectorSource`.

    Args:
        encoder: must be picklable; it is unpickled once on every worker.
        batch_size: passages per call of the encoder.
        workers: of the cluster, which must stay joined.

    Raises:
        InvalidSetting: the encoder cannot be pickled.
    """

    def __init__(self, encoder: PassageEncoder, batch_size: int, workers: Workers) -> None:
        super().__init__(encoder, batch_size)
        self._workers = workers
        try:
            self._pickled: bytes = import_ray().cloudpickle.dumps(encoder)
        except Exception as error:  # whatever an object's parts raise
            raise InvalidSetting(
                f"The encoder {encoder.name!r} cannot be sent to workers: {error}.",
                "Use one that can be pickled, or build without Ray.",
            ) from error

    def vectors(self, shards: Sequence[Shard]) -> VectorParts:
        """See `VectorSource.vectors`.

        Raises:
            EncoderNotLoaded: a worker has no such encoder, or another one.
            WorkerFailed: the encoder failed, or workers were lost again and again.
        """
        pieces = list(_pieces(shards, self._batch_size * _BATCHES_PER_PIECE))
        try:
            answers = self._dataset(pieces).iter_batches(batch_size=None, batch_format="pyarrow")
            with _quiet(), closing(iter(answers)) as answers:
                for piece, table in zip(pieces, answers, strict=True):
                    yield _vectors_of(table.to_pylist()[0], piece)
        except (EncoderNotLoaded, WorkerFailed):
            raise
        except Exception as error:  # of Ray, of its tasks, and of the network
            raise WorkerFailed(f"The Ray cluster failed: {_last_line(error)}.", _RESUME) from error

    def _dataset(self, pieces: list[dict[str, Any]]) -> Any:
        ray = import_ray()
        workers = self._workers
        here = {"ray.io/node-id": ray.get_runtime_context().get_node_id()}
        attempts = ray.remote(num_cpus=0, label_selector=here)(_Attempts).remote(workers.count)
        dataset = ray.data.from_items(pieces, override_num_blocks=len(pieces))
        context = dataset.context
        context.execution_options.preserve_order = True
        context.enable_progress_bars = False  # the build has its own
        context.print_on_execution_start = False
        context.max_consecutive_actor_init_deaths = _ATTEMPTS
        rows: dict[str, Any] = {"batch_size": 1, "batch_format": "pyarrow"}  # a row is a piece
        read = dataset.map_batches(_read, num_cpus=0, label_selector=here, **rows)
        needs = {"num_gpus": workers.gpus} if workers.gpus else {"num_cpus": 1}
        return read.map_batches(
            _Worker,
            fn_constructor_args=(self._pickled, self.record.fingerprint, self._batch_size),
            fn_constructor_kwargs={"gpus": workers.gpus, "attempts": attempts},
            compute=ray.data.ActorPoolStrategy(size=workers.count),
            **needs,
            **rows,
        )


class _Attempts:
    """An actor that counts how often what kills workers was tried."""

    def __init__(self, workers: int) -> None:
        self._loads_left = workers + _ATTEMPTS
        self._workers = workers
        self._begun: Counter[int] = Counter()

    def load(self) -> bool:
        """Whether one more worker may load the encoder."""
        self._loads_left -= 1
        return self._loads_left >= 0

    def begin(self, row: int) -> bool:
        """Whether the piece that begins at a row may be tried; the encoder was loaded, then."""
        self._loads_left = self._workers + _ATTEMPTS
        self._begun[row] += 1
        return self._begun[row] <= _ATTEMPTS


class _Worker:
    """Encodes pieces. What goes wrong is its answer: Ray would wrap, print and repeat errors."""

    def __init__(
        self, encoder: bytes, fingerprint: str, batch_size: int, *, gpus: float, attempts: Any
    ) -> None:
        self._attempts = attempts
        self._failure: tuple[str, str] | None = None
        if not gpus:
            os.environ["CUDA_VISIBLE_DEVICES"] = ""  # those are not the worker's
        try:
            if not _ask(attempts.load):
                raise RuntimeError("workers died while they loaded it, as for want of memory")
            loaded = pickle.loads(encoder)
            if loaded.fingerprint != fingerprint:
                raise EncoderMismatch("The worker has other files under the encoder's name.")
            self._vectors = EncodedVectors(loaded, batch_size)
        except Exception:
            self._failure = ("loading", traceback.format_exc())

    def __call__(self, table: Any) -> Any:
        row = table["row"][0].as_py()
        if self._failure is not None:
            return _answer(row, *self._failure)
        if not _ask(self._attempts.begin, row):
            return _answer(row, "dying", "")
        try:
            import pyarrow as pa

            with pa.ipc.open_stream(table["passages"][0].as_buffer()) as batches:
                passages = (passage for batch in batches for passage in passages_of(batch))
                parts = list(self._vectors.encoded(passages))
            return _answer(row, "", "", np.concatenate(parts).tobytes())
        except Exception:
            return _answer(row, "encoding", traceback.format_exc())


@contextmanager
def _quiet() -> Iterator[None]:
    """Keep what Ray Data says of its plans and their end off the screen."""
    logger = logging.getLogger("ray.data")
    level = logger.level
    logger.setLevel(logging.ERROR)
    try:
        yield
    finally:
        logger.setLevel(level)


def _pieces(shards: Sequence[Shard], rows: int) -> Iterator[dict[str, Any]]:
    """Pieces of shards: the file, its rows from `begin` to below `end`, the first one's `row`."""
    for shard in shards:
        for begin in range(0, shard.rows, rows):
            yield {
                "row": shard.first_row + begin,
                "file": os.path.abspath(shard.file),  # workers have folders of their own
                "begin": begin,
                "end": min(begin + rows, shard.rows),
            }


def _read(table: Any) -> Any:
    """The passages of a piece, as an Arrow stream."""
    import pyarrow as pa

    piece = table.to_pylist()[0]
    batches = list(shard_batches(piece["file"], piece["begin"], piece["end"]))
    sink = pa.BufferOutputStream()
    with pa.ipc.new_stream(sink, batches[0].schema) as stream:
        for batch in batches:
            stream.write_batch(batch)
    passages = pa.array([sink.getvalue().to_pybytes()], pa.large_binary())
    return pa.table({"row": [piece["row"]], "passages": passages})


def _answer(row: int, failure: str, trace: str, vectors: bytes = b"") -> Any:
    import pyarrow as pa

    given = pa.array([vectors], pa.large_binary())
    return pa.table({"row": [row], "failure": [failure], "trace": [trace], "vectors": given})


def _ask(method: Any, *arguments: Any) -> bool:
    return bool(import_ray().get(method.remote(*arguments)))


def _vectors_of(answer: dict[str, Any], piece: dict[str, Any]) -> npt.NDArray[np.float32]:
    """The vectors that a worker made of a piece; it has checked them.

    Raises:
        EncoderNotLoaded, WorkerFailed: it made none.
    """
    assert answer["row"] == piece["row"], "answers come in the order of the pieces"
    rows = piece["end"] - piece["begin"]
    if not answer["failure"]:
        return np.frombuffer(answer["vectors"], np.float32).reshape(rows, -1)
    cause = RuntimeError(f"on the worker:\n{answer['trace']}")
    what = _last_line(answer["trace"])
    if answer["failure"] == "loading":
        raise EncoderNotLoaded(
            f"A worker cannot load the encoder: {what}.",
            "Its files must lie under the same path on every node, and the package be installed "
            f"there. {_RESUME}",
        ) from cause
    passages = f"passages {piece['row']} to {piece['row'] + rows - 1}"
    if answer["failure"] == "dying":
        raise WorkerFailed(
            f"{_ATTEMPTS} workers died with {passages}, as for want of memory.",
            f"Give workers more memory, or use a smaller batch. {_RESUME}",
        )
    raise WorkerFailed(f"A worker failed with {passages}: {what}.", _RESUME) from cause


def _last_line(error: object) -> str:
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return lines[-1].rstrip(".") if lines else type(error).__name__
