"""What the machine can do at the shapes of a model, measured: matrix products and memory.

A "pass" is every linear layer of the model once, with its own weights, on random input of some
rows; layers that have the same input are one product (query, key and value; gate and up). It is
what a decode step or a prefill of as many rows cannot do without, by the faster of the machine's
ways to multiply: torch's, or oneDNN's with weights in its own layout. Attention, norms, the choice
of tokens and all bookkeeping are left out: no engine can be faster than a pass, up to noise.
Memory bandwidth is that of reading 256 MiB once.
"""

from __future__ import annotations

import bisect
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from statistics import median
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from decoding.engine.projections import may_pack

Multiply = Callable[[Tensor, Tensor], Tensor]
"""Input `[rows, width]` and a weight to their product."""

SIZES = (1, 2, 5, 10, 20, 32, 64, 128, 256)
"""Rows at which passes are measured."""


@dataclass(frozen=True, slots=True)
class Rates:
    """Seconds of a pass by its rows, and memory.

    Attributes:
        layers: rows -> seconds of all linear layers but the last.
        head: rows -> seconds of `lm_head`.
        bandwidth: bytes a second that are read from memory.
        position_bytes: keys and values of one position of one sequence.
    """

    layers: Mapping[int, float]
    head: Mapping[int, float]
    bandwidth: float
    position_bytes: int

    def prefill(self, tokens: int, sequences: int) -> float:
        """Seconds for `tokens` new positions, of which `sequences` need logits."""
        return between(self.layers, tokens) + between(self.head, sequences)

    def decode(self, rows: int, positions: int) -> float:
        """Seconds of one step of `rows` sequences that read `positions` cached positions."""
        read = positions * self.position_bytes / self.bandwidth
        return between(self.layers, rows) + between(self.head, rows) + read

    def to_dict(self) -> dict[str, Any]:
        """As JSON values."""
        return {
            "layers_seconds": {str(rows): seconds for rows, seconds in self.layers.items()},
            "head_seconds": {str(rows): seconds for rows, seconds in self.head.items()},
            "bandwidth_bytes_per_second": self.bandwidth,
            "position_bytes": self.position_bytes,
        }

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> Rates:
        """Inverse of `to_dict`."""
        return cls(
            {int(rows): seconds for rows, seconds in values["layers_seconds"].items()},
            {int(rows): seconds for rows, seconds in values["head_seconds"].items()},
            values["bandwidth_bytes_per_second"],
            values["position_bytes"],
        )


def typical(measured: Sequence[Rates]) -> Rates:
    """The median of several measurements of the same sizes, number by number."""
    first = measured[0]
    return Rates(
        layers={rows: median(one.layers[rows] for one in measured) for rows in first.layers},
        head={rows: median(one.head[rows] for one in measured) for rows in first.head},
        bandwidth=median(one.bandwidth for one in measured),
        position_bytes=first.position_bytes,
    )


def between(seconds: Mapping[int, float], rows: int) -> float:
    """Seconds at a number of rows that was perhaps not measured; 0 for no rows.

    On the straight line between its neighbours; beyond the largest in proportion to it.
    """
    if rows <= 0:
        return 0.0
    sizes = sorted(seconds)
    if rows >= sizes[-1]:
        return seconds[sizes[-1]] * rows / sizes[-1]
    if rows <= sizes[0]:
        return seconds[sizes[0]]
    place = bisect.bisect_left(sizes, rows)
    low, high = sizes[place - 1], sizes[place]
    share = (rows - low) / (high - low)
    return seconds[low] + share * (seconds[high] - seconds[low])


def measure_rates(model: Any, *, sizes: Sequence[int] = SIZES, repeats: int = 3) -> Rates:
    """Measure passes over a loaded Llama's linear layers, and memory; medians of `repeats`."""
    weight, config = model.lm_head.weight, model.config
    products = [product for layer in model.model.layers for product in _products(layer)]
    head_size = getattr(config, "head_dim", None) or (
        config.hidden_size // config.num_attention_heads
    )
    packed = may_pack(model)
    numbers = 2 * config.num_hidden_layers * config.num_key_value_heads * head_size
    return Rates(
        layers=_passes(products, sizes, repeats, packed),
        head=_passes([weight], sizes, repeats, packed),
        bandwidth=_bandwidth(weight.device, repeats),
        position_bytes=numbers * weight.element_size(),
    )


def _products(layer: Any) -> list[Tensor]:
    """A decoder layer's weights `[outputs, inputs]`, joined where the input is the same."""
    attention, mlp = layer.self_attn, layer.mlp
    parts: list[list[nn.Linear]] = [
        [attention.q_proj, attention.k_proj, attention.v_proj],
        [attention.o_proj],
        [mlp.gate_proj, mlp.up_proj],
        [mlp.down_proj],
    ]
    return [torch.cat([linear.weight.detach() for linear in part]) for part in parts]


def _passes(
    weights: Sequence[Tensor], sizes: Sequence[int], repeats: int, packed: bool
) -> dict[int, float]:
    """Rows -> seconds of a pass. packed: whether oneDNN's way is one of the machine's."""
    ways: list[tuple[Multiply, Sequence[Tensor]]] = [(functional.linear, weights)]
    if packed:
        ways.append((_multiply_packed, [_pack(weight) for weight in weights]))
    found = {}
    for rows in sizes:
        inputs = [
            torch.randn(rows, one.shape[1], dtype=one.dtype).to(one.device) for one in weights
        ]
        found[rows] = min(_pass(multiply, inputs, those, repeats) for multiply, those in ways)
    return found


def _pass(
    multiply: Multiply, inputs: Sequence[Tensor], weights: Sequence[Tensor], repeats: int
) -> float:
    def run() -> None:
        for given, weight in zip(inputs, weights, strict=True):
            multiply(given, weight)

    with torch.inference_mode():
        return timed(run, inputs[0].device, repeats)


def _pack(weight: Tensor) -> Tensor:
    packed: Tensor = torch.ops.mkldnn._reorder_linear_weight(weight, None)
    return packed


def _multiply_packed(given: Tensor, weight: Tensor) -> Tensor:
    product: Tensor = torch.ops.mkldnn._linear_pointwise(given, weight, None, "none", [], "")
    return product


def _bandwidth(device: torch.device, repeats: int) -> float:
    block = torch.ones(64 * 2**20, dtype=torch.float32, device=device)
    with torch.inference_mode():
        seconds = timed(lambda: block.sum(), device, repeats)
    return block.numel() * block.element_size() / seconds


def timed(run: Callable[[], object], device: torch.device, repeats: int) -> float:
    """Median seconds of `repeats` calls after one that is not counted."""
    found = []
    for number in range(repeats + 1):
        began = time.perf_counter()
        run()
        if device.type == "cuda":
            torch.cuda.synchronize(device)
        if number:
            found.append(time.perf_counter() - began)
    return float(median(found))
