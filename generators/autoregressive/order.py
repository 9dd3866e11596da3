"""The order in which voxels are drawn: on ever denser lattices, so that those drawn together are far apart.

References:
    Reed et al. (2017), Parallel multiscale autoregressive density estimation, arXiv:1703.03664.
"""

from __future__ import annotations

import itertools
from functools import cache

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from ..base import Shape
from ..lattice import CELL

PERIOD = 4
"""Cells an axis after which the order repeats: voxels drawn first are twelve apart."""
HALVED = 9
"""Positions in a cell that are drawn in more than one step: together, these fill the lattice of voxels that have no
neighbour on it across a face. The voxels left over are told by what lies around them, and one step does."""


@cache
def drawing_steps() -> NDArray[np.int64]:
    """Return the step in which each voxel of 4³ cells is drawn, [27 positions in a cell, 4, 4, 4 cells].

    Steps draw one position each. The first position takes seven steps, with voxels 12, 6√3, … and 3 apart, the next
    eight take two each, on a chessboard of cells, and the others one.
    """
    cell = np.stack(np.meshgrid(*[np.arange(PERIOD)] * 3, indexing="ij"))
    odd = cell % 2
    coarse = np.where(odd.any(axis=0), 0, (cell // 2).sum(axis=0))
    fine = odd.sum(axis=0)
    first = np.where(fine == 0, (PERIOD - coarse) % PERIOD, 7 - fine)  # corner, body, faces, edges, on either lattice
    steps = np.empty((CELL**3, *fine.shape), dtype=np.int64)
    start = 0
    for place, position in enumerate(positions()):
        if place == 0:
            steps[position] = first
        elif place < HALVED:
            steps[position] = start + cell.sum(axis=0) % 2
        else:
            steps[position] = start
        start = int(steps[position].max()) + 1
    return steps


def positions() -> list[int]:
    """Return the positions of a cell, numbered as ``space_to_depth`` does, each far from those before it."""
    places = np.array(list(itertools.product(range(CELL), repeat=3)))
    apart = np.abs(places[:, None] - places[None])
    squared = (np.minimum(apart, CELL - apart) ** 2).sum(axis=2)
    crowding = np.exp(-squared)
    order = [0]
    while len(order) < len(places):
        left = [place for place in range(len(places)) if place not in order]
        order.append(min(left, key=lambda place: (round(float(crowding[place, order].sum()), 9), place)))
    return order


def steps_on(cells: Shape, device: torch.device) -> Tensor:
    """Return the step in which each voxel of a lattice is drawn, int64 [d, h, w, 27]."""
    repeats = [-(-size // PERIOD) for size in cells]
    tiled = np.tile(drawing_steps(), (1, *repeats))[:, : cells[0], : cells[1], : cells[2]]
    return torch.from_numpy(np.moveaxis(tiled, 0, -1).copy()).to(device)


STEPS = int(drawing_steps().max()) + 1
"""Passes of the network behind a volume."""
POSITIONS = [int(np.flatnonzero((drawing_steps() == step).any(axis=(1, 2, 3)))[0]) for step in range(STEPS)]
"""Position in a cell whose voxels each step draws."""
