"""Larger volumes than were learnt from: inner blocks against real blocks, and layers by their distance to the wall."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from rich.progress import Progress
from scipy.optimize import linear_sum_assignment

from porebench.data import Dataset, Volumes, blocks, simulate
from porebench.data.volumes import spread
from porebench.generators import Generator
from porebench.metrics.bands import ALL, density_bands
from porebench.metrics.descriptors import describe
from porebench.metrics.score import score
from porebench.metrics.table import versions

from ..evaluate import fits, rows
from ..evaluate.options import Options, Stream
from ..evaluate.progress import bars
from ..report.studies import grown_markdown
from ..store.files import write_text
from ..store.provenance import ALL_PACKAGES
from ..store.results import REAL, run_folder
from ..store.tables import Record, manifest_of, replace_rows

Voxels = NDArray[np.bool_]

SCORES = ("generator", "edge", "band", "metric", "value", "ci_low", "ci_high", "n_generated", "n_real")
WALLS = ("source", "edge", "band", "distance", "porosity", "surface", "n")
CODE = tuple(f"benchmarks.studies.growth:{name}" for name in ("draw", "score_rows", "wall_rows"))


def grow(
    references: Sequence[str],
    dataset: Dataset,
    out: Path,
    options: Options,
    *,
    edge: int,
    n: int,
    progress: Progress | None = None,
    command: str = "",
) -> Path:
    """Draw and score large cubes of generators, and write ``grown.csv``, ``walls.csv`` and ``grown.md`` after each.

    Args:
        references: registered names, or ``path/to/file.py:Class``.
        dataset: of the cubes. Earlier rows of other generators stay where edge, n, seed, data and metrics are the same.
        out: the results folder.
        options: seed, device, workers and places count.
        edge: of the cubes in voxels, three blocks or more.
        n: test volumes whose densities are drawn, spread over density.
        progress: a started rich progress display, or None for silence.
        command: the command line, for the manifest.

    Returns:
        The Markdown.

    Raises:
        ValueError: if a generator only draws its training shape, or the edge is too small.
    """
    block = max(dataset.test.shape)
    if edge < 3 * block or len(set(dataset.test.shape)) > 1:
        raise ValueError(f"blocks of {dataset.test.shape} need cubes of at least {3 * block}, got {edge}")
    prepared = [fits.prepare(reference, dataset, options.seed) for reference in references]
    for fit in prepared:
        if not fit.generator.any_shape:
            raise ValueError(f"{fit.generator.name} cannot extrapolate: it draws its training shape only")
    folder = run_folder(out, dataset, options.seed)
    run = {"dataset": dataset.name, "test": dataset.test.digest(), "edge": edge, "n": n, "seed": options.seed}
    manifest = manifest_of(folder / "grown.json", {**run, "metric_versions": versions()})
    for number, fit in enumerate(prepared):
        ready = fits.made(fit, options, show_progress=progress is not None)
        name = ready.generator.name
        with bars(progress)(f"grow {name}", len(prepared)) as advance:
            advance(number)
            draws = draw(ready.generator, dataset, edge, n=n, seed=options.seed)
            scored = score_rows(draws, dataset, seed=options.seed, workers=options.workers)
            felt = wall_rows(draws, dataset)
        keep = bool(manifest.records)
        replace_rows(folder / "grown.csv", pd.DataFrame(scored, columns=list(SCORES)), ["generator"], keep=keep)
        replace_rows(folder / "walls.csv", pd.DataFrame(felt, columns=list(WALLS)), ["source"], keep=keep)
        inputs = {**ready.inputs, "test data": dataset.test.digest()[:16], "cubes": f"{n} of {edge}"}
        manifest = manifest.extended({name: Record.of(inputs, CODE, ALL_PACKAGES, generator=name)}, command)
        manifest.write(folder / "grown.json")
        write_text(folder / "grown.md", grown_markdown(folder))
    return folder / "grown.md"


@dataclass(frozen=True, eq=False)
class Draws:
    """Draws of one generator, and the real volumes beside them.

    Attributes:
        name: of the generator.
        real: test volumes whose densities were drawn.
        plain: draws of their shape.
        cubes: larger draws.
        real_cubes: real volumes as large, where the data set is simulated.
    """

    name: str
    real: Volumes
    plain: Voxels
    cubes: Voxels
    real_cubes: Voxels | None


def draw(generator: Generator, dataset: Dataset, edge: int, *, n: int, seed: int = 0) -> Draws:
    """Return draws of a fitted generator at n test densities, cubes one after the other since they take much memory."""
    real = dataset.test[np.sort(spread(dataset.test.density, n))]
    shape = (edge, edge, edge)
    rng = Stream.CUBES.of(seed)
    cubes = np.concatenate([generator.sample(float(density), 1, shape=shape, rng=rng) for density in real.density])
    plain = generator.sample(real.density, rng=Stream.BLOCKS.of(seed))
    large = None if dataset.law is None else simulate(real.density, dataset.law, Stream.REAL_CUBES.of(seed), shape)
    return Draws(generator.name, real, plain, cubes, large)


def inner_blocks(volumes: Voxels, block: int) -> Voxels:
    """Return disjoint blocks that lie at least one block away from every wall, bool [k, block, block, block].

    Raises:
        ValueError: if the volumes are smaller than three blocks an axis.
    """
    if min(volumes.shape[1:]) < 3 * block:
        raise ValueError(f"an inner block of {block} needs volumes of {3 * block} an axis, got {volumes.shape[1:]}")
    inside = volumes[:, block:-block, block:-block, block:-block]
    return np.concatenate([blocks(volume, block) for volume in inside])


def matched(wanted: NDArray[np.float64], given: NDArray[np.float64]) -> NDArray[np.int64]:
    """Return indices into ``given``, none twice, with the least sum of distances from ``wanted``.

    Example:
        >>> matched(np.array([0.5, 0.05]), np.array([0.0, 0.2, 0.6])).tolist()
        [2, 0]
    """
    rows, columns = linear_sum_assignment(np.abs(wanted[:, None] - given))
    return np.asarray(columns[np.argsort(rows)], dtype=np.int64)


def score_rows(
    draws: Draws, dataset: Dataset, *, seed: int = 0, workers: int = 1, n_bootstrap: int = 500
) -> list[dict[str, Any]]:
    """Return NFR100 of inner blocks of larger draws, and of draws of the training shape, against real blocks.

    Real cubes of a simulator are cut into inner blocks like the draws. Blocks of a rock vary around the porosity that a
    cube was asked for, so each inner block is compared with a test block of its own porosity, or as near as
    can be had for all of them together (``porosity_mismatch``).

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
    found: list[dict[str, Any]] = []
    for size, voxels, real in ((edge, inner, truth), (block, draws.plain, draws.real)):
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
        label = {"generator": draws.name, "edge": size}
        found += [{**label, **row} for row in rows.score_rows(result) if row["metric"].partition(":")[0] == "nfr100"]
        drawn, wanted = (volumes.mean(axis=(1, 2, 3)) for volumes in (voxels, real.voxels))
        means = {
            "porosity": drawn.mean(),
            "porosity_real": wanted.mean(),
            "porosity_mismatch": np.abs(drawn - wanted).mean(),
        }
        label |= {"band": ALL, "n_generated": len(voxels), "n_real": len(real)}
        found += [{**label, "metric": metric, "value": float(value)} for metric, value in means.items()]
    return found


def wall_profile(volumes: Voxels) -> pd.DataFrame:
    """Return porosity and surface of one-voxel layers by their distance to the nearer wall of an axis, mean over axes.

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
    """Return wall profiles of real volumes and of draws, each of the training shape and larger, by headline band."""
    density = draws.real.density
    sets = [(REAL, draws.real.voxels), (draws.name, draws.plain), (draws.name, draws.cubes)]
    if draws.real_cubes is not None:
        sets.append((REAL, draws.real_cubes))
    found: list[dict[str, Any]] = []
    for band in density_bands(dataset.test.density, dataset.density_kind):
        inside = band.contains(density)
        if not (inside.any() and band.headline):
            continue
        for source, volumes in sets:
            label = {"source": source, "edge": volumes.shape[1], "band": band.name, "n": int(inside.sum())}
            found += [{**label, **row} for row in wall_profile(volumes[inside]).to_dict("records")]
    return found
