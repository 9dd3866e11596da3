"""Diffusion through the voxels of one volume, compiled by numba."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from porebench.data.compile import compiled

WINDOW = 5
"""Steps whose gains together tell what is left to gain."""
MODIFIED = 0.97
"""Share of what an incomplete factor leaves out that its diagonal makes up for; 1 can make a pivot zero."""


@compiled
def conducting_voxels(phase: NDArray[np.bool_]) -> tuple[NDArray[np.int32], NDArray[np.float64], NDArray[np.int32]]:
    """Return the neighbours, the conductance and the layer of each conducting voxel, in order.

    Conductances are 1 between neighbours, and 2 from the first and last layer to the faces half a voxel away.

    Args:
        phase: bool [depth, height, width], True where it conducts; layers are those along the depth.

    Returns:
        Place in the list of the neighbour below and above along each axis, [voxels, 6], ``voxels`` for none; the sum of
        the conductances of each voxel, [voxels]; its layer from 0, [voxels].
    """
    depth, height, width = phase.shape
    place = np.full((depth + 2, height + 2, width + 2), -1, dtype=np.int32)
    size = 0
    for z in range(depth):
        for y in range(height):
            for x in range(width):
                if phase[z, y, x]:
                    place[z + 1, y + 1, x + 1] = size
                    size += 1
    neighbours = np.full((size, 6), size, dtype=np.int32)
    degree, layer = np.zeros(size), np.empty(size, dtype=np.int32)
    voxel = 0
    for z in range(1, depth + 1):
        for y in range(1, height + 1):
            for x in range(1, width + 1):
                if place[z, y, x] < 0:
                    continue
                layer[voxel] = z - 1
                degree[voxel] = 2.0 * (z == 1) + 2.0 * (z == depth)
                around = (
                    place[z - 1, y, x],
                    place[z + 1, y, x],
                    place[z, y - 1, x],
                    place[z, y + 1, x],
                    place[z, y, x - 1],
                    place[z, y, x + 1],
                )
                for side in range(6):
                    if around[side] >= 0:
                        neighbours[voxel, side] = around[side]
                        degree[voxel] += 1.0
                voxel += 1
    return neighbours, degree, layer


@compiled
def solve_diffusion(
    neighbours: NDArray[np.int32],
    degree: NDArray[np.float64],
    layer: NDArray[np.int32],
    length: int,
    tolerance: float,
    limit: int,
) -> tuple[float, bool]:
    """Return the flux through a list of voxels between faces held at 1 and 0, and whether it has converged.

    The flux is the dissipation, which the concentration makes least: its error is the square of the concentration's.
    Conjugate gradients from a linear profile, preconditioned by a modified incomplete Cholesky factor, lower it with
    each step, until ``WINDOW`` steps together have lowered it by no more than the tolerance.

    Args:
        neighbours: as from ``conducting_voxels``; so are the next two.
        degree: sum of the conductances of each voxel, positive.
        layer: of each voxel, from 0.
        length: number of layers.
        tolerance: relative error of the flux, about.
        limit: steps to stop after.

    References:
        Gustafsson (1978), doi:10.1007/BF01931691; Strakoš and Tichý (2002), errors of conjugate gradients,
        etna.math.kent.edu volume 13.
    """
    size = len(degree)
    inverse = _incomplete_cholesky(neighbours, degree)
    direction, preconditioned, half = np.zeros(size + 1), np.zeros(size + 1), np.zeros(size + 1)  # ends stand for none
    residual, applied, gains = np.zeros(size), np.zeros(size), np.zeros(limit)
    flux = 0.0
    for i in range(size):
        direction[i] = 1 - (layer[i] + 0.5) / length
    for i in range(size):
        around, here = 0.0, direction[i]
        for side in range(6):
            other = neighbours[i, side]
            around += direction[other]
            if other < size and other > i:
                flux += (here - direction[other]) ** 2
        first, last = layer[i] == 0, layer[i] == length - 1
        flux += 2.0 * first * (1 - here) ** 2 + 2.0 * last * here**2
        residual[i] = 2.0 * first - degree[i] * here + around
    product = 1.0
    for step in range(limit):
        following = _precondition(neighbours, inverse, residual, half, preconditioned)
        if following <= 0:
            return flux, True
        kept = following / product if step else 0.0
        product = following
        for i in range(size):
            direction[i] = preconditioned[i] + kept * direction[i]
        curvature = 0.0
        for i in range(size):
            around = 0.0
            for side in range(6):
                around += direction[neighbours[i, side]]
            applied[i] = degree[i] * direction[i] - around
            curvature += direction[i] * applied[i]
        gains[step] = product * product / curvature
        flux -= gains[step]
        for i in range(size):
            residual[i] -= product / curvature * applied[i]
        if step + 1 >= WINDOW and gains[step + 1 - WINDOW : step + 1].sum() <= tolerance * flux:
            return flux, True
    return flux, False


@compiled
def _precondition(
    neighbours: NDArray[np.int32],
    inverse: NDArray[np.float64],
    residual: NDArray[np.float64],
    half: NDArray[np.float64],
    preconditioned: NDArray[np.float64],
) -> float:
    """Solve the incomplete factor for a residual, and return the product of residual and solution.

    Args:
        neighbours: as from ``conducting_voxels``.
        inverse: pivots, as from ``_incomplete_cholesky``.
        residual: [voxels].
        half: room for the first half of the way, [voxels + 1] with 0 at the end.
        preconditioned: the solution, [voxels + 1] with 0 at the end; changed.
    """
    size = len(residual)
    product = 0.0
    for i in range(size):
        below = half[neighbours[i, 0]] + half[neighbours[i, 2]] + half[neighbours[i, 4]]
        half[i] = (residual[i] + below) * inverse[i]
    for i in range(size - 1, -1, -1):
        above = preconditioned[neighbours[i, 1]] + preconditioned[neighbours[i, 3]] + preconditioned[neighbours[i, 5]]
        preconditioned[i] = half[i] + above * inverse[i]
        product += preconditioned[i] * residual[i]
    return product


@compiled
def _incomplete_cholesky(neighbours: NDArray[np.int32], degree: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the inverse pivots of the incomplete factor of the diffusion matrix, [voxels].

    What the factor has no place for is taken from its diagonal, but for a share that keeps the pivots positive.
    """
    size = len(degree)
    inverse = np.zeros(size)
    for i in range(size):
        pivot = degree[i]
        for side in (0, 2, 4):
            below = neighbours[i, side]
            if below < size:
                left_out = -1  # the voxel itself is one of those above the one below
                for above in (1, 3, 5):
                    left_out += neighbours[below, above] < size
                pivot -= inverse[below] * (1 + MODIFIED * left_out)
        inverse[i] = 1 / (pivot if pivot > 0.25 * degree[i] else degree[i])
    return inverse
