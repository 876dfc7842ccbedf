"""A model's matrix products: query, key and value in one, gate and up in one, packed where it pays.

Only plain `nn.Linear` modules are touched: one that is quantised, wrapped by an adapter, hooked or
parametrised is called as it is. What is done with the plain ones:

joined  The joined matrix takes the place of the parts, whose parameters become views of it. There
        is one copy of the weights, the checkpoint's own modules go on working, and changes in place
        are seen by both.
packed  On the CPU in float32, oneDNN multiplies a few rows with a large matrix in its own layout
        1.1 to 1.8 times as fast (measured at 10 and 32 rows with the shapes of a 134M model). The
        layout is a second copy, made only where all of them together stay under `PACKED_BYTES`;
        the checkpoint's parameters are left alone.

A model that is moved, cast or, when packed, changed has other parameters afterwards: `is_current`
says so, and the engine makes its products anew.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

PACKED_BYTES = 2**30
"""How much a second copy of the weights in the processor's layout may take."""

_WORTH_PACKING = 2**19
"""Entries of a matrix below which its layout makes no difference."""

_ROWS_HINT = 32


class Product:
    """One linear layer, or several of one input, as one matrix product.

    Args:
        parts: the modules, in the order of their outputs.
        pack: whether a second copy in the processor's layout may be made.
    """

    def __init__(self, parts: Sequence[Any], *, pack: bool) -> None:
        self._parts = list(parts)
        self._weight: Tensor | None = None
        self._bias: Tensor | None = None
        self._packed = False
        if all(is_plain(part) for part in parts) and _alike(parts):
            with torch.inference_mode(False), torch.no_grad():
                self._build(pack)
        self._state = self._current_state()

    def __call__(self, hidden: Tensor) -> Tensor:
        """`[tokens, width]` to `[tokens, sum of outputs]`."""
        if self._packed:
            result: Tensor = torch.ops.mkldnn._linear_pointwise(
                hidden, self._weight, self._bias, "none", [], ""
            )
            return result
        if self._weight is not None:
            return functional.linear(hidden, self._weight, self._bias)
        if len(self._parts) == 1:
            result = self._parts[0](hidden)
            return result
        return torch.cat([part(hidden) for part in self._parts], dim=-1)

    @property
    def is_current(self) -> bool:
        """Whether the modules still hold the parameters that this was made of."""
        return self._weight is None or self._state == self._current_state()

    def _build(self, pack: bool) -> None:
        weights = [part.weight for part in self._parts]
        biases = [part.bias for part in self._parts if part.bias is not None]
        if pack and sum(weight.numel() for weight in weights) >= _WORTH_PACKING:
            whole = torch.cat([weight.detach() for weight in weights])
            self._weight = torch.ops.mkldnn._reorder_linear_weight(whole, _ROWS_HINT)
            self._bias = torch.cat([bias.detach() for bias in biases]) if biases else None
            self._packed = True
        elif len(self._parts) > 1:
            self._weight = _join(weights)
            self._bias = _join(biases) if biases else None

    def _current_state(self) -> list[tuple[int, int]]:
        if self._weight is None:
            return []
        tensors = [t for part in self._parts for t in (part.weight, part.bias) if t is not None]
        watched = self._packed
        return [
            (t.data_ptr(), t._version if watched and not t.is_inference() else 0) for t in tensors
        ]


class Projections:
    """One decoder layer's products, by way of its own modules."""

    def __init__(self, layer: Any, *, pack: bool) -> None:
        attention, mlp = layer.self_attn, layer.mlp
        self.qkv = Product([attention.q_proj, attention.k_proj, attention.v_proj], pack=pack)
        self.output = Product([attention.o_proj], pack=pack)
        names = ("gate_proj", "up_proj", "down_proj", "act_fn")
        self._mlp = mlp
        self._gate_up: Product | None = None
        if all(hasattr(mlp, name) for name in names) and not has_hooks(mlp):
            self._gate_up = Product([mlp.gate_proj, mlp.up_proj], pack=pack)
            self._down = Product([mlp.down_proj], pack=pack)

    @property
    def is_current(self) -> bool:
        """Whether the layer still holds the parameters that its products were made of."""
        products = [self.qkv, self.output]
        if self._gate_up is not None:
            products += [self._gate_up, self._down]
        return all(product.is_current for product in products)

    def feed_forward(self, hidden: Tensor) -> Tensor:
        """The gated feed-forward layer, `[tokens, width]` to the same."""
        if self._gate_up is None:
            result: Tensor = self._mlp(hidden)
            return result
        gate, up = self._gate_up(hidden).chunk(2, dim=-1)
        return self._down(self._mlp.act_fn(gate).mul_(up))


def is_plain(module: Any) -> bool:
    """Whether a module computes its weight times the input and nothing else.

    A quantised weight may also hide in a plain module, as a tensor of a class of its own (torchao).
    """
    own = type(module) is nn.Linear and "forward" not in vars(module)
    if not own or type(module.weight) is not nn.Parameter:
        return False
    return module.weight.is_floating_point() and not has_hooks(module)


def has_hooks(module: Any) -> bool:
    """Whether something runs before or after the module's own computation."""
    return bool(module._forward_hooks or module._forward_pre_hooks)


def may_pack(model: Any) -> bool:
    """Whether a second, packed copy of a model's large plain matrices is possible and small."""
    weight = model.model.embed_tokens.weight
    if weight.device.type != "cpu" or weight.dtype != torch.float32:
        return False
    backend: Any = torch.backends.mkldnn
    if not (backend.is_available() and hasattr(torch.ops.mkldnn, "_linear_pointwise")):
        return False
    held = sum(int(module.weight.nbytes) for module in model.modules() if is_plain(module))
    return held <= PACKED_BYTES


def _alike(parts: Sequence[Any]) -> bool:
    """Whether their weights can lie in one matrix and none of them is another's."""
    weights = [part.weight for part in parts]
    kinds = {(part.weight.dtype, part.weight.device, part.bias is None) for part in parts}
    return len(kinds) == 1 and len({w.data_ptr() for w in weights}) == len(weights)


def _join(parameters: Sequence[nn.Parameter]) -> Tensor:
    """The parameters one above the other; each becomes a view of the result.

    Parameters that lie so already, because another engine joined them, stay where they are.
    """
    first, rows = parameters[0], sum(parameter.shape[0] for parameter in parameters)
    expected, storage = first.data_ptr(), first.untyped_storage().data_ptr()
    for parameter in parameters:
        own = parameter.untyped_storage().data_ptr() == storage and parameter.is_contiguous()
        if not own or parameter.data_ptr() != expected:
            break
        expected += parameter.nbytes
    else:
        return first.detach().as_strided((rows, *first.shape[1:]), first.stride())
    joined = torch.cat([parameter.detach() for parameter in parameters])
    start = 0
    for parameter in parameters:
        stop = start + parameter.shape[0]
        parameter.data = joined[start:stop]
        start = stop
    return joined
