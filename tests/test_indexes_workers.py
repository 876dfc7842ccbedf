"""Builds over Ray: the same bytes as without it, also after workers and builds were killed."""

from __future__ import annotations

import importlib.util
import os
import pickle
import signal
import subprocess
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from storage_helpers import HashEncoder
from test_indexes_building import contents, many, write_corpus

from indexes.build import build_index
from indexes.building import workers
from indexes.cluster import RayCluster, Workers
from indexes.errors import (
    EncoderNotLoaded,
    IndexExists,
    InvalidSetting,
    MissingLibrary,
    ResumedBuild,
    WorkerFailed,
)
from indexes.shards import Shard, ShardWriter, passages_of, shard_batches

OPTIONS: dict[str, Any] = {"factory": "IVF4,SQ8", "batch_size": 4, "rows_per_file": 90}
needs_ray = pytest.mark.skipif(
    importlib.util.find_spec("ray") is None,
    reason='ray is not installed: pip install -c constraints.txt -e ".[test,ray]"',
)


class NotedEncoder(HashEncoder):
    """Notes in files in a folder who loads it and what is encoded; dies at a text, once."""

    def __init__(self, notes: Path, dies_at: str = "") -> None:
        super().__init__()
        self.notes = notes
        self.dies_at = dies_at

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__dict__.update(state)
        (self.notes / f"loaded-{os.getpid()}").touch()

    def encode_texts(self, texts: Sequence[str]) -> npt.NDArray[np.float32]:
        (self.notes / texts[0].split()[2]).touch()
        if self.dies_at in texts and not (self.notes / "died").exists():
            (self.notes / "died").touch()
            os._exit(1)
        return super().encode_texts(texts)


@pytest.fixture(autouse=True)
def _fixed_date(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SOURCE_DATE_EPOCH", "1700000000")


@pytest.fixture(scope="session")
def ray_cluster() -> Iterator[str]:
    """The address of a cluster of two workers, which this process has joined."""
    folders = [str(Path(__file__).parent), str(Path(workers.__file__).parents[2])]
    with pytest.MonkeyPatch.context() as patch:
        # Workers inherit it: they unpickle the encoders of this file.
        patch.setenv("PYTHONPATH", os.pathsep.join(folders))
        patch.setenv("RAY_USAGE_STATS_ENABLED", "0")
        patch.setenv("RAY_raylet_start_wait_time_s", "200")
        import ray

        handler = signal.getsignal(signal.SIGTERM)
        context = ray.init(
            address="local",
            num_cpus=2,
            object_store_memory=100 << 20,
            include_dashboard=False,
            log_to_driver=False,
            logging_level="ERROR",
        )
        yield context.address_info["gcs_address"]
        ray.shutdown()
        signal.signal(signal.SIGTERM, handler)


@needs_ray
@pytest.mark.timeout(900)
def test_workers_make_the_index_of_a_local_build(tmp_path: Path, ray_cluster: str) -> None:
    corpus = write_corpus(tmp_path / "corpus.jsonl", 200)
    build_index(corpus, tmp_path / "local", encoder=HashEncoder(), **OPTIONS)
    notes = tmp_path / "notes"
    notes.mkdir()
    encoder = NotedEncoder(notes, dies_at="Title 4 word130 word0 filler")
    told = []
    build_index(
        corpus,
        tmp_path / "out",
        encoder=encoder,
        ray=RayCluster(workers=2),
        progress=lambda at: told.append(at.done) if at.stage == "encoding" else None,
        **OPTIONS,
    )
    assert contents(tmp_path / "out") == contents(tmp_path / "local")
    assert (told[0], told[-1]) == (0, 200) and told == sorted(told)
    assert (notes / "died").exists()
    assert len(list(notes.glob("loaded-*"))) == 3  # two workers, and the one that replaced the dead


KILLED = """
import os, signal, sys
from pathlib import Path

sys.path.insert(0, sys.argv[1])
from storage_helpers import HashEncoder
from test_indexes_workers import OPTIONS

from indexes.build import build_index
from indexes.cluster import RayCluster
from indexes.errors import ClusterUnreachable

corpus, out, address = sys.argv[2:]
try:
    build_index(corpus, out, encoder=HashEncoder(), ray=RayCluster("127.0.0.1:1"), **OPTIONS)
except ClusterUnreachable as error:
    assert "127.0.0.1:1" in error.message, error
else:
    raise AssertionError("nobody listens there")

def kill(progress):
    if (Path(out) / "building" / "vectors" / "vectors-00000.npy").exists():
        os.kill(os.getpid(), signal.SIGKILL)

build_index(
    corpus, out, encoder=HashEncoder(), ray=RayCluster(address), progress=kill, **OPTIONS
)
"""


@needs_ray
@pytest.mark.timeout(900)
def test_a_killed_build_goes_on(tmp_path: Path, ray_cluster: str) -> None:
    corpus = write_corpus(tmp_path / "corpus.jsonl", 200)
    build_index(corpus, tmp_path / "local", encoder=HashEncoder(), **OPTIONS)
    arguments = [str(Path(__file__).parent), str(corpus), str(tmp_path / "out"), ray_cluster]
    root = str(Path(workers.__file__).parents[2])
    done = subprocess.run(
        [sys.executable, "-c", KILLED, *arguments],
        env={**os.environ, "PYTHONPATH": root},
        capture_output=True,
        text=True,
    )
    assert done.returncode == -signal.SIGKILL, done.stderr
    notes = tmp_path / "notes"
    notes.mkdir()
    with pytest.warns(ResumedBuild):
        build_index(
            corpus, tmp_path / "out", encoder=NotedEncoder(notes), ray=RayCluster(), **OPTIONS
        )
    assert contents(tmp_path / "out") == contents(tmp_path / "local")
    encoded = [int(note.name[4:]) for note in notes.glob("word*")]
    assert min(encoded) in (90, 180)  # whole shards that were finished are not encoded again


def shard_of(folder: Path, rows: int) -> Shard:
    folder.mkdir(exist_ok=True)
    writer = ShardWriter(folder, 3, rows_per_batch=10)
    for passage in many(rows):
        writer.add(passage)
    return Shard(writer.finish()[0], 500, rows)


@pytest.mark.parametrize(("begin", "end"), [(0, 35), (0, 10), (7, 8), (9, 21), (10, 20), (30, 35)])
def test_rows_of_a_shard_are_read_alone(tmp_path: Path, begin: int, end: int) -> None:
    shard = shard_of(tmp_path, 35)
    batches = shard_batches(shard.file, begin, end)
    assert [p for batch in batches for p in passages_of(batch)] == many(35)[begin:end]


class FailingEncoder(HashEncoder):
    def encode_texts(self, texts: Sequence[str]) -> npt.NDArray[np.float32]:
        raise ArithmeticError(f"no vector for {texts[0]!r}.")


class Unloadable(HashEncoder):
    def __reduce__(self) -> Any:
        return open, ("no/such/model",)


class Answering:
    """Stands for the actor that counts attempts: the worker may try, or may not any more."""

    def __init__(self, load: bool = True, begin: bool = True) -> None:
        self.load, self.begin = load, begin


@pytest.fixture
def answers(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(workers, "_ask", lambda method, *arguments: method)


def answered(
    shard: Shard, encoder: HashEncoder, attempts: Answering, fingerprint: str = "hash-1"
) -> list[npt.NDArray[np.float32]]:
    """What a worker answers to the pieces of a shard, in batches of 2, without a cluster."""
    import pyarrow as pa

    worker = workers._Worker(pickle.dumps(encoder), fingerprint, 2, gpus=1, attempts=attempts)
    found = []
    for piece in workers._pieces([shard], 32):
        table = worker(workers._read(pa.Table.from_pylist([piece])))
        found.append(workers._vectors_of(table.to_pylist()[0], piece))
    return found


@pytest.mark.usefixtures("answers")
def test_pieces_make_up_shards(tmp_path: Path) -> None:
    found = answered(shard_of(tmp_path, 70), HashEncoder(), Answering())
    assert [len(part) for part in found] == [32, 32, 6]
    np.testing.assert_array_equal(np.concatenate(found), HashEncoder().encode_passages(many(70)))


def test_pieces_do_not_depend_on_the_working_folder() -> None:
    pieces = list(workers._pieces([Shard(Path("a"), 0, 3), Shard(Path("b"), 3, 2)], 2))
    assert [piece["file"] for piece in pieces] == [str(Path.cwd() / name) for name in "aab"]
    assert [(p["row"], p["begin"], p["end"]) for p in pieces] == [(0, 0, 2), (2, 2, 3), (3, 0, 2)]


@pytest.mark.usefixtures("answers")
def test_failures_of_workers_have_names(tmp_path: Path) -> None:
    shard = shard_of(tmp_path, 5)
    with pytest.raises(WorkerFailed, match=r"passages 500 to 504: ArithmeticError: no vector for"):
        answered(shard, FailingEncoder(), Answering())
    with pytest.raises(EncoderNotLoaded, match="FileNotFoundError") as caught:
        answered(shard, Unloadable(), Answering())
    assert "on every node" in caught.value.hint and "goes on" in caught.value.hint
    assert "Traceback" in str(caught.value.__cause__)
    with pytest.raises(EncoderNotLoaded, match="other files"):
        answered(shard, HashEncoder(), Answering(), fingerprint="hash-2")
    with pytest.raises(EncoderNotLoaded, match="died while they loaded"):
        answered(shard, HashEncoder(), Answering(load=False))
    with pytest.raises(WorkerFailed, match="workers died with passages 500 to 504"):
        answered(shard, HashEncoder(), Answering(begin=False))


def test_attempts_are_counted() -> None:
    attempts = workers._Attempts(workers=2)
    assert [attempts.load() for _ in range(7)] == [True] * 6 + [False]
    assert [attempts.begin(row) for row in (0, 8, 0, 0, 0, 0)] == [True] * 5 + [False]
    assert attempts.load() and attempts.begin(8)


@pytest.mark.parametrize(
    "values",
    [{"address": ""}, {"address": "host"}, {"address": "ray://host:10001"}, {"workers": 0}]
    + [{"gpus_per_worker": gpus} for gpus in (-1, 1.5, float("nan"))],
)
def test_clusters_that_cannot_be_are_refused(values: dict[str, Any]) -> None:
    with pytest.raises(InvalidSetting, match=r"The (address|number|GPUs) of"):
        RayCluster(**values)


@pytest.mark.parametrize(
    ("cluster", "resources", "expected"),
    [
        (RayCluster(), {"CPU": 4.0}, Workers(4, 0)),
        (RayCluster(), {"CPU": 4.0, "GPU": 2.0}, Workers(2, 1)),
        (RayCluster(gpus_per_worker=0), {"CPU": 4.0, "GPU": 2.0}, Workers(4, 0)),
        (RayCluster(gpus_per_worker=0.5), {"CPU": 1.0, "GPU": 2.0}, Workers(4, 0.5)),
        (RayCluster(workers=3), {"CPU": 4.0}, Workers(3, 0)),
        (RayCluster(workers=5), {"CPU": 4.0}, None),
        (RayCluster(gpus_per_worker=1), {"CPU": 4.0}, None),
        (RayCluster(), {}, None),
    ],
)
def test_workers_fit_the_cluster(
    cluster: RayCluster, resources: dict[str, float], expected: Workers | None
) -> None:
    if expected is not None:
        assert cluster._workers(resources) == expected
        return
    with pytest.raises(InvalidSetting, match="no room for"):
        cluster._workers(resources)


def test_ray_is_named_where_it_is_missing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "ray", None)
    with pytest.raises(MissingLibrary, match="need ray") as caught:
        build_index(many(3), tmp_path / "out", encoder=HashEncoder(), ray=RayCluster())
    assert 'pip install "selfrag[ray]"' in caught.value.hint
    assert list((tmp_path / "out").iterdir()) == []
    with pytest.raises(InvalidSetting, match="no encoder"):
        build_index(many(3), tmp_path / "out", encoder=None, ray=RayCluster())
    build_index(many(3), tmp_path / "out", encoder=HashEncoder())
    with pytest.raises(IndexExists):
        build_index(many(3), tmp_path / "out", encoder=HashEncoder(), ray=RayCluster())
