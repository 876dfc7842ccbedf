"""Vectors of real sentences and questions, made in chunks that are kept in a working folder.

A run that was stopped goes on after its last whole chunk, and a later run for more sentences goes
on where a smaller one ended: sentences have an order of their own (`real_texts`).
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from indexes.passage import Passage
from retrievers.dense import QueryEncoder
from selfrag.evaluation.real_texts import collect_texts

_CHUNK = 2_000
Tick = Callable[[str, int, int], None]


def cached_texts(data: Path, work: Path) -> tuple[list[str], list[str]]:
    """Sentences and questions of the files in `data`, collected once for a working folder."""
    file = work / "texts.json"
    if not file.is_file():
        sentences, questions = collect_texts(data)
        write_json(file, {"sentences": sentences, "questions": questions})
    kept = json.loads(file.read_text(encoding="utf-8"))
    return kept["sentences"], kept["questions"]


def encoded_sentences(
    sentences: Sequence[str], encoder: QueryEncoder, work: Path, tick: Tick
) -> npt.NDArray[np.float32]:
    """Their vectors, shape [sentences, dimension], of length 1."""

    def encode(part: list[str]) -> npt.NDArray[np.float32]:
        return encoder.encode_passages([Passage(str(n), "", text) for n, text in enumerate(part)])

    return _in_chunks(sentences, encode, encoder.fingerprint, work / "encoded", tick)


def encoded_questions(
    questions: Sequence[str], encoder: QueryEncoder, work: Path, tick: Tick
) -> npt.NDArray[np.float32]:
    """Their vectors, shape [questions, dimension], of length 1."""

    def encode(part: list[str]) -> npt.NDArray[np.float32]:
        return encoder.encode_queries(part)

    return _in_chunks(questions, encode, encoder.fingerprint, work / "asked", tick)


def write_json(file: Path, values: Any) -> None:
    """Write a file under a temporary name and rename it."""
    file.parent.mkdir(parents=True, exist_ok=True)
    unfinished = file.with_name(f"{file.name}.new")
    unfinished.write_text(json.dumps(values, ensure_ascii=False), encoding="utf-8")
    os.replace(unfinished, file)


def write_array(file: Path, array: npt.NDArray[Any]) -> None:
    """Write an npy file under a temporary name and rename it."""
    file.parent.mkdir(parents=True, exist_ok=True)
    unfinished = file.with_name(f"{file.name}.new")
    with unfinished.open("wb") as stream:
        np.save(stream, array, allow_pickle=False)
    os.replace(unfinished, file)


def _in_chunks(
    texts: Sequence[str],
    encode: Callable[[list[str]], npt.NDArray[np.float32]],
    fingerprint: str,
    folder: Path,
    tick: Tick,
) -> npt.NDArray[np.float32]:
    parts = []
    for begin in range(0, len(texts), _CHUNK):
        chunk = list(texts[begin : begin + _CHUNK])
        whole = hashlib.sha256("\n".join([fingerprint, *chunk]).encode()).hexdigest()
        file = folder / f"{whole[:32]}.npy"
        if not file.is_file():
            vectors = encode(chunk)
            lengths = np.linalg.norm(vectors, axis=1, keepdims=True)
            write_array(file, np.asarray(vectors / lengths, dtype=np.float32))
        parts.append(np.load(file, allow_pickle=False))
        tick(f"encoding ({folder.name})", begin + len(chunk), len(texts))
    return np.concatenate(parts)
