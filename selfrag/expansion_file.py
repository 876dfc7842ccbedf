"""The sqlite file under the store of expansions: shared by processes, bounded in size.

Write-ahead logging lets readers and one writer work at once; every write is one short transaction,
and a row only ever gives way to one that says more, so no process undoes another's work. Rows that
are not pinned are dropped, least recently used first, beyond a limit. A file that is not ours is
never touched. What a damaged or locked file means for a run is for `ExpansionStore` to say.
"""

from __future__ import annotations

import itertools
import sqlite3
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from selfrag.errors import CorruptRecording, StoreDamaged, StoreLocked, StoreOutdated
from selfrag.expansion_rows import StoredRow
from selfrag.expansion_schema import ADD_ROW, APPLICATION_ID, ROW_SIZE, SCHEMA_VERSION, TABLES

_KEPT_SHARE = 0.9
"""What eviction leaves of the limit, so that it does not run at every write."""

_HEADER = b"SQLite format 3\x00"


class ExpansionFile:
    """An open file.

    Args:
        path: of the file; made where it is missing or empty, unless `writable` is False.
        writable: False only reads.
        wait: seconds to wait for a lock that another process holds.

    Raises:
        CorruptRecording: the file is not ours; as `StoreOutdated` it has another schema version,
            as `StoreDamaged` it is ours and damaged.
        StoreLocked: another process has kept it locked all the time.
    """

    def __init__(self, path: Path, *, writable: bool, wait: float = 30.0) -> None:
        self.path = path
        self._wait = wait
        with self._named_errors():
            self._connection = sqlite3.connect(
                path, check_same_thread=False, timeout=wait, isolation_level=None
            )
        try:
            self._prepare(writable)
        except BaseException:
            self._connection.close()
            raise
        self._identity = path.stat().st_ino

    def row(self, key: bytes) -> StoredRow | None:
        """The row of a key, unchecked, or None."""
        statement = "SELECT kind, length, whole, payload, checksum FROM rows WHERE key = ?"
        with self._named_errors():
            found = self._connection.execute(statement, (key,)).fetchone()
        if found is None:
            return None
        kind, length, whole, payload, checksum = found
        as_bytes = (v if isinstance(v, bytes) else str(v).encode() for v in (payload, checksum))
        return StoredRow(key, kind, length, bool(whole), *as_bytes)

    def write(
        self,
        rows: Iterable[StoredRow],
        used: Iterable[bytes] = (),
        *,
        pinned: bool = False,
        max_bytes: int | None = None,
    ) -> int:
        """Add rows and note which keys were used, in one transaction; then evict.

        Args:
            rows: each replaces a row of its key that says less.
            used: keys that were read since the last time.
            pinned: none of these may ever be evicted.
            max_bytes: of all rows that are not pinned; None is no limit.

        Returns:
            How many rows were evicted.
        """
        now, rows = time.time_ns(), list(rows)
        added = [
            (r.key, r.kind, r.length, int(r.whole), r.payload, r.checksum, now, int(pinned))
            for r in rows
        ]
        keys = {*used, *(row.key for row in rows)}
        with self._transaction() as connection:
            connection.executemany(ADD_ROW, added)
            connection.executemany(
                "UPDATE rows SET used = max(used, ?), pinned = max(pinned, ?) WHERE key = ?",
                [(now, int(pinned), key) for key in keys],
            )
            evicted = 0 if max_bytes is None else self._evict(max_bytes)
        if evicted:
            with self._named_errors():
                self._connection.executescript("PRAGMA incremental_vacuum;")  # steps to its end
        return evicted

    def drop(self, row: StoredRow) -> None:
        """Take a damaged row out, unless another process has put a better one in its place."""
        with self._transaction() as connection:
            connection.execute(
                "DELETE FROM rows WHERE key = ? AND checksum = ?", (row.key, row.checksum)
            )

    def counts(self) -> dict[str, int]:
        """Rows by kind."""
        with self._named_errors():
            return dict(self._connection.execute("SELECT kind, COUNT(*) FROM rows GROUP BY kind"))

    def bytes_used(self) -> int:
        """Size of the rows that are not pinned."""
        with self._named_errors():
            found = self._connection.execute("SELECT value FROM meta WHERE name = 'bytes'")
            return int(found.fetchone()[0])

    def set_aside(self) -> Path | None:
        """Close the file and give it another name; None where another process has done so."""
        self._connection.close()
        return set_aside(self.path, self._identity)

    def close(self) -> None:
        """Close the file."""
        self._connection.close()

    def _prepare(self, writable: bool) -> None:
        """Make the tables where there are none; refuse a file that is not ours."""
        if not writable:
            with self._named_errors():
                self._connection.execute("PRAGMA query_only = ON")
        elif self._is_empty():
            self._patiently("PRAGMA auto_vacuum = INCREMENTAL")
            self._patiently("PRAGMA journal_mode = WAL")
            with self._transaction() as connection:
                for statement in TABLES:
                    connection.execute(statement)
            self._patiently("PRAGMA wal_checkpoint(PASSIVE)")  # so that the header names us
        with self._named_errors():
            (application,) = self._connection.execute("PRAGMA application_id").fetchone()
            try:
                statement = "SELECT value FROM meta WHERE name = 'schema_version'"
                found = self._connection.execute(statement).fetchone()
            except sqlite3.OperationalError as error:
                if "no such table" not in str(error):
                    raise
                found = None
        version = None if found is None else str(found[0])
        if application != APPLICATION_ID and version != "1":
            raise CorruptRecording(
                f"{self.path} is a database, but no store of expansions.", "Give another file."
            )
        if version != str(SCHEMA_VERSION):
            raise StoreOutdated(
                f"{self.path} has schema version {version}; this release reads {SCHEMA_VERSION}.",
                "Record again.",
            )
        if writable:
            self._patiently("PRAGMA synchronous = NORMAL")

    def _is_empty(self) -> bool:
        with self._named_errors():
            return self._connection.execute("SELECT 1 FROM sqlite_master").fetchone() is None

    def _evict(self, max_bytes: int) -> int:
        """Delete what was not used for longest, inside a transaction."""
        excess = self.bytes_used() - max_bytes
        if excess <= 0:
            return 0
        excess += int(max_bytes * (1 - _KEPT_SHARE))
        statement = f"SELECT key, {ROW_SIZE} FROM rows WHERE NOT pinned ORDER BY used, rowid"
        oldest, freed = [], 0
        for key, size in self._connection.execute(statement):
            oldest.append((key,))
            freed += size
            if freed >= excess:
                break
        self._connection.executemany("DELETE FROM rows WHERE key = ?", oldest)
        return len(oldest)

    def _patiently(self, statement: str) -> None:
        """Run a statement for which sqlite itself does not wait."""
        deadline = time.monotonic() + self._wait
        while True:
            try:
                with self._named_errors():
                    self._connection.execute(statement).fetchall()
                return
            except StoreLocked:
                if time.monotonic() > deadline:
                    raise
                time.sleep(0.02)

    @contextmanager
    def _transaction(self) -> Iterator[sqlite3.Connection]:
        with self._named_errors():
            self._connection.execute("BEGIN IMMEDIATE")
            try:
                yield self._connection
                self._connection.execute("COMMIT")
            except BaseException:
                if self._connection.in_transaction:
                    self._connection.execute("ROLLBACK")
                raise

    @contextmanager
    def _named_errors(self) -> Iterator[None]:
        """sqlite's errors as ours."""
        try:
            yield
        except sqlite3.Error as error:
            raise _named(error, self.path) from error


def _named(error: sqlite3.Error, path: Path) -> CorruptRecording | StoreLocked:
    code: Any = getattr(error, "sqlite_errorcode", None)
    code = None if code is None else code & 0xFF
    if code in (sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED):
        return StoreLocked(
            f"{path} is locked by another process.", "End that process, or give another file."
        )
    damaged = code in (None, sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB, sqlite3.SQLITE_ERROR)
    if damaged and is_ours(path):
        return StoreDamaged(f"{path} is damaged: {error}.", "Delete it and record again.")
    return CorruptRecording(
        f"{path} cannot be used as a store of expansions: {error}.",
        "Check the disk and the file, or give another.",
    )


def is_ours(path: Path) -> bool:
    """Whether a file's header says that this package made it, whatever the rest is like."""
    try:
        with path.open("rb") as stream:
            head = stream.read(100)
    except OSError:
        return False
    marked = int.from_bytes(head[68:72], "big") == APPLICATION_ID
    return head.startswith(_HEADER) and marked


def set_aside(path: Path, identity: int | None = None) -> Path | None:
    """Rename a file and what belongs to it; its new name, or None where it is another file now."""
    if not path.is_file() or (identity is not None and path.stat().st_ino != identity):
        return None
    for number in itertools.count(1):
        target = path.with_name(f"{path.name}.set-aside-{number}")
        if not target.exists():
            break
    path.rename(target)
    for suffix in ("-wal", "-shm"):
        beside = path.with_name(path.name + suffix)
        if beside.is_file():
            beside.rename(target.with_name(target.name + suffix))
    return target
