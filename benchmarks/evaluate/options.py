"""Options of a run of ``evaluate``, and its named random streams."""

from __future__ import annotations

import os
from dataclasses import dataclass, field
from enum import IntEnum
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from porebench.data import Dataset, Volumes
from porebench.data.volumes import spread
from porebench.metrics.suites import CURRENT

from ..store.places import Places

if TYPE_CHECKING:
    from porebench.generators.machine import Precision

FULL = {"n_bootstrap": 1000, "n_permutations": 999}
QUICK = {"n_bootstrap": 200, "n_permutations": 399}  # p-values far below the share of a test, also twice their median
QUICK_SAMPLES = 256
FITS = 3
FIT_SEEDS = 1_000_003
"""Distance between the seeds of the fits of one generator."""


class Stream(IntEnum):
    """Uses of random numbers in a run; each use has a stream of its own under every seed."""

    SAMPLES = 1
    CALIBRATION = 2
    ENSEMBLES = 3
    CUBES = 4
    REAL_CUBES = 5
    BLOCKS = 6

    def of(self, seed: int) -> np.random.Generator:
        """Return the stream's source under a seed."""
        return np.random.default_rng([seed, int(self)])


@dataclass(frozen=True)
class Options:
    """Options of a run.

    Attributes:
        seed: of fits, draws, bootstrap and permutations.
        fit: number of the fit, from 0; each has seeds of its own for fitting and drawing.
        samples: test volumes to draw and score against, spread over density; None takes all.
        device: "auto", "cpu" or "cuda".
        precision: number format in which networks multiply; "auto" is what the device is fast at.
        quick: fewer samples and resamplings.
        workers: threads that describe volumes.
        timeout: seconds that loading, fitting, drawing or reconstructing may take for one generator; None for any.
        memory: bytes that one generator's process may allocate; None for any.
        fits: fits that a row stands on, for a generator that is fitted within a minute; None for three, one if quick.
        suite: name of the list of what the score is made of.
        extras: side tables to make that are not made by default: "physics", "conduction", "network", "flow",
            "voxel-test".
        processes: generators that are worked on at a time, on this machine.
        scheduler: address of a Dask scheduler whose workers do the work; None for this machine.
        places: folders that fits are read from and kept in.
    """

    seed: int = 0
    fit: int = 0
    samples: int | None = None
    device: str = "auto"
    precision: Precision = "auto"
    quick: bool = False
    workers: int = field(default_factory=lambda: os.cpu_count() or 1)
    timeout: float | None = None
    memory: int | None = None
    fits: int | None = None
    suite: str = CURRENT
    extras: tuple[str, ...] = ()
    processes: int = 1
    scheduler: str | None = None
    places: Places = field(default_factory=Places)

    @property
    def fit_seed(self) -> int:
        """Seed of the fit and of its draws."""
        return self.seed + FIT_SEEDS * self.fit

    @property
    def number_of_fits(self) -> int:
        """Fits that a row stands on."""
        return self.fits or (1 if self.quick else FITS)

    @property
    def resampling(self) -> dict[str, int]:
        """Number of bootstrap samples and of permutations."""
        return QUICK if self.quick else FULL


def select_test(dataset: Dataset, options: Options) -> Volumes:
    """Return the test volumes to score against: all, or as many as asked for, spread over density.

    Raises:
        ValueError: if there are fewer test volumes than asked for.
    """
    asked = options.samples
    if asked is None:
        return dataset.test
    if not 1 <= asked <= len(dataset.test):
        raise ValueError(f"--samples must lie between 1 and the {len(dataset.test)} test volumes of {dataset.name}")
    return dataset.test[selected(dataset, options)]


def selected(dataset: Dataset, options: Options) -> NDArray[np.int64]:
    """Return which volumes of the test part ``select_test`` takes, in order."""
    asked = len(dataset.test) if options.samples is None else options.samples
    return np.sort(spread(dataset.test.density, asked))
