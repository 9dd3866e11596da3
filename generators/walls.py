"""Layers of a volume by their distance to its walls, and their porosity in training volumes."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from .base import Floats, Shape

_INNER = 0.9
"""Share of the porosity in the middle from which a layer counts as an inner one."""


def sides(shape: Shape) -> list[NDArray[np.int64]]:
    """Return the distance of each voxel of an axis to the nearer end, in voxels, for each axis."""
    return [np.minimum(np.arange(size), np.arange(size)[::-1]) for size in shape]


def layers(shape: Shape) -> NDArray[np.int64]:
    """Return the distance of each voxel to the nearest boundary voxel along an axis, int64 of a shape."""
    distance: NDArray[np.int64] = np.minimum.reduce(np.meshgrid(*sides(shape), indexing="ij"))
    return distance


def profile(volumes: NDArray[np.bool_]) -> tuple[Floats, int]:
    """Return the porosity of each layer of volumes [n, D, H, W], never quite 0 or 1, and the first inner layer.

    Inner layers have about the porosity of the middle, and all get their common one. In a medium without walls the
    first inner layer is layer 0.
    """
    layer = layers(volumes.shape[1:])
    size = np.bincount(layer.ravel()) * float(max(len(volumes), 1))
    pores = np.bincount(layer.ravel(), weights=volumes.sum(axis=0).ravel()) if len(volumes) else size / 2
    deep = np.arange(len(size)) >= len(size) // 2
    inner = int(np.argmax(pores / size >= _INNER * pores[deep].sum() / size[deep].sum()))
    inner = min(inner, max(0, (min(layer.shape) - 4) // 2))
    pores[inner:], size[inner:] = pores[inner:].sum(), size[inner:].sum()
    return np.asarray(np.clip(pores, 0.5, size - 0.5) / size), inner


def empty_layers(volumes: NDArray[np.bool_]) -> int:
    """Return the number of layers next to the walls without a pore in any volume [n, D, H, W]; 0 if none has pores."""
    pores = volumes.any(axis=0)
    return int(layers(pores.shape)[pores].min()) if pores.any() else 0
