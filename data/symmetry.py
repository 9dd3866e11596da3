"""The symmetries of a box: rotations and mirror images that keep its shape."""

from __future__ import annotations

from itertools import permutations, product
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

Scalar = TypeVar("Scalar", bound=np.generic)
Axes = tuple[int, int, int]
Symmetry = tuple[Axes, tuple[bool, bool, bool]]
"""Order of the axes, and for each the direction: True for reversed."""


def axis_orders(shape: tuple[int, ...]) -> list[Axes]:
    """Return the orders of the axes that keep a box's shape, the identity first."""
    return [(a, b, c) for a, b, c in permutations(range(3)) if (shape[a], shape[b], shape[c]) == tuple(shape)]


def symmetries(shape: tuple[int, ...]) -> list[Symmetry]:
    """Return the symmetries of a box of that shape, the identity first.

    Example:
        >>> len(symmetries((4, 4, 4))), len(symmetries((4, 4, 5))), len(symmetries((3, 4, 5)))
        (48, 16, 8)
    """
    return [(order, (a, b, c)) for order in axis_orders(shape) for a, b, c in product((False, True), repeat=3)]


def transform(voxels: NDArray[Scalar], symmetry: Symmetry) -> NDArray[Scalar]:
    """Return volumes [n, depth, height, width] under one symmetry, as a view."""
    order, flip = symmetry
    moved = voxels.transpose(0, *(axis + 1 for axis in order))
    return moved[(slice(None), *(slice(None, None, -1 if turned else 1) for turned in flip))]


def orientations(voxels: NDArray[Scalar]) -> list[NDArray[Scalar]]:
    """Return volumes [n, depth, height, width] under each of their symmetries, as views, unchanged ones first."""
    return [transform(voxels, symmetry) for symmetry in symmetries(voxels.shape[1:])]
