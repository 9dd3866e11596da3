"""Generators whose network works on a lattice of cells: drawing, saving, and what their training is made of."""

from __future__ import annotations

from abc import abstractmethod
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from porebench.data.symmetry import axis_orders

from .base import Floats, Shape, Streams
from .binarise import keep_highest
from .lattice import CELL, lattice, walls_like
from .lattice_network import NOISE, TOLD, LatticeNetwork, to_volumes, told
from .machine import product_format
from .network_generator import NetworkGenerator, accelerator, weights_to_arrays
from .stored import check_sizes
from .walls import layers

if TYPE_CHECKING:
    from .lattice_module import LatticeModule

MOST_STEPS = 1000
"""Evaluations of a network behind one draw that a file may state."""


class LatticeGenerator(NetworkGenerator):
    """Base of generators whose network works on a lattice of cells: training, drawing in chunks, exact counts, saving.

    They draw any shape. Layers next to the walls without a pore in the training volumes stay empty; in a medium without
    walls, a volume is cut from one that ends with a cell.
    """

    network_: LatticeNetwork
    blocks: int
    epochs: int
    batch_size: int
    learning_rate: float
    weight_decay: float

    @abstractmethod
    def _build(self) -> LatticeNetwork:
        """Return an untrained network, its weights from torch's current random state."""

    @abstractmethod
    def _module(self, *known: Any) -> LatticeModule:
        """Return the module that trains a network, from the arguments of ``LatticeModule``."""

    @abstractmethod
    def _logits(self, conditions: Tensor, shape: Shape, streams: Streams) -> Tensor:
        """Return a draw of each condition [n, TOLD]: numbers [n, *shape] that are highest in its pore voxels."""

    def _fit(self, volumes: NDArray[np.bool_], density: Floats, rng: np.random.Generator) -> None:
        from .lattice_module import Views  # noqa: PLC0415 - Lightning takes long to import
        from .training import Pace, run  # noqa: PLC0415

        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(int(rng.integers(2**63)))
            network = self._build().to(memory_format=torch.channels_last_3d)  # type: ignore[call-overload]
            noise = torch.Generator(accelerator()).manual_seed(int(rng.integers(2**63)))
            views = Views(len(volumes), len(axis_orders(volumes.shape[1:])), self.batch_size, rng)
            module = self._module(network, Pace.of(self), volumes, density, views, noise)  # may build a critic
        trainer = run(
            module,
            views,
            None,
            epochs=self.epochs,
            used=product_format(accelerator(), self.precision),
            folder=None if self.checkpoints is None else self.checkpoints / "learn",
            machines=self.machines,
            show_progress=self.show_progress,
        )
        if trainer.global_rank:
            raise SystemExit  # a copy of the program, which has nothing left to do
        self._learnt(module.averaged.cpu().eval(), {"learn": trainer.global_step // len(views)}, volumes)

    def _sample(self, density: Floats, shape: Shape, rng: np.random.Generator) -> Tensor:
        streams = rng.spawn(len(density))
        wide = check_sizes(-(-size // CELL) * CELL for size in shape) if self.unbounded_ else shape
        counts = self.law_.pore_voxels(density, int(np.prod(shape)))
        conditions = told(density, self.law_.porosity(density)).to(self.device)
        closed = torch.from_numpy(layers(shape) < self.margin_).to(self.device)
        drawn = torch.empty((len(density), *shape), dtype=torch.bool, device=self.device)
        for rows in self._chunks(len(density), wide):
            with self._drawing():
                logits = self._logits(conditions[rows], wide, streams[rows])[:, : shape[0], : shape[1], : shape[2]]
            keep_highest(logits.masked_fill(closed, -torch.inf).contiguous(), counts[rows], out=drawn[rows])
        return drawn

    def _get_state(self) -> tuple[dict[str, NDArray[Any]], dict[str, Any]]:
        return weights_to_arrays(self.network_), self._known()

    def _set_state(self, arrays: dict[str, NDArray[Any]], values: dict[str, Any]) -> None:
        self._set_known(values)
        self.network_ = self._restored(arrays)


class OnePass(LatticeGenerator):
    """Base of generators whose network turns noise into a volume in one pass, however they learn to.

    Attributes:
        sees_walls: False if the network is not told how far away walls are.
    """

    sees_walls: ClassVar[bool] = True

    width: int
    blocks: int

    def _build(self) -> LatticeNetwork:
        return LatticeNetwork(NOISE, TOLD, self.width, self.blocks)

    def _logits(self, conditions: Tensor, shape: Shape, streams: Streams) -> Tensor:
        noise = normal(streams, (*lattice(shape), NOISE), self.device)
        walls = walls_like(shape, noise) * self.sees_walls
        return to_volumes(self.network_(noise, conditions, walls), shape)


def normal(streams: Streams, size: tuple[int, ...], device: str) -> Tensor:
    """Return standard normal numbers [n, *size], each volume's from its own stream."""
    drawn = np.stack([stream.standard_normal(size, dtype=np.float32) for stream in streams])
    return torch.from_numpy(drawn).to(device)


def check_steps(steps: int) -> None:
    """Refuse a number of evaluations behind one draw that a file should not state.

    Raises:
        ValueError: for none, or more than ``MOST_STEPS``.
    """
    if not 1 <= steps <= MOST_STEPS:
        raise ValueError(f"a draw takes from 1 to {MOST_STEPS} steps, it states {steps}")
