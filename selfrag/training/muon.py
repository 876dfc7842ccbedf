"""Muon: momentum whose matrices are made orthogonal before each step.

Jordan et al., "Muon: an optimizer for hidden layers in neural networks" (2024). For the weight
matrices inside the layers; embeddings, the output layer and vectors are left to AdamW. Differs from
`torch.optim.Muon` in that equal shapes are treated in one stack, that several processes share the
work, and that it computes in float32 where the processor is slow with bfloat16.
"""

from collections import defaultdict
from collections.abc import Iterable

import torch
from torch import Tensor

COEFFICIENTS = (3.4445, -4.775, 2.0315)


def orthogonal(stack: Tensor, steps: int = 5) -> Tensor:
    """Each matrix of the stack (n, rows, columns) with its singular values moved to about 1, by a
    Newton-Schulz iteration of fifth order."""
    tall = stack.size(1) > stack.size(2)
    x = stack.transpose(1, 2) if tall else stack
    x = x / (x.norm(dim=(1, 2), keepdim=True) + 1e-7)
    a, b, c = COEFFICIENTS
    for _ in range(steps):
        gram = x @ x.transpose(1, 2)
        x = torch.baddbmm(x, torch.baddbmm(gram, gram, gram, beta=b, alpha=c), x, beta=a)
    return x.transpose(1, 2) if tall else x


class Muon(torch.optim.Optimizer):
    """Steps of the size that AdamW takes with the same rate (0.2 root mean square).

    parameters: matrices. Their gradients must be equal in all processes of the default group.
    """

    def __init__(
        self,
        parameters: Iterable[Tensor],
        lr: float,
        momentum: float = 0.95,
        weight_decay: float = 0.05,
    ) -> None:
        super().__init__(parameters, {"lr": lr, "momentum": momentum, "weight_decay": weight_decay})

    @torch.no_grad()
    def step(self, closure: None = None) -> None:  # type: ignore[override]
        """One step for every matrix that has a gradient."""
        for group in self.param_groups:
            shapes: defaultdict[torch.Size, list[Tensor]] = defaultdict(list)
            for parameter in group["params"]:
                if parameter.grad is not None:
                    shapes[parameter.shape].append(parameter)
            for shape, parameters in shapes.items():
                directions = self._directions(parameters, group["momentum"])
                size = 0.2 * max(shape) ** 0.5
                for parameter, direction in zip(parameters, directions, strict=True):
                    parameter.mul_(1 - group["lr"] * group["weight_decay"])
                    parameter.add_(direction, alpha=-group["lr"] * size)

    def _directions(self, parameters: list[Tensor], momentum: float) -> Tensor:
        """The orthogonal directions of equal matrices; each process computes its share."""
        moved = []
        for parameter in parameters:
            state = self.state[parameter]
            if "momentum" not in state:
                state["momentum"] = torch.zeros_like(parameter)
            gradient = parameter.grad
            assert gradient is not None
            state["momentum"].lerp_(gradient, 1 - momentum)
            moved.append(gradient.lerp(state["momentum"], momentum))
        stack = torch.stack(moved)
        if not torch.distributed.is_initialized():
            return orthogonal(stack)
        processes, rank = torch.distributed.get_world_size(), torch.distributed.get_rank()
        share = -(-len(stack) // processes)
        result = torch.zeros_like(stack)
        mine = slice(rank * share, (rank + 1) * share)
        if len(stack[mine]):
            result[mine] = orthogonal(stack[mine])
        torch.distributed.all_reduce(result)
        return result
