"""Exact distances to the solid and local thickness of one volume, compiled by numba."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from porebench.data.compile import compiled

from ._forest import find_root

FAR = 64
"""Voxels to look from which an envelope of parabolas is faster than trying every offset for several lines at a time."""


def squared_distance(volume: NDArray[np.bool_]) -> NDArray[np.int32]:
    """Return the squared distance of each voxel centre to the nearest solid voxel's, int32 [depth, height, width].

    One pass an axis: the least of (squared distance so far) + (offset along this axis)². Nothing outside the volume
    counts as solid; in a volume without solid every voxel gets depth² + height² + width², which is more than any
    distance in it.

    References:
        Saito and Toriwaki (1994), doi:10.1016/0031-3203(94)90133-3; Meijster et al. (2000), linear in the voxels,
        doi:10.1007/0-306-47025-X_36.
    """
    squared = _along_depth(volume)
    turned = np.empty((volume.shape[0], volume.shape[2], volume.shape[1]), dtype=np.int32)
    least = np.empty_like(squared)
    _least_across(squared, turned)
    _least_across(turned, least)
    return least


@compiled
def _along_depth(volume: NDArray[np.bool_]) -> NDArray[np.int32]:
    """Return the squared distance to the nearest solid voxel above or below, int32; far where there is none."""
    depth, height, width = volume.shape
    far = depth * depth + height * height + width * width
    voxels = volume.reshape(depth, height * width)
    found = np.empty((depth, height * width), dtype=np.int32)
    since = np.full(height * width, depth, dtype=np.int32)
    for z in range(depth):
        _count_on(voxels[z], since)
        _copy(since, found[z])
    since.fill(depth)
    for z in range(depth - 1, -1, -1):
        _count_on(voxels[z], since)
        nearest = found[z]
        for place in range(len(nearest)):
            steps = np.int32(min(nearest[place], since[place]))
            nearest[place] = steps * steps if steps < depth else far
    return found.reshape(volume.shape)


@compiled
def _count_on(layer: NDArray[np.bool_], since: NDArray[np.int32]) -> None:
    """Add 1 to the layers since the last solid voxel at each place of the next layer, or write 0 where it is solid."""
    for place in range(len(layer)):
        since[place] = np.int32(since[place] + 1) if layer[place] else np.int32(0)


@compiled
def _least_across(squared: NDArray[np.int32], turned: NDArray[np.int32]) -> None:
    """Write the least of value + offset² along the second axis into an array with the last two axes exchanged.

    Args:
        squared: int32 [depth, height, width].
        turned: int32 [depth, width, height]; changed.
    """
    depth, height, width = squared.shape
    row = np.empty(width, dtype=np.int32)
    before, lowest = np.empty(height, dtype=np.int32), np.empty(height, dtype=np.int64)
    start = np.empty(height, dtype=np.int64)
    for z in range(depth):
        plane = squared[z]
        if min(_highest(plane.ravel()), height * height) > FAR * FAR:
            for x in range(width):
                for y in range(height):
                    before[y] = plane[y, x]
                _follow_envelope(before, lowest, start, turned[z, x])
            continue
        for y in range(height):
            _copy(plane[y], row)
            offset = 1
            while offset < height and offset * offset < _highest(row):
                if y >= offset:
                    _lower(row, plane[y - offset], offset * offset)
                if y + offset < height:
                    _lower(row, plane[y + offset], offset * offset)
                offset += 1
            for x in range(width):
                turned[z, x, y] = row[x]


@compiled
def _copy(row: NDArray[np.int32], other: NDArray[np.int32]) -> None:
    for x in range(len(row)):  # an assignment takes seconds to compile
        other[x] = row[x]


@compiled
def _highest(values: NDArray[np.int32]) -> int:
    """Return the largest of some numbers from 0 on, several at a time."""
    most = np.int32(0)
    for place in range(len(values)):
        most = max(most, values[place])
    return int(most)


@compiled
def _lower(row: NDArray[np.int32], other: NDArray[np.int32], square: int) -> None:
    """Write the least of a row and another one plus a number into it."""
    for x in range(len(row)):
        found = np.int32(other[x] + square)  # of its own width: numba's sums are twice as wide and take twice as long
        row[x] = min(row[x], found)


@compiled
def _follow_envelope(
    before: NDArray[np.int32], lowest: NDArray[np.int64], start: NDArray[np.int64], line: NDArray[np.int32]
) -> None:
    """Write the least of ``before`` + offset² into a line, from the lower envelope of a parabola at each place.

    Args:
        before: values of the line.
        lowest: room for the places whose parabolas make up the envelope.
        start: room for the first place where each of them is the lowest.
        line: int32 [length]; changed.
    """
    length = len(line)
    last = 0
    lowest[0] = start[0] = 0
    for place in range(1, length):
        while last >= 0:
            first, top = start[last], lowest[last]
            if (first - top) ** 2 + before[top] <= (first - place) ** 2 + before[place]:
                break
            last -= 1
        if last < 0:
            last = 0
            lowest[0] = place
            continue
        top = lowest[last]
        crossing = 1 + (place**2 - top**2 + before[place] - before[top]) // (2 * (place - top))
        if crossing < length:
            last += 1
            lowest[last], start[last] = place, crossing
    for position in range(length - 1, -1, -1):
        line[position] = (position - lowest[last]) ** 2 + before[lowest[last]]
        if position == start[last]:
            last -= 1


def squared_thickness(distance: NDArray[np.int32]) -> NDArray[np.int32]:
    """Return the squared radius of the largest ball inside the pores that covers each voxel, int32; 0 in solid.

    Balls are stamped from the largest to the smallest, so that a voxel's first value is its last. Two things keep the
    work near the number of voxels in wide pores too: balls inside the ball of a neighbour are left out, and a row of
    a ball visits only voxels that have no value yet.

    Args:
        distance: squared distance to the nearest solid, int32 [depth, height, width].

    References:
        Hildebrand and Rüegsegger (1997), doi:10.1046/j.1365-2818.1997.1340694.x; Rémy and Thiel (2005), balls inside
        a neighbour's, doi:10.1016/j.imavis.2004.06.007.
    """
    left = int(np.count_nonzero(distance))
    if left in (0, distance.size):
        return distance.copy()
    thickness = np.zeros_like(distance)
    # of each voxel of a row: itself, or a voxel on the way to the next one without a value
    free = np.tile(np.arange(distance.shape[2] + 1, dtype=np.int32), (*distance.shape[:2], 1))
    padded = np.zeros(np.add(distance.shape, 2), dtype=np.int32)
    padded[1:-1, 1:-1, 1:-1] = distance
    _stamp_balls(distance, _largest_balls(padded, left), free, thickness, left)
    return thickness


@compiled
def _stamp_balls(
    distance: NDArray[np.int32],
    centres: NDArray[np.int32],
    free: NDArray[np.int32],
    thickness: NDArray[np.int32],
    left: int,
) -> None:
    """Write the squared radius of the first ball that covers each voxel.

    Args:
        distance: squared radius of the ball around each voxel.
        centres: of the balls, largest first, [balls, 3].
        free: of each voxel of a row, itself or one on the way to the next without a value, changed;
            [depth, height, width + 1].
        thickness: zeros; changed.
        left: voxels that balls cover.
    """
    depth, height, width = distance.shape
    within = np.empty(_highest(distance.ravel()) + 1, dtype=np.int32)  # greatest whole number with a lesser square
    for square in range(1, len(within)):
        within[square] = np.ceil(np.sqrt(square)) - 1
    for ball in range(len(centres)):
        if left == 0:
            break
        z, y, x = centres[ball, 0], centres[ball, 1], centres[ball, 2]
        square = distance[z, y, x]
        reach = within[square]
        for i in range(max(z - reach, 0), min(z + reach, depth - 1) + 1):
            for j in range(max(y - reach, 0), min(y + reach, height - 1) + 1):
                rest = square - (i - z) ** 2 - (j - y) ** 2
                if rest <= 0:
                    continue
                side = within[rest]
                row = free[i, j]
                last = min(x + side, width - 1)
                k = find_root(row, max(x - side, 0))
                while k <= last:
                    thickness[i, j, k] = square
                    left -= 1
                    row[k] = k + 1
                    k = find_root(row, k + 1)


@compiled
def _largest_balls(padded: NDArray[np.int32], most: int) -> NDArray[np.int32]:
    """Return the pore voxels whose ball lies inside that of none of their 26 neighbours, largest ball first.

    A ball holds the voxels whose squared distance from its centre is less than the centre's distance to the solid.

    Args:
        padded: squared distance to the solid, with a margin of zeros, int32 [depth + 2, height + 2, width + 2].
        most: number of pore voxels.

    Returns:
        Their places without the margin, int32 [balls, 3].
    """
    depth, height, width = padded.shape[0] - 2, padded.shape[1] - 2, padded.shape[2] - 2
    largest = _highest(padded.ravel())
    inside = _enclosing(largest)
    # the largest of the four lines that touch a line by a side, and of those that touch it by an edge
    beside, across = np.zeros(width + 2, dtype=np.int32), np.zeros(width + 2, dtype=np.int32)
    places, number = np.empty((most, 3), dtype=np.int32), np.zeros(largest + 2, dtype=np.int64)
    count = 0
    for z in range(depth):
        for y in range(height):
            above, level, below = padded[z], padded[z + 1], padded[z + 2]
            _most(level[y], level[y + 2], above[y + 1], below[y + 1], beside)
            _most(above[y], above[y + 2], below[y], below[y + 2], across)
            here = level[y + 1]
            for x in range(width):
                square = here[x + 1]
                if square == 0:
                    continue
                one = max(here[x], here[x + 2], beside[x + 1])
                two = max(beside[x], beside[x + 2], across[x + 1])
                three = max(across[x], across[x + 2])
                if one >= inside[1, square] or two >= inside[2, square] or three >= inside[3, square]:
                    continue
                places[count, 0], places[count, 1], places[count, 2] = z, y, x
                number[largest - square + 1] += 1
                count += 1
    for group in range(largest + 1):
        number[group + 1] += number[group]
    falling = np.empty((count, 3), dtype=np.int32)
    for each in range(count):
        place = places[each]
        group = largest - padded[place[0] + 1, place[1] + 1, place[2] + 1]
        for axis in range(3):
            falling[number[group], axis] = place[axis]
        number[group] += 1
    return falling


@compiled
def _most(
    a: NDArray[np.int32], b: NDArray[np.int32], c: NDArray[np.int32], d: NDArray[np.int32], most: NDArray[np.int32]
) -> None:
    """Write the largest of four rows at each place into another row."""
    for x in range(len(most)):
        most[x] = max(a[x], b[x], c[x], d[x])


@compiled
def _enclosing(largest: int) -> NDArray[np.int64]:
    """Return the least squared radius of a ball around a neighbour that holds a ball, int64 [4, largest + 1].

    The first index is the number of coordinates in which the neighbour differs, the second the squared radius.

    Args:
        largest: squared radius up to which balls are looked at.
    """
    reach = int(np.ceil(np.sqrt(largest)))
    # of the ball's voxels at each squared distance from its centre
    farthest = np.zeros((4, largest + 1), dtype=np.int64)
    for a in range(reach + 1):
        for b in range(a + 1):
            for c in range(b + 1):
                square = a * a + b * b + c * c
                if square < largest:
                    for steps in range(1, 4):
                        along = a + (b if steps > 1 else 0) + (c if steps > 2 else 0)
                        place = square + 1  # the least squared radius with these voxels
                        farthest[steps, place] = max(farthest[steps, place], square + 2 * along + steps + 1)
    for place in range(1, largest + 1):
        for steps in range(1, 4):
            farthest[steps, place] = max(farthest[steps, place], farthest[steps, place - 1])
    return farthest


@compiled
def count_up_to(squared: NDArray[np.int32], bounds: NDArray[np.int64]) -> NDArray[np.int64]:
    """Return how many positive entries are at most as large as each of some rising bounds, and how many there are."""
    place = np.full(bounds[-1] + 2, len(bounds))  # first bound that holds a value
    for index in range(len(bounds) - 1, -1, -1):
        place[: bounds[index] + 1] = index
    counts = np.zeros(len(bounds) + 1, dtype=np.int64)
    for value in squared.flat:
        if value > 0:
            counts[place[min(value, bounds[-1] + 1)]] += 1
    return counts.cumsum()
