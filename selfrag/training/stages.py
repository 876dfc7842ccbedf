"""A stage: rows in, rows out, resumable at any moment, with a manifest of what happened.

A stage's folder holds

- `rows.jsonl`: what was made, in the order of the input;
- `dropped.jsonl`: id, place and reason of every input row that gave nothing;
- `journal.json`: while it runs, how many input rows are done and how long both files were then;
- `manifest.json`: when it is complete: name, configuration, fingerprint of the input, counts.

After a kill or a full disk the same call cuts both files to the journal's lengths and goes on. A
folder that was begun with other input or another configuration is refused. This module knows
nothing of what rows mean.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from itertools import islice
from pathlib import Path
from typing import Any

from selfrag.training.errors import StageChanged, StageFailed

SCHEMA = 1
Row = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Drop:
    """An input row that gives no output, and why. reason: a few words, the same for equal causes;
    detail: what is particular to this row."""

    reason: str
    detail: str = ""


@dataclass(frozen=True, slots=True)
class InputLine:
    """One line of the input. row: None where it does not parse; `problem` says why."""

    number: int
    row: Row | None
    problem: str = ""

    @property
    def id(self) -> str:
        """The row's id, or its line's number."""
        return str((self.row or {}).get("id", self.number))


Process = Callable[[Sequence[InputLine]], Sequence[Sequence[Row] | Drop]]
"""Makes output rows, or a drop, of each line of a batch. It must not keep state between batches."""


@dataclass(frozen=True, slots=True)
class StageManifest:
    """What a complete stage did.

    Attributes:
        name: of the stage. configuration: everything that decides its output.
        input: SHA-256 of the input files, in order.
        read, written: rows in and out. dropped: reason -> count.
        balance: counts that the stage reports, for example labels by group.
    """

    name: str
    configuration: Mapping[str, Any]
    input: str
    read: int
    written: int
    dropped: Mapping[str, int] = field(default_factory=dict)
    balance: Mapping[str, Any] = field(default_factory=dict)
    schema: int = SCHEMA


def read_lines(paths: Iterable[Path]) -> Iterator[InputLine]:
    """The lines of JSON Lines files, empty ones skipped; numbers run through all files.

    Raises:
        StageFailed: a file cannot be read.
    """
    number = 0
    for path in paths:
        try:
            with path.open("rb") as handle:
                for raw in handle:
                    number += 1
                    if raw.strip():
                        yield _line(number, raw)
        except OSError as error:
            raise StageFailed(
                f"Cannot read {path}: {error.strerror or error}.", "Check the path."
            ) from error


def read_rows(folder: Path) -> Iterator[Row]:
    """The rows that a complete stage wrote. StageFailed when it is not complete."""
    if not (folder / "manifest.json").exists():
        raise StageFailed(f"{folder} holds no complete stage.", "Run that stage to its end first.")
    for line in read_lines([folder / "rows.jsonl"]):
        if line.row is None:
            raise StageFailed(
                f"{folder}/rows.jsonl, line {line.number}: {line.problem}.",
                "The file is damaged; delete the folder and run the stage again.",
            )
        yield line.row


def read_manifest(folder: Path) -> StageManifest | None:
    """The manifest of a complete stage; None where the stage is not complete."""
    path = folder / "manifest.json"
    if not path.exists():
        return None
    values = json.loads(path.read_text(encoding="utf-8"))
    if values.get("schema") != SCHEMA:
        raise StageChanged(
            f"{path} has schema {values.get('schema')!r}.", "Delete the folder and run it again."
        )
    return StageManifest(**values)


def run_stage(
    name: str,
    folder: Path,
    inputs: Sequence[Path],
    process: Process,
    configuration: Mapping[str, Any],
    *,
    balance: Callable[[Iterable[Row]], Mapping[str, Any]] | None = None,
    batch: int = 64,
    advance: Callable[[int], None] = lambda done: None,
) -> StageManifest:
    """Run a stage to its end, from where it stopped.

    Args:
        name: of the stage, in manifest and messages.
        folder: made where it is absent.
        inputs: JSON Lines files, read in order as one.
        process: makes rows of lines; lines that do not parse never reach it.
        configuration: JSON values that decide the output; kept in the manifest.
        balance: counts over all output rows, kept in the manifest.
        batch: lines given to `process` at once.
        advance: told how many further input lines are done.

    Returns:
        The manifest; a stage that is complete already is not run again.

    Raises:
        StageChanged: the folder was begun with other input or another configuration.
        StageFailed: the disk is full, or a file cannot be read; what is done is kept.
    """
    folder.mkdir(parents=True, exist_ok=True)
    configuration = json.loads(json.dumps(configuration))
    identity = {"name": name, "configuration": configuration, "input": fingerprint(inputs)}
    done = read_manifest(folder)
    if done is not None:
        _same(identity, {key: getattr(done, key) for key in identity}, folder)
        return done
    journal = _open_journal(folder, identity)
    advance(journal.read)
    lines = islice(read_lines(inputs), journal.read, None)
    kept = journal.read
    try:
        with (
            (folder / "rows.jsonl").open("ab") as rows,
            (folder / "dropped.jsonl").open("ab") as drops,
        ):
            while group := list(islice(lines, batch)):
                for line, made in zip(group, _made(group, process), strict=True):
                    if isinstance(made, Drop):
                        journal.count(made)
                        drops.write(_drop_line(line, made))
                        continue
                    journal.written += len(made)
                    for row in made:
                        rows.write(_json_line(row))
                journal.read += len(group)
                journal.save(folder, identity, rows, drops)
                kept = journal.read
                advance(len(group))
    except OSError as error:
        raise StageFailed(
            f"Stage {name} stopped after {kept} rows: {error.strerror or error}.",
            "Make room or mend the path, and run the same command again: it goes on from there.",
        ) from error
    counts = {} if balance is None else balance(_written(folder))
    manifest = StageManifest(
        name=name,
        configuration=configuration,
        input=str(identity["input"]),
        read=journal.read,
        written=journal.written,
        dropped=dict(sorted(journal.dropped.items())),
        balance=json.loads(json.dumps(counts)),
    )
    write_atomically(folder / "manifest.json", json.dumps(asdict(manifest), indent=2) + "\n")
    (folder / "journal.json").unlink(missing_ok=True)
    return manifest


def fingerprint(paths: Iterable[Path]) -> str:
    """SHA-256 of the contents of the files, in order. StageFailed where one cannot be read."""
    digest = hashlib.sha256()
    for path in paths:
        try:
            with path.open("rb") as handle:
                digest.update(hashlib.file_digest(handle, "sha256").digest())
        except OSError as error:
            raise StageFailed(
                f"Cannot read {path}: {error.strerror or error}.", "Check the path."
            ) from error
    return digest.hexdigest()


def write_atomically(path: Path, text: str) -> None:
    """Write a small file such that it is there whole or not at all."""
    part = path.with_name(path.name + ".part")
    with part.open("w", encoding="utf-8") as handle:
        handle.write(text)
        handle.flush()
        os.fsync(handle.fileno())
    part.replace(path)


@dataclass(slots=True)
class _Journal:
    read: int = 0
    written: int = 0
    dropped: dict[str, int] = field(default_factory=dict)

    def count(self, drop: Drop) -> None:
        """One more row dropped for this reason."""
        self.dropped[drop.reason] = self.dropped.get(drop.reason, 0) + 1

    def save(self, folder: Path, identity: Row, rows: Any, drops: Any) -> None:
        """Flush both files, then say how long they are."""
        lengths = {}
        for key, handle in (("rows", rows), ("drops", drops)):
            handle.flush()
            os.fsync(handle.fileno())
            lengths[key] = handle.tell()
        values = {**identity, **asdict(self), "lengths": lengths}
        write_atomically(folder / "journal.json", json.dumps(values))


def _open_journal(folder: Path, identity: Row) -> _Journal:
    """The journal of an interrupted run, its files cut to the lengths it names; else a new one."""
    path = folder / "journal.json"
    lengths = {"rows": 0, "drops": 0}
    journal = _Journal()
    if path.exists():
        values = json.loads(path.read_text(encoding="utf-8"))
        _same(identity, values, folder)
        journal = _Journal(values["read"], values["written"], values["dropped"])
        lengths = values["lengths"]
    for key, name in (("rows", "rows.jsonl"), ("drops", "dropped.jsonl")):
        file = folder / name
        file.touch()
        os.truncate(file, lengths[key])
    return journal


def _same(identity: Row, other: Row, folder: Path) -> None:
    changed = [key for key, value in identity.items() if other.get(key) != value]
    if changed:
        raise StageChanged(
            f"{folder} was begun with another {' and '.join(changed)}.",
            "Choose another folder, or delete this one to begin again.",
        )


def _made(group: Sequence[InputLine], process: Process) -> list[Sequence[Row] | Drop]:
    """The results of a batch in order; lines that do not parse are drops."""
    good = [line for line in group if line.row is not None]
    results = iter(process(good) if good else [])
    return [Drop("not JSON", line.problem) if line.row is None else next(results) for line in group]


def _written(folder: Path) -> Iterator[Row]:
    for line in read_lines([folder / "rows.jsonl"]):
        assert line.row is not None
        yield line.row


def _line(number: int, raw: bytes) -> InputLine:
    try:
        row = json.loads(raw)
    except (ValueError, RecursionError) as error:
        return InputLine(number, None, f"not JSON ({error})")
    if not isinstance(row, dict):
        return InputLine(number, None, f"expected a JSON object, got {type(row).__name__}")
    return InputLine(number, row)


def _json_line(row: Row) -> bytes:
    return json.dumps(row, ensure_ascii=False).encode("utf-8", "surrogatepass") + b"\n"


def _drop_line(line: InputLine, drop: Drop) -> bytes:
    return _json_line(
        {"id": line.id, "line": line.number, "reason": drop.reason, "detail": drop.detail}
    )


__all__ = [
    "Drop",
    "InputLine",
    "Process",
    "StageManifest",
    "read_lines",
    "read_manifest",
    "read_rows",
    "run_stage",
]
