"""Thresholded Gaussian random fields with the two-point probability of the training volumes."""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import Any, ClassVar

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.fft import next_fast_len
from scipy.special import ndtri

from .base import Generator, Shape
from .binarise import keep_highest

Floats = NDArray[np.float64]
Key = tuple[str, Shape, int]

_logger = logging.getLogger(__name__)
_BINS = 14  # classes of density, at most
_MEMBERS = 16  # volumes in a class, at least, where there are as many
_REACH = 16  # longest lag that is estimated, in voxels
_QUIET = 0.05  # correlations that stay below this are taken for noise,
_GAP = 2  # with no more than so many voxels from one that does not to the next,
_SIGNIFICANT, _FEW = 6, 20  # and so are those that stay below so many standard deviations or so few pairs
_INNER = 0.9  # a layer is an inner one if it has this share of the porosity inside
_CHUNK = {"cpu": 2**20, "cuda": 2**25}  # complex numbers in memory at a time, one volume excepted
_FAINT = 0.05  # waves with less than this share of the mean variance are left out: all of them have less than 1 %
_STEPS = 8  # at which spectra are interpolated between two knots
_ROOM = 2**28  # bytes of spectra that are kept for the next call


class GaussianField(Generator):
    """Voxels where a Gaussian random field is highest, with the two-point probability of the training volumes.

    The two-point probability S2 of a thresholded field is a bivariate normal probability that grows with the
    correlation ρ of the field, so S2 of training volumes of similar density is inverted for ρ, lag by lag. Fields are
    filtered white noise, synthesised by an inverse Fourier transform on a grid that is wider than the volume by the
    range of ρ, so that a volume is not periodic; its n(d) highest voxels are pore. Densities in between get the
    interpolated spectrum. No field has a negative spectrum; where the inverted one is negative, the nearest possible
    one is taken, and ``clipped_`` says which share of the inverted one was negative.

    Where training volumes have fewer pores near the boundary, ρ is estimated inside, and the field gets a mean
    that depends on the distance to the boundary, so that each layer has its porosity.

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
    """

    name = "gaussian-field"
    devices = ("cpu", "cuda")
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
        self._kept: dict[Key, tuple[torch.Tensor, ...]] = {}

    # --- learning --------------------------------------------------------------------------------------------

    def _fit(self, volumes: NDArray[np.bool_], density: Floats, rng: np.random.Generator) -> None:  # noqa: ARG002
        porosity = volumes.mean(axis=(1, 2, 3))
        useful = np.flatnonzero((porosity > 0) & (porosity < 1))
        useful = useful[np.argsort(density[useful], kind="stable")]
        bins = np.array_split(useful, np.clip(len(useful) // _MEMBERS, 1, _BINS))
        layer = _layers(self.shape_)
        profiles = [_profile(volumes[members], layer) for members in bins]
        self.layers_ = np.array([ndtri(profile) for profile, _ in profiles]) if self.walls else np.zeros((len(bins), 0))
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
        powers = [np.fft.fftn(_wrapped(correlation, grid)).real for correlation in self.correlation_]
        self.clipped_ = np.array([-np.minimum(power, 0).sum() / np.abs(power).sum() for power in powers])
        self.floor_ = np.array([_simplex_level(power) for power in powers])
        _logger.info("negative part of the inverted spectra, left out: up to %.1f %%", 100 * self.clipped_.max())

    def _set_state(self, arrays: dict[str, NDArray[Any]], values: dict[str, Any]) -> None:
        super()._set_state(arrays, values)
        if not np.all((self.support_ >= 0) & (self.support_ <= self.correlation_.shape[1] // 2)):
            raise ValueError("its correlations are shorter than it states")  # fields would be drawn on too wide a grid

    # --- drawing ---------------------------------------------------------------------------------------------

    def _sample(self, density: Floats, shape: Shape, rng: np.random.Generator) -> torch.Tensor:
        counts = self.law_.pore_voxels(density, int(np.prod(shape)))
        seeds = rng.integers(2**62, size=len(density)).tolist()
        place = np.interp(_log(density), self.knots_, np.arange(len(self.knots_)))
        steps = np.rint(place * _STEPS).astype(np.int64).tolist()
        depth, height, width = (next_fast_len(size + int(self.support_.max()), real=True) for size in shape)
        half = (width // 2 + 1, depth, height)  # the halved axis comes first because transforms are fastest so
        source = torch.Generator(self.device)
        drawn = torch.empty((len(density), *shape), dtype=torch.bool, device=self.device)
        chunk = max(1, _CHUNK[torch.device(self.device).type] // int(np.prod(half)))
        for rows in (slice(start, min(start + chunk, len(density))) for start in range(0, len(density), chunk)):
            waves = torch.zeros((rows.stop - rows.start, *half), dtype=torch.complex64, device=self.device)
            for wave, seed, step in zip(waves.flatten(1), seeds[rows], steps[rows], strict=True):
                places, deviation = self._waves((depth, height, width), step)
                white = torch.randn((len(places), 2), generator=source.manual_seed(seed), device=self.device)
                wave.index_copy_(0, places, torch.view_as_complex(white.mul_(deviation)))
            columns = torch.fft.ifftn(waves, dim=(2, 3), norm="ortho")[:, :, : shape[0], : shape[1]]
            field = torch.fft.irfft(columns.movedim(1, 3), n=width, norm="ortho")[..., : shape[2]].contiguous()
            if self.layers_.shape[1]:
                for values, step in zip(field, steps[rows], strict=True):
                    values.add_(self._means(shape, step))
            drawn[rows] = keep_highest(field, counts[rows])
        return drawn

    def _waves(self, grid: Shape, step: int) -> tuple[torch.Tensor, torch.Tensor]:
        """Which waves of the half grid there are at a step between two knots, [k], and their deviations, [k, 1]."""

        def make() -> tuple[torch.Tensor, ...]:
            knot, between = divmod(step, _STEPS)
            power = torch.lerp(self._power(grid, knot), self._power(grid, knot + 1), between / _STEPS).flatten()
            places = power.nonzero()[:, 0]
            return places, power[places, None].sqrt()

        places, deviation = self._keep(("waves", grid, step), make)
        return places, deviation

    def _power(self, grid: Shape, knot: int) -> torch.Tensor:
        """Variance of the parts of each wave at a knot, or at the last one, [width // 2 + 1, depth, height]."""
        knot = min(knot, len(self.floor_) - 1)
        lags = torch.as_tensor(_wrapped(self.correlation_[knot], grid), dtype=torch.float32, device=self.device)
        power = torch.fft.rfftn(lags).real - self.floor_[knot]
        half: torch.Tensor = torch.where(power < _FAINT, 0, power).movedim(2, 0).contiguous()
        single = [0, -1] if grid[2] % 2 == 0 else [0]  # planes that hold both a wave and its mirror image
        half /= (2 * half.sum(dtype=torch.float64) - half[single].sum(dtype=torch.float64)) / lags.numel() * 2
        half[single] *= 2
        return half

    def _means(self, shape: Shape, step: int) -> torch.Tensor:
        """Mean of the field at each voxel, at a step between two knots."""

        def make() -> tuple[torch.Tensor, ...]:
            knot, between = divmod(step, _STEPS)
            after = min(knot + 1, len(self.layers_) - 1)
            means = self.layers_[knot] + between / _STEPS * (self.layers_[after] - self.layers_[knot])
            layer = np.minimum(_layers(shape), len(means) - 1)
            return (torch.as_tensor(means[layer], dtype=torch.float32, device=self.device),)

        return self._keep(("means", shape, step), make)[0]

    def _keep(self, key: Key, make: Callable[[], tuple[torch.Tensor, ...]]) -> tuple[torch.Tensor, ...]:
        """Tensors made once and kept as long as there is room, the last ones in any case."""
        if key not in self._kept:
            made = make()
            if sum(tensor.nbytes for tensors in (made, *self._kept.values()) for tensor in tensors) > _ROOM:
                self._kept = {}
            self._kept[key] = made
        return self._kept[key]

    def _move(self) -> None:
        self._kept = {}

    def __getstate__(self) -> dict[str, Any]:
        return {**vars(self), "_kept": {}}


def _wrapped(correlation: NDArray[np.float32], grid: Shape) -> Floats:
    """Correlation at lags from -reach to reach, put on a periodic grid with lag 0 first."""
    lags = np.zeros(grid)
    reach = len(correlation) // 2
    np.add.at(lags, np.ix_(*(np.arange(-reach, reach + 1) % size for size in grid)), correlation)
    return lags


def _simplex_level(power: Floats) -> float:
    """The t for which max(power - t, 0) has mean 1.

    That is the projection on a simplex: of all spectra without negative values and of mean 1, it is the one whose
    correlation is nearest in squares to that of the given one.
    """
    falling = np.sort(power, axis=None)[::-1]
    excess = (np.cumsum(falling) - power.size) / np.arange(1, power.size + 1)
    return float(excess[np.flatnonzero(falling > excess)[-1]])


def _log(density: Floats) -> Floats:
    logarithm: Floats = np.log(np.maximum(density, 1e-9))
    return logarithm


def _layers(shape: Shape) -> NDArray[np.int64]:
    """Distance of each voxel to the nearest boundary voxel along an axis, int64 of that shape."""
    sides = [np.minimum(np.arange(size), np.arange(size)[::-1]) for size in shape]
    layers: NDArray[np.int64] = np.minimum.reduce(np.meshgrid(*sides, indexing="ij"))
    return layers


def _profile(volumes: NDArray[np.bool_], layer: NDArray[np.int64]) -> tuple[Floats, int]:
    """Porosity of each layer, constant inside, and the first inner layer; the porosity is never quite 0 or 1."""
    size = np.bincount(layer.ravel()) * float(max(len(volumes), 1))
    pores = np.bincount(layer.ravel(), weights=volumes.sum(axis=0).ravel()) if len(volumes) else size / 2
    deep = np.arange(len(size)) >= len(size) // 2
    inner = int(np.argmax(pores / size >= _INNER * pores[deep].sum() / size[deep].sum()))
    inner = min(inner, max(0, (min(layer.shape) - 4) // 2))
    pores[inner:], size[inner:] = pores[inner:].sum(), size[inner:].sum()
    return np.asarray(np.clip(pores, 0.5, size - 0.5) / size), inner


def _inside(volumes: NDArray[np.bool_], margin: int) -> NDArray[np.bool_]:
    """Volumes without the layers next to the boundary."""
    depth, height, width = (slice(margin, size - margin) for size in volumes.shape[1:])
    return volumes[:, depth, height, width]


def _correlation(volumes: NDArray[np.bool_], isotropic: bool) -> Floats:
    """Correlation of the field whose thresholding gives the S2 of volumes, at all lags up to its range on each axis."""
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
    """Probability that two voxels are both pore at each lag from -reach to reach, pooled over volumes."""
    grid = [next_fast_len(size + reach, real=True) for size in volumes.shape[1:]]
    power = torch.zeros((grid[0], grid[1], grid[2] // 2 + 1), dtype=torch.float64)
    step = max(1, _CHUNK["cpu"] // power.numel())
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
    """Correlation of a Gaussian field from the autocovariance, 1 at lag 0, of its voxels above a threshold.

    P(both above t) - P(above t)² = 1/2π ∫ exp(-t²/(1 + sin θ)) dθ from 0 to arcsin ρ.
    """
    theta = np.linspace(-np.pi / 2, np.pi / 2, 4001)[1:]
    threshold = float(ndtri(porosity))
    rate = np.exp(-(threshold**2) / (1 + np.sin(theta)))
    total = np.concatenate([[0], np.cumsum((rate[1:] + rate[:-1]) / 2)])
    total -= np.interp(0, theta, total)
    rho: Floats = np.interp(autocovariance, total / total[-1], np.sin(theta))
    return rho
