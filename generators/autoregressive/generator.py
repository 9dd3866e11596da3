"""The autoregressive network as a generator."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from porebench.data.symmetry import axis_orders

from ..base import Floats, Shape, Streams
from ..lattice import CELL, lattice, to_cells, walls_like
from ..lattice_network import to_volumes
from ..machine import product_format
from ..network_generator import NetworkGenerator, accelerator, weights_to_arrays
from ..stored import check_sizes
from ..walls import layers
from .network import AutoregressiveNetwork, condition
from .order import POSITIONS, STEPS, steps_on

ANCHORS = (7, 11, 23)
"""Steps before which the number of pore voxels to aim at is set to what the voxels drawn so far let expect. Up to the
first, while the coarsest lattice is drawn, logits are shifted towards the number asked for. Later a difference would
make the network place or spare pores against what it sees; chosen on validation volumes of Berea and of the spheres."""
LARGEST_SHIFT = 3.0
OWN = ("density_", "ratio_", "share_")
"""Learnt arrays besides the weights of the network."""
NEIGHBOURS = 24
"""Training volumes of about a density, one of whose numbers of pore voxels, relative to the law, a draw takes over."""


@dataclass(kw_only=True, eq=False, repr=False)
class Autoregressive(NetworkGenerator):
    """Autoregressive network: voxels are drawn in groups on ever denser lattices, each given all groups before it.

    A group is so sparse that its voxels are nearly independent given those before; so, unlike a decoder whose voxels
    are independent, the network needs no blur to be unsure. It is told the density, and how many pore voxels are still
    to be placed. It is trained by maximum likelihood, so its draws agree with the training volumes in no statistic more
    than in others. Training volumes are seen under all symmetries of the box, and the network is told the order of the
    axes, so that it learns a direction where there is one. Training asks for a GPU, or for days of a processor.

    Args:
        width: feature channels on the lattice.
        blocks: residual blocks.
        epochs: hundreds of batches.
        batch_size: volumes a batch.
        learning_rate: peak of the one-cycle schedule.
        weight_decay: of AdamW.
        sparse_weight: s ≥ 0; a volume with porosity φ counts in proportion to φ^(-s).

    References:
        Reed et al. (2017), Parallel multiscale autoregressive density estimation, arXiv:1703.03664;
        van den Oord, Kalchbrenner & Kavukcuoglu (2016), Pixel recurrent neural networks, arXiv:1601.06759.
    """

    name: ClassVar[str] = "autoregressive"
    trained_on_request: ClassVar[bool] = True

    width: int = 128
    blocks: int = 3
    epochs: int = 100
    batch_size: int = 128
    learning_rate: float = 4e-3
    weight_decay: float = 0.01
    sparse_weight: float = 0.3

    def _build(self) -> AutoregressiveNetwork:
        return AutoregressiveNetwork(self.width, self.blocks)

    def _fit(self, volumes: NDArray[np.bool_], density: Floats, rng: np.random.Generator) -> None:
        from ..training import Pace, run  # noqa: PLC0415 - Lightning takes long to import
        from .module import (  # noqa: PLC0415
            AutoregressiveModule,
            Batches,
            HeldOut,
            early_end,
        )

        network = self._built(rng).to(memory_format=torch.channels_last_3d)
        every, at = [volumes], [density]
        held_out = None
        if self.validation is not None:
            every.append(self.validation[0])
            at.append(self.validation[1])
            held_out = HeldOut(self.validation[1], len(volumes), self.batch_size)
        batches = Batches(len(volumes), len(axis_orders(volumes.shape[1:])), self.batch_size, rng)
        known = np.concatenate(every), np.concatenate(at)
        module = AutoregressiveModule(network, Pace.of(self), *known, batches, self.sparse_weight)
        trainer = run(
            module,
            batches,
            held_out,
            epochs=self.epochs,
            used=product_format(accelerator(), self.precision),
            folder=None if self.checkpoints is None else self.checkpoints / "learn",
            machines=self.machines,
            show_progress=self.show_progress,
            callbacks=() if held_out is None else (early_end(),),
        )
        if trainer.global_rank:
            raise SystemExit  # a copy of the program, which has nothing left to do
        best = (module.averaged if held_out is None else module.best).cpu().eval()
        self._learnt(best, {"learn": trainer.global_step // len(batches)}, volumes)
        expected = np.maximum(self.law_.porosity(density) * volumes[0].size, 0.5)
        order = np.argsort(density, kind="stable")
        self.density_ = density[order].astype(np.float32)
        self.ratio_ = (np.count_nonzero(volumes, axis=(1, 2, 3)) / expected)[order].astype(np.float32)
        self.share_ = self._shares(volumes)

    def _shares(self, volumes: NDArray[np.bool_]) -> NDArray[np.float32]:
        """Return the share of pore voxels that are drawn before each step, and before the end, float32 [STEPS + 1]."""
        shape = check_sizes(volumes.shape[1:])
        pores = to_cells(torch.from_numpy(volumes.sum(axis=0))[None, None])
        steps = steps_on(lattice(shape), pores.device).flatten().numpy()
        held = np.bincount(steps, pores.flatten().numpy() + 1e-6, STEPS)
        shares: NDArray[np.float32] = (np.cumsum([0.0, *held]) / held.sum()).astype(np.float32)
        return shares

    def _sample(self, density: Floats, shape: Shape, rng: np.random.Generator) -> Tensor:
        streams = rng.spawn(len(density))
        wide = check_sizes(-(-size // CELL) * CELL for size in shape) if self.unbounded_ else shape
        counts = self._counts(density, wide, streams)
        drawn = torch.empty((len(density), *shape), dtype=torch.bool, device=self.device)
        for rows in self._chunks(len(density), wide):
            with self._drawing():
                cells = self._draw(density[rows], counts[rows], wide, streams[rows])
            drawn[rows] = to_volumes(cells, shape) > 0
        return drawn

    def _counts(self, density: Floats, shape: Shape, streams: Streams) -> NDArray[np.float64]:
        """Return the number of pore voxels to aim at, [n]: the law's, off as much as in a training volume alike.

        The spread of the porosity falls with the root of the volume.
        """
        voxels = int(np.prod(shape))
        narrower = min(1.0, float(np.sqrt(np.prod(self.shape_) / voxels)))
        last = max(0, len(self.density_) - NEIGHBOURS)
        first = np.clip(np.searchsorted(self.density_, density) - NEIGHBOURS // 2, 0, last)
        near = min(NEIGHBOURS, len(self.density_))
        taken = first + np.array([stream.integers(near) for stream in streams])
        ratio = 1 + narrower * (self.ratio_[taken] - 1)
        counts: NDArray[np.float64] = np.clip(np.rint(self.law_.porosity(density) * ratio * voxels), 0, voxels)
        return counts

    def _draw(self, density: Floats, counts: NDArray[np.float64], shape: Shape, streams: Streams) -> Tensor:
        """Return cells of volumes, 1 for pore and -1 for solid, float32 [n, d, h, w, 27]."""
        size = lattice(shape)
        step_of = steps_on(size, torch.device(self.device))
        open_to = self._open(shape)
        numbers = np.stack([stream.random((*size, CELL**3), dtype=np.float32) for stream in streams])
        uniform = torch.from_numpy(numbers).to(self.device)
        asked = torch.tensor(density, dtype=torch.float32, device=self.device)
        aim = torch.tensor(counts, dtype=torch.float32, device=self.device)
        placed, voxels = torch.zeros_like(aim), float(np.prod(shape))
        known = torch.zeros(uniform.shape, device=self.device)
        walls = walls_like(shape, known)
        order = torch.zeros(len(counts), dtype=torch.int64, device=self.device)
        for step, position in enumerate(POSITIONS):
            waiting = step_of >= step
            if step in ANCHORS:
                aim = placed / max(float(self.share_[step]), 1e-6)
            undrawn = torch.full_like(aim, float(waiting.sum()))
            told = condition(asked, aim / voxels, aim - placed, undrawn, order + step, order)
            logits = self.network_(known, told, walls, position)[..., 0]
            if step < ANCHORS[0]:
                wanted = aim * float(self.share_[ANCHORS[0]]) - placed
                logits = logits + _shift(logits, waiting[..., position] & open_to[..., position], wanted)
            now = step_of[..., position] == step
            pore = (uniform[..., position] < torch.sigmoid(logits)) & now & open_to[..., position]
            known[..., position] += now * (2.0 * pore - 1)
            placed = placed + pore.flatten(1).sum(dim=1)
        return known

    def _open(self, shape: Shape) -> Tensor:
        """Return the voxels that may be pore, bool [d, h, w, 27]: all but those beyond the walls and next to them."""
        inside = torch.from_numpy(layers(shape) >= self.margin_)
        return to_cells(inside[None, None])[0].to(self.device)

    def _get_state(self) -> tuple[dict[str, NDArray[Any]], dict[str, Any]]:
        own = {key: getattr(self, key) for key in OWN}
        arrays = {**weights_to_arrays(self.network_), **own}
        return arrays, self._known()

    def _set_state(self, arrays: dict[str, NDArray[Any]], values: dict[str, Any]) -> None:
        self.density_, self.ratio_, self.share_ = (arrays[key] for key in OWN)
        if self.share_.shape != (STEPS + 1,):
            raise ValueError(f"expected {STEPS + 1} shares of pore voxels, got an array of shape {self.share_.shape}")
        if self.density_.shape != self.ratio_.shape or self.density_.ndim != 1 or len(self.density_) == 0:
            raise ValueError("its densities do not go with its numbers of pore voxels")
        self._set_known(values)
        self.network_ = self._restored({key: arrays[key] for key in arrays if key not in OWN})


def _shift(logits: Tensor, waiting: Tensor, wanted: Tensor) -> Tensor:
    """Return what to add to the logits of each volume so that its waiting voxels hold as many pores as are wanted.

    Args:
        logits: float [n, d, h, w].
        waiting: voxels that are not drawn yet, bool [d, h, w].
        wanted: pores expected in them, [n].
    """
    low, high = (torch.full_like(wanted, end)[:, None, None, None] for end in (-LARGEST_SHIFT, LARGEST_SHIFT))
    for _ in range(16):
        middle = (low + high) / 2
        expected = (torch.sigmoid(logits + middle) * waiting).flatten(1).sum(dim=1)
        more = (expected < wanted)[:, None, None, None]
        low, high = torch.where(more, middle, low), torch.where(more, high, middle)
    return (low + high) / 2
