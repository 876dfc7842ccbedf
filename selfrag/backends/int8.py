"""Linear layers in 8 bits on the CPU: weights by output row, activations by token, float32 out.

A weight row is rounded to 63 steps on each side of zero, an activation row to 127. Their products
add up in pairs of 16 bits on processors without VNNI, where 127 · 127 · 2 would overflow and
63 · 255 does not. Each row of activations is divided by its own largest value first, so that what
one sequence gets never depends on which others are in its batch.

torch's own `quantize_dynamic` takes one range for a whole batch instead, and is deprecated; the
kernels that both use (`torch.ops.quantized`) are in torch 2.13.
"""

from __future__ import annotations

import warnings

import torch
from torch import Tensor, nn

WEIGHT_STEPS = 63
ACTIVATION_STEPS = 127


class Int8Linear(nn.Module):
    """What `nn.Linear` computes, in 8 bits; `[..., in]` to `[..., out]`, float32.

    Args:
        linear: a float32 layer on the CPU; it is not needed afterwards.
    """

    bias: Tensor | None

    def __init__(self, linear: nn.Linear) -> None:
        super().__init__()
        self.in_features, self.out_features = linear.in_features, linear.out_features
        weight = linear.weight.detach().float()
        scales = weight.abs().amax(dim=1).clamp_min(1e-12) / WEIGHT_STEPS
        bias = None if linear.bias is None else linear.bias.detach().float().clone()
        self.register_buffer("bias", bias)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", UserWarning)  # the constructor is deprecated
            quantised = torch.quantize_per_channel(
                weight,
                scales.double(),
                torch.zeros(self.out_features, dtype=torch.long),
                axis=0,
                dtype=torch.qint8,
            )
            self._packed = torch.ops.quantized.linear_prepack(quantised, None)

    def forward(self, states: Tensor) -> Tensor:
        """`states @ weight.T + bias`, rounded."""
        rows = states.reshape(-1, self.in_features)
        largest = rows.abs().amax(dim=-1, keepdim=True).clamp_min(1e-12)
        product: Tensor = torch.ops.quantized.linear_with_input_q_dq_qweight_dq_output_fp32(
            rows / largest, 1.0 / ACTIVATION_STEPS, 128, self._packed
        )
        product = product.mul_(largest).reshape(*states.shape[:-1], self.out_features)
        return product if self.bias is None else product + self.bias


def to_int8(model: nn.Module) -> nn.Module:
    """Replace every plain `nn.Linear` below `model`, in place; layers that share are shared on."""
    made: dict[int, Int8Linear] = {}
    for parent in list(model.modules()):
        for name, child in list(parent._modules.items()):
            if type(child) is nn.Linear:
                if id(child) not in made:
                    made[id(child)] = Int8Linear(child)
                setattr(parent, name, made[id(child)])
    return model


def is_supported() -> bool:
    """Whether this torch has the kernels for this processor."""
    names = ("linear_prepack", "linear_with_input_q_dq_qweight_dq_output_fp32")
    engines = set(torch.backends.quantized.supported_engines) & {"x86", "fbgemm", "onednn"}
    return bool(engines) and all(hasattr(torch.ops.quantized, name) for name in names)
