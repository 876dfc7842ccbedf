"""Begins a build: afresh, or after the last finished part of one that was interrupted."""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from indexes import publish
from indexes.building.journal import Journal
from indexes.errors import (
    CorpusFormatError,
    DuplicateId,
    EmptyCorpus,
    InterruptedBuild,
    InvalidSetting,
    ResumedBuild,
    VectorsDoNotMatch,
)


def begin(
    folder: Path, settings: Mapping[str, Any], started: str, *, overwrite: bool, restart: bool
) -> tuple[Path, Journal, str]:
    """The working folder, the journal, and when the build was started first. Needs the lock.

    Args:
        folder: of the index.
        settings: of the build; an interrupted one is resumed if its own were the same.
        started: now.
        overwrite: discard an interrupted build with other settings.
        restart: discard an interrupted build in any case.

    Raises:
        InterruptedBuild: there is one with other settings.
    """
    working, file = folder / publish.WORKING_FOLDER, folder / publish.JOURNAL_FILE
    journal = Journal.read(file, working)
    if journal is not None and is_resumable(journal) and not restart:
        if (ready := journal.get("ready")) is not None:
            publish.take_back(folder, ready["generation"])
        before = dict(journal.settings)
        first_started = before.pop("started")
        differing = sorted(
            name for name in {*before, *settings} if before.get(name) != settings.get(name)
        )
        if working.is_dir() and not differing:
            publish.clean(folder, keep_build=True)
            for left in working.rglob("*.new"):
                left.unlink()
            journal.check()
            (working / "parts").mkdir(exist_ok=True)
            message = f"{folder}: going on after {len(journal)} finished parts of a build begun "
            warnings.warn(ResumedBuild(f"{message}{first_started}."), stacklevel=4)
            return working, journal, first_started
        if working.is_dir() and not overwrite:
            name = differing[0]
            raise InterruptedBuild(
                f"{folder} holds an interrupted build with other settings ({', '.join(differing)}; "
                f"{name} was {before.get(name)!r}, and is {settings.get(name)!r}).",
                "Repeat the build as it was to go on with it, or discard it with restart=True "
                "(--restart) or overwrite=True (--overwrite).",
            )
    publish.clean(folder)
    working.mkdir()
    return working, Journal.start(file, working, {**settings, "started": started}), started


def keeps(journal: Journal, working: Path, error: BaseException) -> bool:
    """Whether a build that failed is worth keeping, so that it can be resumed.

    After a bad row it is not: the corpus that has it corrected is another one.
    """
    hopeless = isinstance(error, DuplicateId | EmptyCorpus | InvalidSetting | VectorsDoNotMatch)
    hopeless |= isinstance(error, CorpusFormatError) and error.line is not None
    return is_resumable(journal) and working.is_dir() and not hopeless


def is_resumable(journal: Journal) -> bool:
    """Whether anything is finished, and the corpus can be read again."""
    return len(journal) > 0 and journal.settings.get("source") is not None
