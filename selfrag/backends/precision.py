"""Weights in fewer bits: which precisions there are, whether this machine can, and how to load.

| precision | machine | library | what is rounded |
|---|---|---|---|
| int8 | CPU | torch | every linear layer, activations too (`int8.py`) |
| 8bit, 4bit | CUDA, CPU | bitsandbytes, accelerate | linear layers but the last (LLM.int8, NF4) |
| fp8 | CUDA of 8.9 and later | torchao | linear layers but the last, activations too |

The engine calls the layers as modules, so none of these changes it. The fingerprint names the
precision: expansions of one are never served for another.
"""

from __future__ import annotations

import importlib.util
from pathlib import Path
from typing import Any, Literal, get_args

from selfrag.backends.errors import EngineMissing, MachineCannot

Precision = Literal["int8", "8bit", "4bit", "fp8"]
PRECISIONS: tuple[Precision, ...] = get_args(Precision)

_LIBRARIES = {
    "8bit": ("bitsandbytes", "accelerate"),
    "4bit": ("bitsandbytes", "accelerate"),
    "fp8": ("torchao",),
}


def check_precision(precision: Precision, device: str, dtype: str) -> None:
    """Refuse what this machine, or what is installed on it, cannot compute.

    Args:
        precision: one of `PRECISIONS`.
        device: where the model runs, such as "cpu" or "cuda".
        dtype: the dtype of all that is not rounded.

    Raises:
        ValueError: there is no such precision.
        EngineMissing: a library is not installed.
        MachineCannot: the device or the dtype does not go with it.
    """
    if precision not in PRECISIONS:
        raise ValueError(f"precision is {precision!r}; allowed: {', '.join(PRECISIONS)}")
    for library in _LIBRARIES.get(precision, ()):
        if importlib.util.find_spec(library) is None:
            raise EngineMissing(
                f"precision={precision!r} needs {library}, which is not installed.",
                f"Install it: pip install {' '.join(_LIBRARIES[precision])}.",
            )
    if precision == "int8":
        _check_int8(device, dtype)
    if precision == "fp8":
        _check_fp8(device, dtype)


def load_arguments(precision: Precision | None, device: str) -> dict[str, Any]:
    """What transformers' `from_pretrained` is told where it rounds weights as it loads them."""
    if precision not in ("8bit", "4bit"):
        return {}
    from transformers import BitsAndBytesConfig

    make: Any = BitsAndBytesConfig  # its constructor has no types
    settings = make(
        load_in_8bit=precision == "8bit",
        load_in_4bit=precision == "4bit",
        bnb_4bit_quant_type="nf4",
    )
    return {"quantization_config": settings, "device_map": {"": device}}


def rounded(model: Any, precision: Precision | None) -> Any:
    """The loaded model in its precision; changed in place."""
    if precision == "int8":
        from selfrag.backends.int8 import to_int8

        return to_int8(model)
    if precision == "fp8":
        from torchao.quantization import (
            Float8DynamicActivationFloat8WeightConfig,
            PerRow,
            quantize_,
        )

        settings = Float8DynamicActivationFloat8WeightConfig(granularity=PerRow())
        quantize_(model.model, settings)
    return model


def precision_name(folder: Path, dtype: str, precision: Precision | None) -> str:
    """The checkpoint's fingerprint in a dtype and a precision."""
    from selfrag.backends.fingerprint import checkpoint_fingerprint

    name = checkpoint_fingerprint(folder, dtype)
    return name if precision is None else f"{name}-{precision}"


def _check_int8(device: str, dtype: str) -> None:
    from selfrag.backends.int8 import is_supported

    if device != "cpu":
        raise MachineCannot(
            f"precision='int8' runs on the CPU; the device is {device!r}.",
            "Use precision='8bit' or 'fp8' there, or device='cpu'.",
        )
    if dtype != "float32":
        raise MachineCannot(
            f"precision='int8' goes with dtype 'float32'; dtype is {dtype!r}.",
            "Leave dtype out.",
        )
    if not is_supported():
        raise MachineCannot(
            "This torch has no 8-bit kernels for this processor.",
            "Use an x86 processor and torch 2.6 to 2.13, or leave precision out.",
        )


def _check_fp8(device: str, dtype: str) -> None:
    import torch

    if not device.startswith("cuda"):
        raise MachineCannot(
            f"precision='fp8' needs a CUDA GPU of compute capability 8.9; the device is "
            f"{device!r}.",
            "Use an L4, L40, RTX 40, H100 or later, or precision='int8' on the CPU.",
        )
    capability = torch.cuda.get_device_capability(torch.device(device))
    if capability < (8, 9):
        raise MachineCannot(
            f"precision='fp8' needs compute capability 8.9; this GPU has "
            f"{'.'.join(map(str, capability))}.",
            "Use precision='8bit', or an L4, L40, RTX 40, H100 or later.",
        )
    if dtype != "bfloat16":
        raise MachineCannot(
            f"precision='fp8' goes with dtype 'bfloat16'; dtype is {dtype!r}.", "Leave dtype out."
        )
