"""Decode steps as CUDA graphs: recorded once for each size, replayed without the host's work.

NEVER RUN: no CUDA device was at hand when this was written. What the tests cover is everything but
the recording itself: sizes, padding and the copying of inputs, with a recorder that computes the
step eagerly. The engine uses it on CUDA devices only, for steps in which no prompt is read and no
prefix is shared (shared prefixes have no fixed shape; those steps run without a graph).

A step's shapes depend on its number of rows and on the places that it reads, both rounded up.
Rows that pad the batch write into cache rows that nobody uses.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import torch
from torch import Tensor

from decoding.engine.llama import LlamaRunner
from decoding.engine.rows import RowsPass, Running, beyond

_SPAN_STEP = 128

Recorder = Callable[[Callable[[], Tensor]], tuple[Callable[[], None], Tensor]]
"""Records a computation; returns how to replay it and the tensor that holds its result."""


class _Step(NamedTuple):
    inputs: Tensor
    replay: Callable[[], None]
    logits: Tensor


class DecodeGraphs:
    """Recorded decode steps of one model; recorded anew when the cache has moved."""

    def __init__(self, runner: LlamaRunner, record: Recorder | None = None) -> None:
        self._runner = runner
        self._record = record or record_on_cuda
        self._steps: dict[tuple[int, int], _Step] = {}
        self._place: tuple[int, int] | None = None

    def run(self, running: Running, used: int) -> Tensor | None:
        """Logits `[rows, vocabulary]`, or None where a graph does not fit the step.

        Args:
            running: the decode step.
            used: rows of the cache that are in use, those included that do not decode yet.
        """
        cache, count = running.cache, len(running.ids)
        rows = 1 << (count - 1).bit_length()
        span = -(-(max(running.own) + 1) // _SPAN_STEP) * _SPAN_STEP
        span = min(span, cache.capacity)
        if running.shared or running.widths or used > count or rows > cache.rows:
            return None
        place = (cache.keys.data_ptr(), cache.values.data_ptr())
        if place != self._place:
            self._steps.clear()
            self._place = place
        if (rows, span) not in self._steps:
            self._steps[rows, span] = self._recorded(running, rows, span)
        step = self._steps[rows, span]
        padding = [0] * (rows - count)
        columns = [running.ids, running.positions, running.own]
        step.inputs.copy_(torch.tensor([[*column, *padding] for column in columns]))
        step.replay()
        return step.logits[:count]

    def _recorded(self, running: Running, rows: int, span: int) -> _Step:
        dtype, device = running.cache.keys.dtype, running.cache.keys.device
        inputs = torch.zeros((3, rows), dtype=torch.long, device=device)

        def compute() -> Tensor:
            ids, positions, own = inputs.unbind(0)
            part = RowsPass(running.cache, own, span, beyond(own, span, dtype))
            return self._runner.decode(part, ids, positions)

        # Recording runs the step, with zeros: what it writes at place 0 is put back.
        first = [t[:, :rows, :, :1].clone() for t in (running.cache.keys, running.cache.values)]
        replay, logits = self._record(compute)
        running.cache.keys[:, :rows, :, :1] = first[0]
        running.cache.values[:, :rows, :, :1] = first[1]
        return _Step(inputs, replay, logits)


def record_on_cuda(compute: Callable[[], Tensor]) -> tuple[Callable[[], None], Tensor]:
    """Warm up on a stream of its own, then record (as torch's notes on CUDA graphs ask)."""
    cuda: Any = torch.cuda
    stream = cuda.Stream()
    stream.wait_stream(torch.cuda.current_stream())
    with torch.cuda.stream(stream):
        for _ in range(2):
            compute()
    torch.cuda.current_stream().wait_stream(stream)
    graph = torch.cuda.CUDAGraph()
    with torch.cuda.graph(graph):
        logits = compute()
    return graph.replay, logits
