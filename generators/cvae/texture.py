"""Energy score between prior samples and real volumes of the same density, through smooth local statistics.

A cross-entropy shows the decoder latents of real volumes only, and nothing keeps latents of the prior from becoming
blur and odd clusters. Here pairs of prior samples are compared with real volumes of their density in numbers that
describe texture: runs and lags along each axis and their mean, 2 × 2 × 2 configurations, the share of pore around pores
and around solid at several ranges, and how well cells are joined from face to face. The energy score is proper: it is
least where samples have the distribution of real volumes, spread included, so a generator gains nothing from drawing
the mean.

References:
    Gneiting & Raftery (2007), Strictly proper scoring rules, doi:10.1198/016214506000001437 (energy score, CRPS);
    Ulyanov, Lebedev, Vedaldi & Lempitsky (2016), Texture networks, arXiv:1603.03417 (matching statistics of a texture);
    Bouchacourt, Mudigonda & Nowozin (2016), DISCO nets, arXiv:1606.02556 (training a sampler by a scoring rule).
"""

from __future__ import annotations

from functools import lru_cache
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional as F  # noqa: N812

from ..lattice import CELL

TEMPERATURE = 0.3
"""Logits over which a relaxed voxel turns from solid to pore: low enough to be crisp, high enough to learn."""
RANGES = (0.8, 1.3, 2.0, 3.0, 4.5)
"""Standard deviations, in voxels, of the Gaussian neighbourhoods."""
CORES = ((0.8, 0.5), (1.3, 0.5), (1.3, 0.75), (2.0, 0.5), (2.0, 0.75), (3.0, 0.5))
"""Neighbourhood and share of pore in it from which a voxel counts as the core of a pore."""
LAGS = (3, 5, 7, 10)
"""Distances along the axes, in voxels, at which pairs of pore voxels are counted."""
LONGEST_RUN = 8
RELAXATIONS = 24
"""Steps in which the potential of the flow on a lattice of cells settles, with ``STEP`` and ``MOMENTUM``."""
STEP, MOMENTUM = 1.6, 0.65
LEAK = 1e-3
"""Conductance between a cell and nowhere, which keeps the potential finite in cells without a pore."""
BINS = 10
LARGEST = 30.0
"""Standard deviations beyond which a statistic is not pulled harder."""
BANDWIDTH = 0.06
"""Bandwidth, as a share of the range of density, with which means and spreads of real volumes are smoothed."""
SMALLEST_EIGENVALUE = 1e-3
WHITENED_WEIGHT = 0.3


def relax(logits: Tensor, counts: Tensor) -> Tensor:
    """Relax the choice of the most probable voxels: sigmoid((logit − threshold) / temperature), [B, D, H, W].

    The threshold makes each volume sum to its count, and moves with the logits when differentiated, so that a shift of
    all logits of a volume has no gradient. Counts are pore voxels of each volume, [B].
    """
    flat = logits.flatten(1).float()
    with torch.no_grad():
        ranked = flat.sort(dim=1, descending=True).values
        kept = counts.to(flat.device).long().clamp(1, flat.shape[1] - 1)[:, None]
        threshold = (ranked.gather(1, kept - 1) + ranked.gather(1, kept)) / 2
        for _ in range(6):  # damped Newton steps
            probability = torch.sigmoid((flat - threshold) / TEMPERATURE)
            slope = (probability * (1 - probability)).sum(dim=1, keepdim=True).clamp(min=1e-3)
            excess = probability.sum(dim=1, keepdim=True) - counts.to(flat.device)[:, None]
            threshold = threshold + (TEMPERATURE * excess / slope).clamp(-1, 1)
        probability = torch.sigmoid((flat - threshold) / TEMPERATURE)
        share = probability * (1 - probability)
        share = share / share.sum(dim=1, keepdim=True).clamp(min=1e-6)
    moving = (share * flat).sum(dim=1, keepdim=True)
    return torch.sigmoid((flat - threshold - (moving - moving.detach())) / TEMPERATURE).reshape(logits.shape)


class _SoftHistogram(torch.autograd.Function):
    """Histogram of values in [0, 1], linear between bins: weights and values [B, ...] -> [B, bins + 1]."""

    @staticmethod
    def forward(ctx: Any, weight: Tensor, value: Tensor, bins: int) -> Tensor:
        position = value.flatten(1).clamp(0, 1) * bins
        lower = position.long().clamp_(max=bins - 1)
        part = position - lower
        weights = weight.flatten(1)
        if weights.is_cuda:  # where many threads would add to the same few counts
            beyond = (position[:, None] - torch.arange(bins, device=position.device)[:, None]).clamp_(0, 1)
            above = torch.bmm(beyond, weights[:, :, None])[:, :, 0]
            counts = -F.pad(above, (1, 1)).diff(dim=1)
            counts[:, 0] += weights.sum(dim=1)
        else:
            counts = weights.new_zeros(len(weights), bins + 1)
            counts.scatter_add_(1, lower + 1, weights * part)
            counts.scatter_add_(1, lower, weights * (1 - part))
        ctx.save_for_backward(weights, lower, part)
        ctx.bins, ctx.size = bins, value.shape
        return counts

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor, Tensor, None]:
        weights, lower, part = ctx.saved_tensors
        slope = gradients[0].diff(dim=1).gather(1, lower)
        to_weight = torch.addcmul(gradients[0].gather(1, lower), part, slope)
        return to_weight.reshape(ctx.size), (weights * slope * ctx.bins).reshape(ctx.size), None


@lru_cache(maxsize=64)
def _kernel(size: int, sigma: float, device: torch.device) -> Tensor:
    reach = torch.arange(-(4 * int(sigma) + 4), 4 * int(sigma) + 5, device=device).float()
    total = torch.exp(-(reach**2) / (2 * sigma**2)).sum()
    at = torch.arange(size, device=device).float()
    return torch.exp(-((at[:, None] - at[None]) ** 2) / (2 * sigma**2)) / total


def blur(volume: Tensor, sigma: float) -> Tensor:
    """Return the Gaussian mean around each voxel, with solid beyond the walls: [B, D, H, W]."""
    depth, height, width = volume.shape[1:]
    kernels = [_kernel(size, sigma, volume.device) for size in (depth, height, width)]
    blurred = torch.matmul(kernels[1], volume @ kernels[2])
    return torch.matmul(kernels[0], blurred.flatten(2)).reshape(volume.shape)


def _total(values: Tensor) -> Tensor:
    return values.sum(dim=(1, 2, 3), dtype=torch.float32)


def _shifted(volume: Tensor, axis: int, lag: int) -> tuple[Tensor, Tensor]:
    length = volume.shape[axis] - lag
    return volume.narrow(axis, 0, length), volume.narrow(axis, lag, length)


def _runs(volume: Tensor, longest: int) -> Tensor:
    """Count runs of 2, ..., ``longest`` pore voxels along each axis: [B, 3, longest - 1]."""
    sums = []
    for axis in (1, 2, 3):
        product, along = volume, []
        for length in range(1, longest):
            product = product.narrow(axis, 0, product.shape[axis] - 1) * _shifted(volume, axis, length)[1]
            along.append(_total(product))
        sums.append(torch.stack(along, dim=1))
    return torch.stack(sums, dim=1)


def _at_lag(volume: Tensor, lag: int) -> Tensor:
    """Count pairs of pore voxels at a lag along each axis: [B, 3]."""
    return torch.stack([_total(torch.mul(*_shifted(volume, axis, lag))) for axis in (1, 2, 3)], dim=1)


def _cells(volume: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Count pairs along each axis, squares across each, and cubes of neighbouring voxels: [B, 3], [B, 3], [B]."""
    pairs = [torch.mul(*_shifted(volume, axis, 1)) for axis in (1, 2, 3)]
    squares = [torch.mul(*_shifted(pairs[a], b + 1, 1)) for a, b in ((1, 2), (0, 2), (0, 1))]
    cubes = torch.mul(*_shifted(squares[2], 3, 1))
    return torch.stack([*map(_total, pairs)], dim=1), torch.stack([*map(_total, squares)], dim=1), _total(cubes)


def _flow(volume: Tensor) -> Tensor:
    """Return the conductance along each axis, square root, of a network of cells of 3³ voxels: [B, 3].

    Neighbouring cells are joined by the pairs of pore voxels that touch across their common face. The power lost at the
    potentials that lose least is the conductance, so it is differentiated with the potentials as they are.
    """
    size = [edge // CELL for edge in volume.shape[1:]]
    whole = volume[:, : size[0] * CELL, : size[1] * CELL, : size[2] * CELL]
    ends, bonds = [], []  # at the two faces of the volume, and to the next cell: [B, d, h, w]
    for axis in (1, 2, 3):
        areas = [CELL if other != axis else 1 for other in (1, 2, 3)]
        first = whole.index_select(axis, torch.arange(0, whole.shape[axis], CELL, device=whole.device))
        last = whole.index_select(axis, torch.arange(CELL - 1, whole.shape[axis], CELL, device=whole.device))
        opened, closed = (F.avg_pool3d(plane[:, None], areas)[:, 0] for plane in (first, last))
        ends.append((opened.narrow(axis, 0, 1), closed.narrow(axis, size[axis - 1] - 1, 1)))
        count = size[axis - 1] - 1
        joined = last.narrow(axis, 0, count) * first.narrow(axis, 1, count)
        bonds.append(F.avg_pool3d(joined[:, None], areas)[:, 0])
    losses = []
    for axis in (1, 2, 3):
        with torch.no_grad():
            potential = _potential(axis, ends[axis - 1], bonds)
            drops = [potential.diff(dim=other).square() for other in (1, 2, 3)]
            into, out = (potential.narrow(axis, at, 1) for at in (0, size[axis - 1] - 1))
        inside = sum((_total(bond * drop) for bond, drop in zip(bonds, drops, strict=True)), torch.zeros(()))
        enter, leave = ends[axis - 1]
        losses.append(inside + _total(enter * (1 - into).square()) + _total(leave * out.square()))
    return (torch.stack(losses, dim=1) + LEAK).sqrt()


def _potential(axis: int, ends: tuple[Tensor, Tensor], bonds: list[Tensor]) -> Tensor:
    """Return the potential of each cell between 1 before the first face across an axis and 0 behind the last."""

    def padded(values: Tensor, along: int, before: int, after: int) -> Tensor:
        sides = [0] * 6
        sides[2 * (3 - along)], sides[2 * (3 - along) + 1] = before, after
        return F.pad(values, sides)

    length = bonds[axis - 1].shape[axis] + 1
    onward = [padded(bond, other, 0, 1) for other, bond in enumerate(bonds, start=1)]
    back = [padded(bond, other, 1, 0) for other, bond in enumerate(bonds, start=1)]
    enter, leave = padded(ends[0], axis, 0, length - 1), padded(ends[1], axis, length - 1, 0)
    total = torch.stack([*onward, *back, enter, leave]).sum(dim=0) + LEAK
    view = [1, 1, 1, 1]
    view[axis] = length
    steps = torch.arange(length, 0, -1, device=total.device) / (length + 1)
    potential = steps.view(view).expand(total.shape)
    earlier = potential
    for _ in range(RELAXATIONS):
        drawn = enter
        for other in (1, 2, 3):
            drawn = drawn + onward[other - 1] * potential.roll(-1, other) + back[other - 1] * potential.roll(1, other)
        settled = potential + STEP * (drawn / total - potential) + MOMENTUM * (potential - earlier)
        earlier, potential = potential, settled
    return potential


def _by_axis(along: Tensor) -> Tensor:
    """Return the mean of the three axes, and each axis' difference from it: [B, 3, F] -> [B, 4 F]."""
    mean = along.mean(dim=1, keepdim=True)
    return torch.cat([mean, along - mean], dim=1).flatten(1)


def local_statistics(volume: Tensor, used: torch.dtype = torch.float32) -> Tensor:
    """Return numbers that describe the texture of each volume, most of them means over its pore voxels: [B, F].

    Args:
        volume: pore 1, solid 0, or relaxed between them, float [B, D, H, W]; their sums must be constants.
        used: number format of the products of voxels; zeros and ones need no more than bfloat16.
    """
    shortest = min(volume.shape[1:])
    pores = _total(volume).detach().clamp(min=1)[:, None]
    solid = 1 - volume
    rough = volume.to(used)
    pairs, squares, cubes = _cells(rough)
    solid_pairs, solid_squares, solid_cubes = _cells(1 - rough)
    euler_6 = _total(volume) - pairs.sum(dim=1) + squares.sum(dim=1) - cubes
    euler_26 = _total(solid) - solid_pairs.sum(dim=1) + solid_squares.sum(dim=1) - solid_cubes
    along = [_runs(rough, min(LONGEST_RUN, shortest)), squares[:, :, None]]
    along += [_at_lag(rough, lag)[:, :, None] for lag in LAGS if lag < shortest]
    slabs = [volume.mean([other for other in (1, 2, 3) if other != axis]) for axis in (1, 2, 3)]
    spread = torch.stack([slab.var(dim=1).add(1e-8).sqrt() for slab in slabs], dim=1)
    parts = [
        _by_axis(torch.cat(along, dim=2)) / pores,
        torch.stack([cubes, euler_6, euler_26], 1) / pores,
        _by_axis(spread[:, :, None]) / (pores / volume[0].numel()).sqrt(),
    ]
    if shortest >= 2 * CELL:
        parts.append(_by_axis(_flow(volume)[:, :, None]))
    around = {sigma: blur(volume, sigma) for sigma in RANGES}
    for neighbourhood in around.values():
        near_pore = _SoftHistogram.apply(volume, neighbourhood, BINS).flip(1).cumsum(1)[:, :-1]  # type: ignore[no-untyped-call]
        near_solid = _SoftHistogram.apply(solid, neighbourhood, BINS)[:, 1:].flip(1).cumsum(1)  # type: ignore[no-untyped-call]
        parts += [near_pore / pores, near_solid / pores]
    for sigma, share in CORES:
        opened = 3 * blur(torch.relu(around[sigma] - share) / (1 - share), sigma)
        parts.append(_SoftHistogram.apply(volume, opened / (1 + opened), 4)[:, 1:] / pores)  # type: ignore[no-untyped-call]
    return torch.cat(parts, dim=1)


class RealTexture:
    """Local statistics of real volumes [N, D, H, W] of densities [N]: mean and spread by density, and values.

    Products of voxels are in the number format ``used``, and ``chunk`` volumes are described at a time.
    """

    def __init__(self, volumes: Tensor, density: Tensor, used: torch.dtype = torch.float32, chunk: int = 32) -> None:
        self.used = used
        order = torch.argsort(density)
        self.density = density[order].contiguous()
        with torch.no_grad():
            found = torch.cat([local_statistics(part.float(), used) for part in torch.split(volumes[order], chunk)])
        self.grid = torch.linspace(float(self.density[0]), float(self.density[-1]), 101, device=density.device)
        means, spreads = zip(*(self._fit(found, float(at)) for at in self.grid), strict=True)
        self.mean, self.spread = torch.stack(means), torch.stack(spreads).clamp(min=1e-4)
        self.real = self.standardise(found, self.density)
        bounded = self.real.clamp(-6, 6).double()
        values, vectors = torch.linalg.eigh(bounded.T @ bounded / len(bounded))
        kept = values > SMALLEST_EIGENVALUE * values.max()
        self.whitening = (vectors[:, kept] / values[kept].sqrt()).float()

    def _fit(self, found: Tensor, at: float) -> tuple[Tensor, Tensor]:
        """Fit a line around a density; return its value there and the standard deviation of the residuals."""
        width = max(BANDWIDTH * float(self.density[-1] - self.density[0]), 1e-3)
        offset = (self.density - at) / width
        weight = torch.exp(-0.5 * offset**2) + 1e-6
        design = torch.stack([torch.ones_like(offset), offset], dim=1)
        normal = (design * weight[:, None]).T @ design + 1e-3 * torch.eye(2, device=found.device)
        line = torch.linalg.solve(normal, (design * weight[:, None]).T @ found)
        residual = found - design @ line
        return line[0], ((weight[:, None] * residual**2).sum(0) / weight.sum()).sqrt()

    def standardise(self, statistics: Tensor, density: Tensor) -> Tensor:
        """Return the distance from the mean of real volumes of each density, in their standard deviations: [B, F]."""
        span = (self.grid[-1] - self.grid[0]).clamp(min=1e-9)
        position = ((density - self.grid[0]) / span).clamp(0, 1) * (len(self.grid) - 1)
        lower = position.long().clamp(max=len(self.grid) - 2)
        part = (position - lower)[:, None]
        mean = torch.lerp(self.mean[lower], self.mean[lower + 1], part)
        spread = torch.lerp(self.spread[lower], self.spread[lower + 1], part)
        return (statistics - mean) / spread

    def of(self, volumes: Tensor, density: Tensor) -> Tensor:
        """Return standardised statistics of volumes float [B, D, H, W] of densities [B], on the CPU: [B, F]."""
        device = self.density.device
        with torch.no_grad():
            return self.standardise(local_statistics(volumes.to(device), self.used), density.to(device)).cpu()

    def like(self, density: Tensor, count: int, noise: torch.Generator) -> Tensor:
        """Return standardised statistics of ``count`` real volumes of about each density: [B, count, F]."""
        total = len(self.density)
        reach = max(1, min(24, total // 8))
        centre = torch.searchsorted(self.density, density.contiguous()).clamp(reach, max(reach, total - reach))
        offset = torch.randint(-reach, reach, (len(density), count), generator=noise, device=density.device)
        return self.real[(centre[:, None] + offset).clamp(0, total - 1)]

    def energy_score(self, first: Tensor, second: Tensor, density: Tensor, real: Tensor) -> Tensor:
        """Return the energy score, [B], of pairs of samples against real volumes: as they are, plus on principal axes.

        Args:
            first: a sample of each density, [B, D, H, W].
            second: another sample of each.
            density: [B].
            real: statistics by ``like``, [B, count, F].
        """
        both = local_statistics(torch.cat([first, second]), self.used)
        one, two = self.standardise(both, density.repeat(2)).clamp(-LARGEST, LARGEST).chunk(2)
        plain = crps(one, two, real).mean(dim=1)
        whitened = crps(one @ self.whitening, two @ self.whitening, real @ self.whitening).mean(dim=1)
        return plain + WHITENED_WEIGHT * whitened


def crps(first: Tensor, second: Tensor, real: Tensor) -> Tensor:
    """Return the continuous ranked probability score of two samples, unbiased: E|X − y| − E|X − X'| / 2, [B, F].

    The samples X and X' are independent, [B, F]; ``real`` holds the observations y, [B, count, F].
    """
    distance = (first[:, None] - real).abs().mean(dim=1) + (second[:, None] - real).abs().mean(dim=1)
    return (distance - (first - second).abs()) / 2
