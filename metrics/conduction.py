"""Conduction through the pores: conductivity, the narrowest passage, and the permeability that both suggest."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import ndimage

from ._batch import spanning
from .physics import TOLERANCE
from .transport import effective_diffusivity

Floats = NDArray[np.float64]

KATZ_THOMPSON = 226.0
"""Ratio of squared critical diameter times conductivity to the permeability, from measurements on rocks."""


def critical_diameters(pores: NDArray[np.bool_]) -> Floats:
    """Return the diameter of the largest ball that can pass through one volume along each axis, voxel edges, [3].

    The ball moves through pores alone, from one face to the opposite one, where it may stick out; 0 where no pore leads
    through. Odd widths are exact, even ones come out one voxel too narrow, as a ball is centred on a voxel.

    Args:
        pores: bool [depth, height, width].

    Example:
        >>> slit = np.zeros((4, 7, 5), dtype=bool)
        >>> slit[:, 2:5] = True
        >>> critical_diameters(slit).tolist()
        [3.0, 0.0, 3.0]
    """
    widest = (min(pores.shape) + 1) / 2
    radius = np.full(pores.shape, widest) if pores.all() else np.minimum(ndimage.distance_transform_edt(pores), widest)
    sizes = np.unique(radius[pores])
    found = []
    for axis in range(3):
        open_to, closed_to = 0, len(sizes) + 1  # the number of sizes, from the smallest, that pass
        while closed_to - open_to > 1:
            middle = (open_to + closed_to) // 2
            labels, _ = ndimage.label(radius >= sizes[middle - 1])
            open_to, closed_to = (middle, closed_to) if len(spanning(labels, axis)) else (open_to, middle)
        found.append(2 * sizes[open_to - 1] - 1 if open_to else 0.0)
    return np.array(found, dtype=np.float64)


def conduction(
    voxels: NDArray[np.bool_], *, workers: int = 1, progress: Callable[[int], object] | None = None
) -> tuple[Floats, Floats]:
    """Return conductivity over that of the pore fluid, and critical diameter in voxel edges, along each axis, [n, 3].

    The inverse of the conductivity is the formation factor. Both are 0 where no pore leads through.

    Args:
        voxels: bool [n, depth, height, width], True = pore.
        workers: threads.
        progress: called with 1 after each volume.
    """

    def solve(pores: NDArray[np.bool_]) -> tuple[list[float], Floats]:
        conductivity = [effective_diffusivity(pores, axis=axis, tolerance=TOLERANCE) for axis in range(3)]
        return conductivity, critical_diameters(pores)

    conductivity, diameter = np.zeros((2, len(voxels), 3))
    with ThreadPoolExecutor(workers) as pool:
        for index, found in enumerate(pool.map(solve, voxels)):
            conductivity[index], diameter[index] = found
            if progress is not None:
                progress(1)
    return conductivity, diameter


def katz_thompson(conductivity: ArrayLike, diameter: ArrayLike) -> Floats:
    """Return the permeability that conductivity and critical diameter suggest, squared units of the diameter.

    It ranks volumes as their permeability does, at a small part of the time. The amount holds for rocks whose throats
    are many voxels wide: on blocks of 30³ voxels of Berea it is more than ten times too low.

    References:
        Katz and Thompson (1986), Quantitative prediction of permeability in porous rock,
        doi:10.1103/PhysRevB.34.8179.

    Example:
        >>> round(float(katz_thompson(0.1, 22.6)), 6)
        0.226
    """
    return np.asarray(np.square(diameter, dtype=np.float64) * np.asarray(conductivity) / KATZ_THOMPSON)
