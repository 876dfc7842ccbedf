"""The store's file: shared by processes, bounded, and never trusted further than its checksums."""

from __future__ import annotations

import math
import sqlite3
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from scripted_rag import ListRetriever, passages, scripted
from test_expansions import REQUEST, draft, hit

import selfrag
from decoding.generation import Draft, Generation
from selfrag.answer import Answer
from selfrag.errors import (
    CorruptRecording,
    RecordingIncomplete,
    StoreDamaged,
    StoreLocked,
    StoreOutdated,
    StoreWarning,
)
from selfrag.expansions import ExpansionStore

ROOT = Path(selfrag.__file__).parent.parent


def prompt(number: int) -> Generation:
    return replace(REQUEST, prompt_ids=(number,), max_tokens=99)


def filled(path: Path, mode: Any, rows: int, length: int = 30, **options: Any) -> None:
    store = ExpansionStore(path, mode, **options)
    for number in range(rows):
        store.add_draft("model", prompt(number), draft(length, "stop"))
    store.close()


def execute(path: Path, statement: str, *values: Any) -> None:
    connection = sqlite3.connect(path)
    connection.execute(statement, values)
    connection.commit()
    connection.close()


WRITER = """
import sys
from decoding.generation import Draft, Generation
from selfrag.expansions import ExpansionStore

path, me, rows = sys.argv[1], int(sys.argv[2]), int(sys.argv[3])
store = ExpansionStore(path, "cache")
for number in range(rows):
    shared = Generation((number,), max_tokens=99)
    length = 1 + (number + me) % 4  # each writes the longest draft of some
    store.add_draft("model", shared, Draft((me,) * length, (-0.5,) * length, {}, None, "cut"))
    own = Generation((1000 * (me + 1) + number,), max_tokens=99)
    store.add_draft("model", own, Draft((me,), (-0.5,), {0: (-1.0,)}, 7, "stop"))
    if number % 3 == 0:
        store.commit()
store.close()
"""


def test_processes_that_write_at_the_same_time(tmp_path: Path) -> None:
    """Nothing is lost: every process's rows are there, and of shared ones the longest."""
    path, rows = tmp_path / "store", 24
    writers = [
        subprocess.Popen(
            [sys.executable, "-c", WRITER, str(path), str(number), str(rows)],
            cwd=ROOT,
            stderr=subprocess.PIPE,
            text=True,
        )
        for number in range(4)
    ]
    for writer in writers:
        _, problem = writer.communicate(timeout=300)
        assert writer.returncode == 0, problem
    store = ExpansionStore(path, "cache")
    assert store.counts()["expansions"] == 5 * rows
    for number in range(rows):
        shared = store.beginning("model", Generation((number,), max_tokens=99))
        assert shared is not None and len(shared.token_ids) == 4
        for me in range(4):
            own = store.draft("model", Generation((1000 * (me + 1) + number,), max_tokens=99))
            assert own == Draft((me,), (-0.5,), {0: (-1.0,)}, 7, "stop")
    store.close()


def test_open_at_the_same_time_in_one_process(tmp_path: Path) -> None:
    """What one has committed the other sees, and neither waits for the other."""
    one = ExpansionStore(tmp_path / "store", "cache", wait=0.2)
    two = ExpansionStore(tmp_path / "store", "cache", wait=0.2)
    one.add_draft("model", REQUEST, draft(3, "cut"))
    two.add_draft("model", REQUEST, draft(5, "stop"))
    assert two.beginning("model", REQUEST) is None and one.draft("model", REQUEST) is None
    two.commit()
    one.commit()
    assert one.draft("model", REQUEST) == two.draft("model", REQUEST) == draft(5, "stop")
    assert one.take_warnings() == two.take_warnings() == ()
    one.close()
    two.close()


def test_the_size_is_bounded_and_the_oldest_go_first(tmp_path: Path) -> None:
    path, limit = tmp_path / "store", 100_000
    store = ExpansionStore(path, "cache", max_bytes=limit)
    for number in range(600):
        store.add_draft("model", prompt(number), draft(30, "stop"))
        if number % 10 == 0:
            store.commit()
            assert store._file.bytes_used() <= limit
            if number:  # the first one is asked for again and again
                assert store.draft("model", prompt(0)) is not None
    there = [number for number in range(600) if store.draft("model", prompt(number)) is not None]
    store.close()
    assert there[0] == 0 and 50 < len(there) < 400
    assert there[1:] == list(range(601 - len(there), 600))
    assert path.stat().st_size < 1.6 * limit
    filled(path, "cache", 1, max_bytes=limit // 10)
    assert path.stat().st_size < 0.5 * limit


def test_recordings_are_never_shortened(tmp_path: Path) -> None:
    path = tmp_path / "store"
    filled(path, "record", 40, max_bytes=1)
    store = ExpansionStore(path, "cache", max_bytes=1)
    store.add_draft("model", prompt(99), draft(3, "stop"))
    store.commit()
    assert store.draft("model", prompt(99)) is None
    assert store.counts()["expansions"] == 40
    store.close()
    replay = ExpansionStore(path, "replay")
    assert all(replay.draft("model", prompt(number)) is not None for number in range(40))
    replay.close()


def test_what_a_recording_takes_from_a_cache_is_part_of_it(tmp_path: Path) -> None:
    path = tmp_path / "store"
    filled(path, "cache", 20)
    record = ExpansionStore(path, "record")
    assert record.draft("model", prompt(7)) is not None
    record.close()
    filled(path, "cache", 1, max_bytes=0)
    replay = ExpansionStore(path, "replay")
    kept = [number for number in range(20) if replay.draft("model", prompt(number)) is not None]
    replay.close()
    assert kept == [7]


DAMAGES = [
    ("payload", b"{"),
    ("payload", b"[]"),
    ("payload", b'{"token_ids": 3}'),
    ("payload", "text"),
    ("payload", b"\xff\xfe"),
    ("checksum", b"0" * 16),
    ("length", 1),
    ("whole", 0),
    ("kind", "retrieval"),
]


@pytest.mark.parametrize("column, value", DAMAGES)
def test_damaged_rows(tmp_path: Path, column: str, value: Any) -> None:
    """Dropped with a warning and computed again, or a named error; never served."""
    path = tmp_path / "store"
    for mode in ("cache", "record", "replay"):
        filled(path, "record", 2, length=3)
        execute(path, f"UPDATE rows SET {column} = ? WHERE rowid = 1", value)
        damaged, sound = prompt(0), prompt(1)
        store = ExpansionStore(path, mode)
        if mode == "replay":
            with pytest.raises(CorruptRecording, match="damaged"):
                store.draft("model", damaged)
            assert store.draft("model", sound) == draft(3, "stop")
            store.close()
            continue
        assert store.draft("model", damaged) is None
        (warning,) = store.take_warnings()
        assert "damaged row" in warning and "computed again" in warning
        assert store.draft("model", sound) == draft(3, "stop")
        store.add_draft("model", damaged, draft(3, "stop"))
        store.close()
        replay = ExpansionStore(path, "replay")
        assert replay.draft("model", damaged) == draft(3, "stop")
        replay.close()
        path.unlink()


def test_a_changed_number_is_found(tmp_path: Path) -> None:
    """The payload is whole JSON of the right shape, with another probability in it."""
    path = tmp_path / "store"
    filled(path, "cache", 1, length=3)
    execute(path, "UPDATE rows SET payload = CAST(replace(payload, '-0.1', '-0.2') AS BLOB)")
    store = ExpansionStore(path, "cache")
    assert store.draft("model", prompt(0)) is None and store.take_warnings()
    store.close()


def test_rows_that_changed_places_are_found(tmp_path: Path) -> None:
    path = tmp_path / "store"
    filled(path, "cache", 2, length=3)
    connection = sqlite3.connect(path)
    (one,), (two,) = connection.execute("SELECT key FROM rows ORDER BY rowid").fetchall()
    for old, new in ((one, b"-"), (two, one), (b"-", two)):
        connection.execute("UPDATE rows SET key = ? WHERE key = ?", (new, old))
    connection.commit()
    connection.close()
    store = ExpansionStore(path, "replay")
    with pytest.raises(CorruptRecording, match="checksum"):
        store.draft("model", prompt(0))
    store.close()


def test_a_damaged_row_is_told_of_in_the_answer(tmp_path: Path) -> None:
    script = {"[No Retrieval]": {"h": 1.0}, "h": {"[Utility:5]": 1.0}}
    answers: list[Answer] = []
    for _ in range(3):
        store = ExpansionStore(tmp_path / "store", "cache")
        rag, backend = scripted(script, ListRetriever(passages("w1")), mode="never", store=store)
        with rag:
            answers.append(rag.ask("Q"))
        calls = len(backend.generations)
        assert calls == answers[-1].usage.model_calls == (0 if len(answers) == 3 else 1)
        if len(answers) == 1:
            execute(tmp_path / "store", "UPDATE rows SET checksum = x'00'")
    assert [answer.text for answer in answers] == ["h", "h", "h"]
    assert [len(answer.warnings) for answer in answers] == [0, 1, 0]
    assert "damaged row" in answers[1].warnings[0]


def broken_files(folder: Path) -> dict[str, Path]:
    """Files that are ours, and no longer whole or of this version."""
    files = {name: folder / name for name in ("truncated", "zeroed", "other", "first")}
    for name in ("truncated", "zeroed"):
        filled(files[name], "record", 300)
        data = files[name].read_bytes()
        damaged = data[:20_000] if name == "truncated" else data[:100] + bytes(len(data) - 100)
        files[name].write_bytes(damaged)
    filled(files["other"], "record", 1)
    execute(files["other"], "UPDATE meta SET value = '99' WHERE name = 'schema_version'")
    execute(files["first"], "CREATE TABLE meta (name TEXT PRIMARY KEY, value TEXT NOT NULL)")
    execute(files["first"], "INSERT INTO meta VALUES ('schema_version', '1')")
    return files


def test_a_broken_recording_is_an_error_and_a_broken_cache_is_begun_anew(tmp_path: Path) -> None:
    for name, path in broken_files(tmp_path).items():
        before = path.read_bytes()
        expected = StoreDamaged if name in ("truncated", "zeroed") else StoreOutdated
        for mode in ("record", "replay"):
            with pytest.raises(expected) as caught:
                store = ExpansionStore(path, mode)
                try:
                    for number in range(300):
                        store.draft("model", prompt(number))
                finally:
                    store._file.close()
            assert caught.value.hint
        assert path.read_bytes() == before
        cache = ExpansionStore(path, "cache")
        found = [cache.draft("model", prompt(number)) for number in range(300)]
        assert None in found and all(one in (None, draft(30, "stop")) for one in found)
        (warning,) = cache.take_warnings()
        assert "begun anew" in warning and f"{name}.set-aside-1" in warning
        cache.add_draft("model", prompt(0), draft(3, "stop"))
        cache.close()
        assert (tmp_path / f"{name}.set-aside-1").read_bytes() == before
        again = ExpansionStore(path, "replay")
        assert again.draft("model", prompt(0)) == draft(3, "stop")
        again.close()


def test_a_file_that_another_process_has_begun_anew_is_left_alone(tmp_path: Path) -> None:
    """Of two processes that find a damaged file the second keeps the first one's new file."""
    path = tmp_path / "store"
    filled(path, "cache", 1)
    one = ExpansionStore(path, "cache")
    two = ExpansionStore(path, "cache")
    assert one._file.set_aside() == tmp_path / "store.set-aside-1"
    filled(path, "cache", 3)
    assert two._file.set_aside() is None
    again = ExpansionStore(path, "cache")
    assert again.counts()["expansions"] == 3
    again.close()


def test_files_of_others_are_never_touched(tmp_path: Path) -> None:
    with pytest.raises(RecordingIncomplete, match="no recording"):
        ExpansionStore(tmp_path / "none", "replay")
    assert not (tmp_path / "none").exists()
    garbage = tmp_path / "garbage"
    garbage.write_bytes(b"this is no database, however long it goes on " * 30)
    foreign = tmp_path / "foreign"
    execute(foreign, "CREATE TABLE bookmarks (address TEXT)")
    for path in (garbage, foreign, tmp_path):
        before = path.read_bytes() if path.is_file() else b""
        for mode in ("cache", "record", "replay"):
            if path == tmp_path and mode == "replay":
                continue
            with pytest.raises(CorruptRecording) as caught:
                ExpansionStore(path, mode)
            assert caught.value.hint
        assert not path.is_file() or path.read_bytes() == before
    (tmp_path / "empty").touch()
    with pytest.raises(CorruptRecording):
        ExpansionStore(tmp_path / "empty", "replay")
    ExpansionStore(tmp_path / "empty", "cache").close()


def test_a_locked_file(tmp_path: Path) -> None:
    """A cache does without it and keeps what it has for later; a recording waits, then fails."""
    path = tmp_path / "store"
    filled(path, "cache", 1)
    cache = ExpansionStore(path, "cache", wait=0.05)
    record = ExpansionStore(path, "record", wait=0.05)
    holder = sqlite3.connect(path, isolation_level=None)
    holder.execute("BEGIN IMMEDIATE")
    for store in (cache, record):
        store.add_draft("model", REQUEST, draft(3, "stop"))
        assert store.draft("model", prompt(0)) == draft(30, "stop")
    cache.commit()
    (warning,) = cache.take_warnings()
    assert "locked" in warning
    with pytest.raises(StoreLocked) as caught:
        record.commit()
    assert caught.value.hint
    holder.execute("ROLLBACK")
    cache.commit()
    record.close()
    assert cache.counts()["expansions"] == 2
    cache.close()
    holder.execute("PRAGMA locking_mode = EXCLUSIVE")
    holder.execute("PRAGMA journal_mode = DELETE")
    holder.execute("BEGIN EXCLUSIVE")
    with pytest.raises(StoreLocked):
        ExpansionStore(path, "cache", wait=0.05)
    holder.close()


def test_what_could_not_be_written_is_told_of_when_it_closes(tmp_path: Path) -> None:
    store = ExpansionStore(tmp_path / "store", "cache", wait=0.01)
    holder = sqlite3.connect(tmp_path / "store", isolation_level=None)
    holder.execute("BEGIN IMMEDIATE")
    store.add_draft("model", REQUEST, draft(3, "stop"))
    with pytest.warns(StoreWarning, match="locked"):
        store.close()
    holder.close()


def test_a_size_that_means_nothing_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="max_bytes"):
        ExpansionStore(tmp_path / "store", "cache", max_bytes=-1)
    assert not (tmp_path / "store").exists()


def test_infinities_and_texts_survive(tmp_path: Path) -> None:
    store = ExpansionStore(tmp_path / "store", "cache")
    odd = Draft((1,), (-math.inf,), {0: (-math.inf, -0.1)}, None, "limit")
    store.add_draft("model", REQUEST, odd)
    store.add_hits("index", "é\ud800", 5, (hit(),))
    store.commit()
    assert store.beginning("model", REQUEST) == odd
    assert store.hits("index", "é\ud800", 5) == (hit(),)
    store.close()
