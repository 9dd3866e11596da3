"""A number with its 95 % interval, and the intervals of percentiles, means and shares."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray
from scipy.stats import beta, binomtest, norm

INTERVAL = (2.5, 97.5)  # percentiles


@dataclass(frozen=True)
class Estimate:
    """A value with the ends of its 95 % interval, all in one unit."""

    value: float
    low: float
    high: float

    def holds(self, value: float) -> bool:
        """Return whether a value lies in the interval, ends included."""
        return self.low <= value <= self.high


def percentile(value: float, draws: NDArray[np.float64]) -> Estimate:
    """Return a value with the percentile interval of its resampled draws, [draws]."""
    return percentiles(np.array([value]), draws[None])[0]


def percentiles(values: NDArray[np.float64], draws: NDArray[np.float64]) -> list[Estimate]:
    """Return values [k] with the percentile intervals of their resampled draws, [k, draws]."""
    low, high = np.percentile(draws, INTERVAL, axis=1)
    return [Estimate(*map(float, ends)) for ends in zip(values, low, high, strict=True)]


def normal(values: NDArray[np.float64]) -> Estimate:
    """Return a mean with its normal interval; the interval of a single value is the value."""
    mean = float(values.mean())
    error = float(values.std(ddof=1) / np.sqrt(len(values)) * norm.ppf(0.975)) if len(values) > 1 else 0.0
    return Estimate(mean, mean - error, mean + error)


def ratio_of_means(values: NDArray[np.float64], others: NDArray[np.float64]) -> Estimate | None:
    """Return the mean of values over that of paired others, with a normal interval of its logarithm; None if one is 0.

    Args:
        values: [n], not negative.
        others: [n], of the same pairs; what both share does not widen the interval.

    Example:
        >>> ratio_of_means(np.array([2.0, 4.0]), np.array([1.0, 2.0]))
        Estimate(value=2.0, low=2.0, high=2.0)
    """
    if not (values.mean() > 0 and others.mean() > 0):
        return None
    value = float(values.mean() / others.mean())
    error = normal(values / values.mean() - others / others.mean())
    spread = float(np.exp((error.high - error.low) / 2))
    return Estimate(value, value / spread, value * spread)


def ratio_by_chance(values: NDArray[np.float64], places: NDArray[np.float64]) -> Estimate | None:
    """Return the ratio 1 with the 95 % interval that the means of two such sets of one law would show.

    What scatters at one place is told from what depends on it by the distance of each value from the straight line
    through its two neighbours.

    Args:
        values: not negative, [n].
        places: what the law of the values depends on, such as density, [n].

    Returns:
        None for fewer than three values, or where all are 0.

    References:
        Gasser, Sroka and Jennen-Steinmetz (1986), doi:10.1093/biomet/73.3.625.

    Example:
        >>> ratio_by_chance(np.array([2.0, 1.0, 5.0, 4.0]), np.array([2.0, 1.0, 5.0, 4.0]))
        Estimate(value=1.0, low=1.0, high=1.0)
    """
    if len(values) < 3 or not values.mean() > 0:
        return None
    order = np.argsort(places, kind="stable")
    value, place, n = values[order], places[order], len(values)
    inside = np.arange(1, n - 1)
    below, above = np.r_[1, inside - 1, n - 3], np.r_[2, inside + 1, n - 2]  # at an end, both on one side
    gap = place[above] - place[below]
    share = np.divide(place[above] - place, gap, out=np.full(n, 0.5), where=gap > 0)
    away = value - share * value[below] - (1 - share) * value[above]
    scatter = away**2 / (1 + share**2 + (1 - share) ** 2)
    spread = float(np.exp(norm.ppf(0.975) * np.sqrt(2 * scatter.sum()) / value.sum()))
    return Estimate(1.0, 1 / spread, spread)


def binomial(hits: float, n: int, method: Literal["exact", "wilson"] = "exact") -> Estimate:
    """Return a share with its binomial interval, in [0, 1].

    Args:
        hits: successes; "exact" takes fractions too, such as a volume that percolates along one axis of three.
        n: trials.
        method: "exact" holds the truth at least as often as it says, "wilson" as often on average.

    References:
        Clopper and Pearson (1934), doi:10.1093/biomet/26.4.404; Wilson (1927), doi:10.1080/01621459.1927.10502953.

    Example:
        >>> binomial(0, 10).low, round(binomial(0, 10).high, 3), round(binomial(5, 100, "wilson").low, 3)
        (0.0, 0.308, 0.022)
    """
    if method == "wilson":
        low, high = binomtest(int(hits), n).proportion_ci(method="wilson")
    else:
        low = beta.ppf(0.025, hits, n - hits + 1) if hits > 0 else 0.0
        high = beta.ppf(0.975, hits + 1, n - hits) if hits < n else 1.0
    return Estimate(hits / n, float(low), float(high))
