"""`selfrag ask --store`: a real model and a real file, whole, damaged, locked, of other makers."""

from __future__ import annotations

import functools
import json
import sqlite3
from pathlib import Path
from typing import Any

import pytest
from scripted_rag import ListRetriever, passages
from typer.testing import CliRunner

import retrievers
from selfrag import rag
from selfrag.cli.application import application
from selfrag.expansions import ExpansionStore


def ask(store: Path, *arguments: str) -> Any:
    command = ["ask", "Write a short greeting.", "--json", "--mode", "never", "--max-segments", "1"]
    return CliRunner().invoke(application, [*command, "--store", str(store), *arguments])


def answer(store: Path) -> dict[str, Any]:
    result = ask(store)
    assert result.exit_code == 0, result.stderr
    value: dict[str, Any] = json.loads(result.stdout)
    return value


@pytest.fixture(autouse=True)
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nobody waits half a minute for a lock, and no index is loaded."""
    monkeypatch.setattr(retrievers, "open_retriever", lambda *_: ListRetriever(passages("A cat.")))
    monkeypatch.setattr(rag, "ExpansionStore", functools.partial(ExpansionStore, wait=0.05))


def test_a_store_is_paid_once_and_survives_what_happens_to_it(tmp_path: Path) -> None:
    store = tmp_path / "store"
    first, second = answer(store), answer(store)
    assert first["usage"]["model_calls"] == 1 and first["usage"]["cached"] == 0
    assert second["usage"]["model_calls"] == 0 and second["usage"]["cached"] == 1
    assert second["text"] == first["text"] != "" and second["score"] == first["score"]
    assert first["warnings"] == second["warnings"]
    with sqlite3.connect(store) as file:
        file.execute("UPDATE meta SET value = '99' WHERE name = 'schema_version'")
    file.close()
    for number, damaged in enumerate((False, True)):  # first of another version, then damaged
        data = store.read_bytes()
        store.write_bytes(data[:100] + b"\0" * 9000 if damaged else data)
        before = store.read_bytes()
        anew = answer(store)
        assert (anew["text"], anew["score"]) == (first["text"], first["score"])
        assert anew["usage"]["model_calls"] == 1
        (told,) = set(anew["warnings"]) - set(first["warnings"])
        assert "begun anew" in told and f"store.set-aside-{number + 1}" in told
        assert (tmp_path / f"store.set-aside-{number + 1}").read_bytes() == before
        assert answer(store)["usage"]["model_calls"] == 0


def test_a_store_that_another_process_writes(tmp_path: Path) -> None:
    store = tmp_path / "store"
    ExpansionStore(store, "cache").close()
    holder = sqlite3.connect(store, isolation_level=None)
    holder.execute("BEGIN IMMEDIATE")
    with pytest.warns(UserWarning, match="locked by another process"):
        found = answer(store)
    assert any("locked by another process" in told for told in found["warnings"])
    holder.execute("ROLLBACK")
    holder.close()
    again = answer(store)  # nothing could be kept, nothing is lost
    assert again["text"] == found["text"] and again["usage"]["model_calls"] == 1


def test_files_that_cannot_be_a_store(tmp_path: Path) -> None:
    held, garbage = tmp_path / "held", tmp_path / "garbage"
    ExpansionStore(held, "cache").close()
    holder = sqlite3.connect(held, isolation_level=None)
    holder.execute("PRAGMA locking_mode = EXCLUSIVE")
    holder.execute("PRAGMA journal_mode = DELETE")
    holder.execute("BEGIN EXCLUSIVE")
    garbage.write_bytes(b"my only copy of something " * 100)
    for path, name, told in (
        (held, "StoreLocked", "End that process, or give another file."),
        (garbage, "CorruptRecording", "Check the disk and the file, or give another."),
    ):
        result = ask(path)
        assert result.exit_code == 2 and result.stdout == ""
        assert result.stderr.startswith(f"{name}: {path} ") and told in result.stderr
    holder.close()
    assert garbage.read_bytes() == b"my only copy of something " * 100
