"""Batches of a training: shuffled volumes under the symmetries of the box, and validation volumes in a fixed order."""

from __future__ import annotations

import math
from collections.abc import Iterator

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.utils.data import IterableDataset

from porebench.data.symmetry import Axes, axis_orders
from porebench.data.volumes import spread

from ..lattice import ORDERS
from .settings import TrainingSettings
from .texture import RealTexture

Batch = tuple[Tensor, Tensor, Tensor, Axes]
"""Voxels bool [B, 1, D, H, W], condition [B, 2 + ORDERS], number of pore voxels [B], and the axes in their order."""
HeldOutBatch = tuple[Batch, Tensor]
"""A batch, and texture [B, 1, F] of its volumes."""

EPOCH_VOLUMES = 448
"""Volumes of an epoch at most, drawn anew for each, so that large data sets take no longer than the built-in one."""
HELD_OUT = 32
"""Validation volumes that an epoch is judged on at most, spread evenly over density."""


class SymmetricBatches(IterableDataset[Batch]):
    """Shuffled batches of each epoch, each batch seen through one random symmetry of the box.

    The symmetries are the axis permutations that keep the shape, times the eight reflections: 48 for a cube.
    """

    def __init__(
        self, volumes: NDArray[np.bool_], condition: NDArray[np.float32], settings: TrainingSettings, seed: int
    ) -> None:
        self.volumes = torch.from_numpy(volumes.copy())
        self.condition = torch.from_numpy(condition)
        self.pores = self.volumes.flatten(1).sum(dim=1)
        self.settings = settings
        self.rng = np.random.default_rng(seed)
        shape = volumes.shape[1:]
        self.turns = axis_orders(shape) if settings.symmetries else [(0, 1, 2)]

    def __len__(self) -> int:
        return math.ceil(min(len(self.volumes), EPOCH_VOLUMES) / self.settings.batch_size)

    def __iter__(self) -> Iterator[Batch]:
        rank, ranks = place()
        order = self.rng.permutation(len(self.volumes))[:EPOCH_VOLUMES]
        for chosen in np.array_split(order, len(self)):
            index = torch.from_numpy(chosen[rank::ranks] if len(chosen) >= ranks else chosen)
            turn = int(self.rng.integers(len(self.turns)))
            axes = self.turns[turn]
            flips = [axis + 1 for axis in range(3) if self.settings.symmetries and self.rng.random() < 0.5]
            seen = self.volumes[index].permute(0, *(axis + 1 for axis in axes)).flip(flips)
            condition = self.condition[index]  # a copy
            condition[:, -ORDERS:] = torch.eye(ORDERS)[turn]
            yield seen[:, None], condition, self.pores[index], axes


class HeldOutBatches(IterableDataset[HeldOutBatch]):
    """The same few validation volumes for each epoch and process, in the same order, each batch spread over density."""

    def __init__(
        self, volumes: NDArray[np.bool_], condition: NDArray[np.float32], batch_size: int, texture: RealTexture | None
    ) -> None:
        chosen = spread(condition[:, 0], HELD_OUT)
        count = math.ceil(len(chosen) / batch_size)
        dealt = [chosen[start::count] for start in range(count)]
        self.batches = [_held_out(volumes[rows], condition[rows], texture) for rows in dealt]

    def __len__(self) -> int:
        return len(self.batches)

    def __iter__(self) -> Iterator[HeldOutBatch]:
        return iter(self.batches)


def _held_out(volumes: NDArray[np.bool_], condition: NDArray[np.float32], texture: RealTexture | None) -> HeldOutBatch:
    voxels, asked = torch.from_numpy(volumes).float(), torch.from_numpy(condition)
    real = torch.zeros(len(voxels), 1, 0) if texture is None else texture.of(voxels, asked[:, 0])[:, None]
    return (voxels[:, None], asked, voxels.flatten(1).sum(dim=1).long(), (0, 1, 2)), real


def place() -> tuple[int, int]:
    """Return the rank of this process and the number of processes that train together."""
    together = torch.distributed.is_available() and torch.distributed.is_initialized()
    return (torch.distributed.get_rank(), torch.distributed.get_world_size()) if together else (0, 1)
