"""Mistakes of the score itself, measured: known defects are planted and the score is asked to find them.

For each density band and the headline bands together: the share of trials in which a defect is found at 50, 100 and 200
volumes a band, in which two real sets are declared different, in which the 95 % interval holds the true score, and in
which the ranking tells two generators apart that do or do not differ. Found is what the verdict of the evaluation
finds; a band by itself has the test of structure alone.
"""

from __future__ import annotations

import logging
import os
import time
import warnings
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, field, replace
from itertools import pairwise
from pathlib import Path
from typing import Any

import joblib
import numpy as np
import pandas as pd
from numpy.typing import NDArray
from rich.progress import Progress
from threadpoolctl import threadpool_limits

from porebench.data import Dataset, Volumes
from porebench.metrics.adjustment import MIN_TRAINING, Adjustment, fitting_window
from porebench.metrics.bands import ALL, Band
from porebench.metrics.descriptors import Descriptors, describe
from porebench.metrics.energy import REFERENCE_SIZE
from porebench.metrics.joint import Whitening
from porebench.metrics.nearest import familiarity
from porebench.metrics.novelty import COPIED
from porebench.metrics.patches import PatchIndex
from porebench.metrics.table import versions
from porebench.metrics.verdict import LEVEL

from ...evaluate.judgeable import check_judgeable
from ...evaluate.progress import bars
from ...report import plots
from ...report.figures import draw, save
from ...report.style import style
from ...report.validation import ALWAYS, validation_markdown
from ...store import tables
from ...store.files import write_text
from ...store.provenance import ALL_PACKAGES
from ...store.results import data_folder
from ...store.tables import Manifest, Record, manifest_of, write_table
from .defects import RADIUS, REAL, Defect, Matched, divided, matched_sets, planted
from .trials import RESAMPLES, SUITE, SWAPS, TESTS, Pool, Traces, Trials, rate, rejections, run_trials, told_apart

log = logging.getLogger("porebench")
Rows = list[dict[str, Any]]
LEAST = 20  # that are tried where there are not enough for any of these
MOST = 0.75  # of a pool that a trial draws: with more, all trials would be one
POWER_COLUMNS = (
    *("planted", "band", "headline", "volumes", "pool", "trials", "found", "found_low", "found_high", "nfr100_true"),
    *("nfr100_mean", "nfr100_sd", "covered", "covered_low", "covered_high"),
    *(f"by_{test}" for test in TESTS),
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
        trials: comparisons of two real sets, for the rate of false alarms, at 100 volumes a band.
        planted_trials: comparisons with each defect, and of two real sets at other numbers of volumes.
        sizes: numbers of volumes a band that are tried, rising; see ``power_rows``.
        traced: whether copies are looked for in two real sets too, which takes as long as in those that copy.
        workers: processes.
    """

    seed: int = 0
    pool: int = 400
    trials: int = 500
    planted_trials: int = 100
    sizes: tuple[int, ...] = (50, 100, 200)
    traced: bool = True
    workers: int = field(default_factory=lambda: os.cpu_count() or 1)


QUICK: dict[str, Any] = {"pool": 134, "trials": 100, "planted_trials": 20, "sizes": (100,), "traced": False}


@dataclass(frozen=True, eq=False)
class Bench:
    """One density band: described real volumes, and the adjustment and whitening that the evaluation makes there."""

    sets: Matched
    real: tuple[Descriptors, ...]
    whitening: Whitening

    @property
    def band(self) -> Band:
        """The band."""
        return self.sets.band

    @property
    def size(self) -> int:
        """Number of volumes of one part."""
        return len(self.real[0])

    def plant(self, defect: Defect, part: int, rng: np.random.Generator) -> Volumes:
        """Return the volumes of one part with a defect planted."""
        volumes = self.sets.parts[part]
        return Volumes(defect.plant(volumes.voxels, volumes.density, rng), volumes.density)

    def flawed(self, defect: Defect, volumes: Volumes, rng: np.random.Generator) -> Descriptors:
        """Return descriptors of volumes with the defect planted in them."""
        return defect.rearrange(describe(volumes.voxels), self.whitening.adjustment, self.band, rng)

    def pool(self, parts: Sequence[Descriptors], traces: Sequence[Traces] = ()) -> Pool:
        """Return the pool that trials in this band draw from, with the traces of the same volumes where any are."""
        density = self.sets.parts[0].density
        return Pool(parts, self.whitening, density, Traces.concatenate(traces) if traces else None)


@dataclass(frozen=True, eq=False)
class Learnt:
    """What a generator that copies has learnt from.

    Attributes:
        volumes: whose copies are looked for.
        index: their patches.
        real: headline band -> their traces in the first set of real volumes, which are there by chance.
    """

    volumes: Volumes
    index: PatchIndex
    real: dict[str, Traces]

    @classmethod
    def of(cls, volumes: Volumes, pairs: Sequence[Bench], workers: int) -> Learnt:
        """Return what is known of some training volumes and the real volumes of every headline band."""
        found = cls(volumes, PatchIndex.of(volumes.voxels, workers), {})
        benches = [bench for bench in pairs if bench.band.headline]
        tasks = [joblib.delayed(found.traces)(bench.sets.parts[0], bench.sets.parts[0], True) for bench in benches]
        real = joblib.Parallel(workers, prefer="threads")(tasks)
        return cls(volumes, found.index, {bench.band.name: it for bench, it in zip(benches, real, strict=True)})

    def traces(self, volumes: Volumes, unseen: Volumes, among: bool = False) -> Traces:
        """Return the traces of the training volumes in volumes of one band.

        Args:
            volumes: to judge.
            unseen: real volumes that the generator has not seen.
            among: the two are the same.
        """
        found = familiarity(volumes, self.volumes, unseen, among=among)
        return Traces(found.excess >= COPIED, found.train.judged, self.index.copies(volumes.voxels))


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
    the 95 % interval held the true one (``covered``) and how often each test of the verdict rejected (``by_structure``
    and so on); both at 100 volumes only. ``ties.csv`` has one row a pair of generators: how often the ranking told them
    apart. ``power.png`` and ``validation.md`` show them; ``manifest.json`` says how they were made. What is fresh is
    not made again.

    Args:
        dataset: its law or its volumes are drawn from; the adjustment is fitted on its training part.
        out: the results folder.
        settings: how much is tried.
        progress: a started rich progress display, or None for silence.
        command: the command line, for the manifest.

    Returns:
        The folder.

    Raises:
        ValueError: if the data set is too small, or nothing can be judged on it.
        ImportError: if matplotlib is not installed.
    """
    settings = settings or Settings()
    check_judgeable(dataset)
    folder = data_folder(out / "validation", dataset)
    run = {
        "dataset": dataset.name,
        "data": dataset.digest(),
        "density_kind": dataset.density_kind,
        "settings": {key: value for key, value in asdict(settings).items() if key != "workers"},
        "suite": SUITE.name,
        "swaps": SWAPS,
        "resamples": RESAMPLES,
        "metric_versions": versions(),
    }
    record = Record.of({"real data": dataset.digest()[:16]}, CODE, ALL_PACKAGES)
    if manifest_of(folder / "manifest.json", run).holds(record):
        log.info("the validation of %s is fresh and stays as it is", dataset.name)
        return folder
    started, used = time.perf_counter(), time.process_time()
    # ``style`` fails now, rather than after minutes, where matplotlib is missing; threads would wait for each other at
    # matrices this small
    with style("page") as width, threadpool_limits(1, user_api="blas"):
        power, ties, pools, elsewhere = _measured(dataset, settings, progress)
        write_table(folder / "power.csv", power)
        write_table(folder / "ties.csv", ties)
        save(draw(plots.power(power), width), folder / "power.png")
    spent = {
        "seconds": round(time.perf_counter() - started, 1),
        "processor_seconds": round(time.process_time() - used + elsewhere, 1),
    }
    made = replace(record, facts={"pools": pools})
    Manifest(run).extended({tables.REAL: made}, command, **spent).write(folder / "manifest.json")
    write_text(folder / "validation.md", validation_markdown(folder))
    return folder


def _measured(
    dataset: Dataset, settings: Settings, progress: Progress | None
) -> tuple[pd.DataFrame, pd.DataFrame, dict[str, int], float]:
    """Return the rows of both tables, the volumes in each band's pool, and the seconds of other processors."""
    train = describe(dataset.train.voxels, workers=settings.workers)
    pairs = benches(dataset, train, 2, settings.pool, settings)
    plants = {REAL: Defect(copies=settings.traced), **planted(dataset)}
    learnt = Learnt.of(divided(dataset)[0], pairs, settings.workers)
    tasks = [joblib.delayed(_timed)(tie_rows, dataset, train, plants, settings)]  # first: it takes longest
    tasks += [
        joblib.delayed(_timed)(power_rows, name, defect, number, pairs, learnt if defect.copies else None, settings)
        for number, (name, defect) in enumerate(plants.items())
    ]
    rows: list[Rows] = []
    elsewhere = 0.0
    with bars(progress)("plant and find", len(tasks)) as advance, warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="A worker stopped")  # and another started: it had grown large
        parallel = joblib.Parallel(settings.workers, return_as="generator", batch_size=1, mmap_mode="c")
        for found, seconds in parallel(tasks):
            rows.append(found)
            elsewhere += seconds if settings.workers > 1 else 0.0
            advance(1)
    power = pd.DataFrame([row for found in rows[1:] for row in found], columns=list(POWER_COLUMNS))
    ties = pd.DataFrame(rows[0], columns=list(TIE_COLUMNS))
    return power, ties, {bench.band.name: bench.size for bench in pairs}, elsewhere


def _timed(function: Callable[..., Rows], *arguments: Any) -> tuple[Rows, float]:
    """Return what a function returns, and the processor seconds that it took."""
    started = time.process_time()
    return function(*arguments), time.process_time() - started


def benches(dataset: Dataset, train: Descriptors, count: int, size: int, settings: Settings) -> list[Bench]:
    """Return described real volumes of every band, with the adjustment and whitening that the evaluation makes there.

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
        here, needed = len(sets.parts[0]) * count, 3 * min(LEAST, *settings.sizes) / MOST  # ties take threes
        if here < needed or len(train) < MIN_TRAINING:
            raise ValueError(
                f"{dataset.name} has too few volumes to validate with: {here} in the band {sets.band.name}, "
                f"where {needed:.0f} are needed"
            )
        real = tuple(describe(part.voxels, workers=settings.workers) for part in sets.parts)
        found.append(Bench(sets, real, Whitening.fit(Adjustment.fit(train[window]), train[window])))
    return found


def _sizes(pairs: Sequence[Bench], settings: Settings) -> list[int]:
    """Return the numbers of volumes to try with the pools at hand, or the most that there are."""
    most = int(MOST * min(bench.size for bench in pairs))
    return [volumes for volumes in settings.sizes if volumes <= most] or [most]


def _suite_size(pairs: Sequence[Bench], settings: Settings) -> int:
    """Return the number at which intervals and ties are tried: 100, as in the evaluation, or the most that is tried."""
    return max(volumes for volumes in _sizes(pairs, settings) if volumes <= REFERENCE_SIZE)


def power_rows(
    name: str, defect: Defect, number: int, pairs: Sequence[Bench], learnt: Learnt | None, settings: Settings
) -> Rows:
    """Return rows of one defect: every band and number of volumes, and the headline bands together.

    More volumes than intervals are tried at are drawn only where a defect is not always found with these.

    Args:
        name: of the defect, or of none.
        defect: what is planted.
        number: place of the defect in the table, for its random streams.
        pairs: two sets of real volumes in every band.
        learnt: volumes whose copies are looked for; None where there can be none.
        settings: of the validation.
    """
    rng = np.random.default_rng([settings.seed, 2, number])
    tried, least = _suite_size(pairs, settings), min(bench.size for bench in pairs if bench.band.headline)
    pools = []
    for place, bench in enumerate(pairs):
        own = np.random.default_rng([settings.seed, 1, number, place])
        drawn = bench.plant(defect, 1, own)
        seen: list[Traces] = []
        if learnt is not None and bench.band.headline:
            seen = [learnt.real[bench.band.name], learnt.traces(drawn, bench.sets.parts[0])]
        pools.append(bench.pool([bench.real[0], bench.flawed(defect, drawn, own)], seen))
    rows: Rows = []
    for volumes in _sizes(pairs, settings):
        trials = settings.trials if name == REAL and volumes == tried else settings.planted_trials
        judged = []
        for bench, pool in zip(pairs, pools, strict=True):
            found = run_trials(
                pool, bench.size, volumes, trials, rng, exchange=name == REAL, intervals=volumes == tried
            )
            here = bench.band.name, bench.band.headline, volumes, bench.size
            rows.append(_row(name, *here, found, found.p() <= LEVEL))
            if bench.band.headline:
                judged.append((pool, found))
        together = [found for _, found in judged]
        rejecting = rejections([pool for pool, _ in judged], together)
        row = _row(name, ALL, True, volumes, least, Trials.over(together), np.asarray(rejecting.any(axis=1)))
        by = {f"by_{test}": float(share) for test, share in zip(TESTS, rejecting.mean(axis=0), strict=True)}
        rows.append(row | (by if volumes == tried else {}))
        if name != REAL and volumes >= tried and row["found"] >= ALWAYS:
            break
    return rows


def _row(
    name: str, band: str, headline: bool, volumes: int, pool: int, trials: Trials, hits: NDArray[np.bool_]
) -> dict[str, Any]:
    """Return a row of ``power.csv``; hits are the trials in which the defect is found, [trials]."""
    covered = trials.covered()
    return {
        "planted": name,
        "band": band,
        "headline": headline,
        "volumes": volumes,
        "pool": pool,
        "trials": len(trials),
        **_rate("found", hits),
        "nfr100_true": trials.truth,
        "nfr100_mean": float(trials.ratios.mean()),
        "nfr100_sd": float(trials.ratios.std(ddof=1)),
        **({} if covered is None else _rate("covered", covered)),
    }


def tie_rows(dataset: Dataset, train: Descriptors, plants: dict[str, Defect], settings: Settings) -> Rows:
    """Return how often the ranking tells two generators apart: one and the same twice, and neighbours on the ladder."""
    threes = [bench for bench in benches(dataset, train, 3, settings.pool // 2, settings) if bench.band.headline]
    ladder = [name for name in plants if name in RADIUS] or [name for name in plants if name != REAL][:2]
    made = {(REAL, part): [bench.real[part] for bench in threes] for part in (1, 2)}
    for number, name in enumerate(ladder):
        for part in (1, 2):
            made[name, part] = []
            for place, bench in enumerate(threes):
                own = np.random.default_rng([settings.seed, 3, number, part, place])
                made[name, part].append(bench.flawed(plants[name], bench.plant(plants[name], part, own), own))
    volumes, sizes = _suite_size(threes, settings), [bench.size for bench in threes]
    rows = []
    for number, (first, second) in enumerate([(REAL, REAL), (ladder[0], ladder[0]), *pairwise(ladder)]):
        pools = [
            bench.pool([bench.real[0], one, other])
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
