"""Memory of the processor's that grows and shrinks where it lies.

A page is taken when it is first written to, and kept until it is given back. What grows needs no
second copy while it does, and does not pay for its pages again.
"""

from __future__ import annotations

import mmap
from math import prod

import torch
from torch import Tensor

_FLAGS = ("MAP_PRIVATE", "MAP_ANONYMOUS", "MADV_DONTNEED")


class Reserve:
    """Address space, zeros at first.

    Args:
        size: bytes, 1 at least.

    Raises:
        OSError: the system does not give as much, or has no such memory.
    """

    def __init__(self, size: int) -> None:
        if not all(hasattr(mmap, flag) for flag in _FLAGS):
            raise OSError("no memory that is taken page by page")
        flags = mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS | getattr(mmap, "MAP_NORESERVE", 0)
        self._memory = mmap.mmap(-1, size, flags=flags)

    def view(self, shape: tuple[int, ...], dtype: torch.dtype) -> Tensor:
        """The first bytes as a tensor, with whatever stands there."""
        count = prod(shape)
        if not count:
            return torch.empty(shape, dtype=dtype)
        return torch.frombuffer(self._memory, dtype=dtype, count=count).view(shape)

    def give_back(self, kept: int) -> None:
        """Give the pages behind the first `kept` bytes back to the system."""
        start = -(-kept // mmap.PAGESIZE) * mmap.PAGESIZE
        if start < len(self._memory):
            self._memory.madvise(mmap.MADV_DONTNEED, start, len(self._memory) - start)
