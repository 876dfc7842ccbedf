"""Expansions and retrievals that were paid for: for recording, for replaying, as a cache.

A row's key holds everything that determines a greedy draft except how long it may get: model
fingerprint (weights, tokenizer, dtype), prompt ids, stop ids and read set. Pruning is not part of
it: a cut draft is kept as the prefix that it is. A run that has the model goes on from there; a
replay computes its bound, which follows from the prefix under any weights, and so knows what it
does not know. Sampled text is never stored.

Modes: "cache" serves what it has and adds the rest, up to a size; "record" does the same for a run
whose branches are all finished (pruning is switched off by the caller), and its rows are never
evicted; "replay" serves only. Several processes may use one file (`expansion_file`).

What goes wrong with a cache costs time, never an answer: a damaged row is dropped and computed
again, a damaged or outdated file is set aside and begun anew, a locked one is done without, each
with a warning. What goes wrong with a recording is an error, but for rows that "record" can repair.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Literal, TypeVar

from decoding.generation import Draft, Generation
from retrievers.hit import Hit
from selfrag.errors import (
    CorruptRecording,
    RecordingIncomplete,
    StoreDamaged,
    StoreLocked,
    StoreOutdated,
    StoreWarning,
)
from selfrag.expansion_file import ExpansionFile, set_aside
from selfrag.expansion_rows import DamagedRow, StoredRow, generation_key, retrieval_key

StoreMode = Literal["cache", "record", "replay"]

CACHE_BYTES = 2**30
"""How large a cache may grow unless it is told otherwise."""

_MOST_PENDING = 256
"""Rows that wait in memory before they are written unasked."""

_Value = TypeVar("_Value")


class ExpansionStore:
    """An open store; driven by one thread.

    Args:
        path: the file; made where it is missing, but for a replay.
        mode: see above.
        max_bytes: size of the rows that may be evicted.
        wait: seconds to wait for a lock that another process holds.

    Raises:
        RecordingIncomplete: a replay names a file that does not exist.
        CorruptRecording: the file is no store; or as `StoreDamaged` or `StoreOutdated`, the file of
            a recording is damaged or has another schema version.
        StoreLocked: another process keeps the file locked.
    """

    def __init__(
        self, path: str | Path, mode: StoreMode, *, max_bytes: int = CACHE_BYTES, wait: float = 30.0
    ) -> None:
        if max_bytes < 0:
            raise ValueError(f"max_bytes is {max_bytes}; it must be at least 0")
        self.path, self.mode = Path(path), mode
        if mode == "replay" and not self.path.is_file():
            raise RecordingIncomplete(f"There is no recording at {path}.", "Check the path.")
        self._max_bytes, self._wait = max_bytes, wait
        self._pending: dict[bytes, StoredRow] = {}
        self._used: set[bytes] = set()
        self._recorded: set[bytes] = set()
        self._warnings: list[str] = []
        self._file = self._open()

    def draft(self, fingerprint: str, generation: Generation) -> Draft | None:
        """The stored draft that answers `generation` exactly, or None."""
        draft = self._read(generation_key(fingerprint, generation), StoredRow.draft)
        if draft is None:
            return None
        length = len(draft.token_ids)
        if draft.finish in ("stop", "closed") and length <= generation.max_tokens:
            return draft
        if draft.finish == "limit" and length == generation.max_tokens:
            return draft
        if draft.finish == "cut" and self.mode == "replay" and length <= generation.max_tokens:
            return draft
        return None

    def beginning(self, fingerprint: str, generation: Generation) -> Draft | None:
        """A stored draft from which the model can go on: one that was cut, or shorter limited."""
        if self.mode == "replay":
            return None
        draft = self._read(generation_key(fingerprint, generation), StoredRow.draft)
        if draft is None or draft.finish not in ("cut", "limit"):
            return None
        return draft if len(draft.token_ids) <= generation.max_tokens else None

    def add_draft(self, fingerprint: str, generation: Generation, draft: Draft) -> None:
        """Keep a draft unless a longer one is there; cancelled ones are not kept."""
        if draft.finish != "cancelled":
            self._add(StoredRow.of_draft(generation_key(fingerprint, generation), draft))

    def hits(self, fingerprint: str, query: str, k: int) -> tuple[Hit, ...] | None:
        """Stored hits of a retriever for a query, or None."""
        return self._read(retrieval_key(fingerprint, query, k), StoredRow.hits)

    def add_hits(self, fingerprint: str, query: str, k: int, hits: tuple[Hit, ...]) -> None:
        """Keep what a retriever found."""
        self._add(StoredRow.of_hits(retrieval_key(fingerprint, query, k), hits))

    def counts(self) -> dict[str, int]:
        """Rows of each kind, written ones."""
        self.commit()
        counts = self._file.counts()
        return {"expansions": counts.get("expansion", 0), "retrievals": counts.get("retrieval", 0)}

    def take_warnings(self) -> tuple[str, ...]:
        """What went wrong since the last time."""
        taken, self._warnings = tuple(self._warnings), []
        return taken

    def commit(self) -> None:
        """Write what was added and note what was used; other processes see it from now on."""
        if self.mode == "replay" or not (self._pending or self._used):
            return
        try:
            self._file.write(
                self._pending.values(),
                self._used,
                pinned=self.mode == "record",
                max_bytes=self._max_bytes,
            )
        except (StoreLocked, CorruptRecording) as error:
            self._forgive(error)
            if len(self._pending) < 16 * _MOST_PENDING:
                return  # for the next time
        self._pending, self._used = {}, set()

    def close(self) -> None:
        """Write what is left and close."""
        try:
            self.commit()
        finally:
            self._file.close()
        for message in self.take_warnings():
            warnings.warn(message, StoreWarning, stacklevel=2)

    def _open(self) -> ExpansionFile:
        writable = self.mode != "replay"
        identity = self.path.stat().st_ino if self.path.is_file() else None
        try:
            return ExpansionFile(self.path, writable=writable, wait=self._wait)
        except (StoreDamaged, StoreOutdated) as error:
            if self.mode != "cache":
                raise
            self._warn_of_new_file(error, set_aside(self.path, identity))
        return ExpansionFile(self.path, writable=writable, wait=self._wait)

    def _add(self, row: StoredRow) -> None:
        if self.mode == "replay":
            return
        known = self._pending.get(row.key)
        if known is None or row.replaces(known):
            self._pending[row.key] = row
        if len(self._pending) >= _MOST_PENDING:
            self.commit()

    def _read(self, key: bytes, parse: Callable[[StoredRow], _Value]) -> _Value | None:
        """What a key's row says; None where there is none, or a cache has lost it."""
        row = self._pending.get(key)
        try:
            row = self._file.row(key) if row is None else row
            if row is None:
                return None
            value = parse(row)
        except DamagedRow as error:
            self._repair(row, error)
            return None
        except (StoreLocked, CorruptRecording) as error:
            self._forgive(error)
            return None
        if self.mode == "cache":
            self._used.add(key)
        elif (
            self.mode == "record" and key not in self._recorded
        ):  # part of the recording from now on
            self._recorded.add(key)
            self._pending.setdefault(key, row)
        return value

    def _repair(self, row: StoredRow | None, error: DamagedRow) -> None:
        """Drop a damaged row, which is then computed again; a replay cannot."""
        if self.mode == "replay" or row is None:
            raise CorruptRecording(
                f"{self.path} is damaged: {error}.", "Delete it and record again."
            ) from error
        self._warn(f"A damaged row of {self.path.name} was dropped and is computed again: {error}.")
        self._pending.pop(row.key, None)
        try:
            self._file.drop(row)
        except (StoreLocked, CorruptRecording) as problem:
            self._forgive(problem)

    def _forgive(self, error: StoreLocked | CorruptRecording) -> None:
        """Let a cache go on after an error of its file; anything else fails."""
        if self.mode != "cache":
            raise error
        if not isinstance(error, StoreDamaged):
            self._warn(f"The cache of expansions could not be used: {error.message}")
            return
        self._warn_of_new_file(error, self._file.set_aside())
        self._file = ExpansionFile(self.path, writable=True, wait=self._wait)

    def _warn_of_new_file(self, error: CorruptRecording, moved: Path | None) -> None:
        where = "another process has set it aside" if moved is None else f"it is now {moved.name}"
        self._warn(f"The cache of expansions was begun anew: {error.message} ({where}).")

    def _warn(self, message: str) -> None:
        if message not in self._warnings:
            self._warnings.append(message)
