"""Intervals of every descriptor at one density, and the share of real volumes that they hold.

An interval goes from the 5th to the 95th percentile of the drawn volumes, so it should hold 90 % of the real volumes of
that density.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray
from rich.progress import Progress

from porebench.data import Dataset, Volumes
from porebench.generators import Generator
from porebench.metrics.bands import ALL, density_bands
from porebench.metrics.descriptors import HEADLINE, Descriptors, describe
from porebench.metrics.estimate import binomial

from ..evaluate import fits
from ..evaluate.options import Options, Stream
from ..evaluate.progress import bars
from ..report.studies import COUNT, EACH, coverage_markdown
from ..store.files import write_arrays, write_text
from ..store.provenance import ALL_PACKAGES
from ..store.results import run_folder
from ..store.tables import Record, manifest_of, replace_rows, write_table

Floats = NDArray[np.float64]

PERCENTILES = (5.0, 95.0)
GRID = 24
"""Densities at which ensembles are drawn for the coverage; the ends of intervals between them are interpolated."""
COLUMNS = ("generator", "exact_count", "band", "descriptor", "coverage", "ci_low", "ci_high", "n")
CODE = ("benchmarks.studies.intervals:coverage_rows",)
ROUNDING = 1e-9


def intervals(
    references: Sequence[str],
    dataset: Dataset,
    out: Path,
    options: Options,
    *,
    n: int,
    progress: Progress | None = None,
    command: str = "",
) -> Path:
    """Count the test volumes inside the intervals of generators, and write ``intervals.csv`` and its document.

    Args:
        references: registered names, or ``path/to/file.py:Class``.
        dataset: whose test part is covered. Earlier rows of other generators stay where data, n and seed are equal.
        out: the results folder.
        options: seed, device, workers and places count.
        n: volumes in each ensemble.
        progress: a started rich progress display, or None for silence.
        command: the command line, for the manifest.

    Returns:
        The Markdown.
    """
    bar = bars(progress)
    folder, digest, seed = run_folder(out, dataset, options.seed), dataset.test.digest(), options.seed
    run = {"dataset": dataset.name, "test": digest, "n": n, "densities": GRID, "seed": seed}
    manifest = manifest_of(folder / "intervals.json", run)
    with bar("describe real test volumes", len(dataset.test)) as advance:
        test = describe(dataset.test.voxels, workers=options.workers, progress=advance)
    for number, reference in enumerate(references):
        ready = fits.fitted(reference, dataset, options, show_progress=progress is not None)
        name = ready.generator.name
        with bar(f"cover with {name}", len(references)) as advance:
            advance(number)
            rows = coverage_rows(ready.generator, dataset, test, n=n, seed=seed, workers=options.workers)
        table = pd.DataFrame(rows, columns=list(COLUMNS))
        replace_rows(folder / "intervals.csv", table, ["generator"], keep=bool(manifest.records))
        inputs = {**ready.inputs, "test data": digest[:16], "ensembles": f"{GRID} of {n}"}
        manifest = manifest.extended({name: Record.of(inputs, CODE, ALL_PACKAGES, generator=name)}, command)
        manifest.write(folder / "intervals.json")
        write_text(folder / "intervals.md", coverage_markdown(folder))
    return folder / "intervals.md"


def coverage_rows(
    generator: Generator, dataset: Dataset, test: Descriptors, *, n: int = 64, seed: int = 0, workers: int = 1
) -> list[dict[str, Any]]:
    """Return the share of test volumes that the 90 % intervals of a generator hold, by band and descriptor.

    Where the generator can leave the number of pore voxels free, both ways are counted.

    Args:
        generator: fitted.
        dataset: whose test part is the truth.
        test: descriptors of the test volumes.
        n: volumes in each ensemble.
        seed: of the draws.
        workers: threads that describe volumes.
    """
    grid = np.unique(np.quantile(dataset.test.density, np.linspace(0, 1, GRID)))
    asked = np.repeat(grid, n)
    ways = {"": generator}
    if "exact_count" in generator.params:
        ways = {word: generator.altered(exact_count=word == "yes") for word in ("yes", "no")}
    rows: list[dict[str, Any]] = []
    for word, own in ways.items():
        drawn = describe(own.sample(asked, rng=Stream.ENSEMBLES.of(seed)), workers=workers)
        inside = {
            name: held(values.reshape(len(grid), n, -1), grid, curves(test)[name], dataset.test.density)
            for name, values in curves(drawn).items()
        }
        rows += [{"generator": generator.name, "exact_count": word, **row} for row in _count(inside, dataset)]
    return rows


def curves(described: Descriptors) -> dict[str, Floats]:
    """Return headline descriptors and the number of pore voxels, name -> float64 [n, points]."""
    return {**described.values, COUNT: described.pore_voxels[:, None].astype(np.float64)}


def interval(values: Floats) -> tuple[Floats, Floats]:
    """Return the ends of the interval that a further volume lies in with 90 % probability, each [points].

    Percentiles at rank (n + 1) p (Weibull), so that the promise also holds for small n.

    Args:
        values: [n, points].

    Example:
        >>> low, high = interval(np.arange(1.0, 20.0)[:, None])
        >>> float(low[0]), float(high[0])
        (1.0, 19.0)
    """
    low, high = np.percentile(values, PERCENTILES, axis=0, method="weibull")
    return np.asarray(low), np.asarray(high)


def held(ensembles: Floats, grid: Floats, real: Floats, density: ArrayLike) -> Floats:
    """Return the share of the points of each real volume that lie inside the interval of its density, [volumes].

    Args:
        ensembles: values of the drawn volumes, [densities, n, points].
        grid: ascending densities of the ensembles.
        real: values of the real volumes, [volumes, points].
        density: of the real volumes.
    """
    ends = np.array([interval(values) for values in ensembles])  # [densities, 2, points]
    inside = np.empty(real.shape, dtype=np.bool_)
    for point in range(real.shape[1]):
        low, high = (np.interp(np.asarray(density), grid, ends[:, side, point]) for side in (0, 1))
        slack = ROUNDING * (1 + np.abs(real[:, point]))
        inside[:, point] = (real[:, point] >= low - slack) & (real[:, point] <= high + slack)
    share: Floats = inside.mean(axis=1)
    return share


def _count(inside: dict[str, Floats], dataset: Dataset) -> list[dict[str, Any]]:
    """Return coverage by band and descriptor; "all" holds the volumes of the headline bands."""
    density = dataset.test.density
    bands = density_bands(density, dataset.density_kind)
    chosen = {band.name: band.contains(density) for band in bands}
    chosen[ALL] = np.any([chosen[band.name] for band in bands if band.headline], axis=0)
    everything = {**inside, EACH: np.mean([inside[name] for name in HEADLINE], axis=0)}
    rows = []
    for band, mask in chosen.items():
        count = int(mask.sum())
        if count == 0:
            continue
        for name, share in everything.items():
            ends = binomial(round(float(share[mask].sum())), count)
            row = {"band": band, "descriptor": name, "coverage": float(share[mask].mean())}
            rows.append({**row, "ci_low": ends.low, "ci_high": ends.high, "n": count})
    return rows


def write_ensemble(drawn: Volumes, out: Path, *, workers: int = 1) -> tuple[pd.DataFrame, dict[str, Any], list[Path]]:
    """Write intervals and occupancy of volumes drawn at one density beside them.

    Args:
        drawn: volumes of one density.
        out: the file or folder that the volumes were written to.
        workers: threads that describe volumes.

    Returns:
        The intervals, a summary of the voxel-wise occupancy, and the files written: ``NAME-intervals.csv``,
        ``NAME-occupancy.json`` and ``NAME-occupancy.npz`` (float64 [D, H, W]).

    Raises:
        ValueError: if there is only one volume, which has no spread.
    """
    if len(drawn) < 2:
        raise ValueError("intervals need an ensemble: ask for more than one volume with -n")
    table = pd.DataFrame(ensemble_rows(describe(drawn.voxels, workers=workers)))
    occupancy = drawn.voxels.mean(axis=0, dtype=np.float64)
    about = {"generator": drawn.name, "density": float(drawn.density[0]), "n": len(drawn)}
    summary = {**about, **occupancy_summary(occupancy, len(drawn))}
    base = out.parent / out.stem if out.suffix else out / "ensemble"
    files = [base.with_name(f"{base.name}-{what}") for what in ("intervals.csv", "occupancy.json", "occupancy.npz")]
    write_table(files[0], table)
    write_text(files[1], json.dumps(summary, indent=2) + "\n")
    write_arrays(files[2], {"occupancy": occupancy})
    return table, summary, files


def ensemble_rows(described: Descriptors) -> list[dict[str, Any]]:
    """Return the interval of every descriptor of volumes drawn at one density; a curve has a row for each point."""
    rows = []
    for name, values in curves(described).items():
        ends = zip(*interval(values), np.median(values, axis=0), strict=True)
        rows += [
            {"descriptor": name, "point": point, "low": low, "median": median, "high": high, "n": len(values)}
            for point, (low, high, median) in enumerate(ends, 1)
        ]
    return rows


def occupancy_summary(occupancy: Floats, n: int) -> dict[str, float]:
    """Return the spread over voxels of the share of volumes with pore there.

    Args:
        occupancy: share of the volumes that have pore at each voxel, [D, H, W].
        n: volumes.

    Returns:
        ``mean`` (the porosity), ``sd`` over voxels, ``sd_by_chance`` (what n volumes without any preferred place would
        show), ``low`` and ``high`` (5th and 95th percentile of the voxels), ``never`` and ``always`` (shares of voxels
        that are never or always pore).
    """
    mean = float(occupancy.mean())
    low, high = np.percentile(occupancy, PERCENTILES)
    return {
        "mean": mean,
        "sd": float(occupancy.std()),
        "sd_by_chance": float(np.sqrt(mean * (1 - mean) / n)),
        "low": float(low),
        "high": float(high),
        "never": float((occupancy == 0).mean()),
        "always": float((occupancy == 1).mean()),
    }


def interval_lines(table: pd.DataFrame) -> list[str]:
    """Return intervals as text; of a curve those of its first, middle and last point."""
    lines = [f"{'descriptor':<28}{'5 %':>12}{'median':>12}{'95 %':>12}"]
    for name, own in table.groupby("descriptor", sort=False):
        for row in own.iloc[sorted({0, len(own) // 2, len(own) - 1})].itertuples():
            label = str(name) if len(own) == 1 else f"{name} [{row.point}]"
            lines.append(f"{label:<28}{row.low:>12.4g}{row.median:>12.4g}{row.high:>12.4g}")
    return lines
