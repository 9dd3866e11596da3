"""Discrete diffusion: a network that uncovers the voxels of a volume in random order, a few at first."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise
from typing import Any, ClassVar, TypeVar

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F  # noqa: N812

from .base import Shape, Streams
from .lattice import CELL, depth_to_space, lattice, to_cells, walls_like
from .lattice_generator import MOST_LOG_ODDS, TOLD, LatticeGenerator, LatticeModule, LatticeNetwork, Part

Share = TypeVar("Share", float, Tensor)
SPARSEST = 1e-3
"""Porosity below which volumes gain no further weight."""
MOST_STEPS = 1000
DECIDED = 1e4
"""Number given to a pore voxel that is drawn already, above all logits; a solid one has it negative."""


@dataclass(kw_only=True, eq=False, repr=False)
class DiscreteDiffusion(LatticeGenerator):
    """Absorbing discrete diffusion: all voxels start hidden, and each step uncovers some, drawn given those uncovered.

    The order is random, but a cell of 3³ voxels uncovers one of its voxels after the other, so that those uncovered in
    one step lie apart. Voxels of one step are drawn independently, which is wrong for those close by: more steps make
    fewer such pairs. The network is told how many pore voxels are still hidden, and the last step uncovers the most
    probable ones of them, so that the count is exact.

    Args:
        width: feature channels on the lattice.
        blocks: residual blocks.
        epochs: fifty batches each.
        batch_size: volumes a batch.
        learning_rate: peak of the schedule.
        weight_decay: of AdamW.
        sparse_weight: s ≥ 0; a volume with porosity φ counts in proportion to φ^(-s).
        steps: evaluations of the network a draw.

    References:
        Austin et al. (2021), Structured denoising diffusion models in discrete state-spaces, arXiv:2107.03006;
        Hoogeboom et al. (2022), Autoregressive diffusion models, arXiv:2110.02037.
    """

    name: ClassVar[str] = "discrete-diffusion"
    trained_on_request: ClassVar[bool] = True

    width: int = 48
    blocks: int = 3
    epochs: int = 400
    batch_size: int = 8
    learning_rate: float = 2e-3
    weight_decay: float = 0.01
    sparse_weight: float = 0.3
    steps: int = 32

    def _build(self) -> LatticeNetwork:
        return LatticeNetwork(CELL**3, TOLD + 2, self.width, self.blocks)

    def _module(self, *known: Any) -> LatticeModule:
        return HiddenModule(*known, sparse_weight=self.sparse_weight)

    def _logits(self, conditions: Tensor, shape: Shape, streams: Streams) -> Tensor:
        size = (*lattice(shape), CELL**3)
        numbers = np.stack([stream.random((2, *size), dtype=np.float32) for stream in streams])
        order, uniform = torch.from_numpy(numbers).to(self.device).unbind(dim=1)
        turn = turns(order)
        inside = to_cells(torch.ones(1, 1, *shape, device=self.device)) > 0
        known = torch.zeros_like(turn)
        walls = walls_like(shape, known)
        wanted = float(np.prod(shape)) * torch.sigmoid(conditions[:, 1])
        shares = [uncovered(step / self.steps) for step in range(self.steps)]
        logits = hidden_odds(self.network_, known, conditions, wanted, walls, inside)
        for before, after in pairwise(shares):
            now = (turn >= before) & (turn < after)
            pore = uniform < torch.sigmoid(logits)
            known = torch.where(now & inside, 2.0 * pore - 1, known)
            logits = hidden_odds(self.network_, known, conditions, wanted, walls, inside)
        logits = torch.where(known == 0, logits, DECIDED * known)
        return depth_to_space(logits.movedim(-1, 1))[:, 0]

    def _set_known(self, values: dict[str, Any]) -> None:
        super()._set_known(values)
        if not 1 <= self.steps <= MOST_STEPS:
            raise ValueError(f"a draw takes from 1 to {MOST_STEPS} steps, it states {self.steps}")


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
        weight = (volumes.flatten(1).mean(dim=1) + SPARSEST) ** -self.sparse_weight
        total = (weight / weight.mean() * each).mean()
        self.log("loss", total.detach(), prog_bar=True, batch_size=len(pore))
        return total


def uncovered(progress: Share) -> Share:
    """Return the share of voxels that are uncovered after a share of the steps: few at first, when little is known."""
    return progress * progress


def turns(numbers: Tensor) -> Tensor:
    """Return when each voxel is uncovered, in [0, 1): the voxels of a cell in random order, one after the other.

    Args:
        numbers: uniform in [0, 1), [B, d, h, w, 27].
    """
    place = numbers.argsort(dim=-1).argsort(dim=-1)
    turn: Tensor = (place + numbers[..., :1]) / numbers.shape[-1]
    return turn


def hidden_odds(
    network: LatticeNetwork, known: Tensor, conditions: Tensor, pores: Tensor, walls: Tensor, inside: Tensor
) -> Tensor:
    """Return each voxel's log-odds of being pore from those uncovered, float32 [B, d, h, w, 27].

    Args:
        network: of ``DiscreteDiffusion``.
        known: 1 for pore, -1 for solid, 0 for hidden, [B, d, h, w, 27].
        conditions: of ``told``, [B, TOLD].
        pores: pore voxels that each volume is to have, [B].
        walls: of ``walls_like``.
        inside: voxels that are not beyond the walls, bool [1, d, h, w, 27].
    """
    hidden = ((known == 0) & inside).flatten(1).sum(dim=1)
    left = (pores - (known > 0).flatten(1).sum(dim=1)).clamp(min=0)
    odds = torch.logit((left + 0.5) / (hidden + 1), 1e-5).clamp(-MOST_LOG_ODDS, MOST_LOG_ODDS)
    share = hidden / inside.sum()
    told = torch.cat([conditions[:, :1], odds[:, None], conditions[:, 2:], conditions[:, 1:2], share[:, None]], dim=1)
    logits: Tensor = network(known, told, walls)
    return logits
