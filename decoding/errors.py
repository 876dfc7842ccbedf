"""Errors of the decoding layer: each says what was got, what is allowed and what to do next."""

from __future__ import annotations


class DecodingError(Exception):
    """Base of this package's errors; `hint` says what to do next."""

    def __init__(self, message: str, hint: str = "") -> None:
        super().__init__(f"{message} {hint}".strip())
        self.message = message
        self.hint = hint


class MissingControlTokens(DecodingError, ValueError):
    """A tokenizer or model lacks control tokens that Self-RAG decoding needs."""


class UnsupportedTokenizer(DecodingError, ValueError):
    """A tokenizer cannot encode untrusted text safely."""


class UnsupportedModel(DecodingError, ValueError):
    """A model's architecture cannot be run by the engine."""


class PromptTooLong(DecodingError, ValueError):
    """A prompt leaves no room for the answer inside the model's context."""


class ConfigurationError(DecodingError, ValueError):
    """A configuration value or key is not allowed."""


class CutUnproven(DecodingError):
    """A replayed branch was cut where the present weights do not allow it."""


class CacheTooSmall(DecodingError, ValueError):
    """The engine's memory limit does not hold the keys and values of one request."""
