"""Runs a script once for each size, each in its own process, so that peaks of memory are theirs."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterable, Sequence

ONE = "--one"
"""The option by which a script knows that it is to measure a single size."""


def measure_each(script: str, arguments: Sequence[str], rows: Iterable[int]) -> None:
    """Call `script` again with `--one --rows N` for every N, and print what it prints, at once.

    Raises:
        subprocess.CalledProcessError: a size could not be measured.
    """
    for count in rows:
        command = [sys.executable, script, *arguments, ONE, "--rows", str(count)]
        done = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True)
        print(done.stdout, end="", flush=True)
