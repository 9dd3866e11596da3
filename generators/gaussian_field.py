"""Thresholded Gaussian random fields with the two-point probability of the training volumes."""

from __future__ import annotations

import logging
import math
from collections.abc import Callable, Sequence
from itertools import groupby
from typing import Any, ClassVar

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.fft import next_fast_len
from scipy.special import ndtri

from .base import Floats, Generator, Shape, Streams
from .binarise import keep_highest
from .hartley import basis, mix, product, spectrum, transform, unsorted
from .machine import AMPLITUDES, LONG_GRID
from .stored import check_sizes
from .walls import profile, sides

Key = tuple[str, Shape, int]

_logger = logging.getLogger(__name__)
_BINS = 14  # classes of density, at most
_MEMBERS = 16  # volumes in a class, at least, where there are as many
_REACH = 16  # longest lag that is estimated, in voxels
_QUIET = 0.05  # correlation below which a lag is taken for noise
_GAP = 2  # voxels between two lags that are not noise, at most; what lies beyond a wider gap is noise too
_SIGNIFICANT, _FEW = 6, 20  # standard deviations and pairs of pore voxels below which a lag is taken for noise
_SLAB = 2**20  # means of voxels in memory at a time
_SHORT = 0.01  # share of the variance that the shortest waves, which are left out, have at most
_STEPS = 8  # spectra between two knots
_BYTE_SCALE = math.sqrt((2**16 - 1) / 12)  # standard deviation of the numbers -127.5, -126.5, ..., 127.5
_ROOM = 2**27  # bytes of spectra and means that are kept for the next call


class GaussianField(Generator):
    """Voxels where a Gaussian random field is highest, with the two-point probability of the training volumes.

    The two-point probability S2 of a thresholded field is a bivariate normal probability that grows with the
    correlation ρ of the field, so S2 of training volumes of similar density is inverted for ρ, lag by lag. Fields are
    filtered white noise, sums of the waves of a grid that is wider than the volume by the range of ρ, so that a volume
    is not periodic; its n(d) highest voxels are pore. Sums of many waves are normal whatever their amplitudes, which
    are random bytes. Densities in between get the interpolated spectrum. Where the inverted spectrum is negative, as
    none of a field is, the nearest possible one is taken; ``clipped_`` is the share that was negative.

    Where training volumes have fewer pores near the boundary, ρ is estimated inside, and the field gets a mean that
    depends on the distance to the boundary, so that each layer has its porosity.

    Args:
        isotropic: True averages S2 over directions; False keeps it as measured.
        walls: True learns the porosity of the layers next to the boundary; False makes a stationary medium.

    References:
        J. A. Quiblier (1984). A new three-dimensional modeling technique for studying porous media. J. Colloid
        Interface Sci. 98, 84-102. doi:10.1016/0021-9797(84)90481-8
        M. Teubner (1991). Level surfaces of Gaussian random fields and microemulsions. Europhys. Lett. 14, 403-408.
        doi:10.1209/0295-5075/14/5/003
        A. P. Roberts, M. Teubner (1995). Transport properties of heterogeneous materials derived from Gaussian random
        fields: Bounds and simulation. Phys. Rev. E 51, 4141-4154. doi:10.1103/PhysRevE.51.4141
        M. Shinozuka, G. Deodatis (1996). Simulation of multi-dimensional Gaussian stochastic fields by spectral
        representation. Appl. Mech. Rev. 49, 29-53. doi:10.1115/1.3101883
    """

    name = "gaussian-field"
    devices = ("cpu", "cuda")
    trained_on: ClassVar[tuple[str, ...]] = ("two_point_correlation",)
    axes: ClassVar[dict[str, str]] = {
        "knots_": "n",
        "correlation_": "n lags lags lags",
        "support_": "n",
        "layers_": "n layers?",
        "clipped_": "n",
        "floor_": "n",
    }

    knots_: Floats
    correlation_: NDArray[np.float32]
    support_: NDArray[np.int64]
    layers_: Floats
    clipped_: Floats
    floor_: Floats

    def __init__(self, *, isotropic: bool = True, walls: bool = True) -> None:
        self.isotropic = isotropic
        self.walls = walls
        self._kept: dict[Key, torch.Tensor] = {}

    def _fit(self, volumes: NDArray[np.bool_], density: Floats, rng: np.random.Generator) -> None:  # noqa: ARG002
        porosity = volumes.mean(axis=(1, 2, 3))
        useful = np.flatnonzero((porosity > 0) & (porosity < 1))
        useful = useful[np.argsort(density[useful], kind="stable")]
        bins = np.array_split(useful, np.clip(len(useful) // _MEMBERS, 1, _BINS))
        profiles = [profile(volumes[members]) for members in bins]
        layers = [ndtri(porosities) for porosities, _ in profiles]
        self.layers_ = np.array(layers) if self.walls else np.zeros((len(bins), 0))
        fits = [
            _correlation(_inside(volumes[members], inner if self.walls else 0), self.isotropic)
            for members, (_, inner) in zip(bins, profiles, strict=True)
        ]
        reach = max(len(rho) // 2 for rho in fits)
        self.support_ = np.array([len(rho) // 2 for rho in fits])
        self.correlation_ = np.stack([np.pad(rho, reach - len(rho) // 2) for rho in fits]).astype(np.float32)
        self.knots_ = np.array([_log(density[members]).mean() if len(members) else 0.0 for members in bins])
        self._kept = {}
        grid = (next_fast_len(4 * reach + 1),) * 3
        powers = [spectrum(correlation, grid, self.isotropic).numpy() for correlation in self.correlation_]
        self.clipped_ = np.array([-np.minimum(power, 0).sum() / np.abs(power).sum() for power in powers])
        self.floor_ = np.array([_simplex_level(power) for power in powers])
        _logger.info("negative part of the inverted spectra, left out: up to %.1f %%", 100 * self.clipped_.max())

    def _set_state(self, arrays: dict[str, NDArray[Any]], values: dict[str, Any]) -> None:
        super()._set_state(arrays, values)
        if not np.all((self.support_ >= 0) & (self.support_ <= self.correlation_.shape[1] // 2)):
            raise ValueError("its correlations are shorter than it states")  # fields would be drawn on too wide a grid

    def _sample(self, density: Floats, shape: Shape, rng: np.random.Generator) -> torch.Tensor:
        counts = self.law_.pore_voxels(density, int(np.prod(shape)))
        place = np.interp(_log(density), self.knots_, np.arange(len(self.knots_)))
        nearest = np.rint(place * _STEPS).astype(np.int64).tolist()
        grid = _grid(shape, int(self.support_.max()))
        bases = []
        if not _is_long(grid):
            bases = [basis(period, np.arange(n), period).to(self.device) for period, n in zip(grid, shape, strict=True)]
        drawn = torch.empty((len(density), *shape), dtype=torch.bool, device=self.device)
        streams = rng.spawn(len(density))

        parts = self._alike(grid, nearest)
        done = 0
        for rows in parts:
            near = [nearest[row] for row in rows]
            some = [streams[row] for row in rows]
            if bases:
                field = product(self._amplitudes(some, grid, near), bases)
            else:
                field = transform(self._amplitudes(some, grid, near), shape)
            if self.layers_.shape[1]:
                self._add_means(field, near)
            keep_highest(field, counts[rows], out=drawn[done : done + len(rows)])
            done += len(rows)
        order = np.concatenate(parts)
        return drawn if np.all(np.diff(order) == 1) else drawn[torch.as_tensor(np.argsort(order), device=self.device)]

    def _amplitudes(self, streams: Streams, grid: Shape, nearest: list[int]) -> torch.Tensor:
        """Return random amplitudes of waves, [n, *waves], of volumes that all have as many, by their streams."""
        deviations = [self._deviation(grid, step) for step in nearest]
        noise = np.empty((len(streams), *deviations[0].shape), dtype=np.int8)
        for row, stream in zip(noise, streams, strict=True):
            words = stream.bit_generator.random_raw(-(-row.size // 8))  # in a quarter of the time of stream.bytes
            row[:] = words.view(np.int8)[: row.size].reshape(row.shape)
        white = torch.add(torch.from_numpy(noise).to(self.device), 0.5).mul_(_stack(deviations))
        return white if self.isotropic or _is_long(grid) else mix(white)

    def _alike(self, grid: Shape, nearest: list[int]) -> list[list[int]]:
        """Return groups of rows that are drawn together: with as many waves, and as many rows as there is room for."""
        room = AMPLITUDES[torch.device(self.device).type] // math.prod(grid)
        if room < 2:
            return [[row] for row in range(len(nearest))]
        waves = [self._deviation(grid, step).shape for step in nearest]
        groups = groupby(sorted(range(len(nearest)), key=waves.__getitem__), key=waves.__getitem__)
        alike = [list(rows) for _, rows in groups]
        return [rows[start : start + room] for rows in alike for start in range(0, len(rows), room)]

    def _deviation(self, grid: Shape, step: int) -> torch.Tensor:
        """Return standard deviations of waves at a step between two knots, of short grids without the shortest ones.

        They are scaled for noise whose standard deviation is _BYTE_SCALE and for bases that are not normalised.
        """

        def make() -> torch.Tensor:
            knot, between = divmod(step, _STEPS)
            power = self._power(grid, knot)
            if between:
                power.lerp_(self._power(grid, knot + 1), between / _STEPS)
            if _is_long(grid):
                return unsorted(power).sqrt_().div_(math.prod(grid) ** 0.5 * _BYTE_SCALE).to(self.device)
            depth, height, width = (_few(power.sum(dim=others)) for others in ((1, 2), (0, 2), (0, 1)))
            power = power[:depth, :height, :width]
            return power.div(power.sum()).sqrt_().div_(_BYTE_SCALE).to(self.device)

        return self._keep(("waves", grid, step), make)

    def _power(self, grid: Shape, knot: int) -> torch.Tensor:
        """Return the variance, 1 on average, of each wave of a periodic grid at a knot, at most the last one."""
        knot = min(knot, len(self.floor_) - 1)
        power = spectrum(self.correlation_[knot], grid, self.isotropic).sub_(float(self.floor_[knot])).clamp_(min=0)
        return power.div_(power.mean())

    def _add_means(self, field: torch.Tensor, steps: list[int]) -> None:
        """Add to fields [n, D, H, W] the mean at each voxel, a slab at a time, for a step between two knots each."""
        shape = check_sizes(field.shape[1:])
        planes = _stack([self._means(shape[1:], step) for step in steps])
        layer = np.minimum(sides(shape)[0], planes.shape[1] - 1)
        at = torch.as_tensor(layer, device=field.device)
        thickness = max(1, _SLAB // planes[:, 0].numel())
        for start in range(0, len(at), thickness):
            slab = slice(start, start + thickness)
            field[:, slab] += planes[:, at[slab]]

    def _means(self, plane: tuple[int, int], step: int) -> torch.Tensor:
        """Return the mean of the field in a plane of each layer along the first axis, [layers, H, W]."""

        def make() -> torch.Tensor:
            knot, between = divmod(step, _STEPS)
            after = min(knot + 1, len(self.layers_) - 1)
            means = self.layers_[knot] + between / _STEPS * (self.layers_[after] - self.layers_[knot])
            _, height, width = sides((1, *plane))
            layer = np.minimum.outer(np.arange(len(means)), np.minimum.outer(height, width))
            return torch.as_tensor(means.astype(np.float32)[layer], device=self.device)

        return self._keep(("means", (1, *plane), step), make)

    def _keep(self, key: Key, make: Callable[[], torch.Tensor]) -> torch.Tensor:
        """Return a tensor that is made once and kept if there is room."""
        if key in self._kept:
            return self._kept[key]
        made = make()
        if sum(tensor.nbytes for tensor in (made, *self._kept.values())) > _ROOM:
            self._kept = {}
        if made.nbytes <= _ROOM:
            self._kept[key] = made
        return made

    def _move(self) -> None:
        self._kept = {}

    def __getstate__(self) -> dict[str, Any]:
        return {**vars(self), "_kept": {}}


def _stack(tensors: Sequence[torch.Tensor]) -> torch.Tensor:
    """Stack tensors, [n, ...], or [1, ...] where all are the same one."""
    first = tensors[0]
    return first[None] if all(tensor is first for tensor in tensors) else torch.stack(list(tensors))


def _grid(shape: Shape, reach: int) -> Shape:
    """Return a periodic grid that is wider than a volume by the range of the correlation."""
    grid = check_sizes(size + reach for size in shape)
    return check_sizes(map(next_fast_len, grid)) if _is_long(grid) else grid


def _is_long(grid: Shape) -> bool:
    """Return True if fields of a grid are made by ``transform``, which also decides the order of the waves."""
    return sum(grid) >= LONG_GRID


def _few(power: torch.Tensor) -> int:
    """Return how many waves of an axis, sorted from long to short, have all but a third of _SHORT of the variance."""
    beyond = power.double().flip(0).cumsum(0)
    number = int((beyond > _SHORT / 3 * beyond[-1]).sum())
    return min(2 * (number // 2) + 1, len(power))  # with the opposite of each


def _simplex_level(power: Floats) -> float:
    """Return the t for which max(power - t, 0) has mean 1.

    That is the projection on a simplex: of all spectra without negative values and of mean 1, max(power - t, 0) has the
    correlation that is nearest in squares to that of the given spectrum.
    """
    falling = np.sort(power, axis=None)[::-1]
    excess = (np.cumsum(falling) - power.size) / np.arange(1, power.size + 1)
    return float(excess[np.flatnonzero(falling > excess)[-1]])


def _log(density: Floats) -> Floats:
    logarithm: Floats = np.log(np.maximum(density, 1e-9))
    return logarithm


def _inside(volumes: NDArray[np.bool_], margin: int) -> NDArray[np.bool_]:
    """Return volumes without the layers next to the boundary."""
    depth, height, width = (slice(margin, size - margin) for size in volumes.shape[1:])
    return volumes[:, depth, height, width]


def _correlation(volumes: NDArray[np.bool_], isotropic: bool) -> Floats:
    """Return the correlation of the field whose thresholding gives the S2 of volumes, at all lags up to its range."""
    if len(volumes) == 0:
        return np.ones((1, 1, 1))
    shape = volumes.shape[1:]
    reach = min(_REACH, (min(shape) - 1) // 2)
    porosity = volumes.mean(axis=(1, 2, 3))
    alike = np.mean(porosity * (porosity * volumes[0].size - 1)) / max(volumes[0].size - 1, 1)
    covariance = _pairs(volumes, reach) - alike  # against pairs of different voxels, scattered
    lag = np.arange(-reach, reach + 1)
    square = np.add.outer(np.add.outer(lag**2, lag**2), lag**2)
    distance = np.sqrt(square)
    if isotropic:
        radial = np.bincount(square.ravel(), weights=covariance.ravel())
        covariance = (radial / np.maximum(np.bincount(square.ravel()), 1))[square]
    far = (distance > 0.7 * reach) & (distance <= reach)
    # Volumes differ from their own porosity only, which makes covariances at long lags a little too small.
    tail = min(float(covariance[far].mean()), 0.0) if far.any() else 0.0
    rho = _invert((covariance - tail) / (covariance[reach, reach, reach] - tail), float(porosity.mean()))
    pairs = np.bincount(square.ravel())[square] * volumes.size if isotropic else 2 * volumes.size
    excess = np.abs(covariance - tail) * pairs  # of the pairs of pore voxels over those of scattered voxels
    chance = porosity.mean() * np.sqrt(pairs)  # standard deviation of the latter, or so
    rho = np.where(excess >= np.maximum(_SIGNIFICANT * chance, _FEW), rho, 0)
    rho[reach, reach, reach] = 1
    loud = np.unique(distance[(np.abs(rho) >= _QUIET) & (distance <= reach)])
    loud = loud[: np.append(np.flatnonzero(np.diff(loud) > _GAP), len(loud) - 1)[0] + 1]
    start = min(loud[-1], 0.75 * reach)
    stop = min(1.25 * start + 1, reach + 1)
    taper = np.cos(np.pi / 2 * np.clip((distance - start) / max(stop - start, 1e-9), 0, 1)) ** 2
    rho = np.where(distance < stop, rho * taper, 0)
    kept = min(int(np.ceil(stop)) - 1, reach)
    inner = slice(reach - kept, reach + kept + 1)
    return rho[inner, inner, inner]


def _pairs(volumes: NDArray[np.bool_], reach: int) -> Floats:
    """Return the probability that two voxels are pore at each lag from -reach to reach, pooled over volumes."""
    grid = [next_fast_len(size + reach, real=True) for size in volumes.shape[1:]]
    power = torch.zeros((grid[0], grid[1], grid[2] // 2 + 1), dtype=torch.float64)
    step = max(1, 2**20 // power.numel())
    for start in range(0, len(volumes), step):
        part = torch.as_tensor(volumes[start : start + step], dtype=torch.float32)
        power += torch.fft.rfftn(part, s=grid, dim=(1, 2, 3)).abs().square().sum(dim=0, dtype=torch.float64)
    sums = torch.fft.irfftn(power, s=grid).numpy()
    lag = np.arange(-reach, reach + 1)
    sizes = [size - np.abs(lag) for size in volumes.shape[1:]]
    windows = np.multiply.outer(np.multiply.outer(sizes[0], sizes[1]), sizes[2])
    pairs: Floats = sums[np.ix_(lag, lag, lag)] / (windows * len(volumes))
    return pairs


def _invert(autocovariance: Floats, porosity: float) -> Floats:
    """Return the correlation of a Gaussian field from the autocovariance, 1 at lag 0, of its voxels above a threshold.

    P(both above t) - P(above t)² = 1/2π ∫ exp(-t²/(1 + sin θ)) dθ from 0 to arcsin ρ.
    """
    theta = np.linspace(-np.pi / 2, np.pi / 2, 4001)[1:]
    threshold = float(ndtri(porosity))
    rate = np.exp(-(threshold**2) / (1 + np.sin(theta)))
    total = np.concatenate([[0], np.cumsum((rate[1:] + rate[:-1]) / 2)])
    total -= np.interp(0, theta, total)
    rho: Floats = np.interp(autocovariance, total / total[-1], np.sin(theta))
    return rho
