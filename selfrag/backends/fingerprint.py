"""A short name for the exact files of a checkpoint.

Small files are hashed whole. Of larger ones the size, the first and the last mebibyte are, since
reading 13 GB would cost more than it guards against: a safetensors file's header, with every
tensor's name, shape and place, is in its first mebibyte.
"""

from __future__ import annotations

import hashlib
from pathlib import Path

_WHOLE = 64 * 2**20
_EDGE = 2**20
_PATTERNS = ("*.safetensors", "*.bin", "tokenizer*", "config.json", "generation_config.json")


def checkpoint_fingerprint(folder: Path, dtype: str) -> str:
    """`sha256` prefix over the checkpoint's files, and the dtype that it runs in."""
    digest = hashlib.sha256()
    files = sorted({path for pattern in _PATTERNS for path in folder.glob(pattern)})
    for path in files:
        size = path.stat().st_size
        digest.update(f"{path.name}\0{size}\0".encode())
        with path.open("rb") as stream:
            if size <= _WHOLE:
                while chunk := stream.read(_EDGE):
                    digest.update(chunk)
            else:
                digest.update(stream.read(_EDGE))
                stream.seek(size - _EDGE)
                digest.update(stream.read(_EDGE))
    return f"{digest.hexdigest()[:24]}-{dtype}"
