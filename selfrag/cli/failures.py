"""Errors on their way to a user: name, message and hint on standard error, and an exit code."""

from __future__ import annotations

import errno
import sys
import traceback

import typer

from selfrag.errors import SelfRAGError, exit_code_of

INTERRUPTED = 130


class InputError(SelfRAGError, ValueError):
    """An option or an input that the command line itself cannot accept."""

    exit_code = 2


def report_failure(error: BaseException, *, debug: bool) -> int | None:
    """Tell the user about `error` and return the exit code; None where typer handles it itself.

    Those are its own exceptions (wrong usage, an asked-for exit) and a closed pipe.
    """
    if isinstance(error, typer.Exit | typer.Abort | typer.TyperException):
        return None
    if isinstance(error, OSError) and error.errno == errno.EPIPE:
        return None
    if isinstance(error, KeyboardInterrupt):
        print("Interrupted.", file=sys.stderr)
        return INTERRUPTED
    if debug:
        traceback.print_exception(error)
    print(failure_text(error), file=sys.stderr)
    return exit_code_of(error)


def failure_text(error: BaseException) -> str:
    """The error's name, message and hint, in at most a few lines."""
    from selfrag.rendering import printable

    message = getattr(error, "message", None) or str(error) or "no message"
    lines = [f"{type(error).__name__}: {message}"]
    hint = hint_of(error)
    if hint:
        lines.append(f"Hint: {hint}")
    return printable("\n".join(lines))


def hint_of(error: BaseException) -> str:
    """What to do next: the error's own hint, or the best that can be said of its kind."""
    hint = getattr(error, "hint", "")
    if isinstance(hint, str) and hint:
        return hint
    if isinstance(error, ImportError):
        return "Install the package with its dependencies; `selfrag doctor` lists what is missing."
    if hasattr(error, "hint") or isinstance(error, ValueError):
        return ""
    return "`selfrag --debug ...` shows where it happened."
