"""The time that a search has left, known to whatever runs below it in the same thread.

Retrievers that ask another machine give it no more time than the caller has. Those that compute
here cannot be stopped and do not look.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar

_DEADLINE: ContextVar[float | None] = ContextVar("retrieval_deadline", default=None)


@contextmanager
def search_until(deadline: float | None) -> Iterator[None]:
    """Inside the block searches have until this moment of `time.monotonic`; None is no limit."""
    token = _DEADLINE.set(deadline)
    try:
        yield
    finally:
        _DEADLINE.reset(token)


def seconds_left() -> float | None:
    """How long the search of this thread may still take, 0 or less when it is late; None for any
    time.
    """
    deadline = _DEADLINE.get()
    return None if deadline is None else deadline - time.monotonic()
