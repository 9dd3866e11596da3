"""Networks on a lattice of cells, and what they are told of volumes."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor, nn

from .base import Floats, Shape
from .lattice import CELL, ORDERS, Convolution, FiLMBlock, depth_to_space, embed, layer_by_layer

MOST_LOG_ODDS = 9.0
TOLD = 2 + ORDERS
"""Numbers that a network is told of a volume: density, log-odds of the porosity, and which order its axes have."""
NOISE = 8
"""Random numbers a cell."""


class LatticeNetwork(nn.Module):
    """Fully convolutional residual network on a lattice of cells of 3³ voxels, told a condition."""

    def __init__(self, channels: int, told: int, width: int, blocks: int) -> None:
        super().__init__()
        self.embed = nn.Sequential(nn.Linear(told, width), nn.SiLU(), nn.Linear(width, width), nn.SiLU())
        self.first = nn.Conv3d(channels + 6, width, 3, padding=1)
        self.blocks = nn.ModuleList(FiLMBlock(width, width) for _ in range(blocks))
        self.last = nn.Conv3d(width, CELL**3, 3, padding=1)

    def forward(self, cells: Tensor, told: Tensor, walls: Tensor) -> Tensor:
        """Return logits of the pore probability of voxels, float32 [B, d, h, w, 27].

        Args:
            cells: float [B, d, h, w, channels].
            told: of each volume, [B, told]; the second number is the log-odds of the porosity.
            walls: of ``walls_like``.
        """
        last = Convolution.of(self.last)
        made = layer_by_layer(self.first, self.blocks, last, cells, walls, embed(self.embed, told))
        return made.float() + told[:, None, None, None, 1:2]


def told(density: Floats, porosity: Floats) -> Tensor:
    """Return what networks are told of volumes, their axes in the medium's own order, float32 [n, TOLD]."""
    with np.errstate(divide="ignore"):
        log_odds = np.clip(np.log(porosity) - np.log1p(-porosity), -MOST_LOG_ODDS, MOST_LOG_ODDS)
    order = np.eye(ORDERS)[np.zeros(len(density), np.int64)]
    return torch.from_numpy(np.concatenate([density[:, None], log_odds[:, None], order], axis=1).astype(np.float32))


def to_volumes(cells: Tensor, shape: Shape) -> Tensor:
    """Turn cells [B, d, h, w, 27] into volumes of a shape, float [B, D, H, W]."""
    return depth_to_space(cells.movedim(-1, 1))[:, 0, : shape[0], : shape[1], : shape[2]]
