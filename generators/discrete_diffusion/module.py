"""Training of discrete diffusion: the likelihood of hidden voxels given those uncovered."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor
from torch.nn import functional as F  # noqa: N812

from ..lattice import mean_by_porosity, to_cells
from ..lattice_module import LatticeModule, Part
from .odds import hidden_odds, turns, uncovered


class HiddenModule(LatticeModule):
    """Optimises the likelihood of hidden voxels given those uncovered."""

    def __init__(self, *known: Any, sparse_weight: float) -> None:
        super().__init__(*known)
        self.sparse_weight = sparse_weight

    def training_step(self, batch: list[Part], _: int) -> Tensor:
        """Return the loss of one batch."""
        volumes, conditions = self.seen(batch)
        pore = to_cells(volumes[:, None])
        inside = to_cells(torch.ones_like(volumes[:1])[:, None]) > 0
        noise, device = self.noise, self.noise.device
        even = torch.arange(len(pore), device=device) + torch.rand((), generator=noise, device=device)
        until = uncovered(even / len(pore))[:, None, None, None, None]
        hidden = (turns(torch.rand(pore.shape, generator=noise, device=device)) >= until) & inside
        known = (2 * pore - 1) * (inside & ~hidden)
        logits = hidden_odds(self.network, known, conditions, pore.flatten(1).sum(dim=1), self.walls, inside)
        loss = F.binary_cross_entropy_with_logits(logits, pore, reduction="none") * hidden
        each = loss.flatten(1).sum(dim=1) / hidden.flatten(1).sum(dim=1).clamp(min=1)
        total = mean_by_porosity(each, volumes.flatten(1).mean(dim=1), self.sparse_weight)
        self.log("loss", total.detach(), prog_bar=True, batch_size=len(pore))
        return total
