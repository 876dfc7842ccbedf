"""Errors of engines that are not ours: libraries, servers and machines, each with a hint."""

from __future__ import annotations

from selfrag.errors import EXIT_MODEL, SelfRAGError


class EngineError(SelfRAGError):
    """Base of the errors of engines and precisions."""

    exit_code = EXIT_MODEL


class EngineMissing(EngineError, ImportError):
    """A library that an engine or a precision needs is not installed, or too old."""


class MachineCannot(EngineError):
    """This machine cannot compute in the precision that was asked for."""


class InexactEngine(EngineError):
    """An engine cannot give exact log-probabilities of chosen ids; no mode works without them."""


class ModelMismatch(EngineError):
    """An engine serves another model, tokenizer or vocabulary than its client was given."""


class ServerUnreachable(EngineError):
    """A server gave no usable answer in all attempts."""


class ServerRefused(EngineError):
    """A server refuses a request, for a reason that another attempt does not change."""


class WrongAnswer(EngineError):
    """An engine answered with fewer or other ids than asked for, or with impossible numbers."""
