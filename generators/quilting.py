"""Quilts: overlapping blocks of training volumes, joined where they differ least."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from porebench.data.compile import compiled

from .base import Floats, Shape
from .training_images import TrainingImages, bit, room

Ints = NDArray[np.int64]

_MOST = 10**6
"""Candidates at most, so that a file cannot ask for a draw without end."""


class Quilting(TrainingImages):
    """Overlapping patches of training volumes, each the best of many in what it overlaps, cut where both agree.

    Patches are laid along width, height and depth. Of candidates at random places in training volumes of similar
    density, the one that differs least from the voxels it overlaps is taken; a candidate also pays for each pore voxel
    by which it leads away from the number that the porosity law wants so far. Through the overlap along each axis runs
    a surface, slice by slice: a path of least difference through the slice (dynamic programming), which also pays for
    the differing voxels between itself and the path of the slice before. New voxels lie behind all surfaces.

    Patches are at most half as long as training volumes. Nothing is turned or mirrored, so a medium keeps its
    direction. Where training volumes have fewer pores near the boundary, patches at the boundary come from there.

    It copies: inside a patch every voxel is one of a training volume, so large pieces of them come again, and structure
    wider than a patch is left to chance.

    Settings were chosen on validation volumes of spheres and Berea: patches of 10, 12 and 15, overlaps of 4 and 5, 400
    to 1500 candidates, steering of 0.2 to 4, 16 and 32 images.

    Args:
        patch: edge of a patch in voxels; less for small training volumes and small draws.
        overlap: voxels by which neighbours overlap at least.
        candidates: patches that are compared for each place.
        steering: number of differing voxels that count as much as one pore voxel too many or too few.
        images: training volumes of the nearest densities that patches come from, at most an eighth of all.
        walls: True learns the porosity of the layers next to the boundary; False makes a stationary medium.

    References:
        A. A. Efros, W. T. Freeman (2001). Image quilting for texture synthesis and transfer. Proc. SIGGRAPH, 341-346.
        doi:10.1145/383259.383296
        P. Tahmasebi, A. Hezarkhani, M. Sahimi (2012). Multiple-point geostatistical modeling based on the
        cross-correlation functions. Comput. Geosci. 16, 779-797. doi:10.1007/s10596-012-9287-1
    """

    name = "quilting"

    def __init__(
        self,
        *,
        patch: int = 15,
        overlap: int = 5,
        candidates: int = 500,
        steering: float = 1.0,
        images: int = 16,
        walls: bool = True,
    ) -> None:
        self.patch = patch
        self.overlap = overlap
        self.candidates = candidates
        self.steering = steering
        self.images = images
        self.walls = walls

    def _check_params(self) -> None:
        if self.patch < 1:
            raise ValueError(f"patch must be at least 1, got {self.patch}")
        if not 1 <= self.candidates <= _MOST:
            raise ValueError(f"candidates must lie in [1, {_MOST}], got {self.candidates}")
        if self.overlap < 0 or not self.steering >= 0:
            raise ValueError(f"overlap and steering must be at least 0, got {self.overlap} and {self.steering}")

    def _draw(
        self, out: NDArray[np.bool_], images: NDArray[np.uint8], wanted: int, stream: np.random.Generator
    ) -> None:
        depth, height, width = self.shape_
        patch = self._patch((out.shape[0], out.shape[1], out.shape[2]))
        blocks = [
            lay_out(size, length, min(self.overlap, length - 1)) for size, length in zip(out.shape, patch, strict=True)
        ]
        quilt(
            out,
            (blocks[0], blocks[1], blocks[2]),
            patch,
            images,
            (depth, height, width),
            self.layers_,
            wanted,
            self.candidates,
            float(self.steering),
            stream,
        )

    def _patch(self, shape: Shape) -> Shape:
        """Return the sizes of a patch in a volume of a shape."""
        depth, height, width = (
            min(self.patch, size, (trained + 1) // 2) for size, trained in zip(shape, self.shape_, strict=True)
        )
        return depth, height, width


def lay_out(size: int, length: int, overlap: int) -> Ints:
    """Return the first voxel of each patch along an axis, and how many voxels the one before overlaps, [patches, 2].

    Patches are spread evenly and overlap by ``overlap`` at least.

    Example:
        >>> lay_out(10, 4, 1)
        array([[0, 0],
               [3, 1],
               [6, 1]])
    """
    count = 1 + -(-(size - length) // (length - overlap))
    starts = np.linspace(0, size - length, count).astype(np.int64)
    return np.stack([starts, np.append(0, starts[:-1] + length - starts[1:])], axis=1)


@compiled
def quilt(
    out: NDArray[np.bool_],
    blocks: tuple[Ints, Ints, Ints],
    patch: Shape,
    images: NDArray[np.uint8],
    trained: Shape,
    layers: Floats,
    wanted: int,
    candidates: int,
    steering: float,
    rng: np.random.Generator,
) -> None:
    """Write a quilt into a volume.

    Args:
        out: bool [depth, height, width]; changed in place.
        blocks: of ``lay_out``, for each axis.
        patch: sizes of a patch.
        images: bits of training volumes, [k, bytes].
        trained: sizes of a training volume.
        layers: relative porosity of the layers at the boundary, the last one that of all within.
        wanted: pore voxels of the whole volume.
        candidates: see ``Quilting``.
        steering: see ``Quilting``.
        rng: source of random numbers.
    """
    none = (0, 0, 0)
    share = wanted / _expected(none, none, out.shape, out.shape, layers)
    new = np.empty(patch, dtype=np.bool_)
    due, pores = 0.0, 0
    for i in range(len(blocks[0])):
        for j in range(len(blocks[1])):
            for k in range(len(blocks[2])):
                corner = (blocks[0][i, 0], blocks[1][j, 0], blocks[2][k, 0])
                lap = (blocks[0][i, 1], blocks[1][j, 1], blocks[2][k, 1])
                due += share * _expected(corner, lap, patch, out.shape, layers)
                _choose(out, corner, lap, new, images, trained, len(layers) - 1, due - pores, candidates, steering, rng)
                pores += _join(out, corner, lap, new)


@compiled
def _expected(corner: Shape, lap: Shape, patch: Shape, shape: Shape, layers: Floats) -> float:
    """Return the sum of the relative porosities of the new voxels of a patch."""
    total = 0.0
    for z in range(patch[0]):
        wall_z = min(corner[0] + z, shape[0] - 1 - corner[0] - z, len(layers) - 1)
        for y in range(patch[1]):
            wall_y = min(corner[1] + y, shape[1] - 1 - corner[1] - y, wall_z)
            known = z < lap[0] or y < lap[1]
            for x in range(patch[2] if known else lap[2], patch[2]):
                total += layers[min(corner[2] + x, shape[2] - 1 - corner[2] - x, wall_y)]
    return total


@compiled
def _choose(
    out: NDArray[np.bool_],
    corner: Shape,
    lap: Shape,
    new: NDArray[np.bool_],
    images: NDArray[np.uint8],
    trained: Shape,
    layers: int,
    aim: float,
    candidates: int,
    steering: float,
    rng: np.random.Generator,
) -> None:
    """Write the best of many random patches into ``new``.

    Args:
        out: volume so far.
        corner: first voxel of the patch.
        lap: voxels along each axis that other patches overlap.
        new: bool, with the sizes of a patch; changed in place.
        images: bits of training volumes.
        trained: sizes of a training volume.
        layers: at the boundary that are unlike the middle.
        aim: pore voxels that the new part of the patch should have.
        candidates: number of patches.
        steering: weight of a pore voxel too many or too few.
        rng: source of random numbers.
    """
    low_z, high_z = room(corner[0], new.shape[0], out.shape[0], trained[0], layers)
    low_y, high_y = room(corner[1], new.shape[1], out.shape[1], trained[1], layers)
    low_x, high_x = room(corner[2], new.shape[2], out.shape[2], trained[2], layers)
    least, best, best_place = np.inf, 0, 0
    for _ in range(candidates):
        image = int(rng.integers(0, len(images)))
        z = int(rng.integers(low_z, high_z + 1))
        y = int(rng.integers(low_y, high_y + 1))
        x = int(rng.integers(low_x, high_x + 1))
        place = (z * trained[1] + y) * trained[2] + x
        cost = _cost(out, corner, lap, new.shape, images[image], place, trained, aim, steering, least)
        if cost < least:
            least, best, best_place = cost, image, place
    for z in range(new.shape[0]):
        for y in range(new.shape[1]):
            for x in range(new.shape[2]):
                new[z, y, x] = bit(images[best], best_place + (z * trained[1] + y) * trained[2] + x)


@compiled
def _cost(
    out: NDArray[np.bool_],
    corner: Shape,
    lap: Shape,
    patch: Shape,
    image: NDArray[np.uint8],
    place: int,
    trained: Shape,
    aim: float,
    steering: float,
    least: float,
) -> float:
    """Return the differing voxels of a patch at a flat index, plus its weighted error in pore voxels.

    It is infinite where the differing voxels alone are no fewer than ``least``.
    """
    differing, gained, pores = 0, 0, 0
    for z in range(patch[0]):
        for y in range(patch[1]):
            row = place + (z * trained[1] + y) * trained[2]
            known = patch[2] if z < lap[0] or y < lap[1] else lap[2]
            for x in range(known):
                new, old = int(bit(image, row + x)), int(out[corner[0] + z, corner[1] + y, corner[2] + x])
                differing += new != old
                gained += new - old
            for x in range(known, patch[2]):
                pores += bit(image, row + x)
        if differing >= least:
            return np.inf
    return differing + steering * abs(pores + gained / 2 - aim)  # about half of the overlap will be new


@compiled
def _join(out: NDArray[np.bool_], corner: Shape, lap: Shape, new: NDArray[np.bool_]) -> int:
    """Write the voxels of a patch that lie behind all surfaces into a volume, and return the pore voxels gained."""
    depth, height, width = new.shape
    differs_z = np.empty((lap[0], height, width), dtype=np.bool_)  # in loops, which numba compiles ten times as fast
    differs_y = np.empty((lap[1], depth, width), dtype=np.bool_)
    differs_x = np.empty((lap[2], depth, height), dtype=np.bool_)
    for z in range(depth):
        for y in range(height):
            for x in range(width):
                differs = out[corner[0] + z, corner[1] + y, corner[2] + x] != new[z, y, x]
                if z < lap[0]:
                    differs_z[z, y, x] = differs
                if y < lap[1]:
                    differs_y[y, z, x] = differs
                if x < lap[2]:
                    differs_x[x, z, y] = differs
    cut_z, cut_y, cut_x = cut(differs_z), cut(differs_y), cut(differs_x)
    gained = 0
    for z in range(depth):
        for y in range(height):
            for x in range(width):
                if z >= cut_z[y, x] and y >= cut_y[z, x] and x >= cut_x[z, y]:
                    place = (corner[0] + z, corner[1] + y, corner[2] + x)
                    gained += int(new[z, y, x]) - int(out[place])
                    out[place] = new[z, y, x]
    return gained


@compiled
def cut(differs: NDArray[np.bool_]) -> Ints:
    """Return a surface of little difference through an overlap: how many voxels stay old, at each place across it.

    Each slice has the path that costs least: next to the path lie differing voxels of either side, and between it and
    the path of the slice before lie differing voxels. From place to place a path moves by one voxel at most.

    Args:
        differs: bool [thickness of the overlap, slices, places].

    Returns:
        int64 [slices, places], from 0 to the thickness.
    """
    thick, slices, places = differs.shape
    surface = np.zeros((slices, places), dtype=np.int64)
    if thick == 0:
        return surface
    below = np.zeros((places, thick + 1), dtype=np.int64)  # differing voxels below a level
    total = np.zeros((places, thick + 1), dtype=np.int64)  # of the cheapest path up to a place
    for row in range(slices):
        for place in range(places):
            for level in range(thick):
                below[place, level + 1] = below[place, level] + differs[level, row, place]
            for level in range(thick + 1):
                cost = int(differs[max(level - 1, 0), row, place]) + int(differs[min(level, thick - 1), row, place])
                if row > 0:
                    cost += abs(below[place, level] - below[place, surface[row - 1, place]])
                if place > 0:
                    cost += total[place - 1, _cheapest(total[place - 1], max(level - 1, 0), level + 2)]
                total[place, level] = cost
        level = _cheapest(total[places - 1], 0, thick + 1)
        surface[row, places - 1] = level
        for place in range(places - 2, -1, -1):
            level = _cheapest(total[place], max(level - 1, 0), level + 2)
            surface[row, place] = level
    return surface


@compiled
def _cheapest(costs: Ints, first: int, beyond: int) -> int:
    """Return the first index of the least cost from ``first`` on, before ``beyond`` and the end."""
    best = first
    for other in range(first + 1, min(beyond, len(costs))):
        if costs[other] < costs[best]:
            best = other
    return best
