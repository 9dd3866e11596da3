"""What an ensemble says about one density: intervals of every descriptor, and whether they hold what they promise.

An interval goes from the 5th to the 95th percentile of the drawn volumes, so it should hold 90 % of the real volumes of
that density. ``coverage_rows`` counts how many of the test volumes it does hold.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray

from porebench.data import Dataset, Volumes
from porebench.generators import Generator
from porebench.metrics.bands import ALL, density_bands
from porebench.metrics.descriptors import HEADLINE, Descriptors, describe
from porebench.metrics.estimate import binomial

from ..report.intervals import COUNT, EACH, coverage_markdown
from ..store.cells import ALL_PACKAGES, Inputs, code_digest, packages
from ..store.files import write_arrays, write_text
from ..store.provenance import environment

Floats = NDArray[np.float64]

PERCENTILES = (5.0, 95.0)
NOMINAL = 0.9
GRID = 24
"""Densities at which ensembles are drawn for the coverage; the ends of intervals between them are interpolated."""
COLUMNS = ("generator", "exact_count", "band", "descriptor", "coverage", "ci_low", "ci_high", "n")
ROUNDING = 1e-9


def curves(described: Descriptors) -> dict[str, Floats]:
    """Headline descriptors and the number of pore voxels, name -> float64 [n, points]."""
    return {**described.values, COUNT: described.pore_voxels[:, None].astype(np.float64)}


def interval(values: Floats) -> tuple[Floats, Floats]:
    """Ends of the 5-95 % interval that a further volume lies in with 90 % probability, each [points].

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


def ensemble_rows(described: Descriptors) -> list[dict[str, Any]]:
    """Interval of every descriptor of volumes drawn at one density; a curve has a row for each of its points."""
    rows = []
    for name, values in curves(described).items():
        low, high = interval(values)
        rows += [
            {
                "descriptor": name,
                "point": point + 1,
                "low": float(low[point]),
                "median": float(np.median(values[:, point])),
                "high": float(high[point]),
                "n": len(values),
            }
            for point in range(values.shape[1])
        ]
    return rows


def write_ensemble(drawn: Volumes, out: Path, *, workers: int = 1) -> tuple[pd.DataFrame, dict[str, Any], list[Path]]:
    """Intervals and occupancy of volumes drawn at one density, written beside them.

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
    summary = {
        "generator": drawn.name,
        "density": float(drawn.density[0]),
        "n": len(drawn),
        **occupancy_summary(occupancy, len(drawn)),
    }
    base = out.parent / out.stem if out.suffix else out / "ensemble"
    files = [base.with_name(f"{base.name}-{what}") for what in ("intervals.csv", "occupancy.json", "occupancy.npz")]
    write_text(files[0], table.to_csv(index=False, float_format="%.6g", lineterminator="\n"))
    write_text(files[1], json.dumps(summary, indent=2) + "\n")
    write_arrays(files[2], {"occupancy": occupancy})
    return table, summary, files


def occupancy_summary(occupancy: Floats, n: int) -> dict[str, float]:
    """How the share of volumes with pore at a voxel varies over the voxels.

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
    """Intervals as text; of a curve those of its first, middle and last point."""
    lines = [f"{'descriptor':<28}{'5 %':>12}{'median':>12}{'95 %':>12}"]
    for name, own in table.groupby("descriptor", sort=False):
        shown = own.iloc[sorted({0, len(own) // 2, len(own) - 1})]
        for row in shown.itertuples():
            label = str(name) if len(own) == 1 else f"{name} [{row.point}]"
            lines.append(f"{label:<28}{row.low:>12.4g}{row.median:>12.4g}{row.high:>12.4g}")
    return lines


def coverage_rows(
    generator: Generator, dataset: Dataset, test: Descriptors, *, n: int = 64, seed: int = 0, workers: int = 1
) -> list[dict[str, Any]]:
    """How many test volumes the 90 % intervals of a generator hold, by band and descriptor.

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
    rows: list[dict[str, Any]] = []
    choices: dict[str, dict[str, bool]] = {"": {}}
    if "exact_count" in generator.params:
        choices = {"yes": {"exact_count": True}, "no": {"exact_count": False}}
    for word, params in choices.items():
        samples = generator.altered(**params).sample(asked, rng=np.random.default_rng([seed, 3]))
        drawn = describe(samples, workers=workers)
        inside = {
            name: held(values.reshape(len(grid), n, -1), grid, curves(test)[name], dataset.test.density)
            for name, values in curves(drawn).items()
        }
        rows += [{"generator": generator.name, "exact_count": word, **row} for row in _count(inside, dataset)]
    return rows


def held(ensembles: Floats, grid: Floats, real: Floats, density: ArrayLike) -> Floats:
    """Share of the points of each real volume that lie inside the interval of its density, [volumes].

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
    """Coverage by band and descriptor; "all" holds the volumes of the headline bands."""
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


def coverage_inputs(fit: Inputs, test: Volumes, n: int) -> Inputs:
    """What the rows of a generator are made from.

    Args:
        fit: what it was fitted from, with its weights.
        test: the volumes that were covered.
        n: volumes in each ensemble.
    """
    return {
        **fit,
        "test data": test.digest()[:16],
        "ensembles": f"{GRID} of {n}",
        "metric code": code_digest("benchmarks/studies/intervals.py"),
        "packages": packages(ALL_PACKAGES),
    }


def write_coverage(
    rows: list[dict[str, Any]],
    dataset: Dataset,
    n: int,
    seed: int,
    folder: Path,
    command: str,
    inputs: dict[str, Inputs] | None = None,
) -> Path:
    """Put the coverage of generators into ``intervals.csv``; rows of other generators stay where the data are the same.

    Args:
        rows: of ``coverage_rows``, of any number of generators.
        dataset: whose test part was covered.
        n: volumes in each ensemble.
        seed: of the draws.
        folder: of the results of the data set.
        command: the command line.
        inputs: ``coverage_inputs`` of each generator, by name, for ``porebench status``.

    Returns:
        The Markdown beside it.
    """
    path, manifest_path = folder / "intervals.csv", folder / "intervals.json"
    run = {"dataset": dataset.name, "test": dataset.test.digest(), "n": n, "densities": GRID, "seed": seed}
    new = pd.DataFrame(rows, columns=list(COLUMNS))
    cells: dict[str, Inputs] = {}
    manifest = json.loads(manifest_path.read_text()) if path.is_file() and manifest_path.is_file() else {}
    if manifest.get("run") == run:
        cells = {name: made for name, made in manifest.get("cells", {}).items() if name not in set(new["generator"])}
        earlier = pd.read_csv(path, keep_default_na=False)
        new = pd.concat([earlier[~earlier["generator"].isin(set(new["generator"]))], new], ignore_index=True)
    write_text(path, new.to_csv(index=False, float_format="%.6g", lineterminator="\n"))
    manifest = {"run": run, "cells": {**cells, **(inputs or {})}, "command": command, **environment()}
    write_text(manifest_path, json.dumps(manifest, indent=2) + "\n")
    write_text(folder / "intervals.md", coverage_markdown(folder))
    return folder / "intervals.md"
