"""Stages: resumption after a stop at any place, refusal of changes, drops, a full disk."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from selfrag.training import stages
from selfrag.training.errors import StageChanged, StageFailed
from selfrag.training.stages import Drop, InputLine, read_manifest, read_rows, run_stage


class Stopped(Exception):
    """A kill."""


def write(path: Path, count: int) -> Path:
    lines = [json.dumps({"id": f"r{number}", "n": number}) for number in range(count)]
    if count > 3:
        lines[2] = '{"id": "r2", broken'
        lines[3] = "[1]"
    path.write_text("\n".join(lines) + "\n\n", encoding="utf-8")
    return path


def doubled(lines: Sequence[InputLine]) -> list[Sequence[dict[str, Any]] | Drop]:
    """Two rows of each even number; odd ones are dropped."""
    made: list[Sequence[dict[str, Any]] | Drop] = []
    for line in lines:
        assert line.row is not None
        n = line.row["n"]
        made.append(Drop("odd", str(n)) if n % 2 else [{"n": n}, {"n": n + 0.5}])
    return made


def contents(folder: Path) -> tuple[bytes, bytes]:
    return (folder / "rows.jsonl").read_bytes(), (folder / "dropped.jsonl").read_bytes()


def test_rows_drops_and_manifest(tmp_path: Path) -> None:
    source = write(tmp_path / "in.jsonl", 7)
    told: list[int] = []
    manifest = run_stage(
        "double",
        tmp_path / "out",
        [source],
        doubled,
        {"k": 1},
        balance=lambda rows: {"whole": sum(row["n"] % 1 == 0 for row in rows)},
        advance=told.append,
    )
    assert (manifest.read, manifest.written) == (7, 6)
    assert manifest.dropped == {"not JSON": 2, "odd": 2} and manifest.balance == {"whole": 3}
    assert [row["n"] for row in read_rows(tmp_path / "out")] == [0, 0.5, 4, 4.5, 6, 6.5]
    drops = [json.loads(line) for line in contents(tmp_path / "out")[1].splitlines()]
    assert [(drop["id"], drop["line"], drop["reason"]) for drop in drops] == [
        ("r1", 2, "odd"),
        ("3", 3, "not JSON"),
        ("4", 4, "not JSON"),
        ("r5", 6, "odd"),
    ]
    assert sum(told) == 7 and read_manifest(tmp_path / "out") == manifest
    assert not (tmp_path / "out/journal.json").exists()
    assert run_stage("double", tmp_path / "out", [source], Stopped, {"k": 1}) == manifest


@settings(max_examples=25, deadline=None)
@given(stops=st.lists(st.integers(0, 11), max_size=4), batch=st.integers(1, 5))
def test_a_stopped_stage_ends_as_if_it_had_not(
    tmp_path_factory: pytest.TempPathFactory, stops: list[int], batch: int
) -> None:
    folder = tmp_path_factory.mktemp("stage")
    source = write(folder / "in.jsonl", 12)
    whole = run_stage("double", folder / "whole", [source], doubled, {}, batch=3)
    for stop in stops:

        def fails(lines: Sequence[InputLine], at: int = stop) -> Any:
            if any((line.row or {}).get("n") == at for line in lines):
                raise Stopped
            return doubled(lines)

        try:
            run_stage("double", folder / "parts", [source], fails, {}, batch=batch)
        except Stopped:
            assert read_manifest(folder / "parts") is None
            with (folder / "parts/rows.jsonl").open("ab") as rows:
                rows.write(b'{"half": ')  # what a kill leaves behind
    resumed = run_stage("double", folder / "parts", [source], doubled, {}, batch=batch)
    assert resumed == whole and contents(folder / "parts") == contents(folder / "whole")


def test_other_input_or_configuration_is_refused(tmp_path: Path) -> None:
    source = write(tmp_path / "in.jsonl", 6)
    run_stage("double", tmp_path / "out", [source], doubled, {"k": 1})
    with pytest.raises(StageChanged, match="configuration"):
        run_stage("double", tmp_path / "out", [source], doubled, {"k": 2})
    with pytest.raises(StageChanged, match="name"):
        run_stage("halve", tmp_path / "out", [source], doubled, {"k": 1})
    write(source, 8)
    with pytest.raises(StageChanged, match="input"):
        run_stage("double", tmp_path / "out", [source], doubled, {"k": 1})


def test_a_full_disk_loses_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    source = write(tmp_path / "in.jsonl", 9)
    calls = 0
    real = stages.os.fsync

    def full(handle: int) -> None:
        nonlocal calls
        calls += 1
        if calls == 5:  # the second batch's rows
            raise OSError(28, "No space left on device")
        real(handle)

    monkeypatch.setattr(stages.os, "fsync", full)
    with pytest.raises(StageFailed, match="after 3 rows: No space left") as caught:
        run_stage("double", tmp_path / "out", [source], doubled, {}, batch=3)
    assert "goes on from there" in caught.value.hint
    monkeypatch.undo()
    run_stage("double", tmp_path / "out", [source], doubled, {}, batch=3)
    run_stage("double", tmp_path / "whole", [source], doubled, {}, batch=3)
    assert contents(tmp_path / "out") == contents(tmp_path / "whole")


def test_unfinished_and_damaged_stages_are_not_read(tmp_path: Path) -> None:
    with pytest.raises(StageFailed, match="no complete stage"):
        list(read_rows(tmp_path))
    with pytest.raises(StageFailed, match="Cannot read"):
        run_stage("double", tmp_path / "out", [tmp_path / "absent"], doubled, {})
    run_stage("double", tmp_path / "out", [write(tmp_path / "in", 3)], doubled, {})
    with (tmp_path / "out/rows.jsonl").open("a") as rows:
        rows.write("{")
    with pytest.raises(StageFailed, match="line 5"):
        list(read_rows(tmp_path / "out"))
