"""The vectors of the benchmark of `auto`, and the indexes that are imported from them.

Real vectors come first, made ones after them, in one npy file; a corpus of as many short passages
and a file of ids belong to it. The index is made by `indexes.importing`, as
`selfrag index import --memory` makes it; a stopped run is gone on with.
"""

from __future__ import annotations

import json
import os
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from indexes.encoding import PassageEncoder
from indexes.importing import import_index
from indexes.index import Index
from indexes.lookup import write_npy_header
from indexes.manifest import MATRIX_FOLDER, STORE_FOLDER, Manifest
from indexes.progress import Progress
from selfrag.evaluation.real_vectors import write_json

Floats = npt.NDArray[np.float32]
_STATUS = Path("/proc/self/status")


def write_vectors(file: Path, real: Floats, made: Iterator[Floats], rows: int) -> None:
    """Write real and made vectors to one npy file; it appears when it is whole."""
    unfinished = file.with_name(f"{file.name}.new")
    written = 0
    with unfinished.open("wb") as stream:
        write_npy_header(stream, np.dtype(np.float32), (rows, real.shape[1]))
        for part in (real[:rows], *([] if rows <= len(real) else made)):
            stream.write(part.tobytes())
            written += len(part)
    if written != rows:
        raise ValueError(f"{written} vectors were made; {rows} were asked for.")
    os.replace(unfinished, file)


def write_corpus(folder: Path, sentences: list[str], rows: int) -> None:
    """Write `corpus.jsonl` and `ids.txt` for so many vectors; what was not said is a number."""
    unfinished = folder / "corpus.jsonl.new"
    with unfinished.open("w", encoding="utf-8") as stream:
        for number in range(rows):
            text = sentences[number] if number < len(sentences) else f"Made vector {number}."
            stream.write(json.dumps({"id": str(number), "text": text}, ensure_ascii=False) + "\n")
    (folder / "ids.txt").write_text("".join(f"{n}\n" for n in range(rows)), encoding="ascii")
    os.replace(unfinished, folder / "corpus.jsonl")


def imported(
    folder: Path,
    name: str,
    encoder: PassageEncoder,
    factory: str,
    memory: int | None,
    progress: Callable[[Progress], None],
) -> dict[str, Any]:
    """Import the vectors in `folder` as the index `name`, unless that was done.

    Returns:
        The seconds it took, None where it was gone on with; its bytes by part; factory, reason,
        parameters and recall as its manifest tells them.
    """
    record = folder / f"{name}.json"
    if not record.is_file():
        out = folder / name
        whole = not out.exists()
        began = time.perf_counter()
        manifest = import_index(
            folder / "corpus.jsonl",
            [folder / "vectors.npy"],
            out,
            encoder=encoder,
            ids=folder / "ids.txt",
            factory=factory,
            memory=memory,
            progress=progress,
            overwrite=True,
            bm25=False,
        )
        seconds = time.perf_counter() - began
        write_json(record, {"build_seconds": seconds if whole else None, **_described(manifest)})
    values: dict[str, Any] = json.loads(record.read_text(encoding="utf-8"))
    return values


def resident_memory(index: Path, questions: Floats, threads: int) -> dict[str, int]:
    """Resident bytes of this process, in all and without mapped files: before, open, asked.

    Meant for a fresh process: libraries that are loaded count.

    Raises:
        OSError: the system does not tell; only Linux does.
    """
    import faiss  # noqa: F401  counts before the index is opened

    values = {f"before_{key}": value for key, value in _resident().items()}
    began = time.perf_counter()
    opened = Index.open(index, bm25=False, threads=threads)
    values["open_microseconds"] = round(1e6 * (time.perf_counter() - began))
    values |= {f"open_{key}": value for key, value in _resident().items()}
    vectors = opened.require_vectors()
    for row in range(len(questions)):
        vectors.search(questions[row : row + 1], 10)
    vectors.search(questions, 10)
    return values | {f"asked_{key}": value for key, value in _resident().items()}


def _resident() -> dict[str, int]:
    found = {}
    for line in _STATUS.read_text().splitlines():
        for key, name in (("VmRSS:", "all"), ("RssAnon:", "own")):
            if line.startswith(key):
                found[name] = int(line.split()[1]) * 1024
    return found


def _described(manifest: Manifest) -> dict[str, Any]:
    sizes = {"passages": 0, "vectors_on_disk": 0, "index": 0, "encoder": 0}
    for name, record in manifest.files.items():
        inner = name.removeprefix(f"{manifest.generation}/")
        if inner.startswith(STORE_FOLDER):
            sizes["passages"] += record.size
        elif inner.startswith(f"{MATRIX_FOLDER}/"):
            sizes["vectors_on_disk"] += record.size
        elif inner.endswith(".faiss"):
            sizes["index"] += record.size
        else:
            sizes["encoder"] += record.size
    vectors = manifest.vectors_record
    return {
        "factory": manifest.factory,
        "reason": vectors.reason,
        "parameters": manifest.search_parameters,
        "refine": vectors.refine,
        "manifest_recall": vectors.recall,
        "bytes": sizes,
    }
