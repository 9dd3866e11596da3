"""Exact loops over the voxels of one volume, compiled by numba; they release the interpreter lock."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from porebench.data.compile import compiled

FAR = 64
"""Squared distance from which an envelope of parabolas is faster than a search."""
WINDOW = 5
"""Steps whose gains together tell what is left to gain."""
MODIFIED = 0.97
"""Share of what an incomplete factor leaves out that its diagonal makes up for; 1 can make a pivot zero."""


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


def squared_distance(volume: NDArray[np.bool_]) -> NDArray[np.int64]:
    """Return the squared distance of each voxel centre to the nearest solid voxel's, int64 [depth, height, width].

    One pass an axis: the least of (squared distance so far) + (offset along this axis)². Nothing outside the volume
    counts as solid; in a volume without solid every voxel gets depth² + height² + width², which is more than any
    distance in it.

    References:
        Saito and Toriwaki (1994), doi:10.1016/0031-3203(94)90133-3; Meijster et al. (2000), linear in the voxels,
        doi:10.1007/0-306-47025-X_36.
    """
    squared = np.where(volume, sum(length**2 for length in volume.shape), 0)
    for axis in range(3):
        lines = np.ascontiguousarray(np.moveaxis(squared, axis, 2))
        _least_along(lines.reshape(-1, lines.shape[2]), axis == 0)
        squared = np.moveaxis(lines, 2, axis)
    return np.ascontiguousarray(squared)


@compiled
def _least_along(lines: NDArray[np.int64], first: bool) -> None:
    """Write the least of value + offset² along each line into it; in a first pass, values are 0 or far.

    Args:
        lines: int64 [lines, length]; changed in place.
        first: whether it is a first pass.
    """
    length = lines.shape[1]
    before, lowest, start = np.empty((3, length), dtype=np.int64)
    for line in lines:
        if first:
            _scan_both_ways(line)
            continue
        farthest = 0
        for position in range(length):
            before[position] = line[position]
            farthest = max(farthest, line[position])
        if farthest < FAR:
            _search_outwards(before, line)
        else:
            _follow_envelope(before, lowest, start, line)


@compiled
def _scan_both_ways(line: NDArray[np.int64]) -> None:
    """Write the squared distance to the nearest zero into a line, where there is one and it is less."""
    for backwards in (False, True):
        since = len(line)
        for step in range(len(line)):
            position = len(line) - 1 - step if backwards else step
            since = 0 if line[position] == 0 else since + 1
            if since < len(line):
                line[position] = min(line[position], since * since)


@compiled
def _search_outwards(before: NDArray[np.int64], line: NDArray[np.int64]) -> None:
    """Write the least of ``before`` + offset² into a line, from each place outwards until offset² alone is more."""
    length = len(line)
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


@compiled
def _follow_envelope(
    before: NDArray[np.int64], lowest: NDArray[np.int64], start: NDArray[np.int64], line: NDArray[np.int64]
) -> None:
    """Write the least of ``before`` + offset² into a line, from the lower envelope of a parabola at each place.

    Args:
        before: values of the line.
        lowest: room for the places whose parabolas make up the envelope.
        start: room for the first place where each of them is the lowest.
        line: int64 [length]; changed.
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


def squared_thickness(distance: NDArray[np.int64]) -> NDArray[np.int64]:
    """Return the squared radius of the largest ball inside the pores that covers each voxel, int64; 0 in solid.

    Balls are stamped from the largest to the smallest, so that a voxel's first value is its last. Two things keep the
    work near the number of voxels in wide pores too: balls inside the ball of a neighbour are left out, and a row of
    a ball visits only voxels that have no value yet.

    Args:
        distance: squared distance to the nearest solid, int64 [depth, height, width].

    References:
        Hildebrand and Rüegsegger (1997), doi:10.1046/j.1365-2818.1997.1340694.x; Rémy and Thiel (2005), balls inside
        a neighbour's, doi:10.1016/j.imavis.2004.06.007.
    """
    if distance.min() > 0:
        return distance.copy()
    thickness = np.zeros_like(distance)
    centres = _largest_balls(distance)
    falling = centres[np.argsort(-distance.ravel()[centres], kind="stable")]
    # of each voxel of a row: itself, or a voxel on the way to the next one without a value
    free = np.tile(np.arange(distance.shape[2] + 1, dtype=np.int32), (*distance.shape[:2], 1))
    _stamp_balls(distance, falling, free, thickness, int(np.count_nonzero(distance)))
    return thickness


@compiled
def _stamp_balls(
    distance: NDArray[np.int64],
    centres: NDArray[np.int64],
    free: NDArray[np.int32],
    thickness: NDArray[np.int64],
    left: int,
) -> None:
    """Write the squared radius of the first ball that covers each voxel.

    Args:
        distance: squared radius of the ball around each voxel.
        centres: of the balls, as flat indices.
        free: see ``_next_free``, [depth, height, width + 1]; changed.
        thickness: zeros; changed.
        left: voxels that balls cover.
    """
    depth, height, width = distance.shape
    for index in centres:
        if left == 0:
            break
        z = index // (height * width)
        y = index // width % height
        x = index % width
        square = distance[z, y, x]
        reach = int(np.ceil(np.sqrt(square))) - 1  # the greatest offset with offset² < square
        for i in range(max(z - reach, 0), min(z + reach, depth - 1) + 1):
            for j in range(max(y - reach, 0), min(y + reach, height - 1) + 1):
                rest = square - (i - z) ** 2 - (j - y) ** 2
                if rest <= 0:
                    continue
                side = int(np.ceil(np.sqrt(rest))) - 1
                row = free[i, j]
                last = min(x + side, width - 1)
                k = _next_free(row, max(x - side, 0))
                while k <= last:
                    thickness[i, j, k] = square
                    left -= 1
                    row[k] = k + 1
                    k = _next_free(row, k + 1)


@compiled
def _next_free(row: NDArray[np.int32], place: int) -> int:
    """Return the first place from a given one on that points to itself, and shorten the way there."""
    while row[place] != place:
        row[place] = row[row[place]]
        place = row[place]
    return place


@compiled
def _largest_balls(distance: NDArray[np.int64]) -> NDArray[np.int64]:
    """Return the pore voxels whose ball lies inside that of none of their 26 neighbours, as flat indices.

    A ball holds the voxels whose squared distance from its centre is less than the centre's distance to the solid.
    """
    depth, height, width = distance.shape
    inside = _enclosing(distance.max())
    found = np.empty(np.count_nonzero(distance), dtype=np.int64)
    count = 0
    for z in range(depth):
        for y in range(height):
            for x in range(width):
                if distance[z, y, x] > 0 and not _is_enclosed(distance, inside, z, y, x):
                    found[count] = (z * height + y) * width + x
                    count += 1
    return found[:count]


@compiled
def _is_enclosed(distance: NDArray[np.int64], inside: NDArray[np.int64], z: int, y: int, x: int) -> bool:
    """Return whether the ball of a pore voxel lies inside the ball of a neighbour."""
    depth, height, width = distance.shape
    square = distance[z, y, x]
    for i in range(max(z - 1, 0), min(z + 2, depth)):
        for j in range(max(y - 1, 0), min(y + 2, height)):
            for k in range(max(x - 1, 0), min(x + 2, width)):
                steps = abs(i - z) + abs(j - y) + abs(k - x)
                if steps > 0 and distance[i, j, k] >= inside[steps, square]:
                    return True
    return False


@compiled
def _enclosing(largest: int) -> NDArray[np.int64]:
    """Return the least squared radius of a ball around a neighbour that holds a ball, int64 [4, largest + 1].

    The first index is the number of coordinates in which the neighbour differs, the second the squared radius.

    Args:
        largest: squared radius up to which balls are looked at.
    """
    reach = int(np.ceil(np.sqrt(largest)))
    farthest = np.zeros(
        (4, largest + 1), dtype=np.int64
    )  # of the ball's voxels at each squared distance from its centre
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
