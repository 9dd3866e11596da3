"""Pairs of pore voxels at each offset, counted by matrix products compiled by numba.

As few offsets are asked for, products with the matrices of a transform are faster than a fast transform; and at this
size the threads of a library for linear algebra would wait for each other.
"""

from __future__ import annotations

import functools
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from porebench.data.compile import compiled

from ._runs import Runs

Matrix = NDArray[np.floating[Any]]

S2_RADII = 12
"""Largest offset, voxels: shells 0, 1, ..., 12 hold the offsets with a length in [r − ½, r + ½)."""


BLOCK = 1024
"""Columns of a product that are made together, so that what they are made of stays in the nearest cache."""


def pair_counts(rows: Sequence[Runs], shape: tuple[int, ...]) -> NDArray[np.float64]:
    """Return the pairs of pore voxels at each offset of 0 to ``S2_RADII`` along each axis, [n, ...].

    Each is the mean over the offsets that differ in sign alone. That is a multiple of 1/8, so rounding makes it exact.

    Args:
        rows: runs of pore voxels along the last axis, of each volume.
        shape: depth, height and width of the volumes in voxels.

    References:
        Bracewell (1983), the Hartley transform, doi:10.1364/JOSA.73.001832.
    """
    matrices = _matrices(shape)
    return np.rint([8.0 * _correlate(runs, shape, matrices) for runs in rows]) / 8


@functools.cache
def _matrices(shape: tuple[int, ...]) -> list[Matrix]:
    """Return the matrices that ``_correlate`` takes for volumes of a shape."""
    number = np.float32 if np.prod(shape) < 2**15 else np.float64  # errors well below 1/16
    (deep, near), (high, nearer), (wide, nearest) = (_transforms(length) for length in shape)
    until = np.vstack([np.zeros((1, len(wide))), wide.T.cumsum(axis=0)])  # of a run from the first voxel to each
    filled = ((0, 0), (0, -len(wide) % 8))  # whole registers
    matrices = np.pad(until, filled), deep, high, nearer, near, np.pad(nearest, filled).T
    return [np.ascontiguousarray(each, dtype=number) for each in matrices]


def _transforms(length: int) -> tuple[Matrix, Matrix]:
    """Return the matrices of a zero-padded Hartley transform, and of its square's inverse at few offsets."""
    offsets = np.arange(min(S2_RADII, length - 1) + 1)
    padded = length + offsets[-1]
    turns = 2 * np.pi / padded * np.arange(padded)
    angles = turns[:, None] * np.arange(length)
    return np.cos(angles) + np.sin(angles), np.cos(offsets[:, None] * turns) / padded


def _correlate(runs: Runs, shape: tuple[int, ...], steps: Sequence[Matrix]) -> Matrix:
    """Return the mean autocorrelation of a volume at offsets that differ in sign alone.

    Args:
        runs: of pore voxels along the last axis.
        shape: of the volume.
        steps: transform along the last axis of a run from the first voxel to each, [width + 1, frequencies]; matrices
            of the transform along the depth and the height; those of its inverse along the height, the depth and, from
            the right, the width.
    """
    until, deep, high, nearer, near, nearest = steps
    lines = _transformed(*runs, until).reshape(shape[0], -1)
    sheets = _exchanged(_product(deep, lines), shape[1])
    squares = _product(high, sheets) ** 2
    middle = len(squares) // 2 + 1
    squares[1 : len(squares) - middle + 1] += squares[: middle - 1 : -1]  # the matrix of the inverse is symmetric
    across = _exchanged(_product(np.ascontiguousarray(nearer[:, :middle]), squares[:middle]), len(deep))
    inside = _product(near, across).reshape(-1, len(nearest))
    return _product(inside, nearest).reshape(len(near), len(nearer), -1)


def _exchanged(product: Matrix, second: int) -> Matrix:
    """Return values [first, second · third] as [second, first · third]."""
    parts = product.reshape(len(product), second, -1)
    return np.ascontiguousarray(parts.transpose(1, 0, 2)).reshape(second, -1)


@compiled
def _transformed(starts: NDArray[np.int32], ends: NDArray[np.int32], first: NDArray[np.int32], until: Matrix) -> Matrix:
    """Return the transform of each row, from its runs."""
    lines = np.zeros((len(first) - 1, until.shape[1]), dtype=until.dtype)
    for row in range(len(lines)):
        line = lines[row]
        for run in range(first[row], first[row + 1]):
            above, below = until[ends[run]], until[starts[run]]
            for k in range(len(line)):
                line[k] += above[k] - below[k]
    return lines


@compiled
def _product(matrix: Matrix, values: Matrix) -> Matrix:
    """Return the product of a matrix [m, k] and values [k, n], [m, n]."""
    last, columns = len(matrix) - 1, values.shape[1]
    product = np.zeros((last + 2, columns), dtype=values.dtype)
    for start in range(0, columns, BLOCK):
        block = slice(start, min(start + BLOCK, columns))
        for row in range(0, last + 1, 2):  # two rows by four at a time: what is in reach is used more often
            one, two = product[row, block], product[row + 1, block]
            m, n = matrix[row], matrix[min(row + 1, last)]
            for k in range(0, len(values) - 3, 4):
                a, b, c, d = values[k, block], values[k + 1, block], values[k + 2, block], values[k + 3, block]
                for i in range(len(one)):
                    one[i] += m[k] * a[i] + m[k + 1] * b[i] + m[k + 2] * c[i] + m[k + 3] * d[i]
                    two[i] += n[k] * a[i] + n[k + 1] * b[i] + n[k + 2] * c[i] + n[k + 3] * d[i]
            for k in range(len(values) // 4 * 4, len(values)):
                a = values[k, block]
                for i in range(len(one)):
                    one[i] += m[k] * a[i]
                    two[i] += n[k] * a[i]
    return product[: last + 1]
