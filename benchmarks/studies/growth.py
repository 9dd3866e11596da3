"""Larger volumes than were learnt from: is their inside still real, and what happens at the walls?

Inner blocks are scored against real blocks, outer layers are compared by their distance to the wall.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy.optimize import linear_sum_assignment

from porebench import data
from porebench.data import Dataset, Volumes, blocks
from porebench.generators import Generator
from porebench.metrics.bands import ALL, density_bands
from porebench.metrics.descriptors import describe
from porebench.metrics.score import score

from ..evaluate.fits import select_test
from ..report.growth import REAL, grown_markdown
from ..store.cells import ALL_PACKAGES, Inputs, code_digest, metric_versions, packages
from ..store.files import write_text
from ..store.provenance import environment

Voxels = NDArray[np.bool_]

SCORES = ("generator", "edge", "band", "metric", "value", "ci_low", "ci_high", "n_generated", "n_real")
WALLS = ("source", "edge", "band", "distance", "porosity", "surface", "n")


def inner_blocks(volumes: Voxels, block: int) -> Voxels:
    """Disjoint blocks that lie at least one block away from every wall, bool [k, block, block, block].

    Raises:
        ValueError: if the volumes are smaller than three blocks an axis.
    """
    if min(volumes.shape[1:]) < 3 * block:
        raise ValueError(f"an inner block of {block} needs volumes of {3 * block} an axis, got {volumes.shape[1:]}")
    inside = volumes[:, block:-block, block:-block, block:-block]
    return np.concatenate([blocks(volume, block) for volume in inside])


@dataclass(frozen=True, eq=False)
class Draws:
    """What one generator drew, and the real volumes beside it.

    Attributes:
        name: of the generator.
        real: test volumes whose densities were drawn.
        plain: draws of their shape.
        cubes: larger draws.
        real_cubes: real volumes as large, where the data set is a simulator.
    """

    name: str
    real: Volumes
    plain: Voxels
    cubes: Voxels
    real_cubes: Voxels | None


def draw(generator: Generator, dataset: Dataset, edge: int, *, n: int, seed: int = 0) -> Draws:
    """Draw at test densities, cubes one after the other since they take much memory.

    Args:
        generator: fitted, of any shape.
        dataset: whose test part gives densities.
        edge: of the cubes.
        n: test volumes whose densities are drawn, spread over density.
        seed: of the draws.
    """
    real = select_test(dataset, min(n, len(dataset.test)))
    shape = (edge, edge, edge)
    rng = np.random.default_rng([seed, 4])
    cubes = np.concatenate([generator.sample(float(density), 1, shape=shape, rng=rng) for density in real.density])
    plain = generator.sample(real.density, rng=np.random.default_rng([seed, 6]))
    law = dataset.law
    large = None if law is None else data.simulate(real.density, law, np.random.default_rng([seed, 5]), shape)
    return Draws(generator.name, real, plain, cubes, large)


def matched(wanted: NDArray[np.float64], given: NDArray[np.float64]) -> NDArray[np.int64]:
    """Indices into ``given``, none twice, so that the values lie as near to ``wanted`` as can be for all together.

    Example:
        >>> matched(np.array([0.5, 0.05]), np.array([0.0, 0.2, 0.6])).tolist()
        [2, 0]
    """
    rows, columns = linear_sum_assignment(np.abs(wanted[:, None] - given))
    return np.asarray(columns[np.argsort(rows)], dtype=np.int64)


def score_rows(
    draws: Draws, dataset: Dataset, *, seed: int = 0, workers: int = 1, n_bootstrap: int = 500
) -> list[dict[str, Any]]:
    """NFR100 of inner blocks of larger draws, and of draws of the training shape, against real blocks.

    A simulator draws real large cubes: there the inner blocks of those are the truth, at the density asked for. Blocks
    of a rock vary around the porosity that a cube was asked for, so each inner block is compared with a test
    block of its own porosity, or as near as can be had for all of them together (``porosity_mismatch``).

    Args:
        draws: of one generator.
        dataset: whose training part the adjustment is fitted on.
        seed: of the resampling.
        workers: threads that describe volumes.
        n_bootstrap: resamples behind the intervals.
    """
    block, edge = draws.real.shape[0], draws.cubes.shape[1]
    inner = inner_blocks(draws.cubes, block)
    if draws.real_cubes is not None:
        each = len(inner) // len(draws.real)
        truth = Volumes(inner_blocks(draws.real_cubes, block), np.repeat(draws.real.density, each))
    else:
        inner = inner[: len(dataset.test)]
        truth = dataset.test[matched(inner.mean(axis=(1, 2, 3)), dataset.test.porosity)]
    train = describe(dataset.train.voxels, workers=workers)
    sides = {edge: (inner, truth), block: (draws.plain, draws.real)}
    rows: list[dict[str, Any]] = []
    for size, (voxels, real) in sides.items():
        result = score(
            describe(voxels, workers=workers),
            describe(real.voxels, workers=workers),
            train,
            generated_density=real.density,
            test_density=real.density,
            train_density=dataset.train.density,
            kind=dataset.density_kind,
            n_bootstrap=n_bootstrap,
            n_permutations=0,
            seed=seed,
        )
        for name, band in result.bands.items():
            counts = {"n_generated": band.n_generated, "n_real": band.n_real}
            label = {"generator": draws.name, "edge": size, "band": name}
            if band.nfr100 is None:
                continue
            found = {"nfr100": band.nfr100, **{f"nfr100:{key}": it for key, it in band.descriptors.items()}}
            rows += [
                {**label, "metric": metric, "value": it.value, "ci_low": it.low, "ci_high": it.high, **counts}
                for metric, it in found.items()
            ]
        porosity = [volumes.mean(axis=(1, 2, 3)) for volumes in (voxels, real.voxels)]
        means = {
            "porosity": porosity[0].mean(),
            "porosity_real": porosity[1].mean(),
            "porosity_mismatch": np.abs(porosity[0] - porosity[1]).mean(),
        }
        label = {
            "generator": draws.name,
            "edge": size,
            "band": ALL,
            "n_generated": len(voxels),
            "n_real": len(real),
        }
        rows += [{**label, "metric": metric, "value": float(value)} for metric, value in means.items()]
    return rows


def wall_profile(volumes: Voxels) -> pd.DataFrame:
    """Porosity and surface of one-voxel layers by their distance to the nearer wall of an axis, mean over axes.

    Returns:
        A row for each distance 0, 1, ... in voxels: ``porosity``, and ``surface``, the pore-solid faces inside the
        layer over its voxels.

    Example:
        >>> cube = np.zeros((1, 4, 4, 4), dtype=bool)
        >>> cube[:, 1:-1, 1:-1, 1:-1] = True
        >>> wall_profile(cube)["porosity"].tolist()
        [0.0, 0.25]
    """
    depth = min(volumes.shape[1:]) // 2
    porosity, surface = np.zeros(depth), np.zeros(depth)
    for axis in range(3):
        layers = np.moveaxis(volumes, axis + 1, 0)  # [layer, volume, y, x]
        for distance in range(depth):
            both = layers[[distance, len(layers) - 1 - distance]]
            faces = np.count_nonzero(np.diff(both, axis=2)) + np.count_nonzero(np.diff(both, axis=3))
            porosity[distance] += both.mean() / 3
            surface[distance] += faces / both.size / 3
    return pd.DataFrame({"distance": np.arange(depth), "porosity": porosity, "surface": surface})


def wall_rows(draws: Draws, dataset: Dataset) -> list[dict[str, Any]]:
    """Wall profiles of real volumes and of draws, each of the training shape and larger, in the headline bands.

    Args:
        draws: of one generator.
        dataset: whose test part defines the bands.
    """
    density = draws.real.density
    sets = [(REAL, draws.real.voxels), (draws.name, draws.plain), (draws.name, draws.cubes)]
    if draws.real_cubes is not None:
        sets.append((REAL, draws.real_cubes))
    rows: list[dict[str, Any]] = []
    for band in density_bands(dataset.test.density, dataset.density_kind):
        inside = band.contains(density)
        if not (inside.any() and band.headline):
            continue
        for source, volumes in sets:
            label = {"source": source, "edge": volumes.shape[1], "band": band.name, "n": int(inside.sum())}
            rows += [{**label, **row} for row in wall_profile(volumes[inside]).to_dict("records")]
    return rows


def grown_inputs(fit: Inputs, test: Volumes, edge: int, n: int) -> Inputs:
    """What the rows of a generator are made from.

    Args:
        fit: what it was fitted from, with its weights.
        test: the volumes that cubes are compared with.
        edge: of the cubes.
        n: test volumes whose densities are drawn.
    """
    return {
        **fit,
        "test data": test.digest()[:16],
        "cubes": f"{n} of {edge}",
        "metric code": code_digest("benchmarks/studies/growth.py"),
        "packages": packages(ALL_PACKAGES),
    }


def grow(
    generators: Sequence[Generator],
    dataset: Dataset,
    folder: Path,
    *,
    edge: int,
    n: int,
    seed: int = 0,
    workers: int = 1,
    command: str = "",
    tell: Callable[[str], object] = lambda _line: None,
    inputs: dict[str, Inputs] | None = None,
) -> Path:
    """Grow generators, and write ``grown.csv``, ``walls.csv`` and ``grown.md``.

    Args:
        generators: fitted.
        dataset: of cubes.
        folder: of the results of the data set; earlier rows of other generators stay where the run is the same.
        edge: of the grown cubes, three blocks or more.
        n: test volumes whose densities are drawn.
        seed: of draws and resampling.
        workers: threads that describe volumes.
        command: the command line.
        tell: told which generator is next.
        inputs: ``grown_inputs`` of each generator, by name, for ``porebench status``.

    Returns:
        The Markdown.

    Raises:
        ValueError: if a generator only draws its training shape, or the edge is too small.
    """
    block = dataset.test.shape[0]
    if edge < 3 * block or len(set(dataset.test.shape)) > 1:
        raise ValueError(
            f"blocks of {dataset.test.shape} need cubes of at least {3 * max(dataset.test.shape)}, got {edge}"
        )
    for generator in generators:
        if not generator.any_shape:
            raise ValueError(f"{generator.name} cannot extrapolate: it draws its training shape only")
    run = {"dataset": dataset.name, "test": dataset.test.digest(), "edge": edge, "n": n, "seed": seed}
    run["metric_versions"] = metric_versions()
    manifest_path = folder / "grown.json"
    earlier = json.loads(manifest_path.read_text()) if manifest_path.is_file() else {}
    kept = earlier.get("run") == run
    scores = pd.read_csv(folder / "grown.csv") if kept else pd.DataFrame(columns=list(SCORES))
    walls = pd.read_csv(folder / "walls.csv") if kept else pd.DataFrame(columns=list(WALLS))
    for generator in generators:
        tell(generator.name)
        draws = draw(generator, dataset, edge, n=n, seed=seed)
        new = pd.DataFrame(score_rows(draws, dataset, seed=seed, workers=workers), columns=list(SCORES))
        felt = pd.DataFrame(wall_rows(draws, dataset), columns=list(WALLS))
        scores = _joined(scores[scores["generator"] != generator.name], new)
        walls = _joined(walls[~walls["source"].isin({generator.name, REAL})], felt)
    folder.mkdir(parents=True, exist_ok=True)
    for name, table in (("grown.csv", scores), ("walls.csv", walls)):
        write_text(folder / name, table.to_csv(index=False, float_format="%.6g", lineterminator="\n"))
    names = {generator.name for generator in generators}
    cells = {name: made for name, made in earlier.get("cells", {}).items() if kept and name not in names}
    manifest = {
        "run": run,
        "cells": {**cells, **(inputs or {})},
        "date": time.strftime("%Y-%m-%d"),
        "command": command,
        **environment(),
    }
    write_text(manifest_path, json.dumps(manifest, indent=2) + "\n")
    write_text(folder / "grown.md", grown_markdown(folder))
    return folder / "grown.md"


def _joined(earlier: pd.DataFrame, new: pd.DataFrame) -> pd.DataFrame:
    return pd.concat([earlier, new], ignore_index=True) if len(earlier) else new
