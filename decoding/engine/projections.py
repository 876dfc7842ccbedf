"""A layer's matrix products: query, key and value in one, gate and up in one.

Only plain `nn.Linear` modules are joined: one that is quantised, wrapped by an adapter, hooked or
parametrised is called as it is. Joining keeps one copy of the weights: the joined matrix takes the
place of the parts, whose parameters become views of it, so the checkpoint's own modules go on
working and changes in place are seen by both. A model that is moved or cast afterwards gets new
parameters; `Projections.is_current` says so, and the engine joins anew.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional


class Joined:
    """Several linear layers of one input as one product, or one after the other."""

    def __init__(self, parts: Sequence[Any]) -> None:
        self._parts = list(parts)
        self._weight: Tensor | None = None
        self._bias: Tensor | None = None
        if all(is_plain(part) for part in parts) and _alike(parts):
            with torch.inference_mode(False), torch.no_grad():
                self._weight = _join([part.weight for part in parts])
                if parts[0].bias is not None:
                    self._bias = _join([part.bias for part in parts])
        self._places = self._current_places()

    def __call__(self, hidden: Tensor) -> Tensor:
        """`[tokens, sum of outputs]`."""
        if self._weight is not None:
            return functional.linear(hidden, self._weight, self._bias)
        return torch.cat([part(hidden) for part in self._parts], dim=-1)

    @property
    def is_current(self) -> bool:
        """Whether the modules still hold the parameters that were joined."""
        return self._weight is None or self._places == self._current_places()

    def _current_places(self) -> list[int]:
        if self._weight is None:
            return []
        tensors = [t for part in self._parts for t in (part.weight, part.bias) if t is not None]
        return [tensor.data_ptr() for tensor in tensors]


class Projections:
    """One decoder layer's products, by way of its own modules."""

    def __init__(self, layer: Any) -> None:
        attention, mlp = layer.self_attn, layer.mlp
        self.qkv = Joined([attention.q_proj, attention.k_proj, attention.v_proj])
        names = ("gate_proj", "up_proj", "down_proj", "act_fn")
        whole = all(hasattr(mlp, name) for name in names) and not has_hooks(mlp)
        self._gate_up = Joined([mlp.gate_proj, mlp.up_proj]) if whole else None
        self._mlp = mlp

    @property
    def is_current(self) -> bool:
        """Whether the layer still holds the parameters that were joined."""
        return self.qkv.is_current and (self._gate_up is None or self._gate_up.is_current)

    def feed_forward(self, hidden: Tensor) -> Tensor:
        """The gated feed-forward layer, `[tokens, width]` to the same."""
        if self._gate_up is None:
            result: Tensor = self._mlp(hidden)
            return result
        gate, up = self._gate_up(hidden).chunk(2, dim=-1)
        result = self._mlp.down_proj(self._mlp.act_fn(gate) * up)
        return result


def is_plain(module: Any) -> bool:
    """Whether a module computes its weight times the input and nothing else."""
    own = type(module) is nn.Linear and "forward" not in vars(module)
    return own and not has_hooks(module) and "parametrizations" not in module._modules


def has_hooks(module: Any) -> bool:
    """Whether something runs before or after the module's own computation."""
    return bool(module._forward_hooks or module._forward_pre_hooks)


def _alike(parts: Sequence[Any]) -> bool:
    """Whether their weights can lie in one matrix and none is used elsewhere in it."""
    weights = [part.weight for part in parts]
    kinds = {
        (w.dtype, w.device, w.shape[1], part.bias is None)
        for w, part in zip(weights, parts, strict=True)
    }
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
