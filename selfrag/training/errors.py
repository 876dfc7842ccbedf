"""Errors of the training pipeline: what was got, what is allowed, what to do next."""

from __future__ import annotations

from selfrag.errors import EXIT_INPUT, EXIT_MODEL, SelfRAGError


class TrainingError(SelfRAGError):
    """The training pipeline cannot go on; what is done so far is kept."""


class InvalidRow(TrainingError, ValueError):
    """A row does not follow its format or its grammar; the message names the row."""

    exit_code = EXIT_INPUT


class StageChanged(TrainingError, ValueError):
    """A stage was begun with other input or another configuration."""

    exit_code = EXIT_INPUT


class StageFailed(TrainingError):
    """A stage stopped before its end: a full disk, a server that is gone. Run it again to go on."""


class UnusableBase(TrainingError, ValueError):
    """A base model or its tokenizer cannot be trained as asked."""

    exit_code = EXIT_MODEL


class GateFailed(TrainingError):
    """A run has not learnt by its gate what it needs; its checkpoints are kept."""


class InvalidOptions(TrainingError, ValueError):
    """An option of the training pipeline has a value that is not allowed."""

    exit_code = EXIT_INPUT
