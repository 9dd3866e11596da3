"""Trials of the score: sets drawn again and again from volumes that were described once.

A trial draws densities without replacement from a pool in which every density has a real volume and a flawed (or a
second real) one. (Drawn with replacement, the few volumes of a pool would be laws of their own, which differ: pools of
400 would show an NFR100 of 1.1 without any defect.) Sets of different trials share volumes, the fewer the larger the
pool: what scatters between trials is a little less than between fresh sets. Statistics, tests and their correction
come from the functions that the evaluation itself uses.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from porebench.metrics.descriptor_classifier import classifier_swaps
from porebench.metrics.descriptors import Descriptors
from porebench.metrics.energy import (
    LARGEST,
    Kernel,
    effects,
    kernel,
    largest_swap,
    largest_swaps,
    noise_floor_ratio,
    pairwise,
    resample,
    swapped_effects,
    toss,
)
from porebench.metrics.estimate import INTERVAL, Estimate, binomial
from porebench.metrics.joint import Whitening, side_by_side
from porebench.metrics.patches import PatchCopies, patch_copy_test
from porebench.metrics.physical import amount_swaps
from porebench.metrics.ranking import Replicates, difference
from porebench.metrics.suites import CURRENT, JOINT, SUITES
from porebench.metrics.verdict import copies_p, rejected

Floats = NDArray[np.float64]
Rows = NDArray[np.int64]
SWAPS = 199  # p ≤ 0.04, the share of the differences, in exactly 4 % of the trials where there is none
RESAMPLES = 200
SUITE = SUITES[CURRENT]
FAMILIES = [*SUITE.families]
TESTS = ("structure", JOINT, "classifier", "amount", "copies", "patches")
"""Tests that a verdict rests on."""


@dataclass(frozen=True, eq=False)
class Traces:
    """Traces of training volumes in the volumes of a pool.

    Attributes:
        copied: whether a volume is a copy of one training volume, bool [rows].
        judged: whether that can be said of it, bool [rows].
        patches: copied patches of each volume.
    """

    copied: NDArray[np.bool_]
    judged: NDArray[np.bool_]
    patches: PatchCopies

    @staticmethod
    def concatenate(parts: Sequence[Traces]) -> Traces:
        """Return the traces of several sets of volumes, in order."""
        return Traces(
            np.concatenate([part.copied for part in parts]),
            np.concatenate([part.judged for part in parts]),
            PatchCopies(
                np.concatenate([part.patches.share for part in parts]),
                np.concatenate([part.patches.counted for part in parts]),
            ),
        )

    def __getitem__(self, rows: Rows) -> Traces:
        patches = PatchCopies(self.patches.share[rows], self.patches.counted[rows])
        return Traces(self.copied[rows], self.judged[rows], patches)


@dataclass(frozen=True, eq=False)
class Trials:
    """Repeated comparisons of two sets of volumes in one density band, or over several.

    Attributes:
        observed: effect of each family, [trials, families].
        swapped: the same with volumes swapped, [trials, families, swaps].
        resampled: mean over the families for resampled sets, [trials, resamples]; no columns where no interval was
            asked for.
        rows: generated and real volumes of each trial among those of the pool, [trials, 2, volumes]; none over bands.
        signs: −1 for each pair of volumes that was swapped and 1 for the others, int8 [trials, swaps, volumes].
        population: the mean effect over the whole pool; 0 where both sets have one law.
    """

    observed: Floats
    swapped: Floats
    resampled: Floats
    rows: Rows
    signs: NDArray[np.int8]
    population: float

    @staticmethod
    def over(bands: Sequence[Trials]) -> Trials:
        """Return the headline of trials in several bands, whose effects are averaged."""
        return Trials(
            np.mean([band.observed for band in bands], axis=0),
            np.mean([band.swapped for band in bands], axis=0),
            np.mean([band.resampled for band in bands], axis=0),
            np.empty((len(bands[0]), 2, 0), dtype=np.int64),
            np.concatenate([band.signs for band in bands], axis=2),
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
        return noise_floor_ratio(self.observed, axis=1)

    def p(self) -> Floats:
        """Return the p-value of the largest effect of the families in each trial, [trials], as in the evaluation."""
        tried = zip(self.observed, self.swapped, strict=True)
        return np.array([largest_swap(observed, swapped) for observed, swapped in tried])

    def covered(self) -> NDArray[np.bool_] | None:
        """Return whether each 95 % bootstrap interval holds the true NFR100, [trials]; None without resamples."""
        if not self.resampled.shape[1]:
            return None
        low, high = np.percentile(noise_floor_ratio(self.resampled[..., None], axis=2), INTERVAL, axis=1)
        return np.asarray((low <= self.truth) & (self.truth <= high))


class Pool:
    """Distances between the described volumes of one density band, for each component of the suite.

    Args:
        parts: ensembles; the rows of the first come first.
        whitening: what the evaluation would adjust and whiten this band with.
        density: of the volumes of one part; those of the others are the same or nearly so.
        traces: of training volumes, in the order of the rows; None where there can be none.
    """

    def __init__(
        self, parts: Sequence[Descriptors], whitening: Whitening, density: Floats, traces: Traces | None = None
    ) -> None:
        adjustment = whitening.adjustment
        self.described = Descriptors.concatenate(parts)
        points = whitening.points(self.described)
        self.features = side_by_side(points)
        self.density = np.tile(density, len(parts))
        self.traces = traces
        self.distances = [pairwise(points[name]) for name in SUITE.components]
        self.least = [0.0 if name == JOINT else adjustment.fits[name].least for name in SUITE.components]

    def kernels(self, generated: Rows, real: Rows) -> list[tuple[Kernel, float]]:
        """Return the kernel of these rows for each component, with the least spread to divide by."""
        rows = np.concatenate([generated, real])
        return [
            (kernel(distances[np.ix_(rows, rows)]), least)
            for distances, least in zip(self.distances, self.least, strict=True)
        ]

    def population(self, size: int) -> float:
        """Return the effect, averaged over the families, of the second part of ``size`` rows against the first."""
        rows = np.arange(size)
        found = [effects(pairs, np.ones((1, size)), least)[0] for pairs, least in self.kernels(rows + size, rows)]
        return float(_by_family(np.array(found)).mean())

    def compare(self, generated: Rows, real: Rows, resamples: int, rng: np.random.Generator) -> tuple[Floats, ...]:
        """Return the effects of a trial: by family, by family and swap, by resample; and the signs of the swaps."""
        n = len(real)
        counts = np.concatenate([np.ones((1, n)), resample(n, resamples, [int(rng.integers(2**31))])])
        signs = toss(n, SWAPS, rng)
        kernels = self.kernels(generated, real)
        weighted = _by_family(np.stack([effects(pairs, counts, least) for pairs, least in kernels]))
        swapped = _by_family(np.stack([swapped_effects(pairs, signs, least) for pairs, least in kernels]))
        return weighted[:, 0], swapped, weighted[:, 1:].mean(axis=0), signs.astype(np.int8)

    def replicates(self, band: str, generated: Rows, real: Rows, seed: list[int]) -> Replicates:
        """Return paired replicates of one set, as the ranking uses them; the seed is that of resampled densities."""
        counts = np.concatenate([np.ones((1, len(real))), resample(len(real), RESAMPLES, seed)])
        found = np.stack([effects(pairs, counts, least) for pairs, least in self.kernels(generated, real)])
        return Replicates((band,), SUITE.name, found[None, :, 0], found[None, :, 1:])


def _by_family(effect: Floats) -> Floats:
    """Return the mean effect of each family, [families, ...], from those of the components, [components, ...]."""
    return SUITE.family_means(np.clip(effect, -LARGEST, LARGEST))


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
        results.append(
            (*pool.compare(generated, real, RESAMPLES if intervals else 0, rng), np.stack([generated, real]))
        )
    observed, swapped, resampled, signs, rows = (np.stack(column) for column in zip(*results, strict=True))
    return Trials(observed, swapped, resampled, rows, signs, 0.0 if exchange else pool.population(size))


def rejections(pools: Sequence[Pool], bands: Sequence[Trials]) -> NDArray[np.bool_]:
    """Return which tests of a verdict over the headline bands reject, [trials, ``TESTS``].

    Where a pool has no traces of training volumes, nothing in it is a copy. A test that cannot be made rejects nothing.

    Args:
        pools: one a band.
        bands: trials of each band.
    """
    together = Trials.over(bands)
    found = []
    for trial in range(len(together)):
        rows = [band.rows[trial] for band in bands]
        against = rejected(_of_differences(pools, rows, together, trial) | _of_copies(pools, rows))
        found.append([test in against for test in TESTS])
    return np.array(found)


def _of_differences(pools: Sequence[Pool], rows: Sequence[Rows], together: Trials, trial: int) -> dict[str, float]:
    """Return the p-values of the tests of the score in one trial over several bands, corrected for each other."""
    signs = together.signs[trial].astype(np.float64)
    sides = [
        (
            np.concatenate([pool.features[both[side]] for pool, both in zip(pools, rows, strict=True)]),
            Descriptors.concatenate([pool.described[both[side]] for pool, both in zip(pools, rows, strict=True)]),
        )
        for side in (0, 1)
    ]
    density = np.concatenate([pool.density[both[1]] for pool, both in zip(pools, rows, strict=True)])
    structure = np.concatenate([together.observed[trial][:, None], together.swapped[trial]], axis=1)
    tests = {"structure": structure, JOINT: structure[[FAMILIES.index(JOINT)]]}
    judged = classifier_swaps(sides[0][0], sides[1][0], density, signs, trial)
    if judged is not None:
        tests["classifier"] = judged
    return largest_swaps(tests | {"amount": amount_swaps(sides[0][1], sides[1][1], signs)})


def _of_copies(pools: Sequence[Pool], rows: Sequence[Rows]) -> dict[str, float]:
    """Return the p-values of the tests of copies in one trial, those that can be made."""
    tried = list(zip(pools, rows, strict=True))
    traced = [[pool.traces[both[side]] for pool, both in tried if pool.traces is not None] for side in (0, 1)]
    if not all(traced):
        return {}
    generated, real = map(Traces.concatenate, traced)
    found = {
        "copies": copies_p(int(np.count_nonzero(generated.copied)), int(np.count_nonzero(generated.judged))),
        "patches": patch_copy_test(generated.patches, real.patches).p,
    }
    return {name: p for name, p in found.items() if p is not None}


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
        SUITE.name,
        np.concatenate([band.observed for band in bands]),
        np.concatenate([band.resampled for band in bands]),
    )


def rate(hits: NDArray[np.bool_]) -> Estimate:
    """Return the share of trials, with its 95 % Wilson interval."""
    return binomial(int(np.count_nonzero(hits)), len(hits), "wilson")
