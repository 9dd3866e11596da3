"""Straight runs of pore voxels, and the clusters that they make up, compiled by numba."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from porebench.data.compile import compiled

from ._forest import find_root

Runs = tuple[NDArray[np.int32], NDArray[np.int32], NDArray[np.int32]]
"""Start of each run and its end (one past it), row after row; the first run of each row, and the number of runs."""
ACROSS = np.array([1, 2, 4], dtype=np.uint8)
"""Bit of each axis."""


@compiled
def find_runs(volume: NDArray[np.bool_]) -> Runs:
    """Return the straight runs of pore voxels along the last axis of a volume, bool [depth, height, width]."""
    width = volume.shape[2]
    rows = volume.reshape(-1, width)
    starts = np.empty(len(rows) * ((width + 1) // 2), dtype=np.int32)
    ends, first = np.empty_like(starts), np.zeros(len(rows) + 1, dtype=np.int32)
    count = 0
    for index in range(len(rows)):
        row = rows[index]
        place = 0
        while place < width:
            if row[place]:
                starts[count] = place
                while place < width and row[place]:
                    place += 1
                ends[count] = place
                count += 1
            place += 1
        first[index + 1] = count
    return starts[:count], ends[:count], first


@compiled
def count_runs(lines: NDArray[np.bool_], every: NDArray[np.int64], complete: NDArray[np.int64]) -> None:
    """Add the straight runs of pore voxels along the middle axis to two histograms of their length.

    Args:
        lines: bool [blocks, length, lines of a block].
        every: int64 [> length], all runs; changed in place.
        complete: int64 [> length], runs with a solid voxel at both ends; changed in place.
    """
    blocks, length, inner = lines.shape
    start = np.empty(inner, dtype=np.int32)  # of the run that each line is in, else -1
    for block in range(blocks):
        start[:] = -1
        for place in range(length):
            layer = lines[block, place]
            for line in range(inner):
                if layer[line] == (start[line] >= 0):
                    continue
                if layer[line]:
                    start[line] = place
                else:
                    every[place - start[line]] += 1
                    complete[place - start[line]] += start[line] > 0
                    start[line] = -1
        for line in range(inner):
            if start[line] >= 0:
                every[length - start[line]] += 1


def clusters(found: Runs, shape: tuple[int, ...], *, corners: bool) -> tuple[NDArray[np.int64], NDArray[np.bool_]]:
    """Return the size of each connected cluster of runs, voxels, and whether it spans each axis, bool [clusters, 3].

    Args:
        found: runs of a volume's rows.
        shape: depth, height and width of the volume.
        corners: whether voxels that touch by an edge or corner alone are connected (26 neighbours instead of 6).

    References:
        Hoshen and Kopelman (1976), doi:10.1103/PhysRevB.14.3438.
    """
    depth, height, width = shape
    root, sizes, faces = _joined(*found, depth, height, width, corners)
    own = np.flatnonzero(root == np.arange(len(root)))
    both = faces[own] & faces[own] >> 3
    return sizes[own], (both[:, None] & ACROSS).astype(np.bool_)


@compiled
def _joined(
    starts: NDArray[np.int32],
    ends: NDArray[np.int32],
    first: NDArray[np.int32],
    depth: int,
    height: int,
    width: int,
    corners: bool,
) -> tuple[NDArray[np.int32], NDArray[np.int64], NDArray[np.uint8]]:
    """Return an earlier run of the cluster of each run, or itself, and what the clusters of the latter hold and touch.

    Args:
        starts: of the runs, see ``Runs``.
        ends: of the runs.
        first: run of each row.
        depth: of the volume.
        height: of the volume.
        width: of the volume.
        corners: see ``clusters``.

    Returns:
        Earlier run, voxels, and one bit for each face of the volume: the first of each axis, then the last.
    """
    root = np.arange(len(starts), dtype=np.int32)
    sizes, faces = np.empty(len(starts), dtype=np.int64), np.empty(len(starts), dtype=np.uint8)
    for z in range(depth):
        for y in range(height):
            row = z * height + y
            if first[row] == first[row + 1]:
                continue
            if y > 0:
                _join(root, starts, ends, first, row, row - 1, corners)
            if z > 0:
                _join(root, starts, ends, first, row, row - height, corners)
            if z > 0 and y > 0 and corners:
                _join(root, starts, ends, first, row, row - height - 1, corners)
            if z > 0 and y + 1 < height and corners:
                _join(root, starts, ends, first, row, row - height + 1, corners)
            sides = (z == 0) + 2 * (y == 0) + 8 * (z == depth - 1) + 16 * (y == height - 1)
            for run in range(first[row], first[row + 1]):
                sizes[run] = ends[run] - starts[run]
                faces[run] = sides + 4 * (starts[run] == 0) + 32 * (ends[run] == width)
    for run in range(len(starts) - 1, -1, -1):
        earlier = root[run]
        if earlier != run:  # which hands it on in its turn
            sizes[earlier] += sizes[run]
            faces[earlier] |= faces[run]
    return root, sizes, faces


@compiled
def _join(
    root: NDArray[np.int32],
    starts: NDArray[np.int32],
    ends: NDArray[np.int32],
    first: NDArray[np.int32],
    row: int,
    other: int,
    corners: bool,
) -> None:
    """Join the runs of a row to those of another row that they touch.

    Args:
        root: of each run, itself or an earlier run of its cluster; changed.
        starts: of the runs, see ``Runs``.
        ends: of the runs.
        first: run of each row.
        row: index of a row.
        other: index of a row beside it.
        corners: whether a touching corner is enough.
    """
    run, beside = first[row], first[other]
    while run < first[row + 1] and beside < first[other + 1]:
        if starts[run] < ends[beside] + corners and starts[beside] < ends[run] + corners:
            one, two = find_root(root, run), find_root(root, beside)
            root[max(one, two)] = min(one, two)
        if ends[run] < ends[beside]:
            run += 1
        else:
            beside += 1
