"""Results kept in a sqlite file, and a retriever that looks there first.

A result's key is the checksum of the index's manifest, of the retriever's configuration and
models (its fingerprint), of the query and of k: what another index or another configuration found
is never served. Every row carries a checksum of its bytes. Several threads and processes may
share a file. A file that is damaged is moved aside, and one that cannot be read or written is
passed over, both with a `CacheWarning`: a cache never costs an answer.
"""

from __future__ import annotations

import hashlib
import json
import os
import sqlite3
import threading
import warnings
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TypeVar

from indexes.checksums import sha256_of_json
from indexes.errors import StorageError
from retrievers.base import BaseRetriever, Retriever, check_queries
from retrievers.errors import CacheWarning, InvalidRetriever, RetrieverError
from retrievers.hit import Hit

MAX_ENTRIES = 10_000
_SCHEMA_VERSION = 1
_APPLICATION_ID = 0x73726373
_SECONDS_FOR_LOCK = 30.0
_TABLES = f"""
BEGIN IMMEDIATE;
CREATE TABLE IF NOT EXISTS results (
    number INTEGER PRIMARY KEY AUTOINCREMENT, key BLOB NOT NULL UNIQUE,
    digest BLOB NOT NULL, hits TEXT NOT NULL);
PRAGMA application_id = {_APPLICATION_ID};
PRAGMA user_version = {_SCHEMA_VERSION};
COMMIT;
"""
_Value = TypeVar("_Value")


class _Damaged(Exception):
    """What was read is not what was written."""


class ResultCache:
    """A file of results; safe to share between threads and processes.

    Args:
        path: the file; it is made where it is missing, its folder must exist.
        max_entries: how many results are kept; the oldest ones go.

    Raises:
        InvalidRetriever: there is no such folder, the number is less than 1, or the file is a
            database of another program.
    """

    def __init__(self, path: Path | str, max_entries: int = MAX_ENTRIES) -> None:
        self.path = Path(path)
        self.max_entries = max_entries
        if max_entries < 1:
            raise InvalidRetriever(
                f"The number of cached results is {max_entries}.", "It must be 1 or more."
            )
        if not self.path.absolute().parent.is_dir() or self.path.is_dir():
            raise InvalidRetriever(
                f"{self.path} cannot hold cached results.", "Name a file in a folder that exists."
            )
        self._lock = threading.Lock()
        self._connection: sqlite3.Connection | None = None
        self._opened_by = 0
        self._inode = 0
        self._attempt(lambda connection: None)

    def get(self, keys: Sequence[bytes]) -> list[list[Hit] | None]:
        """What is kept under each key, None where nothing is."""

        def read(connection: sqlite3.Connection) -> list[list[Hit] | None]:
            query = "SELECT digest, hits FROM results WHERE key = ?"
            rows = [connection.execute(query, (key,)).fetchone() for key in keys]
            return [
                None if row is None else _hits_of(key, *row)
                for key, row in zip(keys, rows, strict=True)
            ]

        found = self._attempt(read)
        return [None] * len(keys) if found is None else found

    def put(self, entries: Sequence[tuple[bytes, list[Hit]]]) -> None:
        """Keep results, the last one as the newest, and drop the oldest above the limit."""
        texts = []
        for key, hits in entries:
            try:
                texts.append((key, json.dumps([hit.to_dict() for hit in hits])))
            except (TypeError, ValueError) as error:
                self._warn(f"Hits that are no JSON values are not cached: {error}.")

        def write(connection: sqlite3.Connection) -> None:
            with connection:
                connection.executemany(
                    "INSERT OR REPLACE INTO results (key, digest, hits) VALUES (?, ?, ?)",
                    [(key, _digest(key, text), text) for key, text in texts],
                )
                # Numbers only grow, so at most `max_entries` of them lie above this one.
                connection.execute(
                    "DELETE FROM results WHERE number <= (SELECT MAX(number) FROM results) - ?",
                    (self.max_entries,),
                )

        self._attempt(write)

    def __len__(self) -> int:
        def count(connection: sqlite3.Connection) -> int:
            return int(connection.execute("SELECT COUNT(*) FROM results").fetchone()[0])

        return self._attempt(count) or 0

    def close(self) -> None:
        """Close the file; it is opened again when it is needed."""
        with self._lock:
            self._drop_connection()

    def _attempt(self, work: Callable[[sqlite3.Connection], _Value]) -> _Value | None:
        """Work on the file; once more on a fresh one where it is damaged; None where it fails."""
        with self._lock:
            for _ in range(2):
                try:
                    return work(self._open())
                except (_Damaged, sqlite3.DatabaseError) as error:
                    in_use = isinstance(error, sqlite3.OperationalError) and not _says_damage(error)
                    self._drop_connection()
                    if in_use:
                        self._warn(f"The cache {self.path} cannot be used now: {error}.")
                        return None
                    self._set_aside(error)
            return None

    def _open(self) -> sqlite3.Connection:
        if self._connection is not None and self._opened_by == os.getpid():
            return self._connection
        # A connection must not be carried across a fork.
        connection = sqlite3.connect(
            self.path,
            timeout=_SECONDS_FOR_LOCK,
            check_same_thread=False,
            isolation_level="IMMEDIATE",
        )
        self._connection, self._opened_by = connection, os.getpid()
        self._inode = self.path.stat().st_ino
        if _application_of(connection) == 0 and not _has_tables(connection):
            connection.executescript(_TABLES)
        if _application_of(connection) != _APPLICATION_ID:
            self._drop_connection()
            raise InvalidRetriever(
                f"{self.path} is a database of another program.", "Name another file."
            )
        version = connection.execute("PRAGMA user_version").fetchone()[0]
        if version != _SCHEMA_VERSION:
            raise _Damaged(f"it has schema version {version}, this program reads {_SCHEMA_VERSION}")
        # A file that a power cut damages is replaced; no search waits for the disk.
        connection.execute("PRAGMA synchronous = OFF")
        return connection

    def _drop_connection(self) -> None:
        connection, self._connection = self._connection, None
        if connection is not None and self._opened_by == os.getpid():
            connection.close()

    def _set_aside(self, error: Exception) -> None:
        """Move the damaged file away, unless another process has done so already."""
        try:
            if self.path.stat().st_ino != self._inode:
                return
            aside = self.path.with_name(f"{self.path.name}.damaged")
            os.replace(self.path, aside)
            Path(f"{self.path}-journal").unlink(missing_ok=True)
        except OSError as problem:
            self._warn(f"The cache {self.path} is damaged ({error}) and stays: {problem}.")
            return
        self._warn(f"The cache {self.path} is damaged ({error}); it was moved to {aside.name}.")

    @staticmethod
    def _warn(text: str) -> None:
        warnings.warn(CacheWarning(text), stacklevel=6)


class CachedRetriever(BaseRetriever):
    """Serves what it has kept of another retriever's results, and keeps the rest.

    Args:
        retriever: what is asked where nothing is kept.
        cache: where results are kept.
        index_fingerprint: of the manifest of the index that is searched, if it is one.
    """

    def __init__(
        self, retriever: Retriever, cache: ResultCache, index_fingerprint: str = ""
    ) -> None:
        self.retriever = retriever
        self.cache = cache
        self._prefix = sha256_of_json(
            {"index": index_fingerprint, "retriever": retriever.fingerprint}
        ).encode()

    @property
    def fingerprint(self) -> str:
        """That of the retriever below: results are the same."""
        return self.retriever.fingerprint

    def search_many(self, queries: Sequence[str], k: int) -> list[list[Hit]]:
        """See `Retriever.search_many`; equal queries are asked once."""
        check_queries(queries, k)
        distinct = list(dict.fromkeys(queries))
        keys = [self._key(query, k) for query in distinct]
        known = dict(zip(distinct, self.cache.get(keys), strict=True))
        missing = [query for query in distinct if known[query] is None]
        if missing:
            found = self.retriever.search_many(missing, k)
            known.update(zip(missing, found, strict=True))
            fresh = zip(missing, found, strict=True)
            self.cache.put([(self._key(query, k), hits) for query, hits in fresh])
        return [list(known[query] or []) for query in queries]

    def _key(self, query: str, k: int) -> bytes:
        return hashlib.sha256(b"%s %d %s" % (self._prefix, k, query.encode())).digest()


def _application_of(connection: sqlite3.Connection) -> int:
    return int(connection.execute("PRAGMA application_id").fetchone()[0])


def _has_tables(connection: sqlite3.Connection) -> bool:
    return connection.execute("SELECT 1 FROM sqlite_master").fetchone() is not None


def _digest(key: bytes, text: str) -> bytes:
    return hashlib.sha256(key + text.encode()).digest()


def _hits_of(key: bytes, digest: bytes, text: str) -> list[Hit]:
    try:
        if _digest(key, text) != digest:
            raise _Damaged("a row has another checksum than recorded")
        return [Hit.from_dict(values) for values in json.loads(text)]
    except (AttributeError, KeyError, TypeError, ValueError, StorageError, RetrieverError) as error:
        raise _Damaged(f"a row cannot be read: {error}") from error


def _says_damage(error: sqlite3.OperationalError) -> bool:
    """Whether an error of sqlite means a broken file, not one that is locked, full or closed."""
    code = getattr(error, "sqlite_errorcode", 0) & 0xFF
    return code in (sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB, sqlite3.SQLITE_ERROR)
