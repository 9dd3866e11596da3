"""Generators whose network turns noise on a lattice of cells into a volume in one pass."""

from __future__ import annotations

from torch import Tensor

from .base import Shape, Streams
from .lattice import depth_to_space, lattice, walls_like
from .lattice_generator import TOLD, LatticeGenerator, LatticeModule, LatticeNetwork, normal

NOISE = 8
"""Random numbers a cell."""


class OnePass(LatticeGenerator):
    """Base of generators whose network turns noise into a volume in one pass, however they learn to."""

    width: int
    blocks: int

    def _build(self) -> LatticeNetwork:
        return LatticeNetwork(NOISE, TOLD, self.width, self.blocks)

    def _logits(self, conditions: Tensor, shape: Shape, streams: Streams) -> Tensor:
        noise = normal(streams, (*lattice(shape), NOISE), self.device)
        return _to_volumes(self.network_(noise, conditions, walls_like(shape, noise)), shape)


class OnePassModule(LatticeModule):
    """Optimises a network whose draws are relaxed to numbers between solid and pore."""

    def logits(self, conditions: Tensor) -> Tensor:
        """Return draws of conditions [B, TOLD], float32 [B, D, H, W]."""
        noise = self.normal(len(conditions), *self.walls.shape[1:4], NOISE)
        shape = (self.volumes.shape[1], self.volumes.shape[2], self.volumes.shape[3])
        return _to_volumes(self.network(noise, conditions, self.walls), shape)


def _to_volumes(cells: Tensor, shape: Shape) -> Tensor:
    """Turn cells [B, d, h, w, 27] into volumes of a shape, float [B, D, H, W]."""
    return depth_to_space(cells.movedim(-1, 1))[:, 0, : shape[0], : shape[1], : shape[2]]
