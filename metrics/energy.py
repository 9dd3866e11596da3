"""The energy distance between two ensembles in units of the real spread, and the noise-floor ratio.

From pairwise Euclidean distances only, so one matrix serves the estimate, its bootstrap and its permutations.

References:
    Székely and Rizzo (2013), doi:10.1016/j.jspi.2013.03.018; the ratio descends from the F of Rizzo and Székely (2010),
    doi:10.1214/09-AOAS245.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.spatial.distance import cdist

Floats = NDArray[np.float64]
REFERENCE_SIZE = 100  # volumes on each side of the comparison that a ratio of 1 stands for


def pairwise(points: Floats) -> Floats:
    """Euclidean distances between the rows, [n, n]."""
    return np.asarray(cdist(points, points))


def effects(distances: Floats, w: Floats, v: Floats, least: float = 0.0) -> Floats:
    """Energy effect for many weightings of the generated and the real volumes, [k].

    With |g−r|, |g−g'| and |r−r'| the weighted mean distances between and within generated and real volumes,
    each pair of *different* volumes once: (2|g−r| − |g−g'| − |r−r'|) / max(|r−r'|, least). Its expectation is 0
    if and only if both come from one distribution. A volume drawn twice is no pair at distance zero.

    Args:
        distances: distances among the n generated and then the m real volumes, [n + m, n + m].
        w: weights of the generated volumes, [k, n]; non-negative whole numbers.
        v: weights of the real volumes, [k, m].
        least: least real spread that is divided by.
    """
    n = w.shape[1]
    between = _bilinear(w @ distances[:n, n:], v) / (w.sum(axis=1) * v.sum(axis=1))
    inside = _off_diagonal(_bilinear(w @ distances[:n, :n], w), w)
    return _effect(between, inside, _off_diagonal(_bilinear(v @ distances[n:, n:], v), v), least)


def permuted_effects(distances: Floats, labels: Floats, least: float = 0.0) -> Floats:
    """Energy effect for many ways to label the same volumes as generated or real, [k]; see ``effects``.

    The sums over real volumes are what is left of the sums over all, so one product of matrices serves them all.

    Args:
        distances: distances among all volumes, [n, n].
        labels: 1 for a generated volume and 0 for a real one, [k, n].
        least: least real spread that is divided by.
    """
    others = 1 - labels
    row = distances.sum(axis=1)
    within = _bilinear(labels @ distances, labels)
    across = labels @ row - within
    rest = row.sum() - 2 * across - within
    between = across / (labels.sum(axis=1) * others.sum(axis=1))
    return _effect(between, _off_diagonal(within, labels), _off_diagonal(rest, others), least)


def _effect(between: Floats, within: Floats, spread: Floats, least: float) -> Floats:
    """The effect of mean distances between, within generated and within real volumes, [k]."""
    gap: Floats = 2 * between - (within + spread)
    unit: Floats = np.maximum(spread, least)
    ratio: Floats = np.divide(gap, unit, out=np.copysign(np.full_like(gap, np.inf), gap), where=unit > 0)
    ratio[gap == 0] = 0.0
    return ratio


def _bilinear(products: Floats, weights: Floats) -> Floats:
    """Sum over the columns of products times weights, row by row, [k]."""
    return np.asarray(np.einsum("kn,kn->k", products, weights))


def _off_diagonal(total: Floats, weights: Floats) -> Floats:
    """Weighted mean over pairs of different volumes from the sum over all, [k]; 0 where all the weight is on one."""
    pairs = weights.sum(axis=1) ** 2 - (weights**2).sum(axis=1)
    mean: Floats = np.divide(total, pairs, out=np.zeros_like(total), where=pairs > 0)
    return mean


def energy_effect(
    generated: ArrayLike, real: ArrayLike, w: ArrayLike | None = None, v: ArrayLike | None = None, least: float = 0.0
) -> float:
    """Unbiased energy distance between two samples in units of the real sample's spread, without unit.

    Args:
        generated: [n, points].
        real: [m, points].
        w: how often each generated row counts, [n]; once by default.
        v: how often each real row counts, [m]; once by default.
        least: least spread to divide by, in the unit of the rows.

    Returns:
        0 in expectation if the distributions are equal; 1 if the excess distance equals the real spread.

    Raises:
        ValueError: if a sample has fewer than two rows or the rows differ in length.

    Example:
        >>> energy_effect([[0.0], [1.0]], [[3.0], [4.0]])
        4.0
    """
    first, second = np.asarray(generated, dtype=np.float64), np.asarray(real, dtype=np.float64)
    if first.ndim != 2 or second.ndim != 2 or first.shape[1] != second.shape[1] or min(len(first), len(second)) < 2:
        raise ValueError(
            f"expected two samples of at least two rows of equal length, got shapes {first.shape} and {second.shape}"
        )
    weights = np.ones((1, len(first))) if w is None else np.asarray(w, dtype=np.float64)[None]
    others = np.ones((1, len(second))) if v is None else np.asarray(v, dtype=np.float64)[None]
    return float(effects(pairwise(np.concatenate([first, second])), weights, others, least)[0])


def noise_floor_ratio(effect: ArrayLike, axis: int | tuple[int, ...] | None = None) -> Floats:
    """NFR100 = √max(0, 1 + 50 · mean effect), without unit.

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


def bootstrap_weights(n: int, m: int, repeats: int, rng: np.random.Generator) -> tuple[Floats, Floats]:
    """How often each volume is drawn when both samples are resampled by themselves, [repeats, n] and [repeats, m]."""
    w, v = (rng.multinomial(size, np.full(size, 1 / size), size=repeats) for size in (n, m))
    return w.astype(np.float64), v.astype(np.float64)


def paired_weights(n: int, repeats: int, seed: list[int]) -> Floats:
    """How often each density is drawn when the densities of a test set are resampled, [repeats, n].

    The generated and the real volume of a density go together, so one set of weights serves both sides; and as
    they depend on the number of volumes and the seed alone, it serves every generator.
    """
    drawn = np.random.default_rng(seed).multinomial(n, np.full(n, 1 / n), size=repeats)
    return np.asarray(drawn, dtype=np.float64)


def permutation_labels(n: int, m: int, repeats: int, rng: np.random.Generator) -> Floats:
    """Labels dealt out anew to the pooled volumes: 1 for n of them, 0 for the m others, [repeats, n + m]."""
    labels = np.zeros((repeats, n + m))
    labels[:, :n] = 1.0
    return rng.permuted(labels, axis=1)
