"""The manifest: what an index was made of, and the checksums that prove it.

`manifest.json` in the index folder. It is written last and replaced atomically, so the manifest
that a reader finds always describes complete files. It carries a checksum of itself.
"""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from indexes.checksums import FileRecord, sha256_of_ends, sha256_of_json
from indexes.errors import CorruptIndex, NotAnIndex, UnsupportedVersion
from indexes.lexical import BM25Settings

MANIFEST_VERSION = 2
_READABLE_VERSIONS = (1, 2)
MANIFEST_FILE = "manifest.json"
STORE_FOLDER = "passages"
VECTORS_FILE = "vectors.faiss"
MATRIX_FOLDER = "vectors"
DELETED_FILE = "deleted.npy"
BM25_FOLDER = "bm25"
ENCODER_FOLDER = "encoder"
_REBUILD = "Build the index again, or copy it again from its source."


@dataclass(frozen=True, slots=True)
class EncoderRecord:
    """The encoder whose vectors stand in an index.

    Attributes:
        name: a model's name, or its folder; a relative one is seen from the index folder.
        fingerprint: checksum of its files and of the settings below.
        dimension: numbers per vector.
        similarity: "cosine", "dot" or "euclidean".
        query_prefix: text put in front of every query.
        passage_prefix: text put in front of every passage.
        normalise: whether its vectors have length 1.
        pooling: how token vectors are pooled, where the encoder's own files do not say.
    """

    name: str
    fingerprint: str
    dimension: int
    similarity: str
    query_prefix: str
    passage_prefix: str
    normalise: bool
    pooling: str | None = None

    def to_dict(self) -> dict[str, Any]:
        """The record as JSON values."""
        return {name: getattr(self, name) for name in self.__slots__}


@dataclass(frozen=True, slots=True)
class VectorsRecord:
    """How the vectors of an index are searched.

    Attributes:
        reason: why the factory string is what it is.
        kept: whether float16 vectors lie beside the FAISS index, for exact scores.
        refine: candidates per result whose exact scores are computed, where vectors are kept.
        recall: the part of the exact best ten that is found, measured with means of vectors of the
            corpus as queries; 1 where search is exact, None where it was not measured.
        recall_queries: how many queries it was measured with.
        requested: the factory string that was asked for, as "auto".
        memory: the budget in bytes that was given with it; None for no limit.
        segments: FAISS files in the generation's folder, in row order.
        segment_rows: vectors in each of them; empty where there is one.
    """

    reason: str
    kept: bool
    refine: int
    recall: float | None = None
    recall_queries: int = 0
    requested: str = "auto"
    memory: int | None = None
    segments: tuple[str, ...] = (VECTORS_FILE,)
    segment_rows: tuple[int, ...] = ()

    def to_dict(self) -> dict[str, Any]:
        """The record as JSON values."""
        values = {name: getattr(self, name) for name in self.__slots__}
        lists = {"segments": list(self.segments), "segment_rows": list(self.segment_rows)}
        return {**values, **lists}

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> VectorsRecord:
        """The record that `to_dict` wrote."""
        segments = tuple(_inside(str(name)) for name in values["segments"])
        rows = tuple(int(count) for count in values["segment_rows"])
        return cls(**{**values, "segments": segments, "segment_rows": rows})


@dataclass(frozen=True, slots=True)
class Manifest:
    """What an index was made of.

    Attributes:
        created_at: UTC, ISO 8601.
        corpus_sha256: checksum of all passages in row order.
        passages: how many there are.
        generation: folder inside the index folder that holds the data files.
        encoder: None for an index without vectors.
        factory: FAISS factory string; None for an index without vectors.
        search_parameters: FAISS parameters set on opening, for example "nprobe=32".
        bm25: None for an index without BM25.
        files: by path relative to the index folder.
        vectors: how vectors are searched; None for an index without vectors, and for one of
            format version 1, which holds one FAISS file and nothing beside it.
        deleted: how many of the passages are deleted.
        version: of the format; 1 is read and kept as it is, and not written any more.
    """

    created_at: str
    corpus_sha256: str
    passages: int
    generation: str
    encoder: EncoderRecord | None
    factory: str | None
    search_parameters: str
    bm25: BM25Settings | None
    files: Mapping[str, FileRecord]
    vectors: VectorsRecord | None = None
    deleted: int = 0
    version: int = MANIFEST_VERSION

    @property
    def fingerprint(self) -> str:
        """Identifies corpus, encoder and settings, whenever and wherever the index was built."""
        contents = self.to_dict()
        encoder = contents["encoder"]
        identity = {
            "schema_version": 1,  # of the fingerprint: an index keeps its own
            "corpus": contents["corpus"],
            "encoder": None if encoder is None else encoder["fingerprint"],
            "factory": self.factory,
            "search_parameters": self.search_parameters,
            "bm25": contents["bm25"],
        }
        if self.vectors is not None and len(self.vectors.segments) > 1:
            identity["segments"] = len(self.vectors.segments)
        if self.deleted:
            identity["deleted"] = self.corpus_fingerprint
        return sha256_of_json(identity)

    @property
    def vectors_record(self) -> VectorsRecord:
        """How vectors are searched; what version 1 leaves unsaid is said."""
        if self.vectors is not None:
            return self.vectors
        return VectorsRecord("", kept=False, refine=1, requested=self.factory or "auto")

    @property
    def corpus_fingerprint(self) -> str:
        """Identifies the passages that can be found: `corpus_sha256`, and which are deleted."""
        if not self.deleted:
            return self.corpus_sha256
        deleted = self.files[f"{self.generation}/{DELETED_FILE}"].sha256
        return sha256_of_json({"corpus": self.corpus_sha256, "deleted": deleted})

    def to_dict(self) -> dict[str, Any]:
        """The manifest as JSON values, without its own checksum."""
        values = {
            "schema_version": self.version,
            "created_at": self.created_at,
            "corpus": {"sha256": self.corpus_sha256, "passages": self.passages},
            "generation": self.generation,
            "encoder": None if self.encoder is None else self.encoder.to_dict(),
            "factory": self.factory,
            "search_parameters": self.search_parameters,
            "bm25": None if self.bm25 is None else self.bm25.to_dict(),
            "files": {name: self.files[name].to_dict() for name in sorted(self.files)},
        }
        if self.version > 1:
            values["vectors"] = None if self.vectors is None else self.vectors.to_dict()
            values["deleted"] = self.deleted
        return values

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> Manifest:
        """The manifest that `to_dict` wrote.

        Raises:
            UnsupportedVersion: another version of the program wrote it.
            KeyError, TypeError, ValueError: a value is missing or of a wrong type.
        """
        _check_version(values)
        return cls(
            created_at=str(values["created_at"]),
            corpus_sha256=str(values["corpus"]["sha256"]),
            passages=int(values["corpus"]["passages"]),
            generation=_inside(str(values["generation"])),
            encoder=None if values["encoder"] is None else EncoderRecord(**values["encoder"]),
            factory=None if values["factory"] is None else str(values["factory"]),
            search_parameters=str(values["search_parameters"]),
            bm25=None if values["bm25"] is None else BM25Settings.from_dict(values["bm25"]),
            files={_inside(name): FileRecord(**record) for name, record in values["files"].items()},
            vectors=None
            if not values.get("vectors")
            else VectorsRecord.from_dict(values["vectors"]),
            deleted=int(values.get("deleted", 0)),
            version=int(values["schema_version"]),
        )

    def summary(self) -> dict[str, Any]:
        """The manifest for people: without its list of files, with their size together."""
        values = self.to_dict()
        del values["files"]
        size = sum(record.size for record in self.files.values())
        return {**values, "fingerprint": self.fingerprint, "bytes": size}

    def render(self) -> str:
        """The text of `manifest.json`: the values and their checksum."""
        values = self.to_dict()
        signed = {**values, "manifest_sha256": sha256_of_json(values)}
        return json.dumps(signed, indent=2, ensure_ascii=False) + "\n"

    @classmethod
    def read(cls, path: Path | str) -> Manifest:
        """The manifest of the index in the folder `path`.

        Raises:
            NotAnIndex: the path is missing, is a file, or holds no manifest.
            CorruptIndex: the manifest is unreadable or altered.
            UnsupportedVersion: another version of the program wrote it.
        """
        folder = Path(path)
        file = folder / MANIFEST_FILE
        if not folder.is_dir():
            what = "is a file" if folder.exists() else "does not exist"
            raise NotAnIndex(f"{folder} {what}.", "Give the folder that a build has written.")
        try:
            values = json.loads(file.read_text(encoding="utf-8"))
        except FileNotFoundError as error:
            raise NotAnIndex(
                f"{folder} holds no index ({MANIFEST_FILE} is missing).",
                "Give the folder that a build has written; if a build was interrupted, run it "
                "again.",
            ) from error
        except (OSError, ValueError, RecursionError) as error:
            raise CorruptIndex(f"{file} is unreadable: {error}.", _REBUILD) from error
        if not isinstance(values, dict):
            raise CorruptIndex(f"{file} holds no JSON object.", _REBUILD)
        recorded = values.pop("manifest_sha256", None)
        if recorded is None or not isinstance(recorded, str):
            raise CorruptIndex(f"{file} is no manifest: it has no checksum.", _REBUILD)
        _check_version(values)
        if sha256_of_json(values) != recorded:
            raise CorruptIndex(f"{file} was altered after it was written.", _REBUILD)
        try:
            return cls.from_dict(values)
        except (KeyError, TypeError, ValueError, AttributeError) as error:
            raise CorruptIndex(f"{file} lacks a value: {error!r}.", _REBUILD) from error

    def write(self, folder: Path) -> None:
        """Publish the manifest in `folder`: one atomic replacement, flushed to disk."""
        temporary = folder / f"{MANIFEST_FILE}.new"
        with temporary.open("w", encoding="utf-8", newline="\n") as file:
            file.write(self.render())
            file.flush()
            os.fsync(file.fileno())
        os.replace(temporary, folder / MANIFEST_FILE)

    def check_files(self, folder: Path) -> None:
        """Compare sizes and the ends of all files with the record.

        Raises:
            CorruptIndex: a file is missing, has another size, or begins or ends otherwise.
        """
        for name, record in self.files.items():
            file = folder / name
            try:
                size = file.stat().st_size
                ends = sha256_of_ends(file, record.head)
                same = size == record.size and ends == record.ends_sha256
            except OSError as error:
                raise CorruptIndex(f"{file} cannot be read: {error}.", _REBUILD) from error
            if size != record.size:
                raise CorruptIndex(
                    f"{file} has {size} bytes; the manifest says {record.size}.", _REBUILD
                )
            if not same:
                raise CorruptIndex(f"{file} was altered after it was written.", _REBUILD)


def _check_version(values: Mapping[str, Any]) -> None:
    version = values.get("schema_version")
    if version not in _READABLE_VERSIONS:
        raise UnsupportedVersion(
            f"The index has schema version {version!r}; this program reads "
            f"{' and '.join(map(str, _READABLE_VERSIONS))}.",
            "Use a matching version of the program, or build the index again.",
        )


def _inside(name: str) -> str:
    path = Path(name)
    if not name or path.is_absolute() or ".." in path.parts:
        raise ValueError(f"{name!r} leaves the index folder")
    return name
