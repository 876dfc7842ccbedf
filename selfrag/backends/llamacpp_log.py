"""What llama.cpp says: to Python's logger `llama.cpp`, its errors also into those of the engine.

It writes hundreds of lines about a file. llama-cpp-python 0.3.36 prints them by levels that are one
off (errors count as debugging), so its own setting cannot show the errors alone.
"""

from __future__ import annotations

import ctypes
import logging
from collections import deque
from functools import cache
from typing import Any

_LEVELS = {1: logging.DEBUG, 2: logging.INFO, 3: logging.INFO, 4: logging.ERROR}
"""By llama.cpp's numbers. Its warnings (3) speak of settings that the engine makes on purpose."""


class LlamaCppLog:
    """Listens to the library; it must live as long as that calls it, so `log_of` makes it.

    Args:
        api: the module `llama_cpp`.
    """

    def __init__(self, api: Any) -> None:
        self._errors: deque[str] = deque(maxlen=3)
        self._logger = logging.getLogger("llama.cpp")
        self._level = logging.DEBUG
        self._callback = api.llama_log_callback(self._take)
        api.llama_log_set(self._callback, ctypes.c_void_p(0))

    def errors(self) -> str:
        """The last errors since this was asked, one after the other; they are forgotten then."""
        said = "; ".join(self._errors)
        self._errors.clear()
        return said or "it gave no reason"

    def _take(self, level: int, text: bytes, _: Any) -> None:
        self._level = _LEVELS.get(level, self._level)  # other numbers go on with the last line
        line = text.decode("utf-8", "replace").strip()
        if not line:
            return
        self._logger.log(self._level, "%s", line)
        if self._level == logging.ERROR:
            self._errors.append(line)


@cache
def log_of(api: Any) -> LlamaCppLog:
    """The one that listens to this module."""
    return LlamaCppLog(api)
