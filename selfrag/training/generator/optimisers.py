"""The optimiser of a run, one object to whoever drives it.

This module knows nothing of schedules and batches.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import nn

from selfrag.training.generator.plan import GeneratorPlan
from selfrag.training.muon import Muon


class MuonWithAdamW(torch.optim.Optimizer):
    """Muon for some parameters and AdamW for the others; its groups are theirs."""

    def __init__(self, muon: Muon, adamw: torch.optim.AdamW) -> None:
        self.parts: tuple[torch.optim.Optimizer, ...] = (muon, adamw)
        super().__init__([*muon.param_groups, *adamw.param_groups], {})
        self.param_groups = [group for part in self.parts for group in part.param_groups]

    @torch.no_grad()
    def step(self, closure: None = None) -> None:  # type: ignore[override]
        """One step of each."""
        for part in self.parts:
            part.step()

    def state_dict(self) -> dict[str, Any]:
        """Both states."""
        return {"parts": [part.state_dict() for part in self.parts]}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """What `state_dict` gave."""
        for part, state in zip(self.parts, state_dict["parts"], strict=True):
            part.load_state_dict(state)
        self.param_groups = [group for part in self.parts for group in part.param_groups]


def make_optimiser(model: nn.Module, plan: GeneratorPlan) -> torch.optim.Optimizer:
    """The optimiser that a plan names, for the parameters that are trained."""
    trained = [(name, one) for name, one in model.named_parameters() if one.requires_grad]
    # Layers are numbered in all models of transformers: "model.layers.3.", "transformer.h.3.".
    inside = {id(one) for name, one in trained if one.ndim == 2 and _in_a_layer(name)}
    if plan.optimiser == "adamw":
        inside = set()
    adamw = torch.optim.AdamW(
        [one for _, one in trained if id(one) not in inside],
        lr=plan.rate,
        betas=(0.9, plan.beta2),
        weight_decay=plan.weight_decay,
        fused=True,
    )
    if plan.optimiser == "adamw":
        return adamw
    matrices = [one for _, one in trained if id(one) in inside]
    return MuonWithAdamW(Muon(matrices, lr=plan.rate, weight_decay=plan.weight_decay), adamw)


def _in_a_layer(name: str) -> bool:
    return any(part.isdigit() for part in name.split("."))
