"""One sqlite file of expansions and retrievals: for recording, for replaying, as a cache.

A row's key holds everything that determines a greedy draft except how long it may get: model
fingerprint (weights, tokenizer, dtype), prompt ids, stop ids and read set. Pruning is not part of
it: a cut draft is kept as the prefix that it is, and its bound follows from the prefix under any
weights, so a replay knows what it does not know. Sampled text is never stored.

Modes: "cache" serves what it has and adds the rest; "record" does the same for a run whose
branches are all finished (pruning is switched off by the caller); "replay" serves only.
"""

from __future__ import annotations

import hashlib
import json
import sqlite3
from collections.abc import Callable
from pathlib import Path
from typing import Any, Literal, TypeVar

from decoding.generation import Draft, Generation
from retrievers.hit import Hit
from selfrag.errors import CorruptRecording, RecordingIncomplete

SCHEMA_VERSION = 1
StoreMode = Literal["cache", "record", "replay"]

_Row = TypeVar("_Row")

_TABLES = f"""
BEGIN IMMEDIATE;
CREATE TABLE IF NOT EXISTS meta (name TEXT PRIMARY KEY, value TEXT NOT NULL);
INSERT OR IGNORE INTO meta VALUES ('schema_version', '{SCHEMA_VERSION}');
CREATE TABLE IF NOT EXISTS expansions (
    key BLOB PRIMARY KEY, length INTEGER NOT NULL, finish TEXT NOT NULL, draft TEXT NOT NULL);
CREATE TABLE IF NOT EXISTS retrievals (key BLOB PRIMARY KEY, hits TEXT NOT NULL);
COMMIT;
"""


class ExpansionStore:
    """An open store.

    Raises:
        RecordingIncomplete: a replay names a file that does not exist.
        CorruptRecording: the file is no store, is damaged, or has another schema version.
    """

    def __init__(self, path: str | Path, mode: StoreMode) -> None:
        self.path, self.mode = Path(path), mode
        if mode == "replay" and not self.path.is_file():
            raise RecordingIncomplete(f"There is no recording at {path}.", "Check the path.")
        try:
            self._connection = sqlite3.connect(self.path, check_same_thread=False, timeout=30.0)
            if mode != "replay" and self._is_empty():
                self._connection.execute("PRAGMA journal_mode = WAL")
                self._connection.executescript(_TABLES)
            self._check_version()
        except sqlite3.Error as error:
            raise CorruptRecording(
                f"{path} cannot be opened as a store of expansions: {error}.",
                "Give another file, or delete it and record again.",
            ) from error

    def draft(self, fingerprint: str, generation: Generation) -> Draft | None:
        """The stored draft that answers `generation` exactly, or None."""
        key = generation_key(fingerprint, generation)
        draft = self._one("SELECT draft FROM expansions WHERE key = ?", key, draft_from_dict)
        if draft is None:
            return None
        length = len(draft.token_ids)
        if draft.finish in ("stop", "closed") and length <= generation.max_tokens:
            return draft
        if draft.finish == "limit" and length == generation.max_tokens:
            return draft
        if draft.finish == "cut" and self.mode == "replay":
            return draft
        return None

    def beginning(self, fingerprint: str, generation: Generation) -> Draft | None:
        """A stored draft that `generation` can go on from: one that was cut or limited."""
        if self.mode == "replay":
            return None
        key = generation_key(fingerprint, generation)
        draft = self._one("SELECT draft FROM expansions WHERE key = ?", key, draft_from_dict)
        if draft is None or draft.finish not in ("cut", "limit"):
            return None
        return draft if len(draft.token_ids) <= generation.max_tokens else None

    def take_warnings(self) -> tuple[str, ...]:
        return ()

    def add_draft(self, fingerprint: str, generation: Generation, draft: Draft) -> None:
        """Keep a draft unless a longer one is there; cancelled ones are not kept."""
        if self.mode == "replay" or draft.finish == "cancelled":
            return
        self._execute(
            "INSERT INTO expansions VALUES (?, ?, ?, ?) ON CONFLICT(key) DO UPDATE SET "
            "length = excluded.length, finish = excluded.finish, draft = excluded.draft "
            "WHERE excluded.length > length OR (excluded.length = length AND finish = 'cut')",
            generation_key(fingerprint, generation),
            len(draft.token_ids),
            draft.finish,
            json.dumps(draft_to_dict(draft)),
        )

    def hits(self, fingerprint: str, query: str, k: int) -> tuple[Hit, ...] | None:
        """Stored hits of a retriever for a query, or None."""
        return self._one(
            "SELECT hits FROM retrievals WHERE key = ?",
            _key(fingerprint, query, k),
            lambda row: tuple(Hit.from_dict(item) for item in row),
        )

    def add_hits(self, fingerprint: str, query: str, k: int, hits: tuple[Hit, ...]) -> None:
        """Keep what a retriever found."""
        if self.mode == "replay":
            return
        self._execute(
            "INSERT OR REPLACE INTO retrievals VALUES (?, ?)",
            _key(fingerprint, query, k),
            json.dumps([hit.to_dict() for hit in hits]),
        )

    def counts(self) -> dict[str, int]:
        """Rows per table."""
        tables = ("expansions", "retrievals")
        return {
            table: self._connection.execute(f"SELECT COUNT(*) FROM {table}").fetchone()[0]
            for table in tables
        }

    def commit(self) -> None:
        """Make what was added durable."""
        self._connection.commit()

    def close(self) -> None:
        """Commit and close."""
        self._connection.commit()
        self._connection.close()

    def _is_empty(self) -> bool:
        """Whether the file is new; a database of somebody else's is not written into."""
        return self._connection.execute("SELECT 1 FROM sqlite_master").fetchone() is None

    def _check_version(self) -> None:
        row = self._connection.execute(
            "SELECT value FROM meta WHERE name = 'schema_version'"
        ).fetchone()
        version = None if row is None else row[0]
        if version != str(SCHEMA_VERSION):
            raise CorruptRecording(
                f"{self.path} has schema version {version}; this release reads {SCHEMA_VERSION}.",
                "Record again.",
            )

    def _one(self, statement: str, key: bytes, read: Callable[[Any], _Row]) -> _Row | None:
        try:
            row = self._connection.execute(statement, (key,)).fetchone()
            return None if row is None else read(json.loads(row[0]))
        except (sqlite3.Error, ValueError, TypeError, LookupError, AttributeError) as error:
            raise CorruptRecording(
                f"{self.path} is damaged: {error}.", "Delete it and record again."
            ) from error

    def _execute(self, statement: str, *values: Any) -> None:
        try:
            self._connection.execute(statement, values)
        except sqlite3.Error as error:
            raise CorruptRecording(
                f"{self.path} cannot be written: {error}.", "Check the disk and the file."
            ) from error


def generation_key(fingerprint: str, generation: Generation) -> bytes:
    """What determines a greedy draft, hashed; `max_tokens` is left out on purpose."""
    return _key(
        fingerprint,
        generation.prompt_ids,
        sorted(generation.stop_ids),
        sorted(generation.closing_ids),
        generation.first_ids,
        generation.forced_ids,
        generation.read_ids,
        *filter(None, (generation.first_offsets,)),
    )


def draft_to_dict(draft: Draft) -> dict[str, Any]:
    """Plain data; floats survive JSON exactly."""
    return {
        "token_ids": list(draft.token_ids),
        "log_probabilities": list(draft.log_probabilities),
        "readings": {str(position): list(values) for position, values in draft.readings.items()},
        "next_id": draft.next_id,
        "finish": draft.finish,
        "first_was_argmax": draft.first_was_argmax,
    }


def draft_from_dict(data: dict[str, Any]) -> Draft:
    """Inverse of `draft_to_dict`."""
    return Draft(
        token_ids=tuple(data["token_ids"]),
        log_probabilities=tuple(data["log_probabilities"]),
        readings={int(position): tuple(values) for position, values in data["readings"].items()},
        next_id=data["next_id"],
        finish=data["finish"],
        first_was_argmax=data["first_was_argmax"],
    )


def _key(*parts: Any) -> bytes:
    return hashlib.sha256(json.dumps(parts, ensure_ascii=True).encode()).digest()


class ReplayBackend:
    """Stands in for a model when a recording must answer everything."""

    def __init__(self, fingerprint: str, context_limit: int) -> None:
        self.fingerprint = fingerprint
        self.context_limit = context_limit

    def submit(self, generation: Generation, watch: object = None) -> int:
        """Always refuses: the store was asked before."""
        raise RecordingIncomplete(
            f"The recording has no expansion of a prompt of {len(generation.prompt_ids)} tokens.",
            "Replay with the recorded question, passages, model and settings.",
        )

    def step(self) -> bool:
        """Nothing ever runs."""
        return False

    def poll(self) -> list[tuple[int, Draft]]:
        """Nothing ever finishes."""
        return []

    def cancel(self, ticket: int) -> None:
        """Nothing to cancel."""

    def progress(self, ticket: int) -> tuple[int, ...]:
        """Nothing is on its way."""
        return ()
