"""The method of simulated moments, by which the parameters of a sphere packing are found.

Gauss-Newton steps change the parameters until simulated volumes have as many pore voxels, pairs, runs and cubes of pore
or solid voxels as the training volumes, in classes of density. All trials use the same random numbers, so that they
differ by their parameters only. Statistics are weighted by their simulated covariance.

References:
    D. McFadden (1989). A method of simulated moments for estimation of discrete response models without numerical
    integration. Econometrica 57, 995-1026. doi:10.2307/1913621
"""

from __future__ import annotations

from itertools import combinations, product
from typing import Protocol

import numpy as np
from numpy.polynomial import legendre
from numpy.typing import NDArray

from .base import Floats, Shape, Streams
from .porosity_law import PorosityLaw

NODES = np.linspace(0, 1, 33)  # probabilities at which the quantile function of the radius is kept
START = np.array([0.3, 0.0, 0.0])  # Legendre coefficients of the quantile function above the constant, before fitting
_TOLERANCE = np.array([0.5, 0.15, 0.1])  # expected differences of these coefficients from START
_DEGREES = (3, 2)  # of the polynomials for total volume and radius
_BENDING = np.array([100.0, 100.0, 0.2, 0.1])  # expected sizes of the polynomials' coefficients
_STEPS = np.array([0.05, 0.05, 0.04, 0.04, 0.04])  # for derivatives: ln volume, ln radius, quantile coefficients
_LIMITS = np.array([0.5, 0.3, 0.2, 0.2, 0.2])  # longest step of an iteration: ln volume, ln radius, coefficients
_FEWEST, _MOST = 2, 32  # times that each training volume is simulated
_SIMULATED = 4 * 448  # volumes simulated in all, if _FEWEST and _MOST allow
_VOXELS = 2**25  # in the training volumes that are used, at most
_SHRINKAGE = 0.2  # of the correlation between statistics, towards none
_SMOOTH = 3  # degree in ln d of relative derivatives
_GROUP = 8  # volumes counted together: one bit each
_BINS = 14  # classes of density, at most


class Packing(Protocol):
    """The part of ``SpherePacking`` that is fitted: learnt curves, to be changed, and volumes simulated with them."""

    overlap: bool
    match_count: bool | None
    law_: PorosityLaw
    shape_: Shape
    range_: Floats
    volume_: Floats
    radius_: Floats
    quantiles_: Floats
    matches_count_: bool

    def curves(self, density: Floats) -> tuple[Floats, Floats]:
        """Return the logarithms of total volume and cubic mean radius of the balls at each density."""

    def room(self, radius: Floats, shape: Shape) -> Floats:
        """Return the room for centres in a shape, relative to that in the training shape."""

    def stamp(self, number: Floats, radius: Floats, shape: Shape, streams: Streams, out: NDArray[np.bool_]) -> None:
        """Write one volume for each stream."""


def ball_number(volume: Floats, radius: Floats) -> Floats:
    """Return the number of balls from the logarithms of their total volume and of their cubic mean radius."""
    number: Floats = np.exp(volume - 3 * radius) * 3 / (4 * np.pi)
    return number


def quantiles(coefficients: Floats) -> Floats:
    """Return the quantile function, of mean cube 1, at the nodes from its Legendre coefficients above the constant."""
    q = np.sort(np.maximum(legendre.legval(2 * NODES - 1, np.append(1, coefficients)), 0.02))
    a, b = q[:-1], q[1:]
    scaled: Floats = q / np.cbrt(np.mean((a + b) * (a * a + b * b)) / 4)
    return scaled


def standard(x: Floats, low: float, high: float) -> Floats:
    """Map values between low and high to [-1, 1]."""
    return np.zeros_like(x) if high <= low else 2 * (x - low) / (high - low) - 1


def match_moments(model: Packing, volumes: NDArray[np.bool_], density: Floats, rng: np.random.Generator) -> None:
    """Set the learnt curves of a model so that its volumes have the statistics of given ones."""
    most = max(1, _VOXELS // volumes[0].size)
    chosen = np.argsort(density, kind="stable")
    if len(chosen) > most:
        chosen = chosen[np.linspace(0, len(chosen) - 1, most).astype(np.int64)]
    trials = _Trials(model, volumes[chosen], density[chosen], rng)
    trials.use(trials.refined(trials.rough(trials.start())))
    if model.match_count is None:
        model.matches_count_ = trials.scatter() < 0.25


class _Trials:
    """Simulated counterparts of sorted training volumes, with parameters to be tried.

    The parameter vector holds the Legendre coefficients for total volume, those for radius and those of the quantile
    function. Counts are arrays [group, statistic]; a group is up to eight volumes of similar density.
    """

    def __init__(self, model: Packing, volumes: NDArray[np.bool_], density: Floats, rng: np.random.Generator) -> None:
        self.model, self.density, self.shape = model, density, model.shape_
        n, size = len(volumes), volumes[0].size
        self.law_error = np.count_nonzero(volumes, axis=(1, 2, 3)) - size * model.law_.porosity(density)
        self.observed = _counts(volumes)
        repeats = np.clip(_SIMULATED // n, _FEWEST, _MOST if model.overlap else _MOST // 4)
        self.keys = rng.integers(2**62, size=(repeats // 2 * 2, n))

        groups = len(self.observed)
        x = np.log(np.maximum(density, 1e-9))
        self.starts = np.arange(0, n, _GROUP)
        self.members = np.diff(np.append(self.starts, n))
        mean = np.add.reduceat(x, self.starts) / self.members
        pores = self.observed[:, 0]
        model.range_ = np.array([mean[np.argmax(pores >= min(10, pores.max()))], x[-1]])
        self.z = standard(np.clip(mean, *model.range_), *model.range_)
        self.bins = np.array_split(np.arange(groups), min(_BINS, groups))
        flat = np.ptp(model.range_) < 0.01
        self.degrees = [0 if flat else min(degree, len(self.bins) - 1) for degree in _DEGREES]

    def start(self) -> Floats:
        """Return first parameters from porosity and faces, taken as those of a Boolean model of equal balls."""
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
        volume = load * np.prod(self.shape) * self.model.room(np.log(1.2 * radius), self.shape)
        line = _fit_line(self.z[known], np.log(volume[known]), self.degrees[0])
        return np.concatenate([line, _fit_line(self.z[clear], np.log(radius[clear]), self.degrees[1]), START])

    def rough(self, theta: Floats) -> Floats:
        """Return parameters after two steps that leave the quantile function as it is."""
        for _ in range(2):
            self.use(theta)
            counts = self.counts(repeats=2)
            self.linearise(counts, free=2)
            theta = theta + self.step(counts)[1]
        return theta

    def refined(self, theta: Floats) -> Floats:
        """Return the best parameters of six steps, the first two with derivatives of their own."""
        best, least = theta, np.inf
        for iteration in range(6):
            self.use(theta)
            counts = self.counts()
            if iteration < 2:
                self.linearise(counts, free=len(_STEPS))
                least = np.inf  # misfits are comparable only while the weights stay the same
            misfit, step = self.step(counts)
            if misfit < least:
                best, least, theta = theta, misfit, theta + step
            else:
                theta = (theta + best) / 2
        return best

    def use(self, theta: Floats) -> None:
        """Set the parameters of the model."""
        a, b = np.cumsum([degree + 1 for degree in self.degrees])
        self.theta, self.form = theta, theta[b:]
        self.model.volume_, self.model.radius_ = theta[:a], theta[a:b]
        self.model.quantiles_ = quantiles(self.form)

    def volumes(self, keys: NDArray[np.int64], change: Floats) -> NDArray[np.bool_]:
        """Simulate a volume at each density, with ln volume, ln radius and coefficients of the quantiles changed."""
        model, out = self.model, np.empty((len(keys), *self.shape), dtype=np.bool_)
        model.quantiles_ = quantiles(self.form + change[2:])
        volume, radius = model.curves(self.density)
        number = ball_number(volume + change[0], radius + change[1])
        streams = [np.random.default_rng(key) for key in keys.tolist()]  # the same in all trials
        model.stamp(number, radius + change[1], self.shape, streams, out)
        model.quantiles_ = quantiles(self.form)
        return out

    def counts(self, change: Floats | None = None, repeats: int | None = None) -> Floats:
        """Return the counts of simulated volumes, [repeat, group, statistic]."""
        change = np.zeros_like(_STEPS) if change is None else change
        return np.stack([_counts(self.volumes(keys, change)) for keys in self.keys[:repeats]])

    def linearise(self, counts: Floats, free: int) -> None:
        """Set the derivatives of each bin's counts by the parameters, and the weights of the statistics."""
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
        """Smooth slopes [group, statistic], which relative to the mean are smooth functions of density."""
        basis = legendre.legvander(self.z, min(_SMOOTH, len(self.bins) - 1))
        smooth = np.zeros_like(slope)
        for k in range(slope.shape[1]):
            weight = np.sqrt(mean[:, k])
            relative = slope[:, k] / np.maximum(weight, 1e-9)
            smooth[:, k] = mean[:, k] * (basis @ np.linalg.lstsq(weight[:, None] * basis, relative)[0])
        return smooth

    def step(self, counts: Floats) -> tuple[float, Floats]:
        """Return the misfit, about 1 for a perfect model, and the next change of the parameters."""
        residual = self._pooled((self.observed - counts.mean(axis=0))[:, :, None])[:, 0]
        expected = np.concatenate([*(np.zeros(degree + 1) for degree in self.degrees), START])
        tolerance = np.concatenate([*(_BENDING[: degree + 1] for degree in self.degrees), _TOLERANCE])
        system = np.vstack([self.jacobian, np.diag(1 / tolerance)])
        target = np.append(residual, (expected - self.theta) / tolerance)
        change = np.linalg.lstsq(system, target)[0]
        a, b = np.cumsum([degree + 1 for degree in self.degrees])
        curves = [legendre.legval(self.z, change[:a]), legendre.legval(self.z, change[a:b]), *change[b:]]
        longest = max(float(np.max(np.abs(c))) / limit for c, limit in zip(curves, _LIMITS, strict=True))
        return float(np.mean(residual**2)), change / max(1.0, longest)

    def scatter(self) -> float:
        """Return the variance of pore voxels at a density, relative to simulated volumes; inf for a single volume."""
        if len(self.density) < 2:
            return np.inf
        counts = [np.count_nonzero(self.volumes(k, np.zeros_like(_STEPS)), axis=(1, 2, 3)) for k in self.keys]
        simulated = np.mean(np.var(counts, axis=0, ddof=1))
        return float(np.mean(np.diff(self.law_error) ** 2) / 2 / max(simulated, 1e-9))

    def _pooled(self, counts: Floats) -> Floats:
        """Return weighted sums over the groups of each bin: [bins · statistics, columns]."""
        sums = (weights @ counts[groups].sum(axis=0) for weights, groups in zip(self.whiten, self.bins, strict=True))
        return np.concatenate(list(sums))


def _fit_line(z: Floats, y: Floats, degree: int) -> Floats:
    """Return the Legendre coefficients of a straight line through points, padded with zeros to a degree."""
    line = legendre.legfit(z, y, min(degree, 1)) if np.ptp(z) > 0 else np.array([y.mean()])
    return np.pad(line, (0, degree + 1 - len(line)))


def _counts(volumes: NDArray[np.bool_]) -> Floats:
    """Return statistics of volumes [n, D, H, W] summed over groups of eight: float64 [groups, statistics].

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
    along = [[k * axis for axis in axes] for k in (1, 2, 3, 4, 5, 6, 8, 12, 16, 24, 32) if k == 1 or k <= half]
    pairs = [[_ones(np.bitwise_and(*_shifted(bits, lag))) for lag in lags] for lags in [*along, face, space]]
    counts = [_ones(bits), *(np.sum(alike, axis=0) for alike in pairs)]
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
    """Return the overlapping parts of an array [groups, D, H, W] and of itself moved by a lag."""
    sizes = list(zip(lag, bits.shape[1:], strict=True))
    first, second = ([slice(max(0, -k * s), size - max(0, k * s)) for k, size in sizes] for s in (1, -1))
    return bits[:, *first], bits[:, *second]


def _ones(bits: NDArray[np.uint8]) -> Floats:
    """Count the set bits of each group, float64 [groups]."""
    size = bits[0].size
    words = np.zeros((len(bits), -(-size // 8) * 8), dtype=np.uint8)
    words[:, :size] = bits.reshape(len(bits), size)
    return np.asarray(np.bitwise_count(words.view(np.uint64)).sum(axis=1), dtype=np.float64)
