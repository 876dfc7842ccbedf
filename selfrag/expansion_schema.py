"""The tables of the store of expansions, in SQL.

One table of rows, and the size of those that may be evicted, kept up by triggers: inside the
transaction that changes a row, whichever process it is.
"""

from __future__ import annotations

SCHEMA_VERSION = 2
APPLICATION_ID = 0x5E1F4A62
"""Marks a sqlite file as ours, in its header."""

ROW_BYTES = 256
"""What a row takes besides its payload: key (also in the index), checksum, numbers."""

ROW_SIZE = f"(length(payload) + {ROW_BYTES})"
_OLD, _NEW = (ROW_SIZE.replace("payload", f"{name}.payload") for name in ("old", "new"))
TABLES = (
    "CREATE TABLE IF NOT EXISTS meta (name TEXT PRIMARY KEY, value NOT NULL)",
    f"INSERT OR IGNORE INTO meta VALUES ('schema_version', '{SCHEMA_VERSION}'), ('bytes', 0)",
    """CREATE TABLE IF NOT EXISTS rows (
        key BLOB PRIMARY KEY, kind TEXT NOT NULL, length INTEGER NOT NULL, whole INTEGER NOT NULL,
        payload BLOB NOT NULL, checksum BLOB NOT NULL, used INTEGER NOT NULL,
        pinned INTEGER NOT NULL)""",
    "CREATE INDEX IF NOT EXISTS by_use ON rows (pinned, used)",
    f"""CREATE TRIGGER IF NOT EXISTS row_added AFTER INSERT ON rows BEGIN UPDATE meta SET
        value = value + (1 - new.pinned) * {_NEW} WHERE name = 'bytes'; END""",
    f"""CREATE TRIGGER IF NOT EXISTS row_dropped AFTER DELETE ON rows BEGIN UPDATE meta SET
        value = value - (1 - old.pinned) * {_OLD} WHERE name = 'bytes'; END""",
    f"""CREATE TRIGGER IF NOT EXISTS row_changed AFTER UPDATE OF payload, pinned ON rows BEGIN
        UPDATE meta SET value = value + (1 - new.pinned) * {_NEW} - (1 - old.pinned) * {_OLD}
        WHERE name = 'bytes'; END""",
    f"PRAGMA application_id = {APPLICATION_ID}",
)
ADD_ROW = """INSERT INTO rows VALUES (?, ?, ?, ?, ?, ?, ?, ?) ON CONFLICT (key) DO UPDATE SET
    kind = excluded.kind, length = excluded.length, whole = excluded.whole,
    payload = excluded.payload, checksum = excluded.checksum
    WHERE excluded.length > length OR (excluded.length = length AND NOT whole)"""
