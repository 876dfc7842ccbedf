"""Errors that users meet, each with a hint and an exit code for scripts.

The lower layers have bases of their own (`decoding.errors.DecodingError`,
`indexes.errors.StorageError`); `exit_code_of` maps all three to exit codes.
"""

from __future__ import annotations

EXIT_INTERNAL, EXIT_INPUT, EXIT_INDEX, EXIT_MODEL, EXIT_RETRIEVAL = 1, 2, 3, 4, 5


class SelfRAGError(Exception):
    """Base of this package's errors; `hint` says what to do next."""

    exit_code = EXIT_INTERNAL

    def __init__(self, message: str, hint: str = "") -> None:
        super().__init__(f"{message} {hint}".strip())
        self.message = message
        self.hint = hint


class QuestionRefused(SelfRAGError, ValueError):
    """A question that cannot be asked: empty, not text, or longer than the context."""

    exit_code = EXIT_INPUT


class ModelNotFound(SelfRAGError):
    """No checkpoint where one was named."""

    exit_code = EXIT_MODEL


class CorruptCheckpoint(SelfRAGError):
    """A checkpoint's files are missing, truncated or do not fit together."""

    exit_code = EXIT_MODEL


class RecordingIncomplete(SelfRAGError):
    """A replay needs an expansion or a retrieval that was not recorded."""

    exit_code = EXIT_INPUT


class CorruptRecording(SelfRAGError):
    """A recording's file is not one, or is damaged."""

    exit_code = EXIT_INPUT


class StoreDamaged(CorruptRecording):
    """A store of expansions is damaged as a file; as a cache it is set aside and begun anew."""


class StoreOutdated(CorruptRecording):
    """A store of expansions was written by another version; as a cache it is set aside."""


class StoreLocked(SelfRAGError):
    """Another process keeps a store of expansions locked."""

    exit_code = EXIT_INPUT


class StoreWarning(UserWarning):
    """A cache of expansions could not be kept up; no answer is affected."""


class Closed(SelfRAGError):
    """A `SelfRAG` was used after `close()`."""


def exit_code_of(error: BaseException) -> int:
    """The exit code that a command ends with for this error."""
    from decoding.errors import ConfigurationError, DecodingError, PromptTooLong

    if isinstance(error, KeyboardInterrupt):
        return 130
    if isinstance(error, SelfRAGError):
        return error.exit_code
    if isinstance(error, ConfigurationError | PromptTooLong):
        return EXIT_INPUT
    if isinstance(error, DecodingError):
        return EXIT_MODEL
    from indexes.errors import CorpusFormatError, StorageError
    from retrievers.errors import RetrieverError

    if isinstance(error, RetrieverError) and not isinstance(error, ValueError):
        return EXIT_RETRIEVAL
    if isinstance(error, CorpusFormatError):
        return EXIT_INPUT
    if isinstance(error, StorageError):
        return EXIT_INDEX
    return EXIT_INPUT if isinstance(error, ValueError) else EXIT_INTERNAL
