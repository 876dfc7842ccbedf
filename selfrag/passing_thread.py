"""Runs a call in a thread that ends with it.

OpenMP gives each thread that computes a team of workers of its own. Where all teams together have
more threads than the machine has processors, idle workers go to sleep at once instead of waiting
for the next product (libgomp), and a decode step of few rows takes a third longer. The engine
computes in the scheduler's thread; what is computed once before, such as packing weights, is
done in a thread that takes its team along when it ends.
"""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

Result = TypeVar("Result")


def in_passing(call: Callable[[], Result]) -> Result:
    """What the call returns, or the error that it raises."""
    with ThreadPoolExecutor(max_workers=1, thread_name_prefix="passing") as threads:
        return threads.submit(call).result()
