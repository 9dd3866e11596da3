"""Sphere packs that follow the published law: density in, pore volumes out.

The data set of the original task holds overlapping spherical pores in the unit cube, more and larger ones at
higher density. Its volumes cannot be redistributed, but its law can be simulated. A length is in edges of the unit
cube, a voxel length in voxel spacings (1/29).
"""

from __future__ import annotations

import math
import re
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.special import ndtr, ndtri

EDGE = 30
"""Points along each axis of the unit cube, both faces included."""
VOXEL_SIZE = 1 / (EDGE - 1)
"""Distance between neighbouring points, in edges of the unit cube."""

Shape = tuple[int, int, int]
Ints = NDArray[np.int64]
Streams = list[np.random.Generator]
"""Source of random numbers of each volume."""

_UNITS = 1024  # integer units in a voxel length: centres and radii are whole numbers of units
_REACH = 2**19  # largest centre coordinate and radius in voxels: squares in units must fit in 64 bits
_EDGE = re.compile("[1-9][0-9]{0,2}")  # of the volumes of a built-in data set, in voxels
_STRETCH = 16  # most that balls are stretched or squeezed
_CHUNK = 2**20  # points tested at a time
_ATTEMPTS = 1024  # candidate places of a sphere that must not overlap others
_BATCH = 16  # candidate places tried at a time


@dataclass(frozen=True)
class SphereLaw:
    """Law of the number of spheres in a volume, of their radii, and of their overlap.

    A volume of density d in the unit cube holds ``round(spheres * d)`` spheres with radii d times draws from the radius
    law, centres uniform over the places where the sphere lies wholly inside the cube. With overlap this is a
    Boolean model of random balls, conditioned on their number and confined to the cube. Without it the spheres are
    placed by random sequential addition.

    Attributes:
        spheres: number of spheres in the unit cube at density 1.
        smallest: smallest radius at density 1, a length.
        largest: largest radius at density 1, a length.
        median: None for radii uniform between smallest and largest; else the median, a length, of the lognormal
            law that is truncated to that range.
        sigma: standard deviation of the logarithm of the radius, lognormal law only.
        overlap: whether spheres may overlap.
        stretch: semi-axis of a pore along the depth over those across it: 1 for spheres, 1.5 for spheroids half as long
            again as they are wide, all in one direction. A radius is then a semi-axis across the depth.

    Raises:
        ValueError: if a number is out of range.

    References:
        S. N. Chiu, D. Stoyan, W. S. Kendall, J. Mecke (2013). Stochastic Geometry and its Applications, 3rd ed.,
        Wiley, chapter 3 (Boolean model) and section 6.5 (random sequential addition). doi:10.1002/9781118658222
    """

    spheres: int
    smallest: float
    largest: float
    median: float | None = None
    sigma: float = 0.0
    overlap: bool = True
    stretch: float = 1.0

    def __post_init__(self) -> None:
        if self.spheres < 1:
            raise ValueError(f"spheres must be at least 1, got {self.spheres}")
        if not 0 < self.smallest <= self.largest < 0.5:
            got = f"{self.smallest} and {self.largest}"
            raise ValueError(f"radii must satisfy 0 < smallest <= largest < 0.5, got {got}")
        if self.median is not None and not (self.median > 0 and self.sigma > 0):
            raise ValueError(f"a lognormal law needs median > 0 and sigma > 0, got {self.median}, {self.sigma}")
        if not (self.stretch > 0 and self.stretch * self.largest < 0.5):
            got = f"{self.stretch} and {self.largest}"
            raise ValueError(f"stretch must be positive, and its product with the largest radius below 0.5, got {got}")

    def radius(self, probability: ArrayLike) -> NDArray[np.float64]:
        """Return the quantile function of the radius at density 1, a length, at probabilities of any shape.

        Example:
            >>> SphereLaw(spheres=10, smallest=0.05, largest=0.1).radius([0, 0.5, 1]).tolist()
            [0.05, 0.07500000000000001, 0.1]
        """
        u = np.asarray(probability, dtype=np.float64)
        if self.median is None:
            radius = self.smallest + (self.largest - self.smallest) * u
        else:
            low, high = ndtr(np.log(np.array([self.smallest, self.largest]) / self.median) / self.sigma)
            radius = self.median * np.exp(self.sigma * ndtri(low + (high - low) * u))
        return np.asarray(np.clip(radius, self.smallest, self.largest))


LAWS: dict[str, SphereLaw] = {
    "spheres": SphereLaw(spheres=250, smallest=0.05, largest=0.10),
    "spheres-small": SphereLaw(spheres=250, smallest=0.035, largest=0.07),
    "spheres-wide": SphereLaw(spheres=250, smallest=0.02, largest=0.12, median=0.077, sigma=0.5),
    "spheres-hard": SphereLaw(spheres=140, smallest=0.05, largest=0.10, overlap=False),
    "spheroids": SphereLaw(spheres=250, smallest=0.044, largest=0.088, stretch=1.5),
}
"""Built-in laws by data-set name.

``spheres`` reproduces the published law. ``spheres-small`` has radii times 0.7. ``spheres-wide`` has lognormal radii of
nearly the same mean volume. ``spheres-hard`` has no overlap; see `draw_spheres` for what that does at high density.
``spheroids`` is anisotropic: its pores have the volumes of those of ``spheres``, within 3 %, and are half as long again
along the depth as across it. The order of the names decides the seeds of the data sets: a new one comes last.
"""


def simulator(name: object) -> tuple[str, int] | None:
    """Return law and edge in voxels of a built-in data set, such as ``spheres`` or ``spheres-64``; None for others.

    Example:
        >>> simulator("spheres-wide"), simulator("spheres-wide-64"), simulator("berea-64")
        (('spheres-wide', 30), ('spheres-wide', 64), None)
    """
    text = name if isinstance(name, str) else ""
    law, _, edge = text.rpartition("-")
    if text in LAWS:
        return text, EDGE
    return (law, int(edge)) if law in LAWS and _EDGE.fullmatch(edge) else None


def is_simulated(name: object) -> bool:
    """Return True for the name of a built-in data set, which no data set read from files has."""
    return simulator(name) is not None


class Spheres(NamedTuple):
    """Spheres of one or more volumes, in voxel lengths; the arguments of `stamp_balls`, in its order.

    Attributes:
        centres: float64 [k, 3], voxel coordinates (the first point of an axis is 0).
        radii: float64 [k], voxel lengths; of a stretched sphere, the semi-axes across the depth.
        owner: int64 [k], the volume that a sphere belongs to, non-decreasing.
    """

    centres: NDArray[np.float64]
    radii: NDArray[np.float64]
    owner: NDArray[np.int64]


def stamp_balls(
    centres: ArrayLike, radii: ArrayLike, owner: ArrayLike, shape: Shape, n: int, stretch: float = 1.0
) -> NDArray[np.bool_]:
    """Return volumes, bool [n, depth, height, width], with pores at the points strictly inside one of their balls.

    Centres and radii are rounded to 1/1024 of a voxel length and squared distances are compared as integers, so the
    result is the same on every machine. Distances along the depth are divided by the stretch and rounded likewise. All
    balls whose bounding boxes have one size are tested together.

    Args:
        centres: [k, 3], voxel coordinates; balls may reach over the boundary or lie outside.
        radii: [k], voxel lengths, not negative.
        owner: integer [k], each in [0, n): the volume that a ball belongs to.
        shape: depth, height and width in voxels.
        n: number of volumes.
        stretch: factor by which each ball is stretched along the depth, about its centre.

    Raises:
        ValueError: if shapes disagree or a value is out of range.

    Example:
        >>> stamp_balls([[1, 1, 1]], [1.1], [0], shape=(3, 3, 3), n=1).sum().item()
        7
    """
    length, place = np.asarray(radii, dtype=np.float64), np.asarray(centres, dtype=np.float64)
    place = place.reshape(-1, 3) if place.size == 0 else place
    volume = np.asarray(owner, dtype=np.int64)
    _check_shape(shape)
    if length.ndim != 1 or place.shape != (*length.shape, 3) or volume.shape != length.shape:
        shapes = f"{place.shape}, {length.shape} and {volume.shape}"
        raise ValueError(f"expected centres [k, 3], radii [k] and owner [k], got shapes {shapes}")
    if not (np.all(np.abs(place) <= _REACH) and np.all((length >= 0) & (length <= _REACH))):
        raise ValueError(f"centres must be finite and radii not negative, both at most {_REACH} voxels")
    if not 1 / _STRETCH <= stretch <= _STRETCH:
        raise ValueError(f"stretch must lie between 1/{_STRETCH} and {_STRETCH}, got {stretch}")
    if np.any((volume < 0) | (volume >= n)):
        raise ValueError(f"owner must lie in [0, {n}), got values from {volume.min()} to {volume.max()}")
    centre, radius = np.rint(place * _UNITS).astype(np.int64), np.rint(length * _UNITS).astype(np.int64)
    out = np.zeros(n * math.prod(shape), dtype=np.bool_)
    edges = np.minimum(-(-2 * radius // _UNITS), max(shape))  # an open interval of length 2 r holds <= ceil(2 r) points
    for edge in np.unique(edges[edges > 0]).tolist():
        group = np.flatnonzero(edges == edge)
        box = tuple(
            min(math.ceil(edge * factor), length) for factor, length in zip((stretch, 1, 1), shape, strict=True)
        )
        step = max(1, _CHUNK // math.prod(box))
        for start in range(0, len(group), step):
            part = group[start : start + step]
            _stamp_equal_boxes(out, centre[part], radius[part], volume[part], shape, box, stretch)
    return out.reshape(n, *shape)


def _check_shape(shape: Shape) -> None:
    if len(shape) != 3 or min(shape) < 1:
        raise ValueError(f"shape must be three positive integers, got {shape}")


def _stamp_equal_boxes(
    out: NDArray[np.bool_], centre: Ints, radius: Ints, volume: Ints, shape: Shape, box: tuple[int, ...], stretch: float
) -> None:
    """Set the points inside balls whose bounding boxes all have ``box`` points, in the flat volumes ``out``."""
    first = (centre - _reach(radius, stretch)) // _UNITS + 1
    points, squares = [], []
    for axis, (length, width) in enumerate(zip(shape, box, strict=True)):
        # a box that sticks out is moved inside: it still covers all that is inside
        point = np.clip(first[:, axis], 0, length - width)[:, None] + np.arange(width)
        points.append(point)
        squares.append(_unstretched(point * _UNITS - centre[:, axis, None], axis, stretch) ** 2)
    inside = (squares[0][:, :, None] + squares[1][:, None, :])[:, :, :, None] + squares[2][:, None, None, :]
    row = ((volume[:, None] * shape[0] + points[0]) * shape[1])[:, :, None] + points[1][:, None, :]
    flat = (row * shape[2])[:, :, :, None] + points[2][:, None, None, :]
    out[flat[inside < (radius**2)[:, None, None, None]]] = True


def _reach(radius: Ints, stretch: float) -> Ints:
    """Return how far stretched balls reach along each axis, in units, [k, 3]."""
    return np.stack([np.ceil(radius * stretch).astype(np.int64), radius, radius], axis=1)


def _unstretched(offset: Ints, axis: int, stretch: float) -> Ints:
    """Return offsets along an axis, in units, where stretched balls are balls again."""
    return offset if axis > 0 or stretch == 1 else np.rint(offset / stretch).astype(np.int64)


def simulate(
    density: ArrayLike,
    law: SphereLaw | str = "spheres",
    rng: int | np.random.Generator | None = None,
    shape: Shape = (EDGE, EDGE, EDGE),
) -> NDArray[np.bool_]:
    """Return fresh real volumes, bool [n, depth, height, width], one at each density; arguments as `draw_spheres`.

    No voxel on the boundary is ever a pore: a sphere lies wholly inside the cube, to the last unit, and its surface
    does not belong to it.

    Example:
        >>> simulate([0.2, 0.9], rng=0).sum(axis=(1, 2, 3)).tolist()
        [17, 6718]
    """
    law = _law(law)
    spheres = draw_spheres(density, law, rng, shape)
    return stamp_balls(*spheres, shape=shape, n=np.size(density), stretch=law.stretch)


def draw_spheres(
    density: ArrayLike,
    law: SphereLaw | str = "spheres",
    rng: int | np.random.Generator | None = None,
    shape: Shape = (EDGE, EDGE, EDGE),
) -> Spheres:
    """Return the spheres, ordered by volume, of one volume at each density, drawn from a law.

    Each volume has a random stream of its own, seeded by the next draws of ``rng``: volume i is the same whether it is
    drawn in one call with others or in several calls.

    A shape other than 30 × 30 × 30 keeps the voxel spacing of 1/29, hence the radii in voxels, and scales the number of
    spheres with the volume, (D − 1)(H − 1)(W − 1)/29³. Spheres still lie wholly inside, so the layer next to the
    boundary, poorer in pores, weighs less in a larger volume.

    Spheres of a law with a stretch are drawn as they are stamped: wholly inside the cube, and apart, once stretched.

    Without overlap, the spheres of a volume are placed one after the other, largest first, each at the first of up to
    1024 random candidates where it overlaps none before it. A sphere that finds no such place is left out, so a law
    with too many spheres saturates; that of ``spheres-hard`` is sparse enough that its data set lacks none.

    Args:
        density: scalar or [n], each in [0, 1].
        law: a law, or the name of a built-in one.
        rng: seed or generator; None draws fresh entropy.
        shape: depth, height and width in voxels.

    Raises:
        ValueError: if a density is outside [0, 1], the name is unknown or the shape cannot hold the largest sphere.
    """
    law = _law(law)
    d = np.atleast_1d(np.asarray(density, dtype=np.float64))
    if d.ndim != 1 or not np.all((d >= 0) & (d <= 1)):
        raise ValueError(f"density must be a number or a list of numbers in [0, 1], got {density!r}")
    _check_shape(shape)
    cubes = float(np.prod(np.asarray(shape) - 1.0)) / (EDGE - 1) ** 3
    count = np.rint(law.spheres * d * cubes).astype(np.int64)
    needed = _reach(_in_units([law.largest * d.max(initial=0.0, where=count > 0)]), law.stretch)[0]
    if np.any(count) and np.any(2 * needed > (np.asarray(shape) - 1) * _UNITS):
        points = int(-(-2 * needed.max() // _UNITS)) + 1
        largest = f"spheres of radius up to {needed.max() / _UNITS:.2f} voxels"
        raise ValueError(f"shape {shape} is too small for {largest}: use at least {points} voxels along each axis")

    root = np.random.default_rng(rng)
    keys = (root.random((len(d), 4)) * 2**32).astype(np.uint32)
    streams = [np.random.Generator(np.random.PCG64(key)) for key in keys]
    owner = np.repeat(np.arange(len(d)), count)
    radius = _in_units(law.radius(_draw(streams, count)) * d[owner])
    if law.overlap:
        placed, centre = np.ones(len(owner), dtype=np.bool_), _propose(streams, owner, radius, shape, law.stretch)
    else:
        radius = radius[np.lexsort((-radius, owner))]
        placed, centre = _place_apart(streams, owner, radius, shape, law.stretch)
    return Spheres(centre[placed] / _UNITS, radius[placed] / _UNITS, owner[placed])


def _law(law: SphereLaw | str) -> SphereLaw:
    """Return the law itself, or the built-in one of that name."""
    if isinstance(law, SphereLaw):
        return law
    if law not in LAWS:
        raise ValueError(f"unknown sphere law {law!r}: use one of {', '.join(LAWS)}, or a SphereLaw")
    return LAWS[law]


def _in_units(length: ArrayLike) -> Ints:
    """Return a length in whole units of 1/1024 voxel length."""
    return np.rint(np.asarray(length, dtype=np.float64) * ((EDGE - 1) * _UNITS)).astype(np.int64)


def _draw(streams: Streams, count: Ints, *size: int) -> NDArray[np.float64]:
    """Return uniform draws, ``count[i]`` rows from stream i, concatenated in order of streams."""
    busy = np.flatnonzero(count).tolist()
    return np.concatenate([streams[i].random((count[i], *size)) for i in busy] or [np.empty((0, *size))])


def _propose(streams: Streams, owner: Ints, radius: Ints, shape: Shape, stretch: float) -> Ints:
    """Return centres, in units, uniform over the places where each sphere lies wholly inside."""
    margin = _reach(radius, stretch)
    room = (np.asarray(shape) - 1) * _UNITS - 2 * margin
    u = _draw(streams, np.bincount(owner, minlength=len(streams)), 3)
    return margin + np.rint(u * room).astype(np.int64)


def _place_apart(
    streams: Streams, owner: Ints, radius: Ints, shape: Shape, stretch: float
) -> tuple[NDArray[np.bool_], Ints]:
    """Return a mask of the spheres placed, and centres in units, by random sequential addition in the order given.

    The next spheres of all volumes are placed together, each at the first of a batch of candidates that is free.
    """
    placed = np.zeros(len(owner), dtype=np.bool_)
    centre = np.zeros((len(owner), 3), dtype=np.int64)
    count = np.bincount(owner, minlength=len(streams))
    end = np.cumsum(count)
    start = end - count
    turn, batches = start.copy(), np.zeros_like(start)  # the sphere whose turn it is, and its batches so far
    while np.any(turn < end):
        active = np.flatnonzero(turn < end)
        mine = turn[active]
        candidate = _propose(streams, owner[mine].repeat(_BATCH), radius[mine].repeat(_BATCH), shape, stretch)
        candidate = candidate.reshape(-1, _BATCH, 3)
        before = start[active, None] + np.arange(np.max(mine - start[active]))
        before = np.minimum(before, mine[:, None])  # the sphere itself has no place yet, so it blocks nothing
        standing = placed[before]
        square = np.zeros((len(mine), _BATCH, before.shape[1]), dtype=np.int64)
        for axis in range(3):
            square += _unstretched(candidate[:, :, None, axis] - centre[before, axis][:, None], axis, stretch) ** 2
        overlap = square < ((radius[mine, None] + radius[before]) ** 2)[:, None]
        free = ~np.any(overlap & standing[:, None], axis=2)
        found = free.any(axis=1)
        centre[mine[found]] = candidate[found, free[found].argmax(axis=1)]
        placed[mine[found]] = True
        batches[active] += 1
        over = active[found | (batches[active] >= _ATTEMPTS // _BATCH)]
        turn[over] += 1
        batches[over] = 0
    return placed, centre
