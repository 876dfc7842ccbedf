"""Encoded rows on disk: made once from the files of rows, then read where a batch needs them.

A folder holds four files of little-endian int32 (`ids`, `labels`, `ends`, `before`; see
`encoding.EncodedRow`), `offsets.npy`, `dropped.jsonl`, `cut.jsonl`, and, when all is there,
`encoding.json`. Rows that are none, or whose first segment does not fit, are dropped; rows that are
too long lose their last segments; both are listed with ids. This module knows nothing of models.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from selfrag.training.errors import InvalidRow, StageFailed
from selfrag.training.generator.encoding import EncodedRow, RowEncoder
from selfrag.training.generator.rows import read_training_rows
from selfrag.training.masking import IGNORED
from selfrag.training.stages import Drop, fingerprint, write_atomically

ARRAYS = ("ids", "labels", "ends", "before")


@dataclass(frozen=True, slots=True)
class EncodingCounts:
    """What became of the rows: read, kept, cut (they are kept too), dropped by reason; tokens, and
    those of them that the loss counts; branched: rows that are no chain."""

    read: int = 0
    kept: int = 0
    cut: int = 0
    dropped: dict[str, int] = field(default_factory=dict)
    tokens: int = 0
    counted: int = 0
    branched: int = 0


class EncodedRows:
    """The rows of a folder that `encode_files` filled; `rows[i]` is an `EncodedRow`."""

    def __init__(self, folder: Path) -> None:
        values = json.loads((folder / "encoding.json").read_text(encoding="utf-8"))
        self.counts = EncodingCounts(**values["counts"])
        self._offsets: NDArray[np.int64] = np.load(folder / "offsets.npy", allow_pickle=False)
        self._arrays = [np.memmap(folder / f"{name}.bin", "<i4", "r") for name in ARRAYS]

    def __len__(self) -> int:
        return len(self._offsets) - 1

    def __getitem__(self, number: int) -> EncodedRow:
        start, end = self._offsets[number], self._offsets[number + 1]
        return EncodedRow(*(array[start:end] for array in self._arrays))

    @property
    def lengths(self) -> NDArray[np.int64]:
        """The number of tokens of each row."""
        lengths: NDArray[np.int64] = np.diff(self._offsets)
        return lengths


def encode_files(
    paths: Sequence[Path],
    folder: Path,
    encoder: RowEncoder,
    *,
    max_length: int,
    identity: dict[str, Any],
    report: Callable[[str], None] = lambda line: None,
) -> EncodedRows:
    """Encode the rows of JSON Lines files; a folder that has them already is only opened.

    Args:
        max_length: of a row, in tokens.
        identity: JSON values that decide the encoding beside the files and `max_length`, such as
            the tokenizer's fingerprint.

    Raises:
        StageFailed: a file cannot be read, or the disk is full.
        InvalidRow: no row is left.
    """
    folder.mkdir(parents=True, exist_ok=True)
    done = folder / "encoding.json"
    wanted = {"input": fingerprint(paths), "max_length": max_length, **identity}
    if done.exists():
        found = json.loads(done.read_text(encoding="utf-8"))
        if found["identity"] == json.loads(json.dumps(wanted)):
            return EncodedRows(folder)
        done.unlink()
    try:
        counts = _encode(paths, folder, encoder, max_length, report)
        values = {"identity": wanted, "counts": _as_dict(counts)}
        write_atomically(done, json.dumps(values, indent=2) + "\n")
    except OSError as error:
        raise StageFailed(
            f"The rows could not be encoded into {folder}: {error.strerror or error}.",
            "Make room or mend the path, and run the same command again.",
        ) from error
    return EncodedRows(folder)


def _encode(
    paths: Sequence[Path],
    folder: Path,
    encoder: RowEncoder,
    max_length: int,
    report: Callable[[str], None],
) -> EncodingCounts:
    offsets = [0]
    read = cut = counted = branched = 0
    dropped: Counter[str] = Counter()
    with ExitStack() as stack:
        files = [stack.enter_context((folder / f"{name}.bin").open("wb")) for name in ARRAYS]
        drops, cuts = (
            stack.enter_context((folder / name).open("w", encoding="utf-8"))
            for name in ("dropped.jsonl", "cut.jsonl")
        )
        for line, row in read_training_rows(paths):
            read += 1
            if read % 20_000 == 0:
                report(f"{read} rows encoded, {offsets[-1] / 1e6:.1f} million tokens")
            made = row if isinstance(row, Drop) else _fitted(encoder, row, max_length)
            if isinstance(made, Drop):
                dropped[made.reason] += 1
                _list(drops, line.id, line.number, reason=made.reason, detail=made.detail)
                continue
            assert not isinstance(row, Drop)
            encoded, kept = made
            if kept < len(row.segments):
                cut += 1
                _list(cuts, line.id, line.number, segments=len(row.segments), kept=kept)
            for file, name in zip(files, ARRAYS, strict=True):
                file.write(getattr(encoded, name).astype("<i4").tobytes())
            offsets.append(offsets[-1] + len(encoded))
            counted += int((encoded.labels != IGNORED).sum())
            branched += bool((encoded.ends[:-1] != len(encoded) - 1).any())
    if len(offsets) == 1:
        raise InvalidRow(
            f"None of the {read} rows can be trained on ({dict(dropped)}).",
            f"The reasons are in {folder / 'dropped.jsonl'}.",
        )
    np.save(folder / "offsets.npy", np.array(offsets, np.int64), allow_pickle=False)
    return EncodingCounts(
        read=read,
        kept=len(offsets) - 1,
        cut=cut,
        dropped=dict(sorted(dropped.items())),
        tokens=offsets[-1],
        counted=counted,
        branched=branched,
    )


def _fitted(encoder: RowEncoder, row: Any, room: int) -> tuple[EncodedRow, int] | Drop:
    try:
        found = encoder.fit(row, room)
    except ValueError as error:  # a lone surrogate
        return Drop("not text", str(error))
    if found is None:
        return Drop("too long", f"its first segment does not fit into {room} tokens")
    if not (found[0].labels != IGNORED).any():
        return Drop("nothing to learn", "the loss would count no token of it")
    return found


def _list(file: Any, row_id: str, line: int, **values: Any) -> None:
    text = json.dumps({"id": row_id, "line": line, **values}, ensure_ascii=False)
    file.write(text.encode("utf-8", "backslashreplace").decode() + "\n")


def _as_dict(counts: EncodingCounts) -> dict[str, Any]:
    return {name: getattr(counts, name) for name in EncodingCounts.__dataclass_fields__}
