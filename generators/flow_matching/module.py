"""Training of the flow: the likelihood of volumes given themselves and noise."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor
from torch.nn import functional as F  # noqa: N812

from ..lattice import mean_by_porosity, to_cells
from ..lattice_module import LatticeModule, Part
from .odds import LATEST, pore_odds

BINS = 14
"""Spans of time whose losses are followed: the higher a loss, the more often volumes are seen at such times."""
RECENT = 0.98
"""Decay of the mean of a span's loss."""


class FlowModule(LatticeModule):
    """Optimises the likelihood of volumes given themselves and noise."""

    losses: Tensor

    def __init__(self, *known: Any, sparse_weight: float) -> None:
        super().__init__(*known)
        self.sparse_weight = sparse_weight
        self.register_buffer("losses", torch.ones(BINS))

    def training_step(self, batch: list[Part], _: int) -> Tensor:
        """Return the loss of one batch."""
        volumes, conditions = self.seen(batch)
        pore = to_cells(volumes[:, None])
        at = self._times(len(pore))
        share = at[:, None, None, None, None]
        x = share * (2 * pore - 1) + (1 - share) * self.normal(*pore.shape)
        logits = pore_odds(self.network, x, at, conditions, self.walls)
        each = F.binary_cross_entropy_with_logits(logits, pore, reduction="none").flatten(1).mean(dim=1)
        loss = mean_by_porosity(each, volumes.flatten(1).mean(dim=1), self.sparse_weight)
        span = (at / LATEST * BINS).long().clamp(max=BINS - 1)
        seen = torch.zeros_like(self.losses).index_add(0, span, torch.ones_like(at))
        mean = torch.zeros_like(self.losses).index_add(0, span, each.detach().float()) / seen.clamp(min=1)
        self.losses.lerp_(torch.where(seen > 0, mean, self.losses), 1 - RECENT)
        self.log("loss", loss.detach(), prog_bar=True, batch_size=len(pore))
        return loss

    def _times(self, count: int) -> Tensor:
        """Return times, [count], that spread evenly over spans in proportion to their losses."""
        device = self.losses.device
        even = (torch.arange(count, device=device) + torch.rand((), generator=self.noise, device=device)) / count
        until = F.pad(self.losses.cumsum(dim=0) / self.losses.sum(), (1, 0))
        span = (torch.searchsorted(until, even, right=True) - 1).clamp(0, BINS - 1)
        part = (even - until[span]) / (until[span + 1] - until[span]).clamp(min=1e-9)
        return LATEST * (span + part.clamp(0, 1)) / BINS
