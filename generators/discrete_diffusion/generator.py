"""Discrete diffusion as a generator."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
import torch
from torch import Tensor

from ..base import Shape, Streams
from ..lattice import CELL, lattice, to_cells, walls_like
from ..lattice_generator import LatticeGenerator, check_steps
from ..lattice_network import TOLD, LatticeNetwork, to_volumes
from .odds import hidden_odds, turns, uncovered

if TYPE_CHECKING:
    from ..lattice_module import LatticeModule

CORRECTIONS = 16
"""Times that some voxels of a whole draw are hidden once more, and drawn given all others. Chosen, with how many, on
validation volumes of four data sets; without, NFR100 on spheres and Berea was about twice as high."""
CORRECTED = 1 / 3
"""Share of the voxels of a cell that are hidden each time."""
DECIDED = 1e4
"""Number given to a pore voxel that is drawn already, above all logits; a solid one has it negative."""


@dataclass(kw_only=True, eq=False, repr=False)
class DiscreteDiffusion(LatticeGenerator):
    """Absorbing discrete diffusion: all voxels start hidden, and each step uncovers some, drawn given those uncovered.

    The order is random, but a cell of 3³ voxels uncovers one of its voxels after the other, so that those uncovered in
    one step lie apart. Voxels of one step are drawn independently, which is wrong for those close by: so, in the end,
    voxels in random places are hidden once more and drawn given all others, several times. The network is told how many
    pore voxels are still hidden, and the last time the most probable ones of them are uncovered, so that the count is
    exact.

    Args:
        width: feature channels on the lattice.
        blocks: residual blocks.
        epochs: fifty batches each.
        batch_size: volumes a batch.
        learning_rate: peak of the schedule.
        weight_decay: of AdamW.
        sparse_weight: s ≥ 0; a volume with porosity φ counts in proportion to φ^(-s).
        steps: in which all voxels are uncovered for the first time.

    References:
        Austin et al. (2021), Structured denoising diffusion models in discrete state-spaces, arXiv:2107.03006;
        Hoogeboom et al. (2022), Autoregressive diffusion models, arXiv:2110.02037;
        Campbell et al. (2022), A continuous time framework for discrete denoising models, arXiv:2205.14987, for steps
        that correct.
    """

    name: ClassVar[str] = "discrete-diffusion"
    trained_on_request: ClassVar[bool] = True

    width: int = 48
    blocks: int = 3
    epochs: int = 400
    batch_size: int = 8
    learning_rate: float = 2e-3
    weight_decay: float = 0.01
    sparse_weight: float = 0.3
    steps: int = 32

    def _build(self) -> LatticeNetwork:
        return LatticeNetwork(CELL**3, TOLD + 2, self.width, self.blocks)

    def _module(self, *known: Any) -> LatticeModule:
        from .module import HiddenModule  # noqa: PLC0415 - Lightning takes long to import

        return HiddenModule(*known, sparse_weight=self.sparse_weight)

    def _logits(self, conditions: Tensor, shape: Shape, streams: Streams) -> Tensor:
        size = (*lattice(shape), CELL**3)
        inside = to_cells(torch.ones(1, 1, *shape, device=self.device)) > 0
        wanted = float(np.prod(shape)) * torch.sigmoid(conditions[:, 1])
        known = torch.zeros((len(streams), *size), device=self.device)
        walls = walls_like(shape, known)

        def numbers() -> Sequence[Tensor]:
            drawn = np.stack([stream.random((2, *size), dtype=np.float32) for stream in streams])
            return torch.from_numpy(drawn).to(self.device).unbind(dim=1)

        def odds() -> Tensor:
            return hidden_odds(self.network_, known, conditions, wanted, walls, inside)

        order, uniform = numbers()
        turn = turns(order)
        for before, after in pairwise(uncovered(step / self.steps) for step in range(self.steps + 1)):
            pore = uniform < torch.sigmoid(odds())
            known = torch.where((turn >= before) & (turn < after) & inside, 2.0 * pore - 1, known)
        for left in reversed(range(CORRECTIONS)):
            order, uniform = numbers()
            again = turns(order) < CORRECTED
            known = known.masked_fill(again, 0)
            logits = odds()
            if left:
                pore = uniform < torch.sigmoid(logits)
                known = torch.where(again & inside, 2.0 * pore - 1, known)
        return to_volumes(torch.where(known == 0, logits, DECIDED * known), shape)

    def _set_known(self, values: dict[str, Any]) -> None:
        super()._set_known(values)
        check_steps(self.steps)
