"""`selfrag index build | info | verify`, `selfrag search` and `selfrag doctor`."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from types import ModuleType
from typing import Any

import fake_selfrag
import numpy as np
import pytest
from storage_helpers import HashEncoder
from typer.testing import CliRunner

from indexes.cluster import RayCluster
from indexes.errors import ResumedBuild
from indexes.passage import Passage
from indexes.readers import CorpusReader
from retrievers.hit import Hit
from selfrag.cli import doctor as doctor_command
from selfrag.cli import loading
from selfrag.cli.application import application
from selfrag.errors import SelfRAGError


def run(*arguments: str) -> Any:
    return CliRunner().invoke(application, list(arguments))


@pytest.fixture
def corpus(tmp_path: Path) -> Path:
    file = tmp_path / "corpus.jsonl"
    rows = [
        {"id": "a", "title": "Ouagadougou", "text": "Ouagadougou is the capital of Burkina Faso."},
        {"id": "b", "title": "Volga", "text": "The Volga is the longest river in Europe."},
    ]
    file.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    return file


@pytest.fixture
def built(corpus: Path, tmp_path: Path) -> Path:
    folder = tmp_path / "index"
    result = run("index", "build", str(corpus), str(folder), "--encoder", "none")
    assert result.exit_code == 0, result.stderr
    return folder


def test_build_info_and_search(built: Path) -> None:
    info = json.loads(run("index", "info", str(built), "--json").stdout)
    assert info["corpus"]["passages"] == 2
    assert "corpus passages: 2\n" in run("index", "info", str(built)).stdout
    found = run("search", "longest river", "--index", str(built), "--kind", "bm25", "--json")
    value = json.loads(found.stdout)
    assert value["query"] == "longest river"
    assert value["hits"][0]["passage"]["id"] == "b"
    shown = run("search", "longest river", "--index", str(built), "--kind", "bm25", "-k", "1")
    assert shown.stdout.startswith("1. Volga  (")
    assert "Ouagadougou" not in shown.stdout


def test_a_long_passage_is_whole_and_on_one_line_where_nobody_looks(tmp_path: Path) -> None:
    text = "The Volga " + "flows on and " * 40 + "ends in the Caspian Sea."
    corpus = tmp_path / "long.jsonl"
    corpus.write_text(json.dumps({"id": "a", "title": "Volga", "text": text}), encoding="utf-8")
    folder = tmp_path / "long-index"
    assert run("index", "build", str(corpus), str(folder), "--encoder", "none").exit_code == 0
    shown = run("search", "Volga", "--index", str(folder), "--kind", "bm25").stdout
    assert shown.splitlines()[1] == f"   {text}"


def test_a_search_that_finds_nothing_says_so(built: Path) -> None:
    result = run("search", " ", "--index", str(built), "--kind", "bm25")
    assert (result.exit_code, result.stdout) == (0, "No passage was found.\n")


def test_an_index_is_replaced_only_when_told(corpus: Path, built: Path) -> None:
    arguments = ["index", "build", str(corpus), str(built), "--encoder", "none"]
    refused = run(*arguments)
    assert refused.exit_code == 3
    assert refused.stderr.startswith("IndexExists: ")
    assert run(*arguments, "--overwrite", "--json").exit_code == 0


def test_a_corpus_that_cannot_be_read_is_bad_input(tmp_path: Path) -> None:
    file = tmp_path / "corpus.jsonl"
    file.write_text("{\n")
    result = run("index", "build", str(file), str(tmp_path / "out"), "--encoder", "none")
    assert result.exit_code == 2
    assert "line 1" in result.stderr


def test_verify_finds_damage(built: Path) -> None:
    sound = run("index", "verify", str(built), "--json")
    assert sound.exit_code == 0
    assert json.loads(sound.stdout)["ok"] is True
    largest = max(built.rglob("*.arrow"), key=lambda file: file.stat().st_size)
    data = bytearray(largest.read_bytes())
    data[len(data) // 2] ^= 0xFF
    largest.write_bytes(data)
    damaged = run("index", "verify", str(built))
    assert damaged.exit_code == 3
    assert "1 problems" in damaged.stdout
    assert json.loads(run("index", "verify", str(built), "--json").stdout)["ok"] is False


def test_passages_are_added_deleted_and_compacted(built: Path, tmp_path: Path) -> None:
    more = tmp_path / "more.jsonl"
    more.write_text('{"id": "c", "text": "The Loire is a river in France."}\n', encoding="utf-8")
    added = run("index", "add", str(built), str(more), "--json")
    assert json.loads(added.stdout)["corpus"]["passages"] == 3
    ids = tmp_path / "ids.txt"
    ids.write_text("b\n", encoding="utf-8")
    deleted = run("index", "delete", str(built), "a", "--ids-file", str(ids), "--json")
    assert json.loads(deleted.stdout)["deleted"] == 2
    found = run("search", "river", "--index", str(built), "--kind", "bm25", "--json")
    assert [hit["passage"]["id"] for hit in json.loads(found.stdout)["hits"]] == ["c"]
    compact = json.loads(run("index", "compact", str(built), "--json").stdout)
    assert (compact["corpus"]["passages"], compact["deleted"]) == (1, 0)
    assert run("index", "delete", str(built)).exit_code == 2
    unknown = run("index", "delete", str(built), "nobody")
    assert unknown.exit_code == 3 and unknown.stderr.startswith("UnknownIds: ")


def test_a_graph_is_added(built: Path) -> None:
    assert run("search", "Volga", "--index", str(built), "--kind", "graph").exit_code == 3
    added = run("index", "graph", str(built), "--json")
    assert added.exit_code == 0, added.stderr
    assert len(list(built.glob("*/graph/*.npy"))) == 13
    assert run("index", "verify", str(built)).exit_code == 0


def test_compacting_makes_an_outdated_graph_again(built: Path) -> None:
    run("index", "graph", str(built))
    run("index", "delete", str(built), "a")
    assert run("search", "river", "--index", str(built), "--kind", "graph").exit_code == 3
    assert run("index", "compact", str(built)).exit_code == 0
    assert len(list(built.glob("*/graph/*.npy"))) == 13
    assert run("index", "verify", str(built)).exit_code == 0


def test_added_passages_are_read_as_asked(built: Path, tmp_path: Path) -> None:
    text = tmp_path / "notes.txt"
    text.write_text("One two three four. Five six seven eight. Nine ten.", encoding="utf-8")
    options = ["--format", "text", "--chunk-words", "4"]
    added = run("index", "add", str(built), str(text), *options, "--json")
    assert added.exit_code == 0, added.stderr
    assert json.loads(added.stdout)["corpus"]["passages"] == 5
    rows = tmp_path / "rows.jsonl"
    rows.write_text('{"id": "z", "text": "New."}\n{\n', encoding="utf-8")
    assert run("index", "add", str(built), str(rows)).exit_code == 2
    added = run("index", "add", str(built), str(rows), "--on-error", "skip", "--json")
    values = json.loads(added.stdout)
    assert values["corpus"]["passages"] == 6 and values["skipped"]["bad"] == 1
    assert "line 2" in added.stderr


def test_an_interrupted_build_goes_on_only_with_the_same_reading_options(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    text = tmp_path / "notes.txt"
    text.write_text("One two three four. Five six seven eight. Nine ten.", encoding="utf-8")
    out = tmp_path / "out"
    command = ["index", "build", str(text), str(out), "--encoder", "none", "--format", "text"]

    def interrupted(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr("indexes.building.pipeline.build_words", interrupted)
        assert run(*command, "--chunk-words", "4").exit_code == 130
    assert not (out / "manifest.json").exists()
    other = run(*command, "--chunk-words", "8")
    assert other.exit_code != 0 and "--restart" in other.stderr
    with pytest.warns(ResumedBuild, match="going on after"):
        done = run(*command, "--chunk-words", "4", "--json")
    assert done.exit_code == 0, done.stderr
    assert json.loads(done.stdout)["corpus"]["passages"] == 3
    assert run("index", "verify", str(out)).exit_code == 0


def test_vectors_are_imported(
    corpus: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("retrievers.encoders.Encoder", lambda name: HashEncoder(dimension=2))
    file = tmp_path / "vectors.npz"
    np.savez(file, ids=np.array(["b", "a"]), vectors=np.eye(2, dtype=np.float32))
    out = tmp_path / "imported"
    done = run("index", "import", str(corpus), str(file), "--out", str(out), "--json")
    assert done.exit_code == 0, done.stderr
    assert json.loads(done.stdout)["encoder"]["dimension"] == 2
    assert run("index", "verify", str(out)).exit_code == 0


@pytest.mark.parametrize("command", [["index", "info"], ["index", "verify"]])
def test_a_folder_that_is_no_index(command: list[str], tmp_path: Path) -> None:
    result = run(*command, str(tmp_path))
    assert result.exit_code == 3
    assert result.stderr.startswith("NotAnIndex: ")


def test_options_of_a_build_reach_the_library(
    monkeypatch: pytest.MonkeyPatch, corpus: Path
) -> None:
    calls: list[dict[str, Any]] = []

    class Index:
        @staticmethod
        def open(path: Path) -> Index:
            return Index()

        def info(self) -> dict[str, Any]:
            return {}

    def build_index(source: CorpusReader, out: Path, **keywords: Any) -> None:
        calls.append({"source": source.path, "out": out, **keywords})

    monkeypatch.setattr("indexes.build.build_index", build_index)
    monkeypatch.setattr("indexes.index.Index", Index)
    monkeypatch.setattr("retrievers.encoders.Encoder", lambda name: f"encoder {name}")
    name = str(corpus)
    run("index", "build", name, "o", "--encoder", "e", "--factory", "IVF4,Flat", "--overwrite")
    run("index", "build", name, "o", "--memory", "1.5GB", "--restart", "--on-error", "skip")
    workers = ["--ray", "auto", "--ray-workers", "3", "--ray-gpus-per-worker", "0.5"]
    run("index", "build", name, "o", "--encoder", "e", *workers)
    lonely = run("index", "build", name, "o", *workers[2:])
    assert lonely.exit_code == 2 and "--ray local" in lonely.stderr
    reading = {"format": "auto", "chunk_words": None, "chunk_overlap": None, "on_error": "stop"}
    common = {"source": corpus, "out": Path("o"), "corpus_path": corpus, "reading": reading}
    embedded = {
        **common,
        "encoder": f"encoder {loading.encoder_folder(None)}",
        "factory": "auto",
        "reading": {**reading, "on_error": "skip"},
    }
    chosen = {**common, "encoder": "encoder e", "factory": "IVF4,Flat"}
    far = {**common, "encoder": "encoder e", "factory": "auto", "ray": RayCluster("auto", 3, 0.5)}
    assert calls == [
        {**chosen, "memory": None, "overwrite": True, "restart": False, "ray": None},
        {**embedded, "memory": 1_500_000_000, "overwrite": False, "restart": True, "ray": None},
        {**far, "memory": None, "overwrite": False, "restart": False},
    ]


def test_bad_rows_stop_a_build_or_are_skipped(corpus: Path, tmp_path: Path) -> None:
    with corpus.open("a", encoding="utf-8") as file:
        file.write('{"id": "a", "text": "again"}\n{"id": "c", "text": " "}\nno json\n')
    arguments = ["index", "build", str(corpus), str(tmp_path / "out"), "--encoder", "none"]
    stopped = run(*arguments)
    assert stopped.exit_code == 2
    assert "line 3: the id 'a' was already given in line 1" in stopped.stderr
    result = run(*arguments, "--on-error", "skip", "--json")
    assert result.exit_code == 0, result.stderr
    report = json.loads(result.stdout)
    assert report["corpus"]["passages"] == 2
    assert (report["skipped"]["bad"], report["skipped"]["empty"]) == (2, 1)
    assert [message.split(": ")[0] for message in report["skipped"]["first_bad"]] == [
        f"{corpus}, line 3",
        f"{corpus}, line 5",
    ]
    assert "2 bad rows were skipped:" in result.stderr
    assert "1 passages with empty text were skipped, the first in line 4." in result.stderr
    assert run(*arguments, "--on-error", "ignore").exit_code == 2


def test_documents_are_cut_as_told(tmp_path: Path) -> None:
    folder = tmp_path / "notes"
    folder.mkdir()
    (folder / "a.txt").write_text("One two. Three four. Five six.", encoding="utf-8")
    arguments = ["index", "build", str(folder), str(tmp_path / "out"), "--encoder", "none"]
    chunks = ["--chunk-words", "4", "--chunk-overlap", "1", "--format", "text"]
    result = run(*arguments, *chunks, "--json")
    assert json.loads(result.stdout)["corpus"]["passages"] == 2
    assert run(*arguments, "--chunk-words", "0").exit_code == 2


@pytest.fixture
def sound(monkeypatch: pytest.MonkeyPatch) -> type[fake_selfrag.FakeSelfRAG]:
    """An installation where every part loads, without the real ones."""

    class Index:
        @classmethod
        def open(cls, path: Path) -> Index:
            return cls()

        def info(self) -> dict[str, Any]:
            return {"passages": 3}

    class Encoder:
        name, dimension, similarity = "small", 8, "cosine"

    class Retriever:
        def search(self, query: str, k: int) -> list[Hit]:
            return [Hit(Passage("p", "France", "Paris is the capital of France."), 1.0, 1)]

    monkeypatch.setattr("indexes.index.Index", Index)
    opening = ModuleType("retrievers.opening")
    opening.load_encoder = lambda index: Encoder()  # type: ignore[attr-defined]
    opening.open_retriever = lambda path, kind="hybrid": Retriever()  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "retrievers.opening", opening)
    monkeypatch.setattr(doctor_command, "PACKAGES", {"rich": "rich"})
    return fake_selfrag.install(monkeypatch)


def test_doctor_is_content(sound: type[fake_selfrag.FakeSelfRAG]) -> None:
    result = run("doctor", "--json")
    assert result.exit_code == 0, result.stdout
    value = json.loads(result.stdout)
    assert value["ok"] is True
    names = [check["name"] for check in value["checks"]]
    assert names == [
        *("selfrag", "package rich", "device", "index"),
        *("encoder", "retrieval", "model", "answer"),
    ]
    assert "ok      answer: What is the capital of France?" in run("doctor").stdout
    assert sound.closed


def test_doctor_names_what_fails_and_goes_on(sound: type[fake_selfrag.FakeSelfRAG]) -> None:
    sound.failure = SelfRAGError("no checkpoint in m", "Give a folder.")
    result = run("doctor", "--model", "m")
    assert result.exit_code == 1
    assert "FAILED  model: SelfRAGError: no checkpoint in m\n        hint: Give a folder." in (
        result.stdout
    )
    assert "FAILED  answer" in result.stdout
    assert "ok      retrieval: first passage: France" in result.stdout
    assert sound.made["model"] == "m"


def test_doctor_names_packages_that_are_missing(
    sound: type[fake_selfrag.FakeSelfRAG], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(doctor_command, "PACKAGES", {"nothing": "no_such_package_anywhere"})
    result = run("doctor", "--json")
    assert result.exit_code == 1
    (check,) = [c for c in json.loads(result.stdout)["checks"] if c["name"] == "package nothing"]
    assert not check["ok"]
    assert check["hint"]
