"""Layers of a volume by their distance to its walls, and what training volumes say of them."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from .base import Shape

_INNER = 0.9  # a layer is an inner one if it has this share of the porosity inside


def sides(shape: Shape) -> list[NDArray[np.int64]]:
    """Distance of each voxel of an axis to the nearer end."""
    return [np.minimum(np.arange(size), np.arange(size)[::-1]) for size in shape]


def layers(shape: Shape) -> NDArray[np.int64]:
    """Distance of each voxel to the nearest boundary voxel along an axis, int64 of that shape."""
    distance: NDArray[np.int64] = np.minimum.reduce(np.meshgrid(*sides(shape), indexing="ij"))
    return distance


def profile(volumes: NDArray[np.bool_]) -> tuple[NDArray[np.float64], int]:
    """Porosity of each layer of volumes [n, D, H, W], never quite 0 or 1, and the first inner layer.

    The layers from that one on have about the porosity of the middle, and are given their common one. In a medium
    without walls it is layer 0.
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
    """How many layers next to the walls have no pore in any of the volumes [n, D, H, W]; 0 if no layer has."""
    pores = volumes.any(axis=0)
    return int(layers(pores.shape)[pores].min()) if pores.any() else 0
