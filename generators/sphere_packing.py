"""Random packings of spheres whose number and sizes are learnt from voxels: the strongest classical baseline."""

from __future__ import annotations

from itertools import pairwise
from typing import ClassVar, NamedTuple

import numpy as np
from numpy.polynomial import legendre
from numpy.typing import ArrayLike, NDArray

from porebench.data.spheres import stamp_balls

from .base import Floats, Generator, Shape, Streams
from .sphere_moments import NODES, START, ball_number, match_moments, quantiles, standard

_BALLS = 2**20  # balls placed at a time
_CROWD = 0.5  # balls a voxel at most, whatever was learnt
_SMALLEST = 0.05  # cubic mean radius in voxels at least
_MATCHINGS = 20  # trials at the number of balls that gives a number of pore voxels
_ROUNDS, _TRIES = 16, 8  # rounds of placing a sphere that must not overlap, and attempts in a round


class _Balls(NamedTuple):
    """Centres [k, 3] and radii [k] in voxels, and the volume that each belongs to [k]: arguments of `stamp_balls`."""

    centres: Floats
    radii: Floats
    owner: NDArray[np.int64]


class SpherePacking(Generator):
    """Balls of random radii at uniform places: a Boolean model whose number and radii depend on density.

    Balls overlap, so they cannot be measured one by one. Instead the parameters are those whose simulated volumes agree
    with the training volumes in counts of pore voxels, of pairs of pores at several distances, and of runs and cubes
    that are all pore or all solid, in a dozen classes of density (`sphere_moments`). At density d the number of balls
    is fixed up to rounding, and a radius is R(d)·q(u) with u uniform: ln R and the logarithm of the balls' total volume
    are polynomials in ln d; the quantile function q, a cubic, is the same at all densities. Beyond the training
    densities, the total volume follows the porosity law and the radius a power law.

    Where no training volume has a pore on its boundary, balls lie wholly inside the box that the outermost voxel
    centres span; else their centres are uniform also outside it, which gives a stationary medium.

    Args:
        overlap: False places balls by random sequential addition, so that none overlap. Balls that find no place are
            left out, so dense volumes saturate.
        match_count: True draws as many balls of a sequence as give the number of pore voxels of the porosity law, the
            last one shrunk to fit; False leaves that number to chance; None does what the training volumes do, whose
            pore voxels at a density scatter either as in a random packing or much less.

    References:
        S. N. Chiu, D. Stoyan, W. S. Kendall, J. Mecke (2013). Stochastic Geometry and its Applications, 3rd ed., Wiley,
        chapter 3 (Boolean model). doi:10.1002/9781118658222
        D. McFadden (1989). A method of simulated moments for estimation of discrete response models without numerical
        integration. Econometrica 57, 995-1026. doi:10.2307/1913621
    """

    name = "sphere-packing"
    trained_on: ClassVar[tuple[str, ...]] = (  # pairs, runs and cubes of voxels
        "specific_surface",
        "mean_chord",
        "chord_lengths",
        "two_point_correlation",
        "lineal_path",
    )
    axes: ClassVar[dict[str, str]] = {
        "volume_": "volume",
        "radius_": "radius",
        "quantiles_": str(len(NODES)),
        "range_": "2",
    }

    volume_: Floats
    radius_: Floats
    quantiles_: Floats
    range_: Floats
    inside_: bool
    matches_count_: bool

    def __init__(self, *, overlap: bool = True, match_count: bool | None = None) -> None:
        self.overlap = overlap
        self.match_count = match_count

    def spheres(self, density: ArrayLike) -> tuple[Floats, Floats]:
        """Return the learnt number of spheres in a volume of the training shape, and their mean radius in voxels.

        In a stationary medium the number includes spheres with centres outside that may reach in.

        Args:
            density: one density or float [n], in [0, 1].

        Returns:
            Two float64 arrays [n].
        """
        self._check_fitted()
        volume, radius = self.curves(np.atleast_1d(np.asarray(density, dtype=np.float64)))
        mean = np.mean((self.quantiles_[1:] + self.quantiles_[:-1]) / 2)
        return ball_number(volume, radius), np.exp(radius) * mean

    def _fit(self, volumes: NDArray[np.bool_], density: Floats, rng: np.random.Generator) -> None:
        self.range_, self.radius_, self.quantiles_ = np.zeros(2), np.zeros(1), quantiles(START)
        self.volume_ = np.log(volumes[0].size * self._load(np.ones(1)))
        self.inside_, self.matches_count_ = False, bool(self.match_count)
        pores = np.count_nonzero(volumes)
        if 0 < pores < volumes.size:
            self.inside_ = bool(pores == np.count_nonzero(volumes[:, 1:-1, 1:-1, 1:-1]))
            match_moments(self, volumes, density, rng)

    def curves(self, density: Floats) -> tuple[Floats, Floats]:
        """Return the logarithms of the balls' total volume, for the training shape, and of their cubic mean radius."""
        low, high = self.range_
        x = np.log(np.maximum(density, 1e-9))
        known = np.clip(x, low, high)
        z = standard(known, low, high)
        volume: Floats = np.array(legendre.legval(z, self.volume_), dtype=np.float64)
        volume += np.log(self._load(density) / self._load(np.exp(known)))
        slope = legendre.legval(z, legendre.legder(self.radius_)) * 2 / max(high - low, 1e-9)
        # A radius that falls as density grows is not extrapolated, nor one that grows faster than in proportion.
        radius = legendre.legval(z, self.radius_) + np.clip(slope, 0, 1) * (x - known)
        radius = np.clip(radius, np.log(_SMALLEST), np.log(max(self.shape_)))
        return volume, radius

    def _load(self, density: Floats) -> Floats:
        """Return the balls' total volume, relative to the volume they are in, that gives the porosity of the law."""
        porosity = np.clip(self.law_.porosity(density), 1e-12, 1 - 0.1 / np.prod(self.shape_))
        load: Floats = -np.log1p(-porosity) if self.overlap else porosity
        return load

    def _sample(self, density: Floats, shape: Shape, rng: np.random.Generator) -> NDArray[np.bool_]:
        voxels = int(np.prod(shape))
        wanted = self.law_.pore_voxels(density, voxels)
        volume, radius = self.curves(density)
        number = np.where(wanted == voxels, 0, ball_number(volume, radius) * self.room(radius, shape))
        streams = rng.spawn(len(density))
        drawn = np.zeros((len(density), *shape), dtype=np.bool_)
        if self.matches_count_:
            for part in _parts(number):
                drawn[part] = self._stamp_matched(number[part], radius[part], shape, streams[part], wanted[part])
        else:
            self.stamp(number, radius, shape, streams, drawn)
        drawn[wanted == voxels] = True
        return drawn

    def stamp(self, number: Floats, radius: Floats, shape: Shape, streams: Streams, out: NDArray[np.bool_]) -> None:
        """Write one volume for each stream into ``out``."""
        for part in _parts(number):
            balls = self._draw(number[part], radius[part], shape, streams[part])
            out[part] = stamp_balls(*balls, shape=shape, n=len(streams[part]))

    def room(self, radius: Floats, shape: Shape) -> Floats:
        """Return the room for centres in a shape, relative to that in the training shape."""
        margin = np.zeros_like(radius) if self.inside_ else np.exp(radius) * self.quantiles_[-1]
        sides = [np.maximum(np.array(sizes) - 1, 1) + 2 * margin[:, None] for sizes in (shape, self.shape_)]
        room: Floats = np.prod(sides[0], axis=1) / np.prod(sides[1], axis=1)
        return room

    def _draw(self, number: Floats, radius: Floats, shape: Shape, streams: Streams) -> _Balls:
        """Return the balls of a volume for each stream, in random order."""
        number = np.minimum(number, _CROWD * np.prod(shape))
        count = np.floor(number + [stream.random() for stream in streams]).astype(np.int64)
        owner = np.repeat(np.arange(len(streams)), count)
        uniform = _uniform(streams, count, 4)
        radii = np.exp(radius)[owner] * np.interp(uniform[:, 0], NODES, self.quantiles_)
        margin = radii if self.inside_ else -np.exp(radius)[owner] * self.quantiles_[-1]
        span = np.array(shape) - 1.0
        room = np.maximum(span - 2 * margin[:, None], 0)
        corner = (span - room) / 2
        balls = _Balls(corner + uniform[:, 1:] * room, radii, owner)
        return balls if self.overlap else _set_apart(balls, corner, room, streams)

    def _stamp_matched(
        self, number: Floats, radius: Floats, shape: Shape, streams: Streams, wanted: NDArray[np.int64]
    ) -> NDArray[np.bool_]:
        """Return volumes with wanted numbers of pore voxels: the first balls of a sequence, the last one shrunk."""
        balls = self._draw(1.5 * number + 3 * np.sqrt(number) + 3, radius, shape, streams)
        longest = np.bincount(balls.owner, minlength=len(number))
        rank = np.arange(len(balls.owner)) - np.repeat(np.cumsum(longest) - longest, longest)
        low, high = np.zeros(len(number)), longest.astype(np.float64)
        trial = np.minimum(number, high)
        best, error = np.zeros((len(number), *shape), dtype=np.bool_), wanted.copy()
        for turn in range(_MATCHINGS):
            active = np.flatnonzero((error > 0) & (high > low))
            if len(active) == 0:
                break
            place = np.full(len(number), -1)
            place[active] = np.arange(len(active))
            used = np.flatnonzero((place[balls.owner] >= 0) & (rank < trial[balls.owner]))
            radii = balls.radii[used] * np.cbrt(np.minimum(trial[balls.owner[used]] - rank[used], 1))
            drawn = stamp_balls(balls.centres[used], radii, place[balls.owner[used]], shape=shape, n=len(active))
            count, aim = np.count_nonzero(drawn, axis=(1, 2, 3)), wanted[active]
            better = np.abs(count - aim) < error[active]
            best[active[better]] = drawn[better]
            error[active] = np.minimum(np.abs(count - aim), error[active])
            low[active] = np.where(count < aim, trial[active], low[active])
            high[active] = np.where(count < aim, high[active], trial[active])
            load = [-np.log1p(-np.clip(pores, 0.5, drawn[0].size - 0.5) / drawn[0].size) for pores in (aim, count)]
            inset = (0.1 if turn < 4 else 0.5) * (high - low)[active]  # in the end, bisection
            trial[active] = np.clip(trial[active] * load[0] / load[1], low[active] + inset, high[active] - inset)
        return best


def _parts(number: Floats) -> list[slice]:
    """Return slices of volumes with about as many balls each as are placed at a time."""
    chunk = np.cumsum(number) // _BALLS
    edges = [0, *(np.flatnonzero(np.diff(chunk)) + 1).tolist(), len(number)]
    return [slice(first, last) for first, last in pairwise(edges)]


def _uniform(streams: Streams, count: NDArray[np.int64], width: int) -> Floats:
    """Return uniform draws, ``count[i]`` rows from stream i, one stream after the other."""
    drawn = [stream.random((k, width)) for stream, k in zip(streams, count.tolist(), strict=True) if k]
    return np.concatenate([*drawn, np.empty((0, width))])


def _set_apart(balls: _Balls, corner: Floats, room: Floats, streams: Streams) -> _Balls:
    """Move balls so that none overlap, one by one, the largest first; leave out those that find no place."""
    centres, radii, owner = balls
    count = np.bincount(owner, minlength=len(streams))
    start = np.cumsum(count) - count
    order = np.lexsort((-radii, owner))
    placed = np.zeros(len(owner), dtype=np.bool_)
    for turn in range(int(count.max(initial=0))):
        begun = start[count > turn]
        who, before = order[begun + turn], order[begun[:, None] + np.arange(turn)]
        reach = np.where(placed[before], radii[who, None] + radii[before], 0) ** 2
        trying = np.arange(len(who))
        for _ in range(_ROUNDS):
            ball = who[trying]
            uniform = np.stack([streams[volume].random((_TRIES, 3)) for volume in owner[ball]])
            trial = corner[ball, None] + uniform * room[ball, None]
            square = np.zeros((len(ball), _TRIES, turn))
            for axis in range(3):
                square += (trial[:, :, None, axis] - centres[before[trying], axis][:, None]) ** 2
            free = np.all(square >= reach[trying, None], axis=2)
            found = free.any(axis=1)
            centres[ball[found]] = trial[found, free[found].argmax(axis=1)]
            placed[ball[found]] = True
            trying = trying[~found]
            if len(trying) == 0:
                break
    return _Balls(centres[placed], radii[placed], owner[placed])
