"""Gaussian random fields as sums of waves that are multiplied out axis by axis.

A wave number k along an axis of a periodic grid stands for cas(2πki/P) = cos(2πki/P) + sin(2πki/P); products of three
make a field. Wave numbers come in the order 0, 1, -1, 2, -2, ..., so the long waves are the first ones.
"""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.optimize import brentq

Grid = tuple[int, int, int]
_ROOM = 2**20  # numbers on the way to a basis, at a time
_ODD = np.uint64(0x0101010101010101)  # the last bit of each of eight bytes


def basis(period: int, points: NDArray[np.int64], waves: int) -> torch.Tensor:
    """The first waves of an axis at given points, float32 [waves, points]; as many waves as points are orthogonal."""
    number = (np.arange(waves) + 1) // 2 * np.where(np.arange(waves) % 2, 1, -1)
    angle = 2 * np.pi / period * np.arange(period)
    cas = (np.cos(angle) + np.sin(angle)).astype(np.float32)
    values = np.empty((waves, len(points)), dtype=np.float32)
    step = max(1, _ROOM // max(1, len(points)))
    for start in range(0, waves, step):  # so that a long axis takes little more than its result
        rows = slice(start, start + step)
        values[rows] = cas[np.multiply.outer(number[rows], points) % period]
    return torch.from_numpy(values)


def spectrum(correlation: NDArray[np.float32], grid: Grid, isotropic: bool) -> torch.Tensor:
    """Variance of each wave of a periodic grid, float32 [grid], whose field has a correlation given up to a reach.

    Args:
        correlation: float32 [2 reach + 1] * 3, lag 0 in the middle, the same at opposite lags.
        grid: period along each axis.
        isotropic: whether the correlation is the same when one axis is mirrored.
    """
    lags = np.arange(len(correlation)) - len(correlation) // 2
    sums = product(torch.as_tensor(correlation)[None], [basis(period, lags, period).T for period in grid])
    return (sums if isotropic else mix(sums))[0]


def product(values: torch.Tensor, factors: list[torch.Tensor]) -> torch.Tensor:
    """Axes of values [n, a, b, c] multiplied by the first rows of matrices [.., x], [.., y], [.., z]: [n, x, y, z]."""
    n, *sizes = values.shape
    first, second, third = (factor[:size] for factor, size in zip(factors, sizes, strict=True))
    values = (values @ third).reshape(-1, sizes[1], third.shape[1])
    values = torch.bmm(second.T.expand(len(values), -1, -1), values).reshape(n, sizes[0], -1)
    return torch.bmm(first.T.expand(n, -1, -1), values).reshape(n, *(factor.shape[1] for factor in factors))


def mix(waves: torch.Tensor) -> torch.Tensor:
    """Amplitudes of products of waves that make the same field as given amplitudes of oblique waves, and back.

    2 cas(a + b + c) = cas(-a) cas b cas c + cas a cas(-b) cas c + cas a cas b cas(-c) - cas(-a) cas(-b) cas(-c).
    """
    mirrored = [waves.index_select(axis, _opposite(waves.shape[axis]).to(waves.device)) for axis in (-3, -2, -1)]
    all_three = waves
    for axis in (-3, -2, -1):
        all_three = all_three.index_select(axis, _opposite(waves.shape[axis]).to(waves.device))
    return (mirrored[0] + mirrored[1] + mirrored[2] - all_three) / 2


def _opposite(waves: int) -> torch.Tensor:
    """Where in the order of wave numbers the opposite of each stands; the last of an even number is its own."""
    place = torch.arange(waves)
    place[1 : 2 * ((waves - 1) // 2) + 1] += torch.tensor([1, -1]).repeat((waves - 1) // 2)
    return place


class WhiteNoise:
    """Rows of independent numbers with the mean, variance, skewness and kurtosis of a normal law, times SCALE.

    Sums of many of them are as normal as those of normal numbers, at a quarter of the price: each is a cubic polynomial
    of a random odd byte. A row depends on the key and its own number only.

    Args:
        key: seed.
        longest: most numbers in a row.
    """

    def __init__(self, key: int, longest: int) -> None:
        self._source, self._place, self._stride = np.random.PCG64(key), 0, -(-longest // 8)

    def rows(self, rows: list[int], number: int) -> torch.Tensor:
        """The first numbers of some rows, float32 [rows, number]."""
        words = np.stack([self._words(row, -(-number // 8)) for row in rows])
        words |= _ODD
        odd = torch.from_numpy(words.view(np.int8))[:, :number].float()
        return odd.addcmul_(odd * odd, odd, value=_CUBIC)

    def _words(self, row: int, number: int) -> NDArray[np.uint64]:
        self._source.advance(row * self._stride - self._place)
        self._place = row * self._stride + number
        return np.asarray(self._source.random_raw(number))


def _normal_cubic() -> tuple[float, float]:
    """The c for which b + c·b³ has a kurtosis of 3, and its standard deviation, where b is a random odd byte."""
    odd = np.arange(1, 128, 2) / 128

    def excess(c: float) -> float:
        square = (odd + c * odd**3) ** 2
        return float(np.mean(square**2) / np.mean(square) ** 2 - 3)

    c = brentq(excess, 0, 10)
    return c / 128**2, float(np.sqrt(np.mean((odd + c * odd**3) ** 2)) * 128)


_CUBIC, SCALE = _normal_cubic()
