"""Training of networks on a lattice of cells: views of volumes, averaged weights."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import ClassVar

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.utils.data import IterableDataset

from porebench.data.symmetry import Axes, axis_orders

from .base import Floats
from .lattice import walls_like
from .lattice_network import NOISE, LatticeNetwork, to_volumes, told
from .stored import check_sizes
from .training import Pace, Training

EPOCH = 50
"""Batches of an epoch."""
SEEN_ALIKE = 16
"""Volumes of a batch that are seen through the same symmetry."""
AVERAGE = 0.998
"""Decay of the moving average of the weights, which is kept."""

Part = tuple[Tensor, int, tuple[int, ...]]
"""Indices of volumes, number of the order of the axes, and reversed axes."""


class Views(IterableDataset[list[Part]]):
    """Batches of random volumes under random symmetries of the box."""

    epoch: ClassVar[int] = EPOCH
    seen_alike: ClassVar[int] = SEEN_ALIKE

    def __init__(self, count: int, orders: int, batch_size: int, rng: np.random.Generator) -> None:
        self.count, self.orders, self.batch_size, self.rng = count, orders, batch_size, rng

    def __len__(self) -> int:
        return self.epoch

    def __iter__(self) -> Iterator[list[Part]]:
        for _ in range(len(self)):
            chosen = self.rng.integers(self.count, size=self.batch_size)
            parts = []
            for index in np.array_split(chosen, -(-self.batch_size // self.seen_alike)):
                flips = tuple(axis + 1 for axis in range(3) if self.rng.random() < 0.5)
                parts.append((torch.from_numpy(index), int(self.rng.integers(self.orders)), flips))
            yield parts


def seen(volumes: Tensor, orders: Sequence[Axes], parts: list[Part]) -> Tensor:
    """Return the volumes of a batch, of all volumes [N, D, H, W], as they are seen, float [B, D, H, W]."""
    turned = [
        volumes[index].permute(0, *(axis + 1 for axis in orders[turn])).flip(flips) for index, turn, flips in parts
    ]
    return torch.cat(turned).float()


class LatticeModule(Training[LatticeNetwork]):
    """Optimises a network by steps or time. All volumes lie on the device."""

    volumes: Tensor
    told: Tensor
    walls: Tensor

    def __init__(
        self,
        network: LatticeNetwork,
        pace: Pace,
        volumes: NDArray[np.bool_],
        density: Floats,
        views: Views,
        noise: torch.Generator,
    ) -> None:
        steps = pace.epochs * len(views)
        super().__init__(network, pace, decay=AVERAGE, steps=steps, order=views.rng, noise=noise)
        self.views = views
        self.orders = axis_orders(volumes.shape[1:])
        kept = {
            "volumes": torch.from_numpy(volumes.copy()),
            "told": told(density, volumes.mean(axis=(1, 2, 3))),
            "walls": walls_like(check_sizes(volumes.shape[1:]), torch.zeros(1)),
        }
        for name, values in kept.items():
            self.register_buffer(name, values, persistent=False)

    def seen(self, parts: list[Part]) -> tuple[Tensor, Tensor]:
        """Return the volumes of a batch as they are seen, float [B, D, H, W], and what is told of them, [B, TOLD]."""
        conditions = torch.cat([_ordered(self.told[index], turn) for index, turn, _ in parts])
        return seen(self.volumes, self.orders, parts), conditions

    def on_train_start(self) -> None:
        """Start the clock; give each process views and noise of its own."""
        super().on_train_start()
        if self.global_rank:
            self.order = self.views.rng = self.views.rng.spawn(self.global_rank)[-1]
            self.noise.manual_seed(self.noise.initial_seed() + self.global_rank + self.global_step)

    def normal(self, *shape: int) -> Tensor:
        """Return standard normal numbers."""
        return torch.randn(shape, generator=self.noise, device=self.noise.device)


class OnePassModule(LatticeModule):
    """Optimises a network whose draws are relaxed to numbers between solid and pore."""

    def logits(self, conditions: Tensor) -> Tensor:
        """Return draws of conditions [B, TOLD], float32 [B, D, H, W]."""
        noise = self.normal(len(conditions), *self.walls.shape[1:4], NOISE)
        shape = (self.volumes.shape[1], self.volumes.shape[2], self.volumes.shape[3])
        return to_volumes(self.network(noise, conditions, self.walls), shape)


def _ordered(conditions: Tensor, order: int) -> Tensor:
    """Return conditions [B, TOLD] that say which order the axes have."""
    ordered = conditions.clone()
    ordered[:, 2:] = 0
    ordered[:, 2 + order] = 1
    return ordered
