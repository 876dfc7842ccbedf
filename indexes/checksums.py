"""Checksums of files and of corpora.

A file has two: one over all its bytes, for `verify`, and one over its first and last bytes, cheap
enough for every opening. Headers and footers, on which a reader's memory safety rests, lie there.
Of shards, which are many and have short headers, less is read.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from indexes.passage import Passage

_HEAD_BYTES = 1 << 20
_SHARD_HEAD_BYTES = 1 << 12
_SHARD_PREFIXES = ("passages-", "vectors-")
_TAIL_BYTES = 1 << 16
_BLOCK_BYTES = 1 << 20


@dataclass(frozen=True, slots=True)
class FileRecord:
    """What a manifest knows of one file.

    Attributes:
        size: bytes.
        sha256: of all bytes, in hex.
        ends_sha256: of the first `head` bytes and the last 64 KiB, in hex.
        head: bytes; 1 MiB where a manifest says nothing.
    """

    size: int
    sha256: str
    ends_sha256: str
    head: int = _HEAD_BYTES

    def to_dict(self) -> dict[str, Any]:
        """The record as JSON values."""
        values = {"size": self.size, "sha256": self.sha256, "ends_sha256": self.ends_sha256}
        return values if self.head == _HEAD_BYTES else {**values, "head": self.head}


def sha256_of_file(path: Path) -> str:
    """The SHA-256 of a file's bytes, in hex, read in blocks."""
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while block := file.read(_BLOCK_BYTES):
            digest.update(block)
    return digest.hexdigest()


def sha256_of_ends(path: Path, head: int = _HEAD_BYTES) -> str:
    """The SHA-256 of a file's first bytes and last 64 KiB (of all when it is smaller), in hex."""
    digest = hashlib.sha256()
    with path.open("rb") as file:
        digest.update(file.read(head))
        size = os.fstat(file.fileno()).st_size
        if size > head:
            file.seek(max(head, size - _TAIL_BYTES))
            digest.update(file.read(_TAIL_BYTES))
    return digest.hexdigest()


def record_file(path: Path) -> FileRecord:
    """Size and checksums of one file."""
    head = _SHARD_HEAD_BYTES if path.name.startswith(_SHARD_PREFIXES) else _HEAD_BYTES
    return FileRecord(path.stat().st_size, sha256_of_file(path), sha256_of_ends(path, head), head)


def canonical_json(values: Mapping[str, Any]) -> str:
    """JSON with sorted keys and no spaces: equal values give equal text."""
    return json.dumps(values, ensure_ascii=False, sort_keys=True, separators=(",", ":"))


def sha256_of_json(values: Mapping[str, Any]) -> str:
    """The SHA-256 of `canonical_json(values)`, in hex."""
    return hashlib.sha256(canonical_json(values).encode("utf-8", "surrogatepass")).hexdigest()


class CorpusDigest:
    """A running SHA-256 over passages in their order; every field is preceded by its length."""

    def __init__(self) -> None:
        self._digest = hashlib.sha256()

    def add(self, passage: Passage) -> None:
        """Take one more passage in."""
        metadata = canonical_json(passage.metadata) if passage.metadata else ""
        for text in (passage.id, passage.title, passage.text, metadata):
            data = text.encode()
            self._digest.update(len(data).to_bytes(8, "little"))
            self._digest.update(data)

    def hexdigest(self) -> str:
        """The checksum of the passages so far, in hex."""
        return self._digest.hexdigest()
