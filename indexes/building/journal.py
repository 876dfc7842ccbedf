"""The journal of a build: its settings and the parts that are finished, with their checksums.

One line per entry, each with a checksum of its own, appended and flushed to disk after the files
that it names. A line that was torn by a kill, and all after it, counts as not written. The journal
knows neither what the parts are nor how they are made.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from indexes.checksums import FileRecord, canonical_json, record_file, sha256_of_file

_CHECKSUM_CHARACTERS = 16


class Journal:
    """What one build has finished; made by `start` or `read`.

    Attributes:
        settings: what the build was started with.
    """

    def __init__(
        self, file: Path, root: Path, settings: Mapping[str, Any], entries: list[dict[str, Any]]
    ) -> None:
        self.settings = settings
        self._file = file
        self._root = root
        self._entries = entries

    @classmethod
    def start(cls, file: Path, root: Path, settings: Mapping[str, Any]) -> Journal:
        """A new journal for a build in the folder `root`; one that is there is replaced."""
        journal = cls(file, root, settings, [])
        journal._rewrite()
        return journal

    @classmethod
    def read(cls, file: Path, root: Path) -> Journal | None:
        """The journal in `file`; None where there is none or not even its settings are whole."""
        try:
            lines = file.read_bytes().splitlines(keepends=True)
        except FileNotFoundError:
            return None
        values = []
        for line in lines:
            value = _parsed(line)
            if value is None:
                break
            values.append(value)
        if not values:
            return None
        journal = cls(file, root, values[0], values[1:])
        if len(values) < len(lines):
            journal._rewrite()
        return journal

    def __len__(self) -> int:
        return len(self._entries)

    def get(self, part: str) -> dict[str, Any] | None:
        """The entry of a finished part; None where the part is not finished."""
        return next((entry for entry in self._entries if entry["part"] == part), None)

    def finish(
        self, part: str, files: Iterable[Path] = (), consumes: Iterable[Path] = (), **values: Any
    ) -> None:
        """Record that a part is finished.

        Args:
            part: its name.
            files: what it consists of; flushed to disk before the entry is written.
            consumes: files of earlier parts that nobody needs from now on; they are removed.
            values: what later stages need to know of it, as JSON values.
        """
        records = {}
        for file in files:
            flush_file(file)
            records[self._name(file)] = record_file(file).to_dict()
        consumed = [self._name(file) for file in consumes]
        entry = {**values, "part": part, "files": records, "consumed": consumed}
        with self._file.open("ab") as journal:
            journal.write(_line(entry))
            journal.flush()
            os.fsync(journal.fileno())
        self._entries.append(entry)
        self._remove_consumed(entry)

    def check(self) -> int:
        """Compare all files that are still needed with their checksums.

        From the first part on that is not as recorded, parts count as not finished.

        Returns:
            How many parts had to be dropped.
        """
        before = len(self._entries)
        sound: set[str] = set()
        while (bad := self._first_bad(sound)) is not None:
            del self._entries[bad:]
        if len(self._entries) < before:
            self._rewrite()
        for entry in self._entries:
            self._remove_consumed(entry)
        return before - len(self._entries)

    def records(self) -> dict[str, FileRecord]:
        """The checksums of finished files, by path relative to the build's folder."""
        return {
            name: FileRecord(**record)
            for entry in self._entries
            for name, record in entry["files"].items()
        }

    def _first_bad(self, sound: set[str]) -> int | None:
        consumed = {name for entry in self._entries for name in entry["consumed"]}
        for number, entry in enumerate(self._entries):
            for name, record in entry["files"].items():
                if name in consumed or name in sound:
                    continue
                file = self._root / name
                if not file.is_file() or sha256_of_file(file) != record["sha256"]:
                    return number
                sound.add(name)
        return None

    def _remove_consumed(self, entry: Mapping[str, Any]) -> None:
        for name in entry["consumed"]:
            (self._root / name).unlink(missing_ok=True)

    def _name(self, file: Path) -> str:
        return file.relative_to(self._root).as_posix()

    def _rewrite(self) -> None:
        temporary = self._file.with_name(f"{self._file.name}.new")
        with temporary.open("wb") as file:
            for value in (self.settings, *self._entries):
                file.write(_line(value))
            file.flush()
            os.fsync(file.fileno())
        os.replace(temporary, self._file)


def flush_file(file: Path) -> None:
    """Ask the system to write a file to the disk."""
    handle = os.open(file, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def _line(values: Mapping[str, Any]) -> bytes:
    text = canonical_json(values).encode("utf-8", "surrogatepass")
    checksum = hashlib.sha256(text).hexdigest()[:_CHECKSUM_CHARACTERS]
    return checksum.encode() + b" " + text + b"\n"


def _parsed(line: bytes) -> dict[str, Any] | None:
    checksum, _, text = line.removesuffix(b"\n").partition(b" ")
    whole = line.endswith(b"\n") and checksum == (
        hashlib.sha256(text).hexdigest()[:_CHECKSUM_CHARACTERS].encode()
    )
    if not whole:
        return None
    values: dict[str, Any] = json.loads(text.decode("utf-8", "surrogatepass"))
    return values
