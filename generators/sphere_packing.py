"""Random packings of spheres whose number and sizes are learnt from voxels: the strongest classical baseline."""

from __future__ import annotations

from itertools import combinations, product
from typing import NamedTuple

import numpy as np
from numpy.polynomial import legendre
from numpy.typing import ArrayLike, NDArray

from data.spheres import stamp_balls

from .base import Generator, Shape

Floats = NDArray[np.float64]
Keys = NDArray[np.int64]

_NODES = np.linspace(0, 1, 33)  # probabilities at which the quantile function of the radius is kept
_START = np.array([0.3, 0.0, 0.0])  # its Legendre coefficients above the constant before fitting
_TOLERANCE = np.array([0.5, 0.15, 0.1])  # how far from there they are expected
_DEGREES = (3, 2)  # of the polynomials for total volume and radius
_BENDING = np.array([100.0, 100.0, 0.2, 0.1])  # how large their coefficients are expected to be
_STEPS = np.array([0.05, 0.05, 0.04, 0.04, 0.04])  # for derivatives: ln volume, ln radius, quantile coefficients
_LIMITS = np.array([0.5, 0.3, 0.2, 0.2, 0.2])  # longest step of an iteration in the same quantities
_REPEATS = (2, 32)  # times that each training volume is simulated, at least and at most
_SIMULATED = 4 * 448  # volumes simulated in that way, if these limits allow
_VOXELS = 2**25  # in the training volumes that are used, at most
_SHRINKAGE = 0.2  # of the correlation between statistics, towards none
_SMOOTH = 3  # degree in ln d of relative derivatives
_GROUP = 8  # volumes counted together: one bit each
_BINS = 14  # classes of density, at most
_BALLS = 2**20  # balls placed at a time
_MATCHINGS = 16  # trials at the number of balls that gives a number of pore voxels
_ROUNDS, _TRIES = 64, 8  # attempts at placing a sphere that must not overlap, and how many are made at once


class _Balls(NamedTuple):
    """Centres [k, 3] and radii [k] in voxels, and the volume that each belongs to [k]: arguments of `stamp_balls`."""

    centres: Floats
    radii: Floats
    owner: NDArray[np.int64]


class SpherePacking(Generator):
    """Balls of random radii at uniform places: a Boolean model whose number and radii depend on density.

    Pores overlap, so balls cannot be found one by one and measured. Instead the parameters are those whose simulated
    volumes agree with the training volumes in what can be counted: pore voxels, pairs of pores at several distances,
    runs and cubes that are all pore or all solid, each in some twelve classes of density (the method of simulated
    moments; Gauss-Newton steps, the same random numbers at every trial, statistics weighted by their simulated
    covariance). At density d the number of balls is fixed up to rounding, and a radius is R(d)·q(u) with u uniform:
    ln R and the logarithm of the balls' total volume are polynomials in ln d; the quantile function q, linear between
    quartiles, is the same at all densities. Beyond the densities it was fitted on, the total volume follows the
    porosity law and the radius a power law.

    Where no training volume has a pore on its boundary, balls lie wholly inside the box that the outermost voxel
    centres span; else their centres are uniform also outside it, which gives a stationary medium.

    Args:
        overlap: False places balls by random sequential addition, so that none overlap. Balls that find no place are
            left out, so dense volumes saturate.
        match_count: True draws, from one sequence of balls, as many as give the number of pore voxels of the porosity
            law, the last one shrunk to fit; False leaves the number of pore voxels to chance; None does what the
            training volumes do, whose pore voxels at a density scatter either as in a random packing or much less.

    References:
        S. N. Chiu, D. Stoyan, W. S. Kendall, J. Mecke (2013). Stochastic Geometry and its Applications, 3rd ed., Wiley,
        chapter 3 (Boolean model). doi:10.1002/9781118658222
        D. McFadden (1989). A method of simulated moments for estimation of discrete response models without numerical
        integration. Econometrica 57, 995-1026. doi:10.2307/1913621
    """

    name = "sphere-packing"

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
        """Learnt number of spheres in a volume of the training shape, and their mean radius in voxels.

        In a stationary medium the number includes spheres with centres outside that may reach in.

        Args:
            density: one density or float [n], in [0, 1].

        Returns:
            Two float64 arrays [n].
        """
        self._check_fitted()
        volume, radius = self._curves(np.atleast_1d(np.asarray(density, dtype=np.float64)))
        mean = np.mean((self.quantiles_[1:] + self.quantiles_[:-1]) / 2)
        return _number(volume, radius), np.exp(radius) * mean

    # --- learning --------------------------------------------------------------------------------------------

    def _fit(self, volumes: NDArray[np.bool_], density: Floats, rng: np.random.Generator) -> None:
        self.range_, self.radius_, self.quantiles_ = np.zeros(2), np.zeros(1), _quantiles(_START)
        self.volume_ = np.log(volumes[0].size * self._load(np.ones(1)))
        self.inside_, self.matches_count_ = False, bool(self.match_count)
        pores = np.count_nonzero(volumes)
        if 0 < pores < volumes.size:
            self.inside_ = pores == np.count_nonzero(volumes[:, 1:-1, 1:-1, 1:-1])
            _match_moments(self, volumes, density, rng)

    def _curves(self, density: Floats) -> tuple[Floats, Floats]:
        """Logarithms of the balls' total volume, for the training shape, and of their cubic mean radius, in voxels."""
        low, high = self.range_
        x = np.log(np.maximum(density, 1e-9))
        known = np.clip(x, low, high)
        z = _standard(known, low, high)
        volume, radius = legendre.legval(z, self.volume_), legendre.legval(z, self.radius_)
        slope = legendre.legval(z, legendre.legder(self.radius_)) * 2 / max(high - low, 1e-9)
        volume = volume + np.log(self._load(density) / self._load(np.exp(known)))
        # A radius that falls as density grows is not extrapolated, nor one that grows faster than in proportion.
        return volume, radius + np.clip(slope, 0, 1) * (x - known)

    def _load(self, density: Floats) -> Floats:
        """Total volume of balls, in units of the volume they are in, that gives the porosity of the law."""
        porosity = np.clip(self.law_.porosity(density), 1e-12, 1 - 0.1 / np.prod(self.shape_))
        load: Floats = -np.log1p(-porosity) if self.overlap else porosity
        return load

    # --- drawing ---------------------------------------------------------------------------------------------

    def _sample(self, density: Floats, shape: Shape, rng: np.random.Generator) -> NDArray[np.bool_]:
        voxels = int(np.prod(shape))
        wanted = self.law_.pore_voxels(density, voxels)
        volume, radius = self._curves(density)
        number = np.where(wanted == voxels, 0, _number(volume, radius) * self._room(radius, shape))
        keys = rng.integers(2**62, size=len(density))
        drawn = np.zeros((len(density), *shape), dtype=np.bool_)
        chunk = np.cumsum(number) // _BALLS
        for part in (np.flatnonzero(chunk == which) for which in np.unique(chunk)):
            if self.matches_count_:
                drawn[part] = self._stamp_matched(number[part], radius[part], shape, keys[part], wanted[part])
            else:
                balls = self._draw(number[part], radius[part], shape, keys[part])
                drawn[part] = stamp_balls(*balls, shape=shape, n=len(part))
        drawn[wanted == voxels] = True
        return drawn

    def _room(self, radius: Floats, shape: Shape) -> Floats:
        """How much more room for centres a shape has than the training shape."""
        margin = np.zeros_like(radius) if self.inside_ else np.exp(radius) * self.quantiles_[-1]
        sides = [np.maximum(np.array(sizes) - 1, 1) + 2 * margin[:, None] for sizes in (shape, self.shape_)]
        room: Floats = np.prod(sides[0], axis=1) / np.prod(sides[1], axis=1)
        return room

    def _draw(self, number: Floats, radius: Floats, shape: Shape, keys: Keys) -> _Balls:
        """Balls of one volume for each key, in random order; a volume depends on its own key only."""
        streams = [np.random.Generator(np.random.PCG64(key)) for key in keys.tolist()]
        count = np.floor(number + [stream.random() for stream in streams]).astype(np.int64)
        owner = np.repeat(np.arange(len(keys)), count)
        uniform = _uniform(streams, count, 4)
        radii = np.exp(radius)[owner] * np.interp(uniform[:, 0], _NODES, self.quantiles_)
        margin = radii if self.inside_ else -np.exp(radius)[owner] * self.quantiles_[-1]
        span = np.array(shape) - 1.0
        room = np.maximum(span - 2 * margin[:, None], 0)
        corner = (span - room) / 2
        balls = _Balls(corner + uniform[:, 1:] * room, radii, owner)
        return balls if self.overlap else _set_apart(balls, corner, room, streams)

    def _stamp_matched(
        self, number: Floats, radius: Floats, shape: Shape, keys: Keys, wanted: NDArray[np.int64]
    ) -> NDArray[np.bool_]:
        """Volumes of the first so many balls of a sequence, the last one shrunk, with the wanted numbers of pore voxels."""
        balls = self._draw(1.5 * number + 3 * np.sqrt(number) + 3, radius, shape, keys)
        longest = np.bincount(balls.owner, minlength=len(keys))
        rank = np.arange(len(balls.owner)) - np.repeat(np.cumsum(longest) - longest, longest)
        low, high = np.zeros(len(keys)), longest.astype(np.float64)
        trial = np.minimum(number, high)
        best, error = np.zeros((len(keys), *shape), dtype=np.bool_), wanted.copy()
        for _ in range(_MATCHINGS):
            active = np.flatnonzero((error > 0) & (high > low))
            if len(active) == 0:
                break
            place = np.full(len(keys), -1)
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
            inset = 0.1 * (high - low)[active]
            trial[active] = np.clip(trial[active] * load[0] / load[1], low[active] + inset, high[active] - inset)
        return best


def _number(volume: Floats, radius: Floats) -> Floats:
    """Number of balls from the logarithms of their total volume and of their cubic mean radius."""
    number: Floats = np.exp(volume - 3 * radius) * 3 / (4 * np.pi)
    return number


def _quantiles(coefficients: Floats) -> Floats:
    """Quantile function at the nodes from its Legendre coefficients above the constant, scaled to a mean cube of 1."""
    q = np.sort(np.maximum(legendre.legval(2 * _NODES - 1, np.append(1, coefficients)), 0.02))
    a, b = q[:-1], q[1:]
    scaled: Floats = q / np.cbrt(np.mean((a + b) * (a * a + b * b)) / 4)
    return scaled


def _standard(x: Floats, low: float, high: float) -> Floats:
    """Values between low and high taken to [-1, 1]."""
    return np.zeros_like(x) if high <= low else 2 * (x - low) / (high - low) - 1


def _uniform(streams: list[np.random.Generator], count: NDArray[np.int64], width: int) -> Floats:
    """Uniform draws, ``count[i]`` rows from stream i, one stream after the other."""
    drawn = [stream.random((k, width)) for stream, k in zip(streams, count.tolist(), strict=True) if k]
    return np.concatenate([*drawn, np.empty((0, width))])


def _set_apart(balls: _Balls, corner: Floats, room: Floats, streams: list[np.random.Generator]) -> _Balls:
    """Balls moved so that none overlap, placed one after the other, the largest first; without those that found no place."""
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


# --- the method of simulated moments ---------------------------------------------------------------------------


def _match_moments(model: SpherePacking, volumes: NDArray[np.bool_], density: Floats, rng: np.random.Generator) -> None:
    """Set the learnt curves of a model so that its volumes count like the given ones."""
    most = max(1, _VOXELS // volumes[0].size)
    chosen = np.argsort(density, kind="stable")
    if len(chosen) > most:
        chosen = chosen[np.linspace(0, len(chosen) - 1, most).astype(np.int64)]
    trials = _Trials(model, volumes[chosen], density[chosen], rng)
    rough = trials.search(trials.start(), iterations=2, repeats=2, free=2)
    trials.use(trials.search(rough, iterations=6, repeats=None, free=len(_STEPS)))
    if model.match_count is None:
        model.matches_count_ = trials.scatter() < 0.25


class _Trials:
    """Simulated counterparts of sorted training volumes, with parameters to be tried.

    The parameter vector holds the coefficients for total volume, those for radius, and the Legendre
    coefficients of the quantile function. Counts are arrays [group, statistic]; a group is up to eight volumes of similar density.
    """

    def __init__(
        self, model: SpherePacking, volumes: NDArray[np.bool_], density: Floats, rng: np.random.Generator
    ) -> None:
        self.model, self.density, self.shape = model, density, model.shape_
        n, size = len(volumes), volumes[0].size
        self.law_error = np.count_nonzero(volumes, axis=(1, 2, 3)) - size * model.law_.porosity(density)
        self.observed = _counts(volumes)
        self.keys = rng.integers(2**62, size=(int(np.clip(_SIMULATED // n, *_REPEATS)) // 2 * 2, n))

        groups = len(self.observed)
        x = np.log(np.maximum(density, 1e-9))
        self.starts = np.arange(0, n, _GROUP)
        self.members = np.diff(np.append(self.starts, n))
        mean = np.add.reduceat(x, self.starts) / self.members
        pores = self.observed[:, 0]
        model.range_ = np.array([mean[np.argmax(pores >= min(10, pores.max()))], x[-1]])
        self.z = _standard(np.clip(mean, *model.range_), *model.range_)
        self.bins = np.array_split(np.arange(groups), min(_BINS, groups))
        flat = np.ptp(model.range_) < 0.01
        self.degrees = [0 if flat else min(degree, len(self.bins) - 1) for degree in _DEGREES]

    def start(self) -> Floats:
        """First parameters: from porosity and face counts, taken as those of a Boolean model of equal balls."""
        pores, pairs = self.observed[:, 0], self.observed[:, 1]
        voxels = self.members * float(np.prod(self.shape))
        load = -np.log1p(-np.clip(pores, 0.5, voxels - 0.5) / voxels)
        surface = 4 / 3 * (3 * pores - pairs) / voxels
        radius = 3 * load * (1 - pores / voxels) / np.maximum(surface, 1e-9)
        radius = np.clip(radius, 0.5, min(self.shape))
        clear = (radius > 1.2) & (pores >= 10)
        if not clear.any():
            clear = pores == pores.max()
        known = pores >= min(10, pores.max())
        volume = load * np.prod(self.shape) * self.model._room(np.log(1.2 * radius), self.shape)
        return np.concatenate(
            [
                _fit_line(self.z[known], np.log(volume[known]), self.degrees[0]),
                _fit_line(self.z[clear], np.log(radius[clear]), self.degrees[1]),
                _START,
            ]
        )

    def search(self, theta: Floats, iterations: int, repeats: int | None, free: int) -> Floats:
        """Best parameters found from a start: total volume, radius and, with all of the quantities free, quantiles."""
        best, least = theta, np.inf
        for iteration in range(iterations):
            self.use(theta)
            counts = self.counts(repeats=repeats)
            if iteration < 2:
                self.linearise(counts, free)
                least = np.inf
            misfit, step = self.step(counts)
            if misfit < least:
                best, least, theta = theta, misfit, theta + step
            else:
                theta = (theta + best) / 2
        return theta if iterations == 2 else best

    def use(self, theta: Floats) -> None:
        """Give the model these parameters."""
        a, b = np.cumsum([degree + 1 for degree in self.degrees])
        self.theta, self.form = theta, theta[b:]
        self.model.volume_, self.model.radius_ = theta[:a], theta[a:b]
        self.model.quantiles_ = _quantiles(self.form)

    def volumes(self, keys: Keys, change: Floats) -> NDArray[np.bool_]:
        """One volume for each density, with ln volume, ln radius and coefficients of the quantiles changed."""
        model = self.model
        model.quantiles_ = _quantiles(self.form + change[2:])
        volume, radius = model._curves(self.density)
        balls = model._draw(_number(volume + change[0], radius + change[1]), radius + change[1], self.shape, keys)
        model.quantiles_ = _quantiles(self.form)
        return stamp_balls(*balls, shape=self.shape, n=len(keys))

    def counts(self, change: Floats | None = None, repeats: int | None = None) -> Floats:
        """Counts of simulated volumes, [repeat, group, statistic]."""
        change = np.zeros_like(_STEPS) if change is None else change
        return np.stack([_counts(self.volumes(keys, change)) for keys in self.keys[:repeats]])

    def linearise(self, counts: Floats, free: int) -> None:
        """Derivatives of the counts of each bin by the parameters, and the weights of the statistics, at this place."""
        half = len(counts) // 2
        mean = counts[:half].mean(axis=0)
        local = [(self.counts(change, half).mean(axis=0) - mean) / change.sum() for change in np.diag(_STEPS)[:free]]
        local += [np.zeros_like(mean)] * (len(_STEPS) - free)
        slopes = np.stack([self._smooth(slope, mean) for slope in local], axis=2)
        volume, radius = (legendre.legvander(self.z, degree) for degree in self.degrees)
        jacobian = np.concatenate(
            [slopes[:, :, :1] * volume[:, None], slopes[:, :, 1:2] * radius[:, None], slopes[:, :, 2:]], axis=2
        )
        noise = (counts[0::2] - counts[1::2]) / np.sqrt(2)
        self.whiten = []
        for i, groups in enumerate(self.bins):
            near = noise[:, np.concatenate(self.bins[max(0, i - 2) : i + 3])].reshape(-1, noise.shape[2])
            scale = np.sqrt(np.mean(near**2, axis=0)) + 1e-9
            correlation = (1 - _SHRINKAGE) * (near / scale).T @ (near / scale) / len(near)
            variance = np.sum(np.mean(noise[:, groups] ** 2, axis=0), axis=0)
            floor = np.maximum(counts[:, groups].mean(axis=0).sum(axis=0), 1)
            sd = np.sqrt(np.maximum(variance, floor) * (1 + 1 / len(counts)))
            root = np.linalg.cholesky(correlation + _SHRINKAGE * np.eye(len(scale)))
            self.whiten.append(np.linalg.inv(root) / sd)
        self.jacobian = self._pooled(jacobian)

    def _smooth(self, slope: Floats, mean: Floats) -> Floats:
        """Slopes [group, statistic] with noise taken out: relative to the mean they are smooth functions of density."""
        basis = legendre.legvander(self.z, min(_SMOOTH, len(self.bins) - 1))
        smooth = np.zeros_like(slope)
        for k in range(slope.shape[1]):
            weight = np.sqrt(mean[:, k])
            relative = slope[:, k] / np.maximum(weight, 1e-9)
            smooth[:, k] = mean[:, k] * (basis @ np.linalg.lstsq(weight[:, None] * basis, relative)[0])
        return smooth

    def step(self, counts: Floats) -> tuple[float, Floats]:
        """Misfit (about 1 for a perfect model) and the next change of the parameters."""
        residual = self._pooled((self.observed - counts.mean(axis=0))[:, :, None])[:, 0]
        expected = np.concatenate([*(np.zeros(degree + 1) for degree in self.degrees), _START])
        tolerance = np.concatenate([*(_BENDING[: degree + 1] for degree in self.degrees), _TOLERANCE])
        system = np.vstack([self.jacobian, np.diag(1 / tolerance)])
        target = np.append(residual, (expected - self.theta) / tolerance)
        change = np.linalg.lstsq(system, target)[0]
        a, b = np.cumsum([degree + 1 for degree in self.degrees])
        curves = [legendre.legval(self.z, change[:a]), legendre.legval(self.z, change[a:b]), *change[b:]]
        longest = max(float(np.max(np.abs(c))) / limit for c, limit in zip(curves, _LIMITS, strict=True))
        return float(np.mean(residual**2)), change / max(1.0, longest)

    def scatter(self) -> float:
        """Variance of pore voxels at a density, relative to that of simulated volumes; inf for a single volume."""
        if len(self.density) < 2:
            return np.inf
        counts = [np.count_nonzero(self.volumes(k, np.zeros_like(_STEPS)), axis=(1, 2, 3)) for k in self.keys]
        simulated = np.mean(np.var(counts, axis=0, ddof=1))
        return float(np.mean(np.diff(self.law_error) ** 2) / 2 / max(simulated, 1e-9))

    def _pooled(self, counts: Floats) -> Floats:
        """Sums over the groups of each bin, weighted: [bins · statistics, columns]."""
        sums = (weights @ counts[groups].sum(axis=0) for weights, groups in zip(self.whiten, self.bins, strict=True))
        return np.concatenate(list(sums))


def _fit_line(z: Floats, y: Floats, degree: int) -> Floats:
    """Legendre coefficients of a straight line through points, padded with zeros to a degree."""
    line = legendre.legfit(z, y, min(degree, 1)) if np.ptp(z) > 0 else np.array([y.mean()])
    return np.pad(line, (0, degree + 1 - len(line)))


def _counts(volumes: NDArray[np.bool_]) -> Floats:
    """Statistics of volumes [n, D, H, W] summed over groups of eight: float64 [groups, statistics].

    Pore voxels; pairs of pore voxels at distances along axes, face and space diagonals; runs and cubes of voxels that
    are all pore; runs and cubes that are not all solid. The eight volumes of a group are the bits of one byte.
    """
    padded = np.concatenate([volumes, np.zeros((-len(volumes) % _GROUP, *volumes.shape[1:]), dtype=np.bool_)])
    places = np.arange(_GROUP, dtype=np.uint8)[:, None, None, None]
    bits = np.bitwise_or.reduce(padded.view(np.uint8).reshape(-1, _GROUP, *volumes.shape[1:]) << places, axis=1)
    axes = np.eye(3, dtype=np.int64)
    half = min(volumes.shape[1:]) // 2
    face = [a + sign * b for a, b in combinations(axes, 2) for sign in (1, -1)]
    space = [np.array([1, *signs]) for signs in product((1, -1), repeat=2)]
    lags = [[k * axis for axis in axes] for k in (1, 2, 3, 4, 5, 6, 8, 12, 16, 24, 32) if k == 1 or k <= half]
    counts = [_ones(bits)]
    counts += [np.sum([_ones(np.bitwise_and(*_shifted(bits, lag))) for lag in alike], axis=0) for alike in [*lags, face, space]]
    for join, lengths in ((np.bitwise_and, range(3, 9)), (np.bitwise_or, (3, 5, 8))):
        runs = dict.fromkeys(lengths, np.zeros(len(bits)))
        for axis in axes:
            run = bits
            for length in range(2, min(max(lengths), half + 1) + 1):
                run = join(*_shifted(run, axis))
                if length in runs:
                    runs[length] = runs[length] + _ones(run)
        counts += runs.values()
        cube = bits
        for edge in range(2, 6):
            if edge <= half:
                for axis in axes:
                    cube = join(*_shifted(cube, axis))
            counts.append(_ones(cube))
    return np.stack(counts, axis=1)


def _shifted(bits: NDArray[np.uint8], lag: NDArray[np.int64]) -> tuple[NDArray[np.uint8], NDArray[np.uint8]]:
    """The two overlapping parts of an array [groups, D, H, W] and of itself moved by a lag."""
    first = tuple(slice(max(0, -k), size - max(0, k)) for k, size in zip(lag, bits.shape[1:], strict=True))
    second = tuple(slice(max(0, k), size - max(0, -k)) for k, size in zip(lag, bits.shape[1:], strict=True))
    return bits[:, *first], bits[:, *second]


def _ones(bits: NDArray[np.uint8]) -> Floats:
    """Number of set bits of each group, float64."""
    size = bits[0].size
    words = np.zeros((len(bits), -(-size // 8) * 8), dtype=np.uint8)
    words[:, :size] = bits.reshape(len(bits), size)
    return np.bitwise_count(words.view(np.uint64)).sum(axis=1, dtype=np.int64).astype(np.float64)
