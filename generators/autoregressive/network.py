"""Network that tells, of voxels not drawn yet, how likely they are pore, from those drawn before."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F  # noqa: N812

from ..lattice import CELL, ORDERS, Convolution, FiLMBlock, embed, layer_by_layer
from .order import STEPS

MOST_LOG_ODDS = 12.0


class AutoregressiveNetwork(nn.Module):
    """Fully convolutional residual network on a lattice of cells of 3³ voxels, told step and condition."""

    def __init__(self, width: int, blocks: int) -> None:
        super().__init__()
        self.embed = nn.Sequential(nn.Linear(3 + ORDERS + STEPS, width), nn.SiLU(), nn.Linear(width, width), nn.SiLU())
        self.first = nn.Conv3d(CELL**3 + 6, width, 3, padding=1)
        self.blocks = nn.ModuleList(FiLMBlock(width, width, second=1) for _ in range(blocks))
        self.last = nn.Conv3d(width, CELL**3, 3, padding=1)
        nn.init.zeros_(self.last.weight)
        nn.init.zeros_(self.last.bias)  # type: ignore[arg-type]

    def forward(self, known: Tensor, condition: Tensor, walls: Tensor, position: int | None = None) -> Tensor:
        """Return logits of the pore probability of voxels, given those drawn before.

        Args:
            known: 1 for pore, -1 for solid, 0 for a voxel not drawn yet, float [B, d, h, w, 27].
            condition: of ``condition``, [B, 3 + ORDERS + STEPS].
            walls: of ``walls_like``.
            position: the one in a cell that is asked for; None for all.

        Returns:
            float32 [B, d, h, w, 27], or [B, d, h, w, 1] for one position.
        """
        asked = slice(None) if position is None else slice(position, position + 1)
        weight, bias, padding = Convolution.of(self.last)
        assert bias is not None  # noqa: S101 - the layer has one
        last = Convolution(weight[asked], bias[asked], padding)
        made = layer_by_layer(self.first, self.blocks, last, known, walls, embed(self.embed, condition))
        return made.float() + condition[:, None, None, None, 2:3]


def condition(density: Tensor, porosity: Tensor, left: Tensor, undrawn: Tensor, step: Tensor, order: Tensor) -> Tensor:
    """Return what the network is told of volumes besides the voxels drawn, float32 [B, 3 + ORDERS + STEPS].

    Args:
        density: of each volume, [B].
        porosity: that the whole volume is to have, [B].
        left: pore voxels that are still to be placed, [B].
        undrawn: voxels that are not drawn yet, [B].
        step: about to be drawn, int64 [B].
        order: of the axes, int64 [B]; 0 for that of the medium.
    """
    share = (left.clamp(min=0) + 0.5) / (undrawn + 1)
    odds = [torch.logit(value.float(), 1e-5).clamp(-MOST_LOG_ODDS, MOST_LOG_ODDS) for value in (porosity, share)]
    known = [density.float(), *odds]
    return torch.cat(
        [torch.stack(known, dim=1), F.one_hot(order, ORDERS).float(), F.one_hot(step, STEPS).float()], dim=1
    )
