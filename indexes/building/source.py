"""Tells whether a corpus is the one that an interrupted build was reading."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from indexes.checksums import sha256_of_json


def identity_of(source: Path) -> dict[str, Any]:
    """Name, size and time of change of a file, or of all files in a folder, as JSON values.

    What the file holds is compared while it is read again (see `indexes.building.reading`).
    """
    path = source.resolve()
    files = sorted(file for file in path.rglob("*") if file.is_file()) if path.is_dir() else [path]
    values = {
        file.relative_to(path).as_posix(): [status.st_size, status.st_mtime_ns]
        for file in files
        if file.exists() and (status := file.stat())
    }
    return {"path": str(path), "files": len(values), "state": sha256_of_json(values)}
