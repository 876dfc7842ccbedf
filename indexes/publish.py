"""Atomic publication of an index folder.

An index folder holds `manifest.json` and one data folder, its generation. A build works in a
folder of its own beside it, flushes it to disk, gives it the next generation's name, and then
replaces the manifest in one step: a reader finds the old index or the new one. A build that was
interrupted leaves its working folder and its journal (`indexes.building.journal`), from which the
next build goes on; other folders that no manifest names are removed.
"""

from __future__ import annotations

import os
import re
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from indexes.errors import CorruptIndex, IndexBusy, IndexExists, NotAnIndex, StorageError
from indexes.manifest import MANIFEST_FILE, Manifest

_GENERATION = re.compile(r"generation-(\d{6,})")
WORKING_FOLDER = "building"
JOURNAL_FILE = "building.jsonl"


@contextmanager
def locked(folder: Path) -> Iterator[None]:
    """Hold the folder for one build; the lock ends with the process, however it ends.

    Raises:
        IndexBusy: another process holds it.
    """
    try:
        import fcntl
    except ImportError:  # Windows has no advisory lock on folders; builds there are on trust.
        yield
        return
    handle = os.open(folder, os.O_RDONLY)
    try:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            raise IndexBusy(
                f"Another build is writing to {folder}.", "Wait until it is done, then try again."
            ) from error
        yield
    finally:
        os.close(handle)


def prepare(folder: Path, overwrite: bool) -> None:
    """Make or check the index folder that a build is going to write.

    Raises:
        IndexExists: it is a file, holds other things, or holds an index and `overwrite` is False.
    """
    if folder.exists() and not folder.is_dir():
        raise IndexExists(f"{folder} is a file.", "Name a folder for the index.")
    folder.mkdir(parents=True, exist_ok=True)
    names = [entry.name for entry in folder.iterdir()]
    others = [name for name in names if not (_is_ours(name) or name.startswith("."))]
    if others:
        raise IndexExists(
            f"{folder} holds other things than an index: {sorted(others)[:5]}.",
            "Name a new or empty folder.",
        )
    if (folder / MANIFEST_FILE).exists() and not overwrite:
        raise IndexExists(
            f"{folder} already holds an index.", "Name another folder, or allow overwriting."
        )


def clean(folder: Path, keep_build: bool = False) -> None:
    """Remove what killed builds have left; with `keep_build` not the last one's. Needs the lock."""
    kept = {MANIFEST_FILE, _live_generation(folder)}
    if keep_build:
        kept |= {WORKING_FOLDER, JOURNAL_FILE}
    for entry in folder.iterdir():
        if _is_ours(entry.name) and entry.name not in kept:
            _remove(entry)


def take_back(folder: Path, generation: str) -> None:
    """Make the data of a build working data again, if it was killed before its manifest stood."""
    data, working = folder / generation, folder / WORKING_FOLDER
    if data.is_dir() and not working.exists() and generation != _live_generation(folder):
        os.replace(data, working)


def next_generation(folder: Path) -> str:
    """The name for the data folder of the build under way."""
    numbers = [int(m[1]) for entry in folder.iterdir() if (m := _GENERATION.fullmatch(entry.name))]
    return f"generation-{max(numbers, default=0) + 1:06d}"


def publish(folder: Path, working: Path, manifest: Manifest) -> None:
    """Make the working folder the index's data, in one step, and remove the data before it.

    Programs that have the old index open keep reading it, where the system allows that.
    """
    flush_to_disk(working)
    os.replace(working, folder / manifest.generation)
    flush_to_disk(folder, deep=False)
    manifest.write(folder)
    flush_to_disk(folder, deep=False)
    (folder / JOURNAL_FILE).unlink(missing_ok=True)
    for entry in folder.iterdir():
        if _GENERATION.fullmatch(entry.name) and entry.name != manifest.generation:
            _remove(entry)


def flush_to_disk(folder: Path, deep: bool = True) -> None:
    """Ask the system to write a folder (with `deep` all that is in it) to the disk."""
    entries = [*folder.rglob("*")] if deep else []
    for entry in [*entries, folder]:
        if entry.is_dir() and os.name == "nt":
            continue
        handle = os.open(entry, os.O_RDONLY)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)


def _live_generation(folder: Path) -> str | None:
    try:
        return Manifest.read(folder).generation
    except NotAnIndex:
        return None
    except CorruptIndex:
        return None
    except StorageError:
        # A version we cannot read: whichever folder is the live one, keep it until we publish.
        names = sorted(e.name for e in folder.iterdir() if _GENERATION.fullmatch(e.name))
        return names[-1] if names else None


def _is_ours(name: str) -> bool:
    return (
        name.removesuffix(".new") in (MANIFEST_FILE, JOURNAL_FILE, WORKING_FOLDER)
        or _GENERATION.fullmatch(name) is not None
    )


def _remove(entry: Path) -> None:
    if entry.is_dir() and not entry.is_symlink():
        shutil.rmtree(entry, ignore_errors=True)
    else:
        entry.unlink(missing_ok=True)
