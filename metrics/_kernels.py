"""Exact loops over the voxels of one volume, compiled by numba; they release the interpreter lock."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar, cast

import numba
import numpy as np
from numpy.typing import NDArray
from platformdirs import user_cache_path

Function = TypeVar("Function", bound=Callable[..., object])


if not numba.config.CACHE_DIR:  # type: ignore[attr-defined]  # an installation is never written to
    numba.config.CACHE_DIR = str(user_cache_path("porebench", appauthor=False) / "numba")  # type: ignore[attr-defined]


def compiled(function: Function) -> Function:
    """Return the function, compiled to machine code at its first call and cached on disk."""
    return cast("Function", numba.njit(cache=True, nogil=True)(function))


@compiled
def count_runs(lines: NDArray[np.bool_], runs: NDArray[np.int64], complete: NDArray[np.int64]) -> None:
    """Add the straight runs of pore voxels along the last axis to two histograms of run length.

    Args:
        lines: bool [lines, length].
        runs: int64 [> length], all runs; changed in place.
        complete: int64 [> length], runs with a solid voxel at both ends; changed in place.
    """
    length = lines.shape[1]
    for line in range(lines.shape[0]):
        start = -1
        for position in range(length + 1):
            inside = position < length and lines[line, position]
            if inside and start < 0:
                start = position
            elif not inside and start >= 0:
                runs[position - start] += 1
                if start > 0 and position < length:
                    complete[position - start] += 1
                start = -1


@compiled
def squared_distance(volume: NDArray[np.bool_]) -> NDArray[np.int64]:
    """Return the squared distance of each voxel centre to the nearest solid voxel's, int64 [depth, height, width].

    One pass an axis: the least of (squared distance so far) + (offset along this axis)², searched outwards
    until the offset alone is too long. Nothing outside the volume counts as solid; in a volume without
    solid every voxel gets depth² + height² + width², which is more than any distance in it.

    References:
        Saito and Toriwaki (1994), doi:10.1016/0031-3203(94)90133-3.
    """
    depth, height, width = volume.shape
    limit = depth * depth + height * height + width * width
    squared = np.where(volume, limit, 0)
    before = np.empty(max(depth, height, width), dtype=np.int64)
    for axis in range(3):
        length = volume.shape[axis]
        for i in range(1 if axis == 0 else depth):
            for j in range(1 if axis == 1 else height):
                for k in range(1 if axis == 2 else width):
                    line = squared[:, j, k] if axis == 0 else (squared[i, :, k] if axis == 1 else squared[i, j, :])
                    before[:length] = line
                    for position in range(length):
                        best = before[position]
                        offset = 1
                        while offset * offset < best:
                            square = offset * offset
                            if position >= offset:
                                best = min(best, before[position - offset] + square)
                            if position + offset < length:
                                best = min(best, before[position + offset] + square)
                            offset += 1
                        line[position] = best
    return squared


@compiled
def squared_thickness(distance: NDArray[np.int64]) -> NDArray[np.int64]:
    """Return the squared radius of the largest ball inside the pores that covers each voxel, int64; 0 in solid.

    Balls are stamped from the largest to the smallest, so that a voxel's first value is its last.

    Args:
        distance: squared distance to the nearest solid, int64 [depth, height, width].

    References:
        Hildebrand and Rüegsegger (1997), doi:10.1046/j.1365-2818.1997.1340694.x.
    """
    depth, height, width = distance.shape
    thickness = np.zeros_like(distance)
    flat = distance.ravel()
    if flat.min() > 0:
        thickness[:] = distance
        return thickness
    left = np.count_nonzero(flat)
    for index in np.argsort(-flat):
        if left == 0:
            break
        square = flat[index]
        z = index // (height * width)
        y = index // width % height
        x = index % width
        reach = int(np.ceil(np.sqrt(square))) - 1  # the greatest offset with offset² < square
        for i in range(max(z - reach, 0), min(z + reach, depth - 1) + 1):
            rest_i = square - (i - z) ** 2
            for j in range(max(y - reach, 0), min(y + reach, height - 1) + 1):
                rest = rest_i - (j - y) ** 2
                if rest <= 0:
                    continue
                for k in range(max(x - reach, 0), min(x + reach, width - 1) + 1):
                    if (k - x) ** 2 < rest and thickness[i, j, k] == 0:
                        thickness[i, j, k] = square
                        left -= 1
    return thickness


@compiled
def shared_bits(
    query: NDArray[np.uint64],
    stored: NDArray[np.uint64],
    first: NDArray[np.int64],
    last: NDArray[np.int64],
    shared: NDArray[np.int32],
) -> None:
    """Raise ``shared`` to the number of bits that a query and a stored row have in common, if that is more.

    Args:
        query: packed bits, [q, words].
        stored: packed bits, [s, words].
        first: first stored row to look at for each query, [q].
        last: one past the last, [q].
        shared: int32 [q, s]; changed in place.
    """
    one, two, four = np.uint64(0x5555555555555555), np.uint64(0x3333333333333333), np.uint64(0x0F0F0F0F0F0F0F0F)
    ones = np.uint64(0x0101010101010101)
    for i in range(query.shape[0]):
        for j in range(first[i], last[i]):
            count = np.uint64(0)
            for word in range(query.shape[1]):
                bits = query[i, word] & stored[j, word]
                bits = bits - ((bits >> np.uint64(1)) & one)
                bits = (bits & two) + ((bits >> np.uint64(2)) & two)
                bits = (bits + (bits >> np.uint64(4))) & four
                count += (bits * ones) >> np.uint64(56)
            shared[i, j] = max(shared[i, j], np.int32(count))


@compiled
def shared_shifted(
    pores: NDArray[np.int64],
    stored: NDArray[np.bool_],
    turn: NDArray[np.int64],
    volume: NDArray[np.int64],
    steps: NDArray[np.int64],
) -> NDArray[np.int64]:
    """Return the most pore voxels that a turned volume and a stored one share over several shifts, int64 [pairs].

    Args:
        pores: places of the pore voxels of a volume, turned in several ways, [turns, pores].
        stored: volumes, flat and with a margin that no shift leaves, bool [volumes, voxels].
        turn: which turn, for each pair.
        volume: which stored volume.
        steps: what each shift adds to a place.
    """
    most = np.zeros(len(turn), dtype=np.int64)
    for pair in range(len(turn)):
        places, other = pores[turn[pair]], stored[volume[pair]]
        for step in steps:
            count = 0
            for place in places:
                if other[place + step]:
                    count += 1
            most[pair] = max(most[pair], count)
    return most


@compiled
def high_peaks(field: NDArray[np.float64], height: float) -> NDArray[np.bool_]:
    """Return the voxels of peaks that no path joins to a higher one without descending ``height``, bool.

    The field less ``height`` is dilated under the field (26 neighbours), scan by scan, until nothing changes; a peak
    stands the full height above the result.

    References:
        Vincent (1993), morphological reconstruction, doi:10.1109/83.217222.
    """
    depth, length, width = field.shape
    under = field - height
    changed = True
    forward = True
    while changed:
        changed = False
        for step in range(field.size):
            index = step if forward else field.size - 1 - step
            z = index // (length * width)
            y = index // width % length
            x = index % width
            best = under[z, y, x]
            ceiling = field[z, y, x]
            if best == ceiling:
                continue
            for i in range(max(z - 1, 0), min(z + 2, depth)):
                for j in range(max(y - 1, 0), min(y + 2, length)):
                    for k in range(max(x - 1, 0), min(x + 2, width)):
                        best = max(best, under[i, j, k])
            best = min(best, ceiling)
            if best > under[z, y, x]:
                under[z, y, x] = best
                changed = True
        forward = not forward
    return field - under >= height * (1 - 1e-9)


@compiled
def solve_diffusion(
    neighbours: NDArray[np.int32],
    degree: NDArray[np.float64],
    source: NDArray[np.float64],
    tolerance: float,
    limit: int,
) -> tuple[NDArray[np.float64], bool]:
    """Return the concentration in a list of voxels by conjugate gradients, preconditioned by the diagonal.

    Solves degree · x − (sum of x over the neighbours) = source. Only what conducts is listed: in a rock of which a
    fifth is pore, a fifth of the voxels are visited.

    Args:
        neighbours: places of the six neighbours of each voxel in the list, [voxels, 6]; ``voxels`` for none.
        degree: sum of the conductances of each voxel, float64 [voxels], positive.
        source: float64 [voxels].
        tolerance: relative residual to stop at.
        limit: iterations to stop after.

    Returns:
        The concentration, float64 [voxels], and whether it has converged.
    """
    size = len(degree)
    field, applied = np.zeros(size), np.zeros(size)
    residual = source.copy()
    direction = np.zeros(size + 1)  # the last entry stands for neighbours that do not conduct
    product = 0.0
    for i in range(size):
        direction[i] = residual[i] / degree[i]
        product += residual[i] * direction[i]
    target = product * tolerance * tolerance
    for _ in range(limit):
        if product <= target:
            return field, True
        curvature = 0.0
        for i in range(size):
            around = 0.0
            for side in range(6):
                around += direction[neighbours[i, side]]
            applied[i] = degree[i] * direction[i] - around
            curvature += direction[i] * applied[i]
        step = product / curvature
        following = 0.0
        for i in range(size):
            field[i] += step * direction[i]
            residual[i] -= step * applied[i]
            following += residual[i] * residual[i] / degree[i]
        ratio = following / product
        for i in range(size):
            direction[i] = residual[i] / degree[i] + ratio * direction[i]
        product = following
    return field, product <= target
