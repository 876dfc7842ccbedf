"""How a script ends: its exit code, with one line on standard error in the place of a traceback."""

from __future__ import annotations

import sys
from collections.abc import Callable


def run_to_exit_code(run: Callable[[], int]) -> int:
    """Call `run` and return its exit code, or that of the error it raised, which is printed.

    Errors that are nobody's input (exit code 1) are raised, since their traceback is needed.
    """
    from selfrag.errors import exit_code_of

    try:
        return run()
    except (KeyboardInterrupt, Exception) as error:
        code = exit_code_of(error)
        if code == 1:
            raise
        print(f"error: {error or 'interrupted'}", file=sys.stderr)
        return code
