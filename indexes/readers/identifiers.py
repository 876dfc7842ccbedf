"""The ids that a reader has met, with their lines, in memory that does not grow with the corpus.

They stand as they are, not as hashes, in a temporary sqlite database: up to 32 MB of it are held
in memory, the rest in a file without a name that ends with the process (`SQLITE_TMPDIR` says
where; about 30 bytes for each id of the usual length). So no two ids are ever taken for one, and
both lines of a duplicate can be named.
"""

from __future__ import annotations

import sqlite3
from types import TracebackType

from indexes.errors import StorageError

_CACHE_KIB = 32 * 1024
_INSERT = "insert or ignore into seen values (?, ?)"
_SELECT = "select line from seen where id = ?"


class SeenIds:
    """A set of ids; a context manager that removes its database."""

    def __init__(self) -> None:
        # An empty name is a temporary database on disk; autocommit, with one transaction held open.
        self._database = sqlite3.connect("", isolation_level=None, check_same_thread=False)
        for statement in (
            "pragma journal_mode = off",
            "pragma synchronous = off",
            f"pragma cache_size = -{_CACHE_KIB}",
            "create table seen (id text primary key, line integer not null) without rowid",
            "begin",
        ):
            self._database.execute(statement)

    def add(self, id_: str, line: int) -> int | None:
        """Remember an id; the line where it was given before, or None when it is new.

        Raises:
            StorageError: there is no room for the temporary database.
        """
        try:
            if self._database.execute(_INSERT, (id_, line)).rowcount == 1:
                return None
            return int(self._database.execute(_SELECT, (id_,)).fetchone()[0])
        except sqlite3.OperationalError as error:
            raise StorageError(
                f"The ids of the corpus cannot be kept in a temporary database ({error}).",
                "Make room in the folder for temporary files, or name another in SQLITE_TMPDIR.",
            ) from error

    def __enter__(self) -> SeenIds:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._database.close()
