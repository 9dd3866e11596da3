"""Mistakes of the score itself, measured: known defects are planted and the score is asked to find them.

For each density band and the headline bands together: the share of trials in which a defect is found at 50, 100 and 200
volumes a band, in which two real sets are declared different, in which the 95 % interval holds the true score, and in
which the ranking tells two generators apart that do or do not differ.
"""

from __future__ import annotations

import os
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from rich.progress import Progress
from threadpoolctl import threadpool_limits

from porebench.data import Dataset
from porebench.metrics.adjustment import MIN_TRAINING, Adjustment, fitting_window
from porebench.metrics.bands import ALL, Band
from porebench.metrics.descriptors import Descriptors, describe
from porebench.metrics.energy import REFERENCE_SIZE
from porebench.metrics.table import versions

from ...evaluate.progress import bars
from ...report import plots
from ...report.figures import draw, save
from ...report.style import style
from ...report.validation import validation_markdown
from ...store import tables
from ...store.files import write_text
from ...store.provenance import ALL_PACKAGES
from ...store.tables import Manifest, Record, write_table
from .defects import RADIUS, REAL, Matched, Plant, matched_sets, planted
from .trials import RESAMPLES, SWAPS, Pool, Trials, rate, run_trials, told_apart

SIZES = (50, 100, 200)  # volumes a band
LEAST = 20  # that are tried where there are not enough for any of these
MOST = 0.75  # of a pool that a trial draws: with more, all trials would be one
POWER_COLUMNS = (
    *("planted", "band", "headline", "volumes", "pool", "trials", "found", "found_low", "found_high", "nfr100_true"),
    *("nfr100_mean", "nfr100_sd", "covered", "covered_low", "covered_high", "bias_found"),
)
TIE_COLUMNS = (
    *("first", "second", "same", "volumes", "pool", "trials", "told_apart", "told_apart_low", "told_apart_high"),
)
CODE = (
    *(f"benchmarks.studies.validation.run:{name}" for name in ("benches", "power_rows", "tie_rows")),
    "benchmarks.studies.validation.defects:planted",
    "generators.gaussian_field:GaussianField",
    "generators.controls:Memoriser",
)


@dataclass(frozen=True)
class Settings:
    """Size of a validation.

    Attributes:
        seed: of volumes, defects and trials.
        pool: densities in the pool of a band, each with a real and a flawed volume; fewer where the data set has fewer.
        trials: comparisons of two real sets, for the rate of false alarms, at each number of volumes.
        planted_trials: comparisons with each defect.
        workers: threads that describe.
    """

    seed: int = 0
    pool: int = 600
    trials: int = 500
    planted_trials: int = 100
    workers: int = field(default_factory=lambda: os.cpu_count() or 1)


QUICK: dict[str, int] = {"pool": 200, "trials": 100, "planted_trials": 20}


@dataclass(frozen=True, eq=False)
class Bench:
    """One density band: described real volumes, and the adjustment that the evaluation makes there."""

    sets: Matched
    real: tuple[Descriptors, ...]
    adjustment: Adjustment

    @property
    def band(self) -> Band:
        """The band."""
        return self.sets.band

    @property
    def size(self) -> int:
        """Number of volumes of one part."""
        return len(self.real[0])

    def flawed(self, plant: Plant, part: int, settings: Settings, seed: Sequence[int]) -> Descriptors:
        """Return descriptors of one part with a defect planted."""
        volumes = self.sets.parts[part]
        rng = np.random.default_rng([settings.seed, *seed])
        return describe(plant(volumes.voxels, volumes.density, rng), workers=settings.workers)


def validate(
    dataset: Dataset,
    out: Path,
    settings: Settings | None = None,
    *,
    progress: Progress | None = None,
    command: str = "",
) -> Path:
    """Measure power, false alarms, coverage and ties on a data set, and write ``out/validation/<data set>/``.

    ``power.csv`` has one row a defect, band and number of volumes: how often it was found (``found``, with interval),
    the NFR100 of the laws that were compared (``nfr100_true``) and of the trials (mean and sd), how often
    the 95 % interval held the true one (``covered``, at 100 volumes only) and how often a paired t-test of the pore
    counts found a bias (``bias_found``). ``ties.csv`` has one row a pair of generators: how often the ranking told them
    apart. ``power.png`` and ``validation.md`` show them; ``manifest.json`` says how they were made.

    Args:
        dataset: its law or its volumes are drawn from; the adjustment is fitted on its training part.
        out: the results folder.
        settings: how much is tried.
        progress: a started rich progress display, or None for silence.
        command: the command line, for the manifest.

    Returns:
        The folder.

    Raises:
        ValueError: if the data set is too small.
        ImportError: if matplotlib is not installed.
    """
    settings = settings or Settings()
    folder, bar = out / "validation" / dataset.name, bars(progress)
    started, used = time.perf_counter(), time.process_time()
    # ``style`` fails now, rather than after minutes, where matplotlib is missing; threads would wait for each other at
    # matrices this small
    with style("page") as width, threadpool_limits(1, user_api="blas"):
        train = describe(dataset.train.voxels, workers=settings.workers)
        pairs = benches(dataset, train, 2, settings.pool, settings)
        plants = planted(dataset)
        power: list[dict[str, Any]] = []
        for number, name in enumerate([REAL, *plants]):
            with bar(f"plant {name}", len(plants) + 2) as advance:
                advance(number)
                power += power_rows(name, plants.get(name), number, pairs, settings)
        with bar("rank twins", len(plants) + 2) as advance:
            advance(len(plants) + 1)
            ties = tie_rows(dataset, train, plants, settings)
        table = pd.DataFrame(power, columns=list(POWER_COLUMNS))
        write_table(folder / "power.csv", table)
        write_table(folder / "ties.csv", pd.DataFrame(ties, columns=list(TIE_COLUMNS)))
        save(draw(plots.power(table), width), folder / "power.png")
    run = {
        "dataset": dataset.name,
        "data": dataset.digest(),
        "density_kind": dataset.density_kind,
        "settings": {key: value for key, value in asdict(settings).items() if key != "workers"},
        "swaps": SWAPS,
        "resamples": RESAMPLES,
        "metric_versions": versions(),
    }
    facts = {"pools": {bench.band.name: bench.size for bench in pairs}}
    record = Record.of({"real data": dataset.digest()[:16]}, CODE, ALL_PACKAGES, facts=facts)
    spent = {
        "seconds": round(time.perf_counter() - started, 1),
        "processor_seconds": round(time.process_time() - used, 1),
    }
    Manifest(run).extended({tables.REAL: record}, command, **spent).write(folder / "manifest.json")
    write_text(folder / "validation.md", validation_markdown(folder))
    return folder


def benches(dataset: Dataset, train: Descriptors, count: int, size: int, settings: Settings) -> list[Bench]:
    """Return described real volumes of every band, with the adjustment that the evaluation makes there.

    Args:
        dataset: what to validate on.
        train: descriptors of its training volumes.
        count: sets in a band.
        size: volumes in each set, at most.
        settings: seed and workers count.

    Raises:
        ValueError: if the data set has too few volumes for sets of the least number tried.
    """
    found = []
    for sets in matched_sets(dataset, count, size, np.random.default_rng([settings.seed, 0, count])):
        window = fitting_window(sets.band, dataset.train.density, dataset.test.density)
        here, needed = len(sets.parts[0]) * count, 3 * min(LEAST, *SIZES) / MOST  # ties take threes
        if here < needed or len(train) < MIN_TRAINING:
            raise ValueError(
                f"{dataset.name} has too few volumes to validate with: {here} in the band {sets.band.name}, "
                f"where {needed:.0f} are needed"
            )
        real = tuple(describe(part.voxels, workers=settings.workers) for part in sets.parts)
        found.append(Bench(sets, real, Adjustment.fit(train[window])))
    return found


def _sizes(pairs: Sequence[Bench]) -> list[int]:
    """Return the numbers of volumes to try with the pools at hand: those of ``SIZES``, or the most that there are."""
    most = int(MOST * min(bench.size for bench in pairs))
    return [volumes for volumes in SIZES if volumes <= most] or [most]


def _suite_size(pairs: Sequence[Bench]) -> int:
    """Return the number at which intervals and ties are tried: 100, as in the evaluation, or the most that is tried."""
    return max(volumes for volumes in _sizes(pairs) if volumes <= REFERENCE_SIZE)


def power_rows(
    name: str, plant: Plant | None, number: int, pairs: Sequence[Bench], settings: Settings
) -> list[dict[str, Any]]:
    """Return rows of one defect: every band and number of volumes, then the headline bands together.

    Args:
        name: of the defect.
        plant: makes it; None for a second set of real volumes.
        number: place of the defect in the table, for its random streams.
        pairs: two sets of real volumes in every band.
        settings: of the validation.
    """
    rng = np.random.default_rng([settings.seed, 2, number])
    trials = settings.trials if plant is None else settings.planted_trials
    sizes, tried = _sizes(pairs), _suite_size(pairs)
    made = [
        bench.real[1] if plant is None else bench.flawed(plant, 1, settings, [1, number, index])
        for index, bench in enumerate(pairs)
    ]
    rows = []
    headline: dict[int, list[Trials]] = {volumes: [] for volumes in sizes}
    for bench, flawed in zip(pairs, made, strict=True):
        pool = Pool([bench.real[0], flawed], bench.adjustment)
        for volumes in sizes:
            found = run_trials(
                pool, bench.size, volumes, trials, rng, exchange=plant is None, intervals=volumes == tried
            )
            rows.append(_row(name, bench.band.name, bench.band.headline, volumes, bench.size, found))
            if bench.band.headline:
                headline[volumes].append(found)
    least = min(bench.size for bench in pairs if bench.band.headline)
    return rows + [_row(name, ALL, True, volumes, least, Trials.over(bands)) for volumes, bands in headline.items()]


def _row(name: str, band: str, headline: bool, volumes: int, pool: int, trials: Trials) -> dict[str, Any]:
    covered = trials.covered()
    return {
        "planted": name,
        "band": band,
        "headline": headline,
        "volumes": volumes,
        "pool": pool,
        "trials": len(trials),
        **_rate("found", trials.detected()),
        "nfr100_true": trials.truth,
        "nfr100_mean": float(trials.ratios.mean()),
        "nfr100_sd": float(trials.ratios.std(ddof=1)),
        **({} if covered is None else _rate("covered", covered)),
        "bias_found": float(trials.biased().mean()),
    }


def tie_rows(
    dataset: Dataset, train: Descriptors, plants: dict[str, Plant], settings: Settings
) -> list[dict[str, Any]]:
    """Return the rate at which the ranking tells generators apart: the same twice, and neighbours on the ladder."""
    threes = [bench for bench in benches(dataset, train, 3, settings.pool // 2, settings) if bench.band.headline]
    ladder = [name for name in plants if name in RADIUS] or [*plants][:2]
    made = {(REAL, part): [bench.real[part] for bench in threes] for part in (1, 2)}
    for number, name in enumerate(ladder):
        for part in (1, 2):
            made[name, part] = [
                bench.flawed(plants[name], part, settings, [3, number, part, index])
                for index, bench in enumerate(threes)
            ]
    volumes, sizes = _suite_size(threes), [bench.size for bench in threes]
    rows = []
    for number, (first, second) in enumerate([(REAL, REAL), (ladder[0], ladder[0]), *pairwise(ladder)]):
        pools = [
            Pool([bench.real[0], one, other], bench.adjustment)
            for bench, one, other in zip(threes, made[first, 1], made[second, 2], strict=True)
        ]
        rng = np.random.default_rng([settings.seed, 4, number])
        trials = settings.trials if first == second else settings.planted_trials
        apart = told_apart(pools, sizes, volumes, trials, rng, exchange=first == second)
        labels = {"first": first, "second": second, "same": first == second, "volumes": volumes, "pool": min(sizes)}
        rows.append({**labels, "trials": trials, **_rate("told_apart", apart)})
    return rows


def _rate(name: str, hits: NDArray[np.bool_]) -> dict[str, float]:
    found = rate(hits)
    return {name: found.value, f"{name}_low": found.low, f"{name}_high": found.high}
