"""Which processors compute in bfloat16, and a warning where a model would crawl in it."""

from __future__ import annotations

import warnings
from pathlib import Path

import torch

_FLAGS = {"avx512_bf16", "amx_bf16", "bf16"}
"""What /proc/cpuinfo calls the instructions: AVX-512 and AMX on x86, the extension on Arm."""


class SlowPrecision(UserWarning):
    """A precision was asked for that this processor computes by conversion."""


def computes_bfloat16(device: torch.device) -> bool:
    """Whether matrix products in bfloat16 are the device's own.

    On a processor that lists no flags (not Linux) the answer is no, and float32 is as right.
    """
    if device.type == "cuda":
        return bool(torch.cuda.is_bf16_supported(including_emulation=False))
    if device.type != "cpu":
        return True
    return bool(_FLAGS & _processor_flags(Path("/proc/cpuinfo")))


def warn_if_slow(dtype: torch.dtype, device: torch.device) -> None:
    """Say so when bfloat16 was asked for and the device has no instructions for it."""
    if dtype == torch.bfloat16 and not computes_bfloat16(device):
        warnings.warn(
            f"This {device.type} device has no bfloat16 instructions: results are right but come "
            "slower than in float32. Use dtype='float32' unless memory is short.",
            SlowPrecision,
            stacklevel=3,
        )


def _processor_flags(path: Path) -> set[str]:
    """Flags of the first processor that a cpuinfo file describes."""
    if not path.is_file():
        return set()
    for line in path.read_text(encoding="utf-8", errors="replace").splitlines():
        name, _, value = line.partition(":")
        if name.strip() in ("flags", "Features"):
            return set(value.split())
    return set()
