"""Peaks of a field, compiled by numba."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from porebench.data.compile import compiled


@compiled
def high_peaks(field: NDArray[np.float64], height: float) -> NDArray[np.bool_]:
    """Return the voxels of peaks that no path joins to a higher one without descending ``height``, bool.

    The field less ``height`` is dilated under the field (26 neighbours) until nothing changes: in one scan there and
    one back, then from voxel to voxel where something is left to raise. A peak stands the full height above the result.

    References:
        Vincent (1993), morphological reconstruction, doi:10.1109/83.217222.
    """
    under = field - height
    size = field.size
    for index in range(size):
        _raise_from_around(field, under, index)
    for index in range(size - 1, -1, -1):
        _raise_from_around(field, under, index)
    waiting, queued = np.arange(size), np.ones(size, dtype=np.bool_)
    first, count = 0, size
    depth, length, width = field.shape
    while count:
        index = waiting[first]
        queued[index] = False
        first, count = (first + 1) % size, count - 1
        z, y, x = index // (length * width), index // width % length, index % width
        for i in range(max(z - 1, 0), min(z + 2, depth)):
            for j in range(max(y - 1, 0), min(y + 2, length)):
                for k in range(max(x - 1, 0), min(x + 2, width)):
                    raised = min(under[z, y, x], field[i, j, k])
                    if under[i, j, k] >= raised:
                        continue
                    under[i, j, k] = raised
                    beside = (i * length + j) * width + k
                    if not queued[beside]:
                        queued[beside] = True
                        waiting[(first + count) % size] = beside
                        count += 1
    return field - under >= height * (1 - 1e-9)


@compiled
def _raise_from_around(field: NDArray[np.float64], under: NDArray[np.float64], index: int) -> None:
    """Raise a voxel to the highest of its neighbours, but not above the field."""
    depth, length, width = field.shape
    z, y, x = index // (length * width), index // width % length, index % width
    ceiling = field[z, y, x]
    best = under[z, y, x]
    if best == ceiling:
        return
    for i in range(max(z - 1, 0), min(z + 2, depth)):
        for j in range(max(y - 1, 0), min(y + 2, length)):
            for k in range(max(x - 1, 0), min(x + 2, width)):
                best = max(best, under[i, j, k])
    under[z, y, x] = min(best, ceiling)
