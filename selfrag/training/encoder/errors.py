"""Errors of encoder training: what was got, what is allowed, what to do next."""

from __future__ import annotations

from importlib import import_module

from selfrag.errors import EXIT_INPUT
from selfrag.training.errors import TrainingError


class InvalidEncoderPlan(TrainingError, ValueError):
    """A setting of a plan is not allowed."""

    exit_code = EXIT_INPUT


class NotEnoughQueries(TrainingError, ValueError):
    """No query, or no passage, is left to train on or to measure with."""

    exit_code = EXIT_INPUT


class MissingLibrary(TrainingError, ImportError):
    """A library of the extra `train` is not installed."""

    exit_code = EXIT_INPUT


def require_train_extra() -> None:
    """Check that the libraries of the extra `train` can be imported.

    Raises:
        MissingLibrary: one of them is missing.
    """
    for name in ("sentence_transformers", "datasets", "accelerate"):
        try:
            import_module(name)
        except ImportError as error:
            raise MissingLibrary(
                f"Encoder training needs {name}, which cannot be imported ({error}).",
                'Install it: pip install "selfrag[train]".',
            ) from error
