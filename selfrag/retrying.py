"""How long to wait before a server is asked again."""

from __future__ import annotations

from datetime import UTC, datetime
from email.utils import parsedate_to_datetime

LONGEST_PAUSE = 300.0
"""Seconds; a server that asks for more is asked again after this."""


def pause_before(attempt: int, backoff: float, asked: float) -> float:
    """Seconds to wait before an attempt (1 is the second): exponential, or what the server asks."""
    return min(LONGEST_PAUSE, max(asked, backoff * 2.0 ** (attempt - 1)))


def retry_after(value: str | None, now: datetime) -> float:
    """The seconds that a `Retry-After` header asks for, in both of its forms; 0 without one."""
    if not value:
        return 0.0
    if value.strip().isdecimal():
        return float(value)
    try:
        moment = parsedate_to_datetime(value)
    except ValueError:
        return 0.0
    if moment.tzinfo is None:
        moment = moment.replace(tzinfo=UTC)
    return max(0.0, (moment - now).total_seconds())
