"""Training of the autoregressive network: the likelihood of one group of voxels a volume and step."""

from __future__ import annotations

import copy
import logging
from collections.abc import Iterator
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from pytorch_lightning.callbacks import EarlyStopping
from torch import Tensor
from torch.nn import functional as F  # noqa: N812
from torch.utils.data import IterableDataset

from porebench.data.symmetry import axis_orders
from porebench.data.volumes import spread

from ..lattice import lattice, mean_by_porosity, to_cells, walls_like
from ..lattice_module import Part, Views, seen
from ..stored import check_sizes
from ..training import MONITORED, Pace, Training
from .network import AutoregressiveNetwork, condition
from .order import STEPS, steps_on

EPOCH = 100
"""Batches of an epoch, after which the network is judged on validation volumes."""
SEEN_ALIKE = 32
"""Volumes of a batch that are seen through the same symmetry."""
HELD_OUT = 64
"""Validation volumes that an epoch is judged on at most, spread evenly over density, each in ``JUDGED`` steps."""
JUDGED = 8
PATIENCE = 25
"""Epochs without a better likelihood of validation volumes after which the training ends."""
AVERAGE = 0.999
"""Decay of the moving average of the weights, which is kept."""
OUTLOOK = 0.1
"""Weight of the likelihood of voxels that are drawn in later steps: it teaches, but only this step's are drawn."""

_logger = logging.getLogger(__name__)

Batch = tuple[list[Part], Tensor]
"""Parts of a batch, and the step of each volume, int64 [B]."""


class Batches(Views):
    """Random volumes under random symmetries of the box, each with a step."""

    epoch = EPOCH
    seen_alike = SEEN_ALIKE

    def __iter__(self) -> Iterator[Batch]:  # type: ignore[override]
        for parts in super().__iter__():
            even = (np.arange(self.batch_size) + self.rng.random(self.batch_size)) / self.batch_size * STEPS
            yield parts, torch.from_numpy(self.rng.permutation(even).astype(np.int64))


class HeldOut(IterableDataset[Batch]):
    """The same validation volumes, and steps, for each epoch."""

    def __init__(self, density: NDArray[np.float64], offset: int, batch_size: int) -> None:
        chosen = spread(density, HELD_OUT)
        step = (np.arange(len(chosen) * JUDGED) * 7 + np.arange(JUDGED).repeat(len(chosen))) % STEPS
        index = np.tile(chosen, JUDGED) + offset
        cuts = range(batch_size, len(index), batch_size)
        self.batches: list[Batch] = [
            ([(torch.from_numpy(some), 0, ())], torch.from_numpy(steps))
            for some, steps in zip(np.split(index, cuts), np.split(step, cuts), strict=True)
        ]

    def __len__(self) -> int:
        return len(self.batches)

    def __iter__(self) -> Iterator[Batch]:
        return iter(self.batches)


class AutoregressiveModule(Training[AutoregressiveNetwork]):
    """Optimises a network; keeps, of the moving averages of its weights, the one that validation volumes like best.

    All volumes, those for training first, lie on the device.
    """

    volumes: Tensor
    density: Tensor
    pores: Tensor
    step_of: Tensor
    walls: Tensor

    def __init__(
        self,
        network: AutoregressiveNetwork,
        pace: Pace,
        volumes: NDArray[np.bool_],
        density: NDArray[np.float64],
        batches: Batches,
        sparse_weight: float,
    ) -> None:
        steps = pace.epochs * len(batches)
        super().__init__(network, pace, decay=AVERAGE, steps=steps, order=batches.rng)
        self.sparse_weight = sparse_weight
        self.best = copy.deepcopy(network).requires_grad_(False)
        self.lowest = float("inf")
        shape = check_sizes(volumes.shape[1:])
        self.orders = axis_orders(shape)
        voxels = torch.from_numpy(volumes.copy())
        kept = {
            "volumes": voxels,
            "density": torch.tensor(density, dtype=torch.float32),
            "pores": voxels.flatten(1).sum(dim=1).float(),
            "step_of": steps_on(lattice(shape), voxels.device),
            "walls": walls_like(shape, torch.zeros(1)),
        }
        for name, values in kept.items():
            self.register_buffer(name, values, persistent=False)

    def training_step(self, batch: Batch, _: int) -> Tensor:
        """Return the loss of one batch."""
        each, outlook, porosity = self._losses(self.network, batch)
        loss = mean_by_porosity(each + OUTLOOK * outlook, porosity, self.sparse_weight)
        self.log("loss", loss.detach(), prog_bar=True, batch_size=len(each))
        return loss

    def validation_step(self, batch: Batch, _: int) -> None:
        """Log the mean negative log-likelihood of a group of validation volumes, divided by the number of cells."""
        each = self._losses(self.averaged, batch)[0]
        self.log(MONITORED, each.mean(), prog_bar=True, batch_size=len(each), sync_dist=True)

    def on_validation_epoch_end(self) -> None:
        """Keep the averaged weights if validation volumes like them better than all before."""
        loss = float(self.trainer.callback_metrics[MONITORED])
        if loss < self.lowest:
            self.lowest = loss
            self.best.load_state_dict(self.averaged.state_dict())
        _logger.info("epoch %d: validation %.5f, best %.5f", self.current_epoch, loss, self.lowest)

    def _losses(self, network: AutoregressiveNetwork, batch: Batch) -> tuple[Tensor, Tensor, Tensor]:
        """Return negative log-likelihoods [B] of a step's voxels and of all later ones, a cell, and porosities [B]."""
        parts, step = batch
        index = torch.cat([some for some, _, _ in parts])
        order = torch.cat([torch.full_like(some, turn) for some, turn, _ in parts])
        target = to_cells(seen(self.volumes, self.orders, parts)[:, None])
        at = step[:, None, None, None, None]
        drawn = self.step_of < at
        known = (2 * target - 1) * drawn
        pores = self.pores[index]
        left = pores - (target * drawn).flatten(1).sum(dim=1)
        undrawn = (~drawn).flatten(1).sum(dim=1)
        porosity = pores / target[0].numel()
        told = condition(self.density[index], porosity, left, undrawn, step, order)
        logits = network(known, told, self.walls)
        loss = F.binary_cross_entropy_with_logits(logits, target, reduction="none")
        cells = loss[0, ..., 0].numel()
        each = (loss * (self.step_of == at)).flatten(1).sum(dim=1) / cells
        later = (loss * (self.step_of > at)).flatten(1).sum(dim=1) / cells
        return each, later, porosity

    def on_save_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Keep the best loss too."""
        super().on_save_checkpoint(checkpoint)
        checkpoint["lowest"] = self.lowest

    def on_load_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Restore what ``on_save_checkpoint`` kept."""
        super().on_load_checkpoint(checkpoint)
        self.lowest = float(checkpoint["lowest"])


def early_end() -> EarlyStopping:
    """Return what ends a training once the likelihood of validation volumes gets no better."""
    return EarlyStopping(MONITORED, min_delta=0.0, patience=PATIENCE)
