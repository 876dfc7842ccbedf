"""Errors of the retrieval layer: each says what was got, what is allowed and what to do next."""

from __future__ import annotations


class RetrieverError(Exception):
    """Base of this package's errors; `hint` says what to do next."""

    def __init__(self, message: str, hint: str = "") -> None:
        super().__init__(f"{message} {hint}".strip())
        self.message = message
        self.hint = hint


class InvalidQuery(RetrieverError, ValueError):
    """A query is no valid text, or its number of passages or its timeout is not positive."""


class RetrievalTimeout(RetrieverError, TimeoutError):
    """A search did not end within the time that it was given."""


class InvalidPassages(RetrieverError, ValueError):
    """Given passages cannot be read."""


class InvalidRetriever(RetrieverError, ValueError):
    """A retriever's settings are not allowed, or retrievers do not fit together."""


class EncoderNotFound(RetrieverError):
    """A model is neither a folder nor available locally under its name."""


class EncoderUnreadable(RetrieverError):
    """A model's files are damaged, incomplete, or of a kind that is not supported."""


class EncoderUnclear(RetrieverError, ValueError):
    """How a model wants its texts prefixed or its vectors made is not known; say it."""


class ModelUnreadable(RetrieverError):
    """A cross-encoder's files are damaged, or it does not give one score per pair."""


class CacheWarning(UserWarning):
    """A file of cached results was damaged or could not be used; retrieval goes on without it."""
