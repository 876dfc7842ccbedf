"""`push_index`: whatever interrupts it, the collection ends with the rows of the index."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from milvus_helpers import DIMENSION, REASON, lite, make_index
from storage_helpers import CORPUS, HashEncoder
from typer.testing import CliRunner

from indexes.build import build_index
from indexes.changes import delete_passages
from indexes.errors import CollectionMismatch, InvalidSetting, UnfinishedPush
from indexes.index import Index
from indexes.milvus import MilvusAddress, MilvusServer
from indexes.milvus_collection import MilvusCollection, collection_name
from indexes.milvus_push import first_missing, push_index
from indexes.progress import Progress
from selfrag.cli.application import application

pytest.importorskip("pymilvus", reason=REASON)
__all__ = ["lite"]


@pytest.fixture(autouse=True)
def every_step_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("indexes.progress._SECONDS_BETWEEN_REPORTS", 0)


ROOT = Path(__file__).resolve().parents[1]


class Stop(Exception):
    """The push is interrupted."""


def stop_at(rows: int) -> Any:
    def told(progress: Progress) -> None:
        if progress.stage == "pushing" and progress.done >= rows:
            raise Stop

    return told


def check_contents(index: Index, uri: str, name: str) -> None:
    """The collection holds the index's live rows, each with its vector, and no other."""
    client = MilvusServer(MilvusAddress(uri)).client
    found = client.query(name, filter="row >= 0", output_fields=["row", "vector"], limit=10_000)
    vectors = {entry["row"]: entry["vector"] for entry in found}
    deleted = np.zeros(len(index), bool) if index.deleted is None else index.deleted
    assert sorted(vectors) == np.flatnonzero(~deleted).tolist() and len(found) == len(vectors)
    held = np.array([vectors[row] for row in sorted(vectors)], dtype=np.float32)
    np.testing.assert_array_equal(held, index.require_vectors().stored(np.flatnonzero(~deleted)))


def test_an_interrupted_push_goes_on(tmp_path: Path, lite: str) -> None:
    folder = make_index(tmp_path / "index", 200).path
    delete_passages(folder, ["0", "57", "199"])
    index = Index.open(folder)
    address, name = MilvusAddress(lite), collection_name(index.manifest)
    with pytest.raises(Stop):
        push_index(folder, address, batch_rows=30, progress=stop_at(60))
    with pytest.raises(UnfinishedPush, match="60 of 197"):
        MilvusCollection.open(MilvusServer(address), index.manifest)
    # Another size of requests may go on.
    with pytest.raises(Stop):
        push_index(folder, address, batch_rows=45, progress=stop_at(45))
    told: list[Progress] = []
    report = push_index(folder, address, batch_rows=50, progress=told.append)
    assert (report.found, report.rows) == (105, 197)
    assert (told[0].done, told[-1].done, told[-1].total) == (0, 92, 92)
    check_contents(index, lite, name)
    again = push_index(folder, address)
    assert (again.found, again.rows) == (197, 197)
    with pytest.raises(CollectionMismatch, match="searched by AUTOINDEX, not FLAT"):
        push_index(folder, address, index_type="FLAT")
    anew = push_index(folder, address, restart=True)
    assert (anew.found, anew.rows) == (0, 197)
    check_contents(index, lite, name)


def test_rows_that_are_missing_in_between_are_written(tmp_path: Path, lite: str) -> None:
    index = make_index(tmp_path / "index", 90)
    address, name = MilvusAddress(lite), collection_name(index.manifest)
    push_index(index.path, address)
    client = MilvusServer(address).client
    client.delete(name, ids=[41, 42, 88])
    report = push_index(index.path, address, batch_rows=7)
    assert report.found == 41
    check_contents(index, lite, name)


def test_a_collection_that_was_half_made_is_made_again(tmp_path: Path, lite: str) -> None:
    index = make_index(tmp_path / "index", 9)
    address, name = MilvusAddress(lite), collection_name(index.manifest)
    push_index(index.path, address)
    server = MilvusServer(address)
    server.call("release_collection", name)
    server.call("drop_index", name, index_name="vector")
    assert push_index(index.path, address).found == 0
    check_contents(index, lite, name)


class Counted:
    """A collection of some rows, that counts them as Milvus does."""

    def __init__(self, held: set[int]) -> None:
        self.held = held

    def count(self, expression: str = "") -> int:
        if not expression:
            return len(self.held)
        assert expression.startswith("row <= ")
        return sum(row <= int(expression.removeprefix("row <= ")) for row in self.held)


@given(st.lists(st.tuples(st.booleans(), st.booleans()), max_size=40))
@settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])
def test_the_first_missing_row_is_found(states: list[tuple[bool, bool]]) -> None:
    rows = np.array([row for row, (live, _) in enumerate(states) if live], dtype=np.int64)
    held = {row for row, (live, there) in enumerate(states) if live and there}
    expected = next((n for n, row in enumerate(rows.tolist()) if row not in held), len(rows))
    collection: Any = Counted(held)
    assert first_missing(collection, rows) == expected


KILLED = """
import os, signal, sys
import indexes.milvus_push, indexes.progress
from indexes.milvus import MilvusAddress

def told(progress):
    if progress.done >= 120:
        os.kill(os.getpid(), signal.SIGKILL)

indexes.progress._SECONDS_BETWEEN_REPORTS = 0
folder, uri = sys.argv[1:]
indexes.milvus_push.push_index(folder, MilvusAddress(uri), batch_rows=40, progress=told)
"""


@pytest.mark.skipif(not hasattr(signal, "SIGKILL"), reason="the system has no SIGKILL")
def test_a_killed_push_goes_on(tmp_path: Path, lite: str) -> None:
    index = make_index(tmp_path / "index", 300)
    done = subprocess.run(
        [sys.executable, "-c", KILLED, str(index.path), lite],
        env={**os.environ, "PYTHONPATH": os.pathsep.join([str(ROOT), *sys.path])},
        capture_output=True,
        check=False,
    )
    assert done.returncode == -signal.SIGKILL, done.stderr.decode()
    report = push_index(index.path, MilvusAddress(lite), batch_rows=40)
    assert report.found == 120
    check_contents(index, lite, report.collection)


def test_sizes_and_names_that_are_refused(tmp_path: Path, lite: str) -> None:
    index = make_index(tmp_path / "index", 5)
    most = (48 << 20) // (4 * DIMENSION)
    for rows in (0, most + 1):
        with pytest.raises(InvalidSetting, match=f"1 to {most} rows"):
            push_index(index.path, MilvusAddress(lite), batch_rows=rows)
    for name in ("", "1a", "a b", "a-b", "x" * 256, "é"):
        with pytest.raises(InvalidSetting, match="cannot name"):
            push_index(index.path, MilvusAddress(lite), collection=name)
    assert not Path(lite).exists()


def test_the_command_line(tmp_path: Path, lite: str, monkeypatch: pytest.MonkeyPatch) -> None:
    def run(*arguments: str) -> Any:
        return CliRunner().invoke(application, list(arguments))

    folder = str(tmp_path / "index")
    build_index(CORPUS, folder, encoder=HashEncoder())
    monkeypatch.setattr("retrievers.opening.load_encoder", lambda index, given: HashEncoder())
    pushed = run("index", "push", folder, "--milvus", lite, "--collection", "mine", "--batch", "4")
    assert (pushed.exit_code, pushed.stdout) == (0, "collection: mine\nrows: 6\nfound: 0\n")

    ask = [
        "search",
        "Berlin Berlin is the capital of Germany",
        "--index",
        folder,
        "-k",
        "1",
        "--json",
    ]
    where = ["--milvus", lite, "--collection", "mine"]
    found = run(*ask, "--kind", "milvus", *where)
    assert found.exit_code == 0, found.stderr
    assert json.loads(found.stdout)["hits"][0]["passage"]["id"] == "p2"
    described = tmp_path / "retriever.yaml"
    described.write_text(f"milvus: {{uri: {lite!r}, collection: mine}}\n", encoding="utf-8")
    assert run(*ask, "--retriever", str(described)).stdout == found.stdout

    missing = run(*ask, "--kind", "milvus", "--milvus", lite)
    assert missing.exit_code == 3
    assert missing.stderr.startswith("MissingCollection: ")
    assert "Hint: Push the index: selfrag index push." in missing.stderr
    for wrong in (
        ["--kind", "milvus"],
        ["--kind", "dense", *where],
        ["--kind", "dense", "--retriever", str(described)],
    ):
        assert run(*ask, *wrong).exit_code == 2
    assert run("index", "push", folder, "--milvus", "nowhere").exit_code == 3
