"""Headline descriptors of size, correlation and topology: numbers and curves of porous volumes.

Every function takes bool [n, depth, height, width] (True = pore) and returns float64 [n, points], one point
for a number and a fixed count for a curve. Lengths are in voxels. All values are finite for every volume:
what a volume has nothing of (no pore, no complete chord, a shell longer than the volume) is 0.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ._batch import Fields, count_true, fields
from ._distances import count_up_to
from .transport import effective_diffusivity

Voxels = NDArray[np.bool_] | Fields
Values = NDArray[np.float64]

PATH_LENGTHS = np.arange(1, 10)
CHORD_LENGTHS = np.arange(1, 12)
SQUARED_RADII = np.array([1, 2, 3, 4, 5, 6, 8, 9, 11, 14, 18, 25, 36, 64, 100])
COMPONENT_SIZES = 2 ** np.arange(13)
TOLERANCE = 3e-3  # of the solver: an error of about 0.0003 in a diffusivity, a tenth of what real volumes differ by


def specific_surface(voxels: Voxels) -> Values:
    """Return the interface area per total volume by counting voxel faces, 1/voxel, [n, 1].

    Faces between pore and solid inside the volume over its number of voxels. Exact and free of an edge
    effect; 1.5 times the area of a smooth isotropic surface, alike for real and generated volumes.

    References:
        Underwood (1970), Quantitative Stereology; Torquato (2002), doi:10.1007/978-1-4757-6355-3.

    Example:
        >>> cube = np.pad(np.ones((1, 2, 2, 2), dtype=bool), ((0, 0), (1, 1), (1, 1), (1, 1)))
        >>> specific_surface(cube).item() == 24 / 64
        True
    """
    batch = fields(voxels)
    return ratio(batch.faces.sum(axis=1)[:, None], batch.size)


def euler_6(voxels: Voxels) -> Values:
    """Return the Euler number of the pore phase with 6 neighbours, a whole number a volume, [n, 1].

    Voxels − neighbouring pairs + 2×2 squares − 2×2×2 cubes, all of pore: components − tunnels + cavities of
    the pores as 6-connected voxels. One ball gives 1, a torus 0, a hollow shell 2.

    References:
        Kong and Rosenfeld (1989), doi:10.1016/0734-189X(89)90147-3; Vogel et al. (2010),
        doi:10.1016/j.cageo.2010.03.007.

    Example:
        >>> ring = np.array([[[[1, 1, 1], [1, 0, 1], [1, 1, 1]]]], dtype=bool)
        >>> euler_6(ring).item()
        0.0
    """
    batch = fields(voxels)
    z, y, x = batch.face_neighbours
    squares = [z[:, :, 1:] & z[:, :, :-1], z[..., 1:] & z[..., :-1], y[..., 1:] & y[..., :-1]]
    cubes = squares[0][..., 1:] & squares[0][..., :-1]
    number = batch.pore_voxels - count_true(cubes)
    number = number - sum(count_true(pairs) for pairs in (z, y, x)) + sum(count_true(square) for square in squares)
    return number[:, None].astype(np.float64)


def mean_chord(voxels: Voxels) -> Values:
    """Return the mean length of the complete chords of the pore phase, voxels, [n, 1]; 0 without one.

    A chord is a straight run of pore voxels along an axis with solid at both ends; all lines of all three
    axes count. For an unbounded medium it is 4φ/s.

    References:
        Torquato and Lu (1993), doi:10.1103/PhysRevE.47.2950.

    Example:
        >>> cube = np.pad(np.ones((1, 2, 2, 2), dtype=bool), ((0, 0), (1, 1), (1, 1), (1, 1)))
        >>> mean_chord(cube).item()
        2.0
    """
    chords = fields(voxels).runs[1].sum(axis=1)
    return ratio(chords @ np.arange(chords.shape[1]), chords.sum(axis=1))[:, None]


def profile_sd(voxels: Voxels) -> Values:
    """Return the standard deviation of the porosity of one-voxel slabs, mean of the three axes, [n, 1].

    0 for a volume that is alike everywhere; a half-filled one gives 1/2 along the filling direction, so 1/6.

    References:
        Hilfer (1991), doi:10.1103/PhysRevB.44.60; profile as in PoreSpy, doi:10.21105/joss.01296.

    Example:
        >>> half = np.zeros((1, 4, 4, 4), dtype=bool)
        >>> half[:, :2] = True
        >>> round(profile_sd(half).item(), 6)
        0.166667
    """
    batch = fields(voxels)
    v = batch.voxels.view(np.uint8)
    columns = v.sum(axis=1, dtype=np.int32)
    counts = v.reshape(*v.shape[:2], -1).sum(axis=2, dtype=np.int64), columns.sum(axis=2), columns.sum(axis=1)
    deviations: list[Values] = [(each / (batch.size // each.shape[1])).std(axis=1) for each in counts]
    return sum(deviations, start=np.zeros(len(v)))[:, None] / 3


def n_components(voxels: Voxels) -> Values:
    """Return the number of connected clusters of pore with 26 neighbours, a count a volume, [n, 1].

    References:
        Stauffer and Aharony (1994), doi:10.1201/9781315274386.

    Example:
        >>> corners = np.zeros((1, 3, 3, 3), dtype=bool)
        >>> corners[0, 0, 0, 0] = corners[0, 2, 2, 2] = True
        >>> n_components(corners).item()
        2.0
    """
    return np.array([[float(len(sizes))] for sizes in fields(voxels).component_sizes])


def largest_component_fraction(voxels: Voxels) -> Values:
    """Return the share of the pore voxels that the largest cluster (26 neighbours) holds, in [0, 1], [n, 1].

    References:
        Stauffer and Aharony (1994), doi:10.1201/9781315274386.

    Example:
        >>> largest_component_fraction(np.ones((1, 3, 3, 3), dtype=bool)).item()
        1.0
    """
    batch = fields(voxels)
    largest = np.array([sizes.max(initial=0) for sizes in batch.component_sizes])
    return ratio(largest, batch.pore_voxels)[:, None]


def mean_local_thickness(voxels: Voxels) -> Values:
    """Return the mean radius of the largest ball in the pores over each pore voxel, voxels, [n, 1].

    Exact on the voxel grid: the ball around c with the distance to the nearest solid voxel as its radius
    covers x where |x − c| is less than that radius. A single pore voxel gives 1.

    References:
        Hildebrand and Rüegsegger (1997), doi:10.1046/j.1365-2818.1997.1340694.x.

    Example:
        >>> one = np.zeros((1, 3, 3, 3), dtype=bool)
        >>> one[0, 1, 1, 1] = True
        >>> mean_local_thickness(one).item()
        1.0
    """
    batch = fields(voxels)
    return ratio(np.sqrt(batch.squared_thickness).sum(axis=(1, 2, 3)), batch.pore_voxels)[:, None]


def max_distance(voxels: Voxels) -> Values:
    """Return the radius of the largest ball that fits into the pores, voxels, [n, 1].

    The largest distance of a pore voxel to the nearest solid voxel. Outside the volume nothing is solid; a
    volume without solid gives its diagonal.

    References:
        Torquato and Avellaneda (1991), doi:10.1063/1.461519.

    Example:
        >>> slab = np.zeros((1, 9, 4, 4), dtype=bool)
        >>> slab[:, 2:7] = True
        >>> max_distance(slab).item()
        3.0
    """
    squared: NDArray[np.int32] = fields(voxels).squared_distance.max(axis=(1, 2, 3))
    return np.sqrt(squared)[:, None]


def two_point_correlation(voxels: Voxels) -> Values:
    """Return the autocovariance (S2(r) − φ²)/(φ − φ²) at r = 1, ..., 12 voxels, without unit, [n, 12].

    S2(r) is the probability that two voxels r apart are both pore, pooled over all pairs with a distance in
    [r − ½, r + ½). The quotient is 1 at r = 0 and 0 for independent voxels, whatever the porosity.

    References:
        Yeong and Torquato (1998), doi:10.1103/PhysRevE.57.495.

    Example:
        >>> bool(np.all(two_point_correlation(np.ones((1, 4, 4, 4), dtype=bool)) == 0))
        True
    """
    batch = fields(voxels)
    probability, exists = batch.shell_probability
    porosity = (batch.pore_voxels / batch.size)[:, None]
    covariance = np.where(exists[1:], probability[:, 1:] - porosity**2, 0.0)
    return ratio(covariance, porosity * (1 - porosity))


def lineal_path(voxels: Voxels) -> Values:
    """Return the lineal-path function L(k)/φ at k = 1, ..., 9 voxels, without unit, [n, 9].

    L(k) is the probability that k + 1 consecutive voxels along an axis, whose ends are k apart, are all pore:
    placements that are over placements that fit, all axes pooled, so the border has no effect.

    References:
        Lu and Torquato (1992), doi:10.1103/PhysRevA.45.922.

    Example:
        >>> bool(np.allclose(lineal_path(np.ones((1, 12, 12, 12), dtype=bool)), 1))
        True
    """
    batch = fields(voxels)
    runs = batch.runs[0].sum(axis=1)
    inside = runs @ np.maximum(np.arange(runs.shape[1])[:, None] - PATH_LENGTHS, 0)
    shape = np.array(batch.voxels.shape[1:])
    fit = (np.maximum(shape[:, None] - PATH_LENGTHS, 0) * (batch.size // shape)[:, None]).sum(axis=0)
    return ratio(ratio(inside, fit), (batch.pore_voxels / batch.size)[:, None])


def chord_lengths(voxels: Voxels) -> Values:
    """Return the share of the complete chords of the pore phase no longer than 1, ..., 11 voxels, [n, 11].

    References:
        Torquato and Lu (1993), doi:10.1103/PhysRevE.47.2950.

    Example:
        >>> cube = np.pad(np.ones((1, 2, 2, 2), dtype=bool), ((0, 0), (1, 1), (1, 1), (1, 1)))
        >>> chord_lengths(cube)[0, :3].tolist()
        [0.0, 1.0, 1.0]
    """
    chords = fields(voxels).runs[1].sum(axis=1)
    reached = np.cumsum(chords, axis=1)[:, np.minimum(CHORD_LENGTHS, chords.shape[1] - 1)]
    return ratio(reached, chords.sum(axis=1)[:, None])


def thickness_distribution(voxels: Voxels) -> Values:
    """Return the share of the pore volume with a local thickness up to fixed radii, [n, 15].

    The radii are the roots of ``SQUARED_RADII``, from 1 to 10 voxels; a cumulative pore-size distribution.

    References:
        Hildebrand and Rüegsegger (1997), doi:10.1046/j.1365-2818.1997.1340694.x.

    Example:
        >>> one = np.zeros((1, 3, 3, 3), dtype=bool)
        >>> one[0, 1, 1, 1] = True
        >>> bool(np.all(thickness_distribution(one) == 1))
        True
    """
    return _share_up_to(fields(voxels).squared_thickness)


def distance_distribution(voxels: Voxels) -> Values:
    """Return the share of the pore volume no further from solid than fixed distances, [n, 15].

    The distances are the roots of ``SQUARED_RADII``, from 1 to 10 voxels; the cumulative pore-size function
    of Torquato.

    References:
        Torquato and Avellaneda (1991), doi:10.1063/1.461519.

    Example:
        >>> slab = np.zeros((1, 9, 4, 4), dtype=bool)
        >>> slab[:, 2:6] = True
        >>> distance_distribution(slab)[0, :4].tolist()
        [0.5, 0.5, 0.5, 1.0]
    """
    return _share_up_to(fields(voxels).squared_distance)


def component_counts(voxels: Voxels) -> Values:
    """Return ln(1 + number of clusters of pore of up to 1, 2, 4, ..., 4096 voxels), [n, 13].

    References:
        Stauffer and Aharony (1994), doi:10.1201/9781315274386.

    Example:
        >>> one = np.zeros((1, 3, 3, 3), dtype=bool)
        >>> one[0, 1, 1, 1] = True
        >>> bool(np.allclose(component_counts(one), np.log(2)))
        True
    """
    sizes = fields(voxels).component_sizes
    return np.log1p([np.searchsorted(np.sort(each), COMPONENT_SIZES, side="right") for each in sizes])


def percolation_share(voxels: Voxels) -> Values:
    """Return the share of the three axes along which the pores connect both faces (6 neighbours), in [0, 1], [n, 1].

    References:
        PoreSpy's ``is_percolating``, doi:10.21105/joss.01296.

    Example:
        >>> channel = np.zeros((1, 4, 4, 4), dtype=bool)
        >>> channel[0, :, 1, 1] = True
        >>> round(percolation_share(channel).item(), 3)
        0.333
    """
    return np.asarray(fields(voxels).percolating.mean(axis=1)[:, None])


def pore_diffusivity(voxels: Voxels) -> Values:
    """Return the effective diffusivity of the pores over that of open space, mean of the axes, in [0, 1], [n, 1].

    Diffusion in the pores, among insulating solid; an axis along which nothing percolates counts as 0. The inverse is
    the formation factor.

    References:
        Cooper et al. (2016), TauFactor, doi:10.1016/j.softx.2016.09.002.

    Example:
        >>> channel = np.zeros((1, 4, 4, 4), dtype=bool)
        >>> channel[0, :, 1, 1] = True
        >>> round(pore_diffusivity(channel).item(), 6) == round(1 / 16 / 3, 6)
        True
    """
    batch = fields(voxels)
    found = np.zeros((len(batch.voxels), 3))
    for index, axis in np.argwhere(batch.percolating):
        found[index, axis] = effective_diffusivity(batch.voxels[index], axis=int(axis), tolerance=TOLERANCE)
    return np.asarray(found.mean(axis=1)[:, None])


DESCRIPTORS: dict[str, Callable[[Voxels], Values]] = {
    function.__name__: function
    for function in (
        specific_surface,
        euler_6,
        mean_chord,
        profile_sd,
        n_components,
        largest_component_fraction,
        mean_local_thickness,
        max_distance,
        two_point_correlation,
        lineal_path,
        chord_lengths,
        thickness_distribution,
        distance_distribution,
        component_counts,
        percolation_share,
        pore_diffusivity,
    )
}


def ratio(numerator: ArrayLike, denominator: ArrayLike) -> Values:
    """Return the quotient, 0 where the denominator is."""
    top, bottom = np.asarray(numerator, dtype=np.float64), np.asarray(denominator, dtype=np.float64)
    return np.divide(top, bottom, out=np.zeros_like(top), where=bottom > 0)


def _share_up_to(squared: NDArray[np.int32]) -> Values:
    """Return the share of the positive entries up to each squared radius; 0 where a volume has none."""
    counts = np.stack([count_up_to(each, SQUARED_RADII) for each in squared])
    return ratio(counts[:, :-1], counts[:, -1:])
