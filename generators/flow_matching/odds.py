"""What a volume in noise says of each voxel, by itself and through the network."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from ..lattice_network import LatticeNetwork

WAVES = 4
"""Frequencies by which the network is told the time."""
LATEST = 0.7
"""Time up to which the network is trained: later, what is left of the noise decides nothing."""


def pore_odds(network: LatticeNetwork, x: Tensor, at: Tensor, conditions: Tensor, walls: Tensor) -> Tensor:
    """Return each voxel's log-odds of being pore from a volume in noise.

    Args:
        network: of ``FlowMatching``.
        x: volumes in noise, [B, d, h, w, 27].
        at: time of each, [B].
        conditions: of ``told``, [B, TOLD].
        walls: of ``walls_like``.
    """
    waves = 2 * math.pi * at[:, None] * torch.arange(1, WAVES + 1, device=at.device) / 2
    known = torch.cat([conditions, at[:, None], waves.sin(), waves.cos()], dim=1)
    alone = 2 * at / (1 - at) ** 2  # what a voxel's own number says of it
    odds: Tensor = network(x, known, walls) + alone[:, None, None, None, None] * x
    return odds
