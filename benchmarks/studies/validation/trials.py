"""Trials of the score: sets drawn again and again from volumes that were described once.

A trial draws densities without replacement from a pool in which every density has a real volume and a flawed (or a
second real) one. (Drawn with replacement, the few volumes of a pool would be laws of their own, which differ: pools of
400 would show an NFR100 of 1.1 without any defect.) Sets of different trials share volumes, the fewer the larger the
pool: what scatters between trials is a little less than between fresh sets. Statistics come from the functions that
the evaluation itself uses.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.stats import t as student

from porebench.metrics.adjustment import Adjustment, log_count
from porebench.metrics.descriptors import HEADLINE, Descriptors
from porebench.metrics.energy import (
    Kernel,
    effects,
    kernel,
    noise_floor_ratio,
    pairwise,
    resample,
    swapped_effects,
    toss,
)
from porebench.metrics.estimate import INTERVAL, Estimate, binomial
from porebench.metrics.ranking import Replicates, difference

Floats = NDArray[np.float64]
Rows = NDArray[np.int64]
LEVEL = 0.05
SWAPS = 99  # p ≤ 0.05 in exactly 5 % of the trials where there is no difference
RESAMPLES = 200


@dataclass(frozen=True, eq=False)
class Trials:
    """Repeated comparisons of two sets of volumes in one density band, or over several.

    Attributes:
        observed: mean effect over the descriptors, [trials].
        swapped: the same with volumes swapped, [trials, swaps].
        resampled: the same for resampled sets, [trials, resamples]; no columns where no interval was asked for.
        counts: of the paired differences of ln(pore voxels), number, sum and sum of squares, [trials, 3].
        population: the effect over the whole pool; 0 where both sets have one law.
    """

    observed: Floats
    swapped: Floats
    resampled: Floats
    counts: Floats
    population: float

    @staticmethod
    def over(bands: Sequence[Trials]) -> Trials:
        """Return the headline of trials in several bands: effects are averaged, pairs of volumes pooled."""
        return Trials(
            np.mean([band.observed for band in bands], axis=0),
            np.mean([band.swapped for band in bands], axis=0),
            np.mean([band.resampled for band in bands], axis=0),
            np.sum([band.counts for band in bands], axis=0),
            float(np.mean([band.population for band in bands])),
        )

    def __len__(self) -> int:
        return len(self.observed)

    @property
    def truth(self) -> float:
        """NFR100 between the two laws."""
        return float(noise_floor_ratio(self.population))

    @property
    def ratios(self) -> Floats:
        """NFR100 of each trial, [trials]."""
        return noise_floor_ratio(self.observed[:, None], axis=1)

    def p(self) -> Floats:
        """Return the p-value of each trial, [trials], as in the evaluation."""
        larger = np.count_nonzero(self.swapped >= self.observed[:, None] - 1e-12, axis=1)
        return np.asarray((1 + larger) / (1 + self.swapped.shape[1]))

    def detected(self) -> NDArray[np.bool_]:
        """Return whether the swap test declares the sets different at the 5 % level, [trials]."""
        return self.p() <= LEVEL

    def covered(self) -> NDArray[np.bool_] | None:
        """Return whether each 95 % bootstrap interval holds the true NFR100, [trials]; None without resamples."""
        if not self.resampled.shape[1]:
            return None
        low, high = np.percentile(noise_floor_ratio(self.resampled[..., None], axis=2), INTERVAL, axis=1)
        return np.asarray((low <= self.truth) & (self.truth <= high))

    def biased(self) -> NDArray[np.bool_]:
        """Return whether a paired t-test finds another amount of pore at the 5 % level, [trials]."""
        number, total, squares = self.counts.T
        mean = total / number
        error = np.sqrt(np.maximum(squares / number - mean**2, 0.0) / (number - 1))
        t = np.divide(np.abs(mean), error, out=np.where(mean == 0, 0.0, np.inf), where=error > 0)
        return np.asarray(2 * student.sf(t, number - 1) <= LEVEL)


class Pool:
    """Distances between the described volumes of one density band, for each headline descriptor.

    Args:
        parts: ensembles; the rows of the first come first.
        adjustment: what the evaluation would adjust this band with.
    """

    def __init__(self, parts: Sequence[Descriptors], adjustment: Adjustment) -> None:
        described = Descriptors.concatenate(parts)
        self.distances = [pairwise(adjustment.standardise(described, name)) for name in HEADLINE]
        self.least = [adjustment.fits[name].least for name in HEADLINE]
        self.log_count = log_count(described.pore_voxels)

    def kernels(self, generated: Rows, real: Rows) -> list[tuple[Kernel, float]]:
        """Return the kernel of these rows for each descriptor, with the least spread to divide by."""
        rows = np.concatenate([generated, real])
        return [
            (kernel(distances[rows][:, rows]), least)
            for distances, least in zip(self.distances, self.least, strict=True)
        ]

    def population(self, size: int) -> float:
        """Return the mean effect of the second part of ``size`` rows against the first."""
        rows = np.arange(size)
        return float(
            np.mean([effects(pairs, np.ones((1, size)), least) for pairs, least in self.kernels(rows + size, rows)])
        )

    def compare(self, generated: Rows, real: Rows, resamples: int, rng: np.random.Generator) -> tuple[Floats, ...]:
        """Return one trial: the mean effect [1], swapped [swaps], resampled [resamples], and the pore counts [3]."""
        n = len(real)
        counts = np.concatenate([np.ones((1, n)), resample(n, resamples, [int(rng.integers(2**31))])])
        signs = toss(n, SWAPS, rng)
        weighted, swapped = np.zeros(1 + resamples), np.zeros(SWAPS)
        for pairs, least in self.kernels(generated, real):
            weighted += effects(pairs, counts, least) / len(HEADLINE)
            swapped += swapped_effects(pairs, signs, least) / len(HEADLINE)
        more = self.log_count[generated] - self.log_count[real]
        return weighted[:1], swapped, weighted[1:], np.array([n, more.sum(), (more**2).sum()])

    def replicates(self, band: str, generated: Rows, real: Rows, seed: list[int]) -> Replicates:
        """Return paired replicates of one set, as the ranking uses them; the seed resamples the densities."""
        counts = np.concatenate([np.ones((1, len(real))), resample(len(real), RESAMPLES, seed)])
        found = np.stack([effects(pairs, counts, least) for pairs, least in self.kernels(generated, real)])
        return Replicates((band,), HEADLINE, found[None, :, 0], found[None, :, 1:])


def run_trials(
    pool: Pool,
    size: int,
    volumes: int,
    trials: int,
    rng: np.random.Generator,
    *,
    exchange: bool = False,
    intervals: bool = False,
) -> Trials:
    """Compare sets of volumes drawn from the first and the second part of a pool.

    Args:
        pool: its first ``size`` rows are real, the next ``size`` what is compared with them, at the same densities.
        size: volumes of one part.
        volumes: on each side of a comparison; both sides have the same densities.
        trials: comparisons.
        rng: draws everything.
        exchange: at each density, toss which part gives the real volume: both sides then have one law exactly.
        intervals: also resample, for bootstrap intervals.
    """
    results = []
    for _ in range(trials):
        chosen = rng.permutation(size)[:volumes]
        tossed = rng.integers(2, size=volumes) if exchange else np.zeros(volumes, dtype=np.int64)
        real, generated = chosen + size * tossed, chosen + size * (1 - tossed)
        results.append(pool.compare(generated, real, RESAMPLES if intervals else 0, rng))
    observed, swapped, resampled, counts = (np.stack(column) for column in zip(*results, strict=True))
    return Trials(observed[:, 0], swapped, resampled, counts, 0.0 if exchange else pool.population(size))


def told_apart(
    pools: Sequence[Pool], sizes: Sequence[int], volumes: int, trials: int, rng: np.random.Generator, *, exchange: bool
) -> NDArray[np.bool_]:
    """Return whether the ranking tells two generators apart, [trials].

    Args:
        pools: one a headline band; its rows are real volumes and then those of the two generators, each ``sizes`` many.
        sizes: volumes of one part, of each pool.
        volumes: of each generator, in each band.
        trials: comparisons.
        rng: draws everything.
        exchange: at each density, toss which generator gets which volume: both then have one law exactly.
    """
    found = []
    for _ in range(trials):
        both: list[list[Replicates]] = [[], []]
        for index, (pool, size) in enumerate(zip(pools, sizes, strict=True)):
            chosen = rng.permutation(size)[:volumes]
            tossed = rng.integers(2, size=volumes) if exchange else np.zeros(volumes, dtype=np.int64)
            seed = [int(rng.integers(2**31)), index]
            for place, part in enumerate((1 + tossed, 2 - tossed)):
                both[place].append(pool.replicates(str(index), chosen + size * part, chosen, seed))
        first, second = (_stacked(entry) for entry in both)
        found.append(not difference(first, second).holds(0))
    return np.array(found)


def _stacked(bands: Sequence[Replicates]) -> Replicates:
    return Replicates(
        tuple(name for band in bands for name in band.bands),
        HEADLINE,
        np.concatenate([band.observed for band in bands]),
        np.concatenate([band.resampled for band in bands]),
    )


def rate(hits: NDArray[np.bool_]) -> Estimate:
    """Return the share of trials, with its 95 % Wilson interval."""
    return binomial(int(np.count_nonzero(hits)), len(hits), "wilson")
