"""A generator that copies without drawing any training volume: it quilts patches of them."""

from __future__ import annotations

from itertools import product

import numpy as np
from numpy.typing import NDArray

from porebench.data.symmetry import symmetries, transform

CANDIDATES = 4  # pieces of training volumes that are tried at each place


def quilted(
    training: NDArray[np.bool_], count: int, rng: np.random.Generator, *, piece: int = 15, overlap: int = 5
) -> NDArray[np.bool_]:
    """Return volumes of the training shape, sewn from turned cubes of training volumes along seams of least mismatch.

    Pieces are laid in order of depth, height and width. Of four taken at random, the one that agrees best with what
    it overlaps is sewn on: along each axis in turn, every plane of the overlap is cut along the path with the fewest
    voxels that differ.

    Args:
        training: bool [n, depth, height, width].
        count: volumes to make.
        rng: source of randomness.
        piece: edge of a piece, voxels.
        overlap: of neighbouring pieces, voxels.

    References:
        Efros and Freeman (2001), doi:10.1145/383259.383296; in three dimensions, for porous media, Tahmasebi and Sahimi
        (2013), doi:10.1103/PhysRevLett.110.078002.
    """
    shape = training.shape[1:]
    starts = [range(0, max(1, length - overlap), piece - overlap) for length in shape]
    drawn = np.zeros((count, *(each[-1] + piece for each in starts)), dtype=bool)
    for corner in product(*starts):
        there = drawn[(slice(None), *(slice(start, start + piece) for start in corner))]
        behind = [axis + 1 for axis in np.flatnonzero(corner)]
        covered = np.zeros(there.shape, dtype=bool)
        for axis in behind:
            np.moveaxis(covered, axis, 0)[:overlap] = True
        tried = np.stack([_pieces(training, count, piece, rng) for _ in range(CANDIDATES)])
        mismatch = np.count_nonzero((tried != there) & covered, axis=(2, 3, 4))
        best = tried[mismatch.argmin(axis=0), np.arange(count)]
        fresh = np.ones(there.shape, dtype=bool)
        for axis in behind:
            beyond, differs = (np.moveaxis(each, (axis, 0), (0, -1))[:overlap] for each in (fresh, best != there))
            beyond &= _beyond_seam(differs)
        there[fresh] = best[fresh]
    return drawn[(slice(None), *(slice(length) for length in shape))]


def _pieces(training: NDArray[np.bool_], count: int, piece: int, rng: np.random.Generator) -> NDArray[np.bool_]:
    """Return cubes at random places of random training volumes, each turned at random."""
    turns = symmetries((piece,) * 3)
    cubes = []
    for _ in range(count):
        start = [rng.integers(length - piece + 1) for length in training.shape[1:]]
        cube = training[rng.integers(len(training))][tuple(slice(s, s + piece) for s in start)]
        cubes.append(transform(cube[None], turns[rng.integers(len(turns))])[0])
    return np.stack(cubes)


def _beyond_seam(differs: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """Return the voxels beyond the cheapest path through each plane of an overlap, bool [overlap, length, ...]."""
    width, length, *planes = differs.shape
    cost = np.full((length, width + 2, *planes), np.inf)
    cost[:, 1:-1] = np.moveaxis(differs, 0, 1)
    for step in range(1, length):
        before = cost[step - 1]
        cost[step, 1:-1] += np.minimum(np.minimum(before[:-2], before[1:-1]), before[2:])
    seam = np.empty((length, *planes), dtype=np.int64)
    seam[-1] = cost[-1].argmin(axis=0)
    for step in range(length - 2, -1, -1):
        near = seam[step + 1] + np.arange(-1, 2).reshape(-1, *(1 for _ in planes))
        seam[step] = seam[step + 1] + np.take_along_axis(cost[step], near, axis=0).argmin(axis=0) - 1
    return np.arange(width).reshape(-1, *(1 for _ in differs.shape[1:])) >= seam - 1
