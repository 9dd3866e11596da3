"""Flow matching as a generator."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional as F  # noqa: N812

from porebench.data.volumes import spread

from ..base import Floats, Shape, Streams
from ..lattice import CELL, lattice, to_cells, walls_like
from ..lattice_generator import LatticeGenerator, check_steps, normal
from ..lattice_network import TOLD, LatticeNetwork, to_volumes, told
from .odds import LATEST, WAVES, pore_odds

if TYPE_CHECKING:
    from ..lattice_module import LatticeModule

LOOKED_AT = 32
"""Training volumes from which the time is found at which draws leave the flow."""


@dataclass(kw_only=True, eq=False, repr=False)
class FlowMatching(LatticeGenerator):
    """Flow matching in the space of voxels: x(t) = t·volume + (1 − t)·noise, pore 1 and solid −1, t from 0 to 1.

    The network gives each voxel's odds of being pore from x(t), as an addition to what x(t) says of that voxel alone,
    which is known exactly. Their mean is the volume that the flow heads for. The flow is left long before its end, once
    only voxels on the surface of pores are undecided; the n(d) most probable ones are kept.

    Args:
        width: feature channels on the lattice.
        blocks: residual blocks.
        epochs: fifty batches each.
        batch_size: volumes a batch.
        learning_rate: peak of the schedule.
        weight_decay: of AdamW.
        sparse_weight: s ≥ 0; a volume with porosity φ counts in proportion to φ^(-s).
        steps: evaluations of the network a draw.
        left: share of the uncertainty before the first step that is left at the last one.

    References:
        Lipman et al. (2023), Flow matching for generative modeling, arXiv:2210.02747;
        Eijkelboom et al. (2024), Variational flow matching for graph generation, arXiv:2406.04843.
    """

    name: ClassVar[str] = "flow-matching"
    trained_on_request: ClassVar[bool] = True

    width: int = 96
    blocks: int = 4
    epochs: int = 400
    batch_size: int = 64
    learning_rate: float = 3e-3
    weight_decay: float = 0.01
    sparse_weight: float = 0.3
    steps: int = 16
    left: float = 0.25

    def _build(self) -> LatticeNetwork:
        return LatticeNetwork(CELL**3, TOLD + 1 + 2 * WAVES, self.width, self.blocks)

    def _module(self, *known: Any) -> LatticeModule:
        from .module import FlowModule  # noqa: PLC0415 - Lightning takes long to import

        return FlowModule(*known, sparse_weight=self.sparse_weight)

    def _fit(self, volumes: NDArray[np.bool_], density: Floats, rng: np.random.Generator) -> None:
        super()._fit(volumes, density, rng)
        some = spread(density, LOOKED_AT)
        self.last_: float = self._leaving(volumes[some], density[some], rng.spawn(len(some)))

    def _leaving(self, volumes: NDArray[np.bool_], density: Floats, streams: Streams) -> float:
        """Return the time from which no more than ``left`` of the uncertainty at time 0 is left."""
        pore = to_cells(torch.from_numpy(volumes.copy())[:, None].float()).to(self.device)
        noise = normal(streams, tuple(pore.shape[1:]), self.device)
        conditions = told(density, volumes.mean(axis=(1, 2, 3))).to(self.device)
        walls = walls_like(self.shape_, noise)

        def uncertainty(at: float) -> float:
            with torch.inference_mode():
                x = at * (2 * pore - 1) + (1 - at) * noise
                logits = pore_odds(self.network_, x, torch.full_like(conditions[:, 0], at), conditions, walls)
            return float(F.binary_cross_entropy_with_logits(logits, pore))

        wanted, low, high = self.left * uncertainty(0), 0.0, LATEST
        for _ in range(6):
            middle = (low + high) / 2
            low, high = (middle, high) if uncertainty(middle) > wanted else (low, middle)
        return high

    def _logits(self, conditions: Tensor, shape: Shape, streams: Streams) -> Tensor:
        size = (*lattice(shape), CELL**3)
        x = normal(streams, size, self.device)
        walls = walls_like(shape, x)
        times = [self.last_ * step / max(1, self.steps - 1) for step in range(self.steps)]
        logits = pore_odds(self.network_, x, torch.zeros_like(conditions[:, 0]), conditions, walls)
        for now, later in pairwise(times):
            volume = torch.tanh(logits / 2)  # twice the pore probability, less one
            x = x + (later - now) / (1 - now) * (volume - x)
            logits = pore_odds(self.network_, x, torch.full_like(conditions[:, 0], later), conditions, walls)
        return to_volumes(logits, shape)

    def _known(self) -> dict[str, Any]:
        return {**super()._known(), "last_": self.last_}

    def _set_known(self, values: dict[str, Any]) -> None:
        super()._set_known(values)
        check_steps(self.steps)
        self.last_ = float(values["last_"])
        if not 0 <= self.last_ <= LATEST:
            raise ValueError(f"it states {self.last_} as the time of the last step, which ends at {LATEST}")
