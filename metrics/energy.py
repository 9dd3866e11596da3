"""The energy distance between two ensembles in units of the real spread, and the noise-floor ratio.

Generated volumes are drawn at the densities of the real ones, so an ensemble is a list of pairs: a generated and a real
volume of one density. The two of a pair are alike in what the density alone decides, so only distances between volumes
of *different* pairs are compared. That leaves a mean over pairs of pairs, a U-statistic: its expectation is 0 for equal
laws however the densities are spread, resampling the pairs gives its interval, and swapping the two of a pair gives its
distribution under the null hypothesis.

References:
    Székely and Rizzo (2013), doi:10.1016/j.jspi.2013.03.018; the ratio descends from the F of Rizzo and Székely (2010),
    doi:10.1214/09-AOAS245; Hoeffding (1948), doi:10.1214/aoms/1177730196, for U-statistics.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.spatial.distance import cdist

Floats = NDArray[np.float64]
LARGEST = 1e12  # stands for an infinite effect among finite ones
REFERENCE_SIZE = 100  # volumes on each side of the comparison that a ratio of 1 stands for


class Kernel(NamedTuple):
    """Gap between the ensembles and real spread, from every two pairs of volumes; 0 for a pair with itself.

    Attributes:
        gap: |g−r'| + |g'−r| − |g−g'| − |r−r'| of two pairs (g, r) and (g', r'), [n, n].
        spread: |r−r'|, [n, n].
        total: sum of all four distances over all pairs of pairs; its quarter is the spread of randomly swapped pairs.
        slope: part of the spread that changes sign with a swap of the pair, [n].
    """

    gap: Floats
    spread: Floats
    total: float
    slope: Floats


def pairwise(points: Floats) -> Floats:
    """Return the Euclidean distances between the rows, [n, n]."""
    return np.asarray(cdist(points, points))


def kernel(distances: Floats) -> Kernel:
    """Return the kernel of n pairs.

    Args:
        distances: among the generated volumes and then the real ones in the same order, [2n, 2n].
    """
    n = len(distances) // 2
    across, inside, spread = (distances[rows].copy() for rows in ((np.s_[:n, n:]), (np.s_[:n, :n]), (np.s_[n:, n:])))
    np.fill_diagonal(across, 0.0)
    both = across + across.T
    slope = (spread + across.T - across - inside).sum(axis=1)
    return Kernel(both - inside - spread, spread, float(both.sum() + inside.sum() + spread.sum()), slope)


def effects(pairs: Kernel, counts: Floats, least: float = 0.0) -> Floats:
    """Return the energy effect for many resamples of the pairs, [k].

    With |g−r|, |g−g'| and |r−r'| the mean distances between volumes of different pairs: (2|g−r| − |g−g'| − |r−r'|) /
    max(|r−r'|, least). Its expectation is 0 if both come from one law and positive otherwise. A pair that is drawn
    twice is not compared with itself.

    Args:
        pairs: see ``kernel``.
        counts: how often each pair counts, [k, n]; non-negative whole numbers.
        least: least real spread that is divided by.
    """
    number = counts.sum(axis=1) ** 2 - (counts**2).sum(axis=1)
    gap, spread = (_quadratic(matrix, counts) / np.maximum(number, 1) for matrix in (pairs.gap, pairs.spread))
    return _ratio(gap, spread, least)


def swapped_effects(pairs: Kernel, signs: Floats, least: float = 0.0) -> Floats:
    """Return the energy effect with the two volumes of some pairs swapped, [k]; see ``effects``.

    Swapping one of two pairs turns the sign of their gap and swapping both keeps it, so no distance is computed anew.

    Args:
        pairs: see ``kernel``.
        signs: −1 for a pair that is swapped and 1 for one that is not, [k, n].
        least: least real spread that is divided by.
    """
    n = signs.shape[1]
    gap = _quadratic(pairs.gap, signs)
    spread = (pairs.total + 2 * signs @ pairs.slope - gap) / 4
    return _ratio(gap / (n * (n - 1)), spread / (n * (n - 1)), least)


def largest_swap(observed: Floats, swapped: Floats) -> float | None:
    """Return the p-value of the largest of several effects, each in units of its spread under random swaps.

    A defect that one family alone shows is not diluted by the others, and looking at several is paid for.

    Args:
        observed: [k].
        swapped: the same with volumes swapped at random, [k, swaps].

    Returns:
        In (0, 1]; None without swaps.

    References:
        Westfall and Young (1993), Resampling-Based Multiple Testing; Phipson and Smyth (2010),
        doi:10.2202/1544-6115.1585.

    Example:
        >>> largest_swap(np.array([9.0, 0.0]), np.array([[1.0, 0.0, 2.0], [0.0, 1.0, 2.0]]))
        0.25
    """
    if not swapped.shape[1]:
        return None
    return largest_swaps({"": np.concatenate([observed[:, None], swapped], axis=1)})[""]


def largest_swaps(tests: Mapping[str, Floats]) -> dict[str, float]:
    """Return the p-value of each of several tests, corrected for their number and for what they share.

    A test looks at the largest of its effects, each in units of its spread under random swaps. Its p-value is the
    share of swaps under which the largest effect of all tests is as large. So the least of the p-values is a p-value,
    however the tests depend.

    Args:
        tests: name -> effects as observed and then with volumes swapped at random, the same swaps in each test,
            [k, 1 + swaps].

    References:
        As for ``largest_swap``.

    Example:
        >>> largest_swaps({"a": np.array([[9.0, 1.0, 0.0, 2.0]]), "b": np.array([[0.0, 0.0, 1.0, 2.0]])})
        {'a': 0.25, 'b': 1.0}
    """
    largest = {name: _in_spreads(every).max(axis=0) for name, every in tests.items()}
    if not largest:
        return {}
    of_all = np.max([*largest.values()], axis=0)[1:]
    return {
        name: float((1 + np.count_nonzero(of_all >= own[0] - 1e-12)) / (1 + len(of_all)))
        for name, own in largest.items()
    }


def _in_spreads(every: Floats) -> Floats:
    """Return effects as differences from their mean over swaps, in standard deviations; 0 where all are alike."""
    every = np.clip(every, -LARGEST, LARGEST)
    spread = every.std(axis=1, keepdims=True)
    apart: Floats = every - every.mean(axis=1, keepdims=True)
    return np.asarray(np.divide(apart, spread, out=np.zeros_like(every), where=spread > 0))


def compared(points: Sequence[Floats], least: Sequence[float], counts: Floats, signs: Floats) -> tuple[Floats, Floats]:
    """Return the energy effects of several components for many resamples and for random swaps of the pairs.

    Args:
        points: generated volumes and then the real ones in the same order, [2n, features], for each component.
        least: least real spread to divide by, of each component.
        counts: see ``effects``, [k, n].
        signs: see ``swapped_effects``, [swaps, n].

    Returns:
        [components, k] and [components, swaps].
    """
    kernels = [kernel(pairwise(each)) for each in points]
    resampled = [effects(pairs, counts, floor) for pairs, floor in zip(kernels, least, strict=True)]
    swapped = [swapped_effects(pairs, signs, floor) for pairs, floor in zip(kernels, least, strict=True)]
    return np.stack(resampled), np.stack(swapped)


def _quadratic(matrix: Floats, weights: Floats) -> Floats:
    """Return wᵀMw for each row of weights, [k]."""
    return np.asarray(np.einsum("kn,kn->k", weights @ matrix, weights))


def _ratio(gap: Floats, spread: Floats, least: float) -> Floats:
    """Return the gap in units of the spread, [k]; 0 where there is no gap, whatever the spread."""
    unit: Floats = np.maximum(spread, least)
    ratio: Floats = np.divide(gap, unit, out=np.copysign(np.full_like(gap, np.inf), gap), where=unit > 0)
    ratio[gap == 0] = 0.0
    return ratio


def energy_effect(generated: ArrayLike, real: ArrayLike, least: float = 0.0) -> float:
    """Return the unbiased energy distance between paired samples over the real sample's spread, without unit.

    Args:
        generated: [n, points].
        real: [n, points]; row i has the density of row i of ``generated``.
        least: least spread to divide by, in the unit of the rows.

    Returns:
        0 in expectation if the laws are equal; 1 if the excess distance equals the real spread.

    Raises:
        ValueError: if a sample has fewer than two rows or the samples differ in shape.

    Example:
        >>> energy_effect([[0.0], [1.0]], [[3.0], [4.0]])
        4.0
    """
    first, second = np.asarray(generated, dtype=np.float64), np.asarray(real, dtype=np.float64)
    if first.ndim != 2 or first.shape != second.shape or len(first) < 2:
        raise ValueError(
            f"expected two samples of equally many rows of equal length, at least two, got shapes {first.shape} and "
            f"{second.shape}"
        )
    return float(effects(kernel(pairwise(np.concatenate([first, second]))), np.ones((1, len(first))), least)[0])


def noise_floor_ratio(effect: ArrayLike, axis: int | tuple[int, ...] | None = None) -> Floats:
    """Return NFR100 = √max(0, 1 + 50 · mean effect), without unit.

    1 + (N/2)·effect is the squared distance between N generated and N real volumes over what two sets of
    N real ones are expected to show; N is held at 100, so the ratio does not depend on the size of a run.

    Args:
        effect: energy effects.
        axis: axes to average over; all by default.

    Returns:
        1 for what cannot be told from real; 5 if the gap is five times what two batches of 100 real volumes show.

    Example:
        >>> float(noise_floor_ratio([0.0, 0.0])), float(noise_floor_ratio(0.48))
        (1.0, 5.0)
    """
    mean = np.mean(np.asarray(effect, dtype=np.float64), axis=axis)
    ratio: Floats = np.sqrt(np.maximum(0.0, 1.0 + REFERENCE_SIZE / 2 * mean))
    return ratio


def resample(n: int, repeats: int, seed: Sequence[int]) -> Floats:
    """Return the counts of n pairs resampled with replacement, [repeats, n].

    The counts depend on n and the seed alone: generators that are compared with the same real volumes are resampled
    alike, and their scores can be compared resample by resample.
    """
    drawn = np.random.default_rng(seed).multinomial(n, np.full(n, 1 / n), size=repeats)
    return np.asarray(drawn, dtype=np.float64)


def toss(n: int, repeats: int, rng: np.random.Generator) -> Floats:
    """Return random signs of n pairs, −1 (swapped) or 1, [repeats, n]."""
    return np.asarray(rng.choice([-1.0, 1.0], size=(repeats, n)))
