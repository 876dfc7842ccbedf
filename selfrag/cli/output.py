"""Where a command writes: results to standard output, everything else to standard error.

While a command works, `sys.stdout` is standard error, so that no library can mix its messages
into the results.
"""

from __future__ import annotations

import contextlib
import json
import math
import re
import sys
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any, TextIO

if TYPE_CHECKING:
    from rich.console import RenderableType

# JSON allows these inside strings, but many readers end a line at them.
_LINE_ENDS = re.compile("[\x85\u2028\u2029]")


class Output:
    """The results' way out.

    Args:
        as_json: whether results are JSON lines; they are UTF-8 whatever the locale.
    """

    def __init__(self, *, as_json: bool) -> None:
        self.as_json = as_json
        self._stream: TextIO = sys.stdout
        reconfigure = getattr(self._stream, "reconfigure", None)
        if reconfigure is not None:
            if as_json:
                reconfigure(encoding="utf-8", errors="backslashreplace")
            else:
                reconfigure(errors="replace")
        self._console: Any = None

    @property
    def terminal(self) -> bool:
        """Whether results are read by human eyes, in lines of a width."""
        return self._stream.isatty()

    @contextlib.contextmanager
    def guarded(self) -> Iterator[Output]:
        """While it lasts, what others print goes to standard error."""
        with contextlib.redirect_stdout(sys.stderr):
            yield self

    def line(self, value: dict[str, Any]) -> None:
        """One JSON object on a line of its own, at once."""
        text = json.dumps(_finite(value), ensure_ascii=False, allow_nan=False)
        self.raw(_LINE_ENDS.sub(lambda found: f"\\u{ord(found[0]):04x}", text) + "\n")

    def raw(self, text: str) -> None:
        """Text as it stands, at once."""
        self._stream.write(text)
        self._stream.flush()

    def show(self, renderable: RenderableType) -> None:
        """Something for human eyes, fitted to the terminal."""
        if self._console is None:
            from rich.console import Console

            self._console = Console(file=self._stream, highlight=False, markup=False)
        self._console.print(renderable, soft_wrap=not self.terminal)
        self._stream.flush()


def _finite(value: Any) -> Any:
    """JSON has no infinity and no NaN: they become null."""
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, dict):
        return {key: _finite(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_finite(item) for item in value]
    return value


def note(message: str) -> None:
    """A line on standard error: a warning or a remark that is no result."""
    print(message, file=sys.stderr, flush=True)
