"""Peaks of a field, compiled by numba."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from porebench.data.compile import compiled


def high_peaks(field: NDArray[np.float64], height: float) -> NDArray[np.bool_]:
    """Return the voxels of peaks that no path joins to a higher one without descending ``height``, bool.

    The field less ``height`` is dilated under the field (26 neighbours) until nothing changes: in one scan there and
    one back, then from voxel to voxel where something is left to raise. A peak stands the full height above the result.

    References:
        Vincent (1993), morphological reconstruction, doi:10.1109/83.217222.
    """
    ceiling = np.pad(field, 1, constant_values=-np.inf)
    under = ceiling - height
    _, length, width = ceiling.shape
    around = np.arange(-1, 2)
    steps = ((around[:, None, None] * length + around[:, None]) * width + around).ravel()
    _dilate(ceiling.ravel(), under.ravel(), steps[:13])
    inside = (slice(1, -1),) * 3
    return np.asarray(field - under[inside] >= height * (1 - 1e-9))


@compiled
def _dilate(ceiling: NDArray[np.float64], under: NDArray[np.float64], before: NDArray[np.int64]) -> None:
    """Raise each voxel to the highest of its neighbours, but not above a ceiling, until nothing changes.

    Args:
        ceiling: flat, with a margin of −∞.
        under: the same less a height; changed.
        before: steps to the neighbours that come before a voxel; those after it are the opposite ones.
    """
    size, after = len(under), -before
    for place in range(size):
        _raise(ceiling, under, place, before)
    waiting, queued = np.empty(size, dtype=np.int64), np.zeros(size, dtype=np.bool_)
    count = 0
    for place in range(size - 1, -1, -1):
        _raise(ceiling, under, place, after)
        for step in after if ceiling[place] > -np.inf else after[:0]:
            if under[place + step] < min(under[place], ceiling[place + step]) and not queued[place]:
                queued[place] = True
                waiting[count] = place
                count += 1
    first = 0
    while count:
        place = waiting[first]
        queued[place] = False
        first, count = (first + 1) % size, count - 1
        for side in (-1, 1):
            for step in before:
                beside = place + side * step
                raised = min(under[place], ceiling[beside])
                if under[beside] >= raised:
                    continue
                under[beside] = raised
                if not queued[beside]:
                    queued[beside] = True
                    waiting[(first + count) % size] = beside
                    count += 1


@compiled
def _raise(ceiling: NDArray[np.float64], under: NDArray[np.float64], place: int, steps: NDArray[np.int64]) -> None:
    """Raise a voxel to the highest of some neighbours, but not above its ceiling."""
    if under[place] < ceiling[place]:
        for step in steps:
            under[place] = max(under[place], min(under[place + step], ceiling[place]))
