"""Resident memory of this process, now and at its highest since a moment of choice; Linux only."""

from __future__ import annotations

from pathlib import Path

_RESET = Path("/proc/self/clear_refs")
_STATUS = Path("/proc/self/status")


def reset_peak_memory() -> bool:
    """Begin a new measurement at the present size; False where the system has none."""
    try:
        _RESET.write_text("5")
    except OSError:
        return False
    return True


def peak_memory() -> int | None:
    """The highest resident size since the last reset, in bytes; None where it is not known."""
    return _status("VmHWM:")


def resident_memory() -> int | None:
    """The resident size now, in bytes; None where it is not known."""
    return _status("VmRSS:")


def _status(name: str) -> int | None:
    try:
        lines = _STATUS.read_text().splitlines()
    except OSError:
        return None
    for line in lines:
        if line.startswith(name):
            return int(line.split()[1]) * 1024
    return None
