"""Verifies an index: every byte, and that its parts belong together. It reports and repairs not."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from indexes.checksums import CorpusDigest, sha256_of_file
from indexes.errors import StorageError
from indexes.index import Index
from indexes.manifest import MANIFEST_FILE, STORE_FOLDER, Manifest


@dataclass(frozen=True, slots=True)
class Problem:
    """Something wrong with an index: in which file (relative to its folder), and what."""

    file: str
    message: str

    def __str__(self) -> str:
        return f"{self.file}: {self.message}"


@dataclass(frozen=True, slots=True)
class VerifyReport:
    """What a verification found.

    Attributes:
        path: the index folder.
        problems: all of them; empty for a sound index.
        files: how many files were read.
        bytes: how many bytes they have.
    """

    path: Path
    problems: tuple[Problem, ...]
    files: int
    bytes: int

    @property
    def ok(self) -> bool:
        """Whether no problem was found."""
        return not self.problems

    def to_dict(self) -> dict[str, Any]:
        """The report as JSON values."""
        return {
            "path": str(self.path),
            "ok": self.ok,
            "problems": [{"file": p.file, "message": p.message} for p in self.problems],
            "files": self.files,
            "bytes": self.bytes,
        }


def verify_index(path: Path | str) -> VerifyReport:
    """Read all files of the index in the folder `path` and list every problem.

    Raises:
        NotAnIndex: there is no index to verify.
        UnsupportedVersion: another version of the program wrote it.
        CorruptIndex: the manifest itself is damaged, so nothing can be compared with it.
    """
    folder = Path(path)
    manifest = Manifest.read(folder)
    problems: list[Problem] = []
    if (folder / MANIFEST_FILE).read_bytes() != manifest.render().encode():
        problems.append(Problem(MANIFEST_FILE, "is written otherwise than a build writes it"))
    size = 0
    for name, record in manifest.files.items():
        file = folder / name
        try:
            found = file.stat().st_size
            checksum = sha256_of_file(file)
        except OSError as error:
            problems.append(Problem(name, f"cannot be read ({error.strerror or error})"))
            continue
        size += found
        if found != record.size:
            problems.append(Problem(name, f"has {found} bytes, recorded are {record.size}"))
        elif checksum != record.sha256:
            problems.append(Problem(name, "has other bytes than recorded"))
    data = folder / manifest.generation
    for file in sorted(data.rglob("*")):
        name = file.relative_to(folder).as_posix()
        if file.is_file() and name not in manifest.files:
            problems.append(Problem(name, "is not in the manifest"))
    if not problems:
        problems += _contents(folder, manifest)
    return VerifyReport(folder, tuple(problems), len(manifest.files), size)


def _contents(folder: Path, manifest: Manifest) -> list[Problem]:
    """Whether sound files belong together; opening compares the counts of all parts."""
    store_name = f"{manifest.generation}/{STORE_FOLDER}"
    try:
        index = Index.open(folder)
        store = index.store
        digest = CorpusDigest()
        for passage in store:
            digest.add(passage)
    except StorageError as error:
        return [Problem(manifest.generation, error.message)]
    problems = []
    if digest.hexdigest() != manifest.corpus_sha256:
        problems.append(Problem(store_name, "holds another corpus than recorded"))
    lost = _lost_ids(index)
    if lost:
        problems.append(Problem(store_name, f"does not find {lost} of its passages by id"))
    return problems


def _lost_ids(index: Index) -> int:
    """How many passages their ids do not lead to, and deleted ones that an id leads to."""
    lost = 0
    for row, passage in enumerate(index.store):
        try:
            found = index.store.row_of(passage.id)
        except KeyError:
            found = -1
        deleted = index.deleted is not None and bool(index.deleted[row])
        lost += (found == row) == deleted
    return lost
