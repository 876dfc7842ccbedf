"""Muon against the one in torch, and shared between processes."""

from pathlib import Path

import pytest
import torch
from torch.multiprocessing.spawn import start_processes

from selfrag.training.muon import Muon, orthogonal

SHAPES = ((12, 12), (12, 12), (12, 12), (40, 12), (12, 40))


@pytest.mark.parametrize("shape", [(3, 16, 16), (2, 40, 16), (2, 16, 40)])
def test_singular_values_move_to_one(shape: tuple[int, int, int]) -> None:
    torch.manual_seed(0)
    stack = torch.randn(shape)
    result = orthogonal(stack)
    assert result.shape == stack.shape
    values = torch.linalg.svdvals(result)
    assert values.min() > 0.3 and values.max() < 1.3
    # The directions stay: U' result V is diagonal and positive.
    left, _, right = torch.linalg.svd(stack, full_matrices=False)
    inner = left.transpose(1, 2) @ result @ right.transpose(1, 2)
    diagonal = torch.diagonal(inner, dim1=1, dim2=2)
    assert (diagonal > 0).all()
    assert torch.allclose(inner, torch.diag_embed(diagonal), atol=1e-3)


def weights() -> list[torch.nn.Parameter]:
    torch.manual_seed(3)
    return [torch.nn.Parameter(torch.randn(shape)) for shape in SHAPES]


def gradients(step: int) -> list[torch.Tensor]:
    torch.manual_seed(100 + step)
    return [torch.randn(shape) for shape in SHAPES]


def trained(optimiser: torch.optim.Optimizer, parameters: list[torch.nn.Parameter]) -> None:
    for step in range(4):
        for parameter, gradient in zip(parameters, gradients(step), strict=True):
            parameter.grad = gradient.clone()
        optimiser.step()


def test_steps_are_those_of_torch() -> None:
    ours, theirs = weights(), weights()
    trained(Muon(ours, lr=0.01), ours)
    reference = torch.optim.Muon(theirs, lr=0.01, weight_decay=0.05, adjust_lr_fn="match_rms_adamw")
    trained(reference, theirs)
    for one, other, start in zip(ours, theirs, weights(), strict=True):
        # torch iterates in bfloat16
        assert torch.allclose(one - start, other - start, atol=4e-4)
        assert (one - start).abs().mean() > 2e-3


def in_a_process(rank: int, folder: Path) -> None:
    torch.distributed.init_process_group(
        "gloo", init_method=f"file://{folder / 'meeting'}", rank=rank, world_size=2
    )
    parameters = weights()
    trained(Muon(parameters, lr=0.01), parameters)
    torch.save([parameter.detach() for parameter in parameters], folder / f"{rank}.pt")
    torch.distributed.destroy_process_group()


def test_two_processes_take_the_same_steps_as_one(tmp_path: Path) -> None:
    alone = weights()
    trained(Muon(alone, lr=0.01), alone)
    start_processes(in_a_process, (tmp_path,), nprocs=2, start_method="spawn")
    for rank in range(2):
        shared = torch.load(tmp_path / f"{rank}.pt", weights_only=True)
        for one, other in zip(alone, shared, strict=True):
            assert torch.allclose(one, other, atol=1e-6)
