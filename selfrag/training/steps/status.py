"""How far a stage is that is not complete: what its manifests, journals and logs say.

This module knows nothing of what stages do.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any


def under_way(folder: Path) -> dict[str, Any]:
    """Step -> rows done, and the last logged step of a training; {} where nothing has begun."""
    found: dict[str, Any] = {}
    for path in sorted((*folder.glob("*/journal.json"), *folder.glob("*/manifest.json"))):
        values = _json(path.read_text(encoding="utf-8"))
        if "read" in values:
            found[path.parent.name] = values["read"]
    log = folder / "log.jsonl"
    if log.exists():
        lines = log.read_text(encoding="utf-8").splitlines() or [""]
        last = _json(lines[-1])
        found |= {name: last[name] for name in ("step", "minutes", "loss") if name in last}
    if not found and folder.is_dir() and any(folder.iterdir()):
        found["begun"] = True
    return found


def _json(text: str) -> dict[str, Any]:
    """The object in a text; {} where there is none, as in a line that is being written."""
    try:
        values = json.loads(text)
    except ValueError:
        return {}
    return values if isinstance(values, dict) else {}
