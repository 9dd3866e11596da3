"""The order in which voxels are uncovered, and how likely a hidden one is pore."""

from __future__ import annotations

from typing import TypeVar

import torch
from torch import Tensor

from ..lattice_network import MOST_LOG_ODDS, LatticeNetwork

Share = TypeVar("Share", float, Tensor)


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
