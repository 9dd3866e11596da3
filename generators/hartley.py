"""Gaussian random fields as sums of waves that are multiplied out axis by axis.

A wave number k along an axis of a periodic grid stands for cas(2πki/P) = cos(2πki/P) + sin(2πki/P); products of three
make a field. Wave numbers come in the order 0, 1, -1, 2, -2, ..., so the long waves are the first ones.
"""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray

Grid = tuple[int, int, int]
_ROOM = 2**20
"""Numbers of a basis that are computed at a time."""


def basis(period: int, points: NDArray[np.int64], waves: int) -> torch.Tensor:
    """Return the first waves of an axis at points, float32 [waves, points]; as many waves as points are orthogonal."""
    number = (np.arange(waves) + 1) // 2 * np.where(np.arange(waves) % 2, 1, -1)
    angle = 2 * np.pi / period * np.arange(period)
    cas = (np.cos(angle) + np.sin(angle)).astype(np.float32)
    values = np.empty((waves, len(points)), dtype=np.float32)
    step = max(1, _ROOM // max(1, len(points)))
    for start in range(0, waves, step):  # so that a long axis takes little more memory than its result
        rows = slice(start, start + step)
        values[rows] = cas[np.multiply.outer(number[rows], points) % period]
    return torch.from_numpy(values)


def spectrum(correlation: NDArray[np.float32], grid: Grid, isotropic: bool) -> torch.Tensor:
    """Return the variance of each wave of a field with a given correlation on a periodic grid, float32 [grid].

    Args:
        correlation: float32 [2 reach + 1] * 3, lag 0 in the middle, the same at opposite lags.
        grid: period along each axis.
        isotropic: True if the correlation is the same when one axis is mirrored.
    """
    lags = np.arange(len(correlation)) - len(correlation) // 2
    sums = product(torch.as_tensor(correlation)[None], [basis(period, lags, period).T for period in grid])
    return (sums if isotropic else mix(sums))[0]


def product(values: torch.Tensor, factors: list[torch.Tensor]) -> torch.Tensor:
    """Multiply the axes of values [n, a, b, c] by the first rows of three matrices: [n, x, y, z]."""
    n, *sizes = values.shape
    first, second, third = (factor[:size] for factor, size in zip(factors, sizes, strict=True))
    values = (values @ third).reshape(-1, sizes[1], third.shape[1])
    values = torch.bmm(second.T.expand(len(values), -1, -1), values).reshape(n, sizes[0], -1)
    return torch.bmm(first.T.expand(n, -1, -1), values).reshape(n, *(factor.shape[1] for factor in factors))


def transform(values: torch.Tensor, points: Grid) -> torch.Tensor:
    """Return sums of oblique waves cas(2πk·r/P) with amplitudes [n, a, b, c], at the first points: [n, x, y, z].

    This is the Hartley transform: the real part of a Fourier transform less the imaginary one. Wave numbers run from 0
    to the period; at those that the transform of real numbers leaves out, the complex conjugates stand at -k.
    """
    period, (x, y, z) = values.shape[3], points
    half = torch.fft.rfftn(values, dim=(1, 2, 3))
    del values
    sums = torch.empty((len(half), x, y, z), device=half.device)
    near = min(z, half.shape[3])
    torch.sub(half.real[:, :x, :y, :near], half.imag[:, :x, :y, :near], out=sums[..., :near])
    for i in range(x if near < z else 0):  # plane by plane, which stays in the cache
        plane = half[:, -i, :, period - z + 1 : period - near + 1]
        turned = (plane.real + plane.imag).flip(1, 2)
        sums[:, i, 0, near:] = turned[:, -1]
        sums[:, i, 1:, near:] = turned[:, : y - 1]
    return sums


def unsorted(waves: torch.Tensor) -> torch.Tensor:
    """Return waves [a, b, c], sorted from long to short, in the order of wave numbers that ``transform`` takes."""
    for axis, period in enumerate(waves.shape):
        number = torch.arange(period, device=waves.device)
        place = torch.where(2 * number <= period, (2 * number - 1).clamp(min=0), 2 * (period - number))
        waves = waves.index_select(axis, place)
    return waves


def mix(waves: torch.Tensor) -> torch.Tensor:
    """Return amplitudes of products of waves for a field of given oblique waves, an involution.

    2 cas(a + b + c) = cas(-a) cas b cas c + cas a cas(-b) cas c + cas a cas b cas(-c) - cas(-a) cas(-b) cas(-c).
    """
    sums, all_three = torch.zeros_like(waves), waves
    for axis in (-3, -2, -1):
        place = _opposite(waves.shape[axis]).to(waves.device)
        sums += waves.index_select(axis, place)
        all_three = all_three.index_select(axis, place)
    return sums.sub_(all_three).div_(2)


def _opposite(waves: int) -> torch.Tensor:
    """Return the place of each wave number's opposite, from long to short; the last of an even number is its own."""
    place = torch.arange(waves)
    place[1 : 2 * ((waves - 1) // 2) + 1] += torch.tensor([1, -1]).repeat((waves - 1) // 2)
    return place
