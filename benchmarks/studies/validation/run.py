"""The suite's own mistakes, measured: known defects are planted and the score is asked to find them.

For each density band and the headline bands together: how often a defect is found at 50, 100 and 200 volumes a band,
how often two real sets are declared different, how often the 95 % interval holds the true score, and how often the
ranking tells two generators apart that do or do not differ. ``porebench validate`` writes
``results/validation/<data set>/``.
"""

from __future__ import annotations

import json
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
from porebench.generators.controls import Memoriser
from porebench.metrics.adjustment import MIN_TRAINING, Adjustment, fitting_window
from porebench.metrics.bands import ALL, Band
from porebench.metrics.descriptors import Descriptors, describe
from porebench.metrics.energy import REFERENCE_SIZE
from porebench.metrics.estimate import binomial
from porebench.metrics.table import versions

from ...evaluate import fits
from ...report.canvas import figure_class
from ...report.validation import draw_figure, validation_markdown
from ...store.cells import ALL_PACKAGES, Inputs, code_digest, packages, short_digest
from ...store.provenance import environment
from .defects import OTHER, RADIUS, REAL, Matched, Plant, matched_sets, planted
from .trials import RESAMPLES, SWAPS, Pool, Trials, run_trials, told_apart

SIZES = (50, 100, 200)  # volumes a band
LEAST = 20  # that are tried where there are not enough for any of these
COPIER = Memoriser.name
MOST = 0.75  # of a pool that a trial draws: with more, all trials would be one
POWER_COLUMNS = (
    "planted",
    "band",
    "headline",
    "volumes",
    "pool",
    "trials",
    "found",
    "found_low",
    "found_high",
    "nfr100_true",
    "nfr100_mean",
    "nfr100_sd",
    "covered",
    "covered_low",
    "covered_high",
    "bias_found",
)
TIE_COLUMNS = (
    "first",
    "second",
    "same",
    "volumes",
    "pool",
    "trials",
    "told_apart",
    "told_apart_low",
    "told_apart_high",
)


@dataclass(frozen=True)
class Settings:
    """How much is tried.

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
class _Bench:
    """One density band: described real volumes, and how the evaluation would adjust them."""

    sets: Matched
    real: tuple[Descriptors, ...]
    adjustment: Adjustment

    @property
    def band(self) -> Band:
        return self.sets.band

    @property
    def size(self) -> int:
        return len(self.real[0])

    def flawed(self, plant: Plant, part: int, settings: Settings, seed: Sequence[int]) -> Descriptors:
        """Descriptors of one part with a defect planted."""
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
    figure_class()  # to fail now rather than after minutes
    started, used = time.perf_counter(), time.process_time()
    plants = planted(dataset)
    names = [REAL, *plants]
    task = progress.add_task(f"describe {dataset.name}", total=len(names) + 1) if progress else None
    power: list[dict[str, Any]] = []
    with threadpool_limits(1, user_api="blas"):  # small matrices: threads would wait for each other
        train = describe(dataset.train.voxels, workers=settings.workers)
        benches = _benches(dataset, train, 2, settings.pool, settings)
        for number, name in enumerate(names):
            if progress is not None and task is not None:
                progress.update(task, description=f"plant {name}", completed=number)
            flawed = [
                bench.real[1] if name == REAL else bench.flawed(plants[name], 1, settings, [1, number, index])
                for index, bench in enumerate(benches)
            ]
            power += _power(name, benches, flawed, settings, np.random.default_rng([settings.seed, 2, number]))
        if progress is not None and task is not None:
            progress.update(task, description="rank twins", completed=len(names))
        ties = _ties(dataset, train, plants, settings)
        if progress is not None and task is not None:
            progress.update(task, completed=len(names) + 1)
    manifest = {
        "dataset": dataset.name,
        "data": dataset.digest(),
        "density_kind": dataset.density_kind,
        "settings": {key: value for key, value in asdict(settings).items() if key != "workers"},
        "inputs": validation_inputs(dataset),
        "swaps": SWAPS,
        "resamples": RESAMPLES,
        "pools": {bench.band.name: bench.size for bench in benches},
        "metric_versions": versions(),
        "date": time.strftime("%Y-%m-%d"),
        "command": command,
        "seconds": round(time.perf_counter() - started, 1),
        "processor_seconds": round(time.process_time() - used, 1),
        **environment(),
    }
    return _write(
        out / "validation" / dataset.name,
        pd.DataFrame(power, columns=list(POWER_COLUMNS)),
        pd.DataFrame(ties, columns=list(TIE_COLUMNS)),
        manifest,
    )


def validation_inputs(dataset: Dataset) -> Inputs:
    """What the numbers are made from, besides the settings; for ``porebench status``."""
    models = [fits.identity(*fits.prepare(name, dataset), 0)["generator code"] for name in (OTHER, COPIER)]
    return {
        "real data": dataset.digest()[:16],
        "generator code": short_digest(models),
        "metric code": code_digest(
            "benchmarks/studies/validation/run.py",
            "benchmarks/studies/validation/trials.py",
            "benchmarks/studies/validation/defects.py",
        ),
        "packages": packages(ALL_PACKAGES),
    }


def _benches(dataset: Dataset, train: Descriptors, count: int, size: int, settings: Settings) -> list[_Bench]:
    """Real volumes of every band, described, with the adjustment that the evaluation makes for it.

    Raises:
        ValueError: if the data set has too few volumes for sets of the least number tried.
    """
    benches = []
    for sets in matched_sets(dataset, count, size, np.random.default_rng([settings.seed, 0, count])):
        window = fitting_window(sets.band, dataset.train.density, dataset.test.density)
        here, needed = len(sets.parts[0]) * count, 3 * min(LEAST, *SIZES) / MOST  # ties take threes
        if here < needed or len(train) < MIN_TRAINING:
            raise ValueError(
                f"{dataset.name} has too few volumes to validate with: {here} in the band {sets.band.name}, "
                f"where {needed:.0f} are needed"
            )
        real = tuple(describe(part.voxels, workers=settings.workers) for part in sets.parts)
        benches.append(_Bench(sets, real, Adjustment.fit(train[window])))
    return benches


def _sizes(benches: Sequence[_Bench]) -> list[int]:
    """Numbers of volumes that can be tried with the pools at hand: those of ``SIZES``, or the most that there are."""
    most = int(MOST * min(bench.size for bench in benches))
    return [volumes for volumes in SIZES if volumes <= most] or [most]


def _suite_size(benches: Sequence[_Bench]) -> int:
    """The number at which intervals and ties are tried: 100, as in the evaluation, or the most that is tried."""
    return max(volumes for volumes in _sizes(benches) if volumes <= REFERENCE_SIZE)


def _power(
    name: str, benches: Sequence[_Bench], flawed: Sequence[Descriptors], settings: Settings, rng: np.random.Generator
) -> list[dict[str, Any]]:
    """Rows of one defect: every band and number of volumes, then the headline bands together."""
    trials = settings.trials if name == REAL else settings.planted_trials
    sizes, tried = _sizes(benches), _suite_size(benches)
    rows = []
    headline: dict[int, list[Trials]] = {volumes: [] for volumes in sizes}
    for bench, made in zip(benches, flawed, strict=True):
        pool = Pool([bench.real[0], made], bench.adjustment)
        for volumes in sizes:
            found = run_trials(
                pool, bench.size, volumes, trials, rng, exchange=name == REAL, intervals=volumes == tried
            )
            rows.append(_row(name, bench.band.name, bench.band.headline, volumes, bench.size, found))
            if bench.band.headline:
                headline[volumes].append(found)
    least = min(bench.size for bench in benches if bench.band.headline)
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


def _ties(dataset: Dataset, train: Descriptors, plants: dict[str, Plant], settings: Settings) -> list[dict[str, Any]]:
    """How often the ranking tells two generators apart: one and the same twice, and neighbours on the ladder."""
    benches = [bench for bench in _benches(dataset, train, 3, settings.pool // 2, settings) if bench.band.headline]
    ladder = [name for name in plants if name in RADIUS] or [*plants][:2]
    pairs = [(REAL, REAL), (ladder[0], ladder[0]), *pairwise(ladder)]
    made: dict[tuple[str, int], list[Descriptors]] = {(REAL, part): [b.real[part] for b in benches] for part in (1, 2)}
    for number, name in enumerate(ladder):
        for part in (1, 2):
            seeds = [[3, number, part, index] for index in range(len(benches))]
            made[name, part] = [
                bench.flawed(plants[name], part, settings, seed) for bench, seed in zip(benches, seeds, strict=True)
            ]
    volumes, sizes = _suite_size(benches), [bench.size for bench in benches]
    rows = []
    for number, (first, second) in enumerate(pairs):
        pools = [
            Pool([bench.real[0], one, other], bench.adjustment)
            for bench, one, other in zip(benches, made[first, 1], made[second, 2], strict=True)
        ]
        rng = np.random.default_rng([settings.seed, 4, number])
        trials = settings.trials if first == second else settings.planted_trials
        apart = told_apart(pools, sizes, volumes, trials, rng, exchange=first == second)
        labels = {"first": first, "second": second, "same": first == second, "volumes": volumes, "pool": min(sizes)}
        rows.append({**labels, "trials": trials, **_rate("told_apart", apart)})
    return rows


def _rate(name: str, hits: NDArray[np.bool_]) -> dict[str, float]:
    share = binomial(int(hits.sum()), len(hits), "wilson")
    return {name: share.value, f"{name}_low": share.low, f"{name}_high": share.high}


def _write(folder: Path, power: pd.DataFrame, ties: pd.DataFrame, manifest: dict[str, Any]) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    for name, table in (("power", power), ("ties", ties)):
        table.to_csv(folder / f"{name}.csv", index=False, float_format="%.6g", lineterminator="\n")
    (folder / "manifest.json").write_text(json.dumps(manifest, indent=2) + "\n")
    (folder / "validation.md").write_text(validation_markdown(power, ties, manifest))
    draw_figure(power, folder / "power.png")
    return folder
