"""Progress of a build: what is told to a callback, and a bar for terminals."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from types import TracebackType
from typing import Any

_SECONDS_BETWEEN_REPORTS = 0.1


@dataclass(frozen=True, slots=True)
class Progress:
    """How far one stage of a build has come.

    Attributes:
        stage: "reading", "encoding", "training", "adding", "measuring", "counting words"
            or "pushing".
        done: passages done in this stage.
        total: passages in all; None while the corpus is still being read.
        seconds: since the stage began.
    """

    stage: str
    done: int
    total: int | None
    seconds: float

    @property
    def rate(self) -> float | None:
        """Passages per second so far; None at the start."""
        return self.done / self.seconds if self.seconds > 0 else None

    @property
    def seconds_left(self) -> float | None:
        """Expected time to the end of the stage; None where it cannot be known."""
        if self.total is None or not self.rate:
            return None
        return (self.total - self.done) / self.rate


class Reporter:
    """Passes progress on: to a callback, to a bar on a terminal, or to nobody.

    The callback hears of the first and last passage of a stage and of at most ten steps a second
    between them.
    """

    def __init__(self, callback: Callable[[Progress], None] | None) -> None:
        self._bar: Any = None
        self._task: Any = None
        if callback is None and sys.stderr.isatty():
            callback = self._draw
        self._callback = callback
        self._stage = ""
        self._total: int | None = None
        self._began = 0.0
        self._reported = 0.0

    def begin(self, stage: str, total: int | None) -> None:
        """A new stage starts."""
        self._stage, self._total = stage, total
        self._began = time.monotonic()
        self._reported = 0.0
        self._report(0)

    def tick(self, done: int) -> None:
        """So many passages of the stage are done."""
        if self._callback is None:
            return
        late = time.monotonic() - self._reported >= _SECONDS_BETWEEN_REPORTS
        if late or done == self._total:
            self._report(done)

    def end(self, done: int) -> None:
        """The stage is over."""
        self._total = done
        self._report(done)

    def __enter__(self) -> Reporter:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self._bar is not None:
            self._bar.stop()

    def _report(self, done: int) -> None:
        if self._callback is None:
            return
        self._reported = time.monotonic()
        self._callback(Progress(self._stage, done, self._total, self._reported - self._began))

    def _draw(self, progress: Progress) -> None:
        if self._bar is None:
            self._bar = _make_bar()
            self._bar.start()
        if progress.done == 0:
            self._task = self._bar.add_task(progress.stage, total=progress.total, rate="")
        rate = "" if progress.rate is None else f"{progress.rate:,.0f}/s"
        self._bar.update(self._task, completed=progress.done, total=progress.total, rate=rate)


def _make_bar() -> Any:
    from rich import progress as bars
    from rich.console import Console

    return bars.Progress(
        bars.TextColumn("{task.description}"),
        bars.BarColumn(),
        bars.MofNCompleteColumn(),
        bars.TextColumn("{task.fields[rate]}"),
        bars.TimeElapsedColumn(),
        bars.TimeRemainingColumn(),
        console=Console(stderr=True),
    )
