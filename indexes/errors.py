"""Errors of the storage layer: each says what was got, what is allowed and what to do next."""

from __future__ import annotations

from pathlib import Path


class StorageError(Exception):
    """Base of this package's errors; `hint` says what to do next."""

    def __init__(self, message: str, hint: str = "") -> None:
        super().__init__(f"{message} {hint}".strip())
        self.message = message
        self.hint = hint


class NotAnIndex(StorageError):
    """A path is missing, is a file, or is a folder that holds no index."""


class CorruptIndex(StorageError):
    """An index or store is truncated, altered, incomplete or inconsistent."""


class UnsupportedVersion(StorageError):
    """An index was written by a version whose format this one does not know."""


class MissingPart(StorageError):
    """An index was built without the part (vectors or BM25) that is asked for."""


class OutdatedPart(StorageError):
    """A part of an index was made before passages were added to it or deleted from it."""


class EncoderMismatch(StorageError):
    """An encoder is not the one whose vectors stand in the index."""


class DimensionMismatch(StorageError):
    """Vectors have another dimension than the index."""


class IndexExists(StorageError):
    """A build would write over something it was not told to replace."""


class IndexBusy(StorageError):
    """Another process is building an index in the same folder."""


class InterruptedBuild(StorageError):
    """A folder holds an interrupted build that this one cannot go on with."""


class DiskFull(StorageError):
    """There is no space left; what was finished before is kept."""


class InvalidSetting(StorageError, ValueError):
    """A build or search setting is not allowed."""


class ClusterUnreachable(StorageError):
    """A Ray cluster cannot be joined, or none can be started."""


class EncoderNotLoaded(StorageError):
    """A worker of a cluster cannot load the encoder, or loads another one."""


class WorkerFailed(StorageError):
    """Workers of a cluster failed or were lost; what was finished before is kept."""


class InvalidVectors(StorageError, ValueError):
    """An encoder gave vectors of a wrong shape or with numbers that are not finite."""


class VectorFileError(StorageError, ValueError):
    """A file of vectors is damaged, or holds what is not admitted."""


class VectorsDoNotMatch(StorageError, ValueError):
    """Vectors and passages do not have the same ids."""


class UnknownIds(StorageError, ValueError):
    """Passages are to be deleted that an index does not hold."""


class InvalidPassage(StorageError, ValueError):
    """A passage's value is of a wrong type, has no id, or cannot be written as UTF-8."""


class DuplicateId(StorageError, ValueError):
    """Two passages have the same id."""


class EmptyCorpus(StorageError, ValueError):
    """A corpus holds no passage, or no word to index."""


class CorpusFormatError(StorageError, ValueError):
    """A corpus file cannot be read; `path` and `line` (from 1, None for the whole file) say where.

    Attributes:
        path: the file.
        line: the line where the bad row begins.
    """

    def __init__(self, path: Path | str, line: int | None, message: str, hint: str = "") -> None:
        where = str(path) if line is None else f"{path}, line {line}"
        super().__init__(f"{where}: {message}", hint)
        self.path = Path(path)
        self.line = line


class MissingLibrary(StorageError, ImportError):
    """A library that is an extra of this package is needed and not installed."""

    def __init__(self, library: str, purpose: str, extra: str) -> None:
        super().__init__(
            f"{purpose} need {library}, which is not installed.",
            f'Install it: pip install "selfrag[{extra}]".',
        )


class MilvusError(StorageError):
    """A Milvus server failed at a request, or refused it."""


class MilvusUnreachable(MilvusError):
    """No Milvus server answers at an address, or a file of Milvus Lite cannot be opened."""


class MilvusAccessDenied(MilvusError):
    """A Milvus server does not accept the token, or the token does not allow the request."""


class MilvusTimeout(MilvusError, TimeoutError):
    """A Milvus server did not answer within the time that it was given."""


class MissingCollection(MilvusError):
    """A Milvus server has no such collection or database."""


class CollectionMismatch(MilvusError):
    """A Milvus collection does not hold the vectors of the index that it is used for."""


class UnfinishedPush(MilvusError):
    """A Milvus collection does not hold all vectors of its index yet."""


class SkippedPassages(UserWarning):
    """Rows of a corpus were left out; the message counts them and names the first."""


class ResumedBuild(UserWarning):
    """A build goes on where an interrupted one stopped; the message says where."""
