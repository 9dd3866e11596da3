"""Volumes of shapes that are hard to describe, and blobs with as many pores to compare them with."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

Voxels = NDArray[np.bool_]

BLOB = 2.0
"""Standard deviation in voxels of the smoothing that makes blobs."""


def _sheets(edge: int) -> Voxels:
    return np.asarray(np.indices((edge,) * 3)[0] % 8 < 6)


def _slit(edge: int) -> Voxels:
    depth, _, width = np.indices((edge,) * 3)
    return np.asarray(np.abs(depth - edge / 2 + 0.3 * (width - edge / 2)) < edge / 8)


def _comb(edge: int) -> Voxels:
    depth, height, _ = np.indices((edge,) * 3)
    return np.asarray((depth < 4) | (height % 6 < 4))


def _labyrinth(edge: int) -> Voxels:
    """Return one tunnel that fills the volume, to and fro."""
    volume = np.zeros((edge,) * 3, dtype=np.bool_)
    volume[::2, ::2] = True
    volume[::2, 1::4, -1] = volume[::2, 3::4, 0] = True
    volume[1::4, (edge - 1) // 2 * 2, 0] = volume[3::4, 0, 0] = True
    return volume


def _between_fibres(edge: int, radius: float, fibres: int) -> Voxels:
    """Return what straight fibres in random directions leave."""
    rng = np.random.default_rng(0)
    places = np.moveaxis(np.indices((edge,) * 3), 0, -1)
    solid = np.zeros((edge,) * 3, dtype=np.bool_)
    for _ in range(fibres):
        away, along = places - edge * rng.random(3), rng.standard_normal(3)
        solid |= (away**2).sum(axis=-1) - (away @ along) ** 2 / (along @ along) < radius**2
    return ~solid


def _all_but_one(edge: int) -> Voxels:
    volume = np.ones((edge,) * 3, dtype=np.bool_)
    volume[0, 0, 0] = False
    return volume


SHAPES: dict[str, Callable[[int], Voxels]] = {
    "sheets": _sheets,
    "a slit": _slit,
    "a comb": _comb,
    "a labyrinth": _labyrinth,
    "a checkerboard": lambda edge: np.indices((edge,) * 3).sum(axis=0) % 2 == 0,
    "between few fibres": lambda edge: _between_fibres(edge, 2.0, edge // 3),
    "between many fibres": lambda edge: _between_fibres(edge, 2.0, edge),
    "thick fibres": lambda edge: ~_between_fibres(edge, edge / 10, 12),
    "half": lambda edge: np.indices((edge,) * 3)[0] < edge // 2,
    "all but one voxel": _all_but_one,
    "all": lambda edge: np.ones((edge,) * 3, dtype=np.bool_),
}
"""Shape -> volume of an edge in voxels, True where there is pore."""


def blobs_like(volume: Voxels) -> Voxels:
    """Return blobs of the shape and the pore share of a volume."""
    field = ndimage.gaussian_filter(np.random.default_rng(0).standard_normal(volume.shape), BLOB)
    count = int(np.count_nonzero(volume))
    lowest = np.zeros(volume.size, dtype=np.bool_)
    lowest[np.argsort(field, axis=None)[:count]] = True
    return lowest.reshape(volume.shape)
