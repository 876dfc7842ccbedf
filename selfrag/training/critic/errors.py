"""Errors of critic models: what was got, what is allowed, what to do next."""

from __future__ import annotations

from selfrag.errors import EXIT_INPUT, EXIT_MODEL
from selfrag.training.errors import TrainingError


class QuestionTooLong(TrainingError, ValueError):
    """What a question may not lose is longer than the model's context."""

    exit_code = EXIT_INPUT


class EmptySplit(TrainingError, ValueError):
    """A split (training, calibration, held out) has no judgement that can be used."""

    exit_code = EXIT_INPUT


class CorruptCritic(TrainingError):
    """A critic's folder is missing, incomplete or damaged."""

    exit_code = EXIT_MODEL


class MissingExtra(TrainingError):
    """A library of an extra is not installed."""

    exit_code = EXIT_INPUT
