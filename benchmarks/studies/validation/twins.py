"""A method against itself: how often the ranking tells two rows of sphere packing apart that differ in their seeds."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import joblib
import numpy as np
import pandas as pd
from rich.progress import Progress

from porebench.data import Dataset
from porebench.generators.sphere_packing import SpherePacking
from porebench.metrics.descriptors import Descriptors, describe
from porebench.metrics.ranking import Replicates, difference
from porebench.metrics.score import KEPT, score
from porebench.metrics.table import versions

from ...evaluate.judgeable import check_judgeable
from ...evaluate.options import FITS, Stream
from ...evaluate.progress import bars
from ...report.validation import validation_markdown
from ...store.files import write_text
from ...store.provenance import ALL_PACKAGES
from ...store.results import data_folder
from ...store.tables import REAL, Manifest, Record, manifest_of, write_table

COLUMNS = ("first", "second", "difference", "ci_low", "ci_high", "tied")
FULL, QUICK = (18, 20), (6, 10)
"""Numbers of fits and of pairs."""
CODE = ("benchmarks.studies.validation.twins:twin_rows",)


def twins(
    dataset: Dataset,
    out: Path,
    *,
    seed: int = 0,
    fits: int = FULL[0],
    pairs: int = FULL[1],
    workers: int = 1,
    progress: Progress | None = None,
    command: str = "",
) -> Path:
    """Compare pairs of rows of one method, and write ``twins.csv`` and ``twins.json`` into the validation's folder.

    A row stands on three fits, as in the evaluation, and scores a draw at every test density. Of each pair the table
    has the fits behind both rows, the difference of their NFR100 with its 95 % interval, and whether they tie. What is
    fresh is not made again.

    Args:
        dataset: what to fit and score on.
        out: the results folder.
        seed: of fits, draws and pairs.
        fits: that the rows of all pairs are taken from, at least six.
        pairs: of rows; the two of a pair share no fit, those of different pairs may.
        workers: processes.
        progress: a started rich progress display, or None for silence.
        command: the command line, for the manifest.

    Returns:
        The folder.

    Raises:
        ValueError: if nothing can be judged on the data set.
    """
    check_judgeable(dataset)
    folder = data_folder(out / "validation", dataset)
    run = {"dataset": dataset.name, "data": dataset.digest(), "seed": seed, "fits": fits, "pairs": pairs}
    run["metric_versions"] = versions()
    record = Record.of({"real data": dataset.digest()[:16]}, CODE, ALL_PACKAGES, generator=SpherePacking.name)
    path = folder / "twins.json"
    if not manifest_of(path, run).holds(record):
        rows = twin_rows(dataset, seed, fits, pairs, workers, progress)
        write_table(folder / "twins.csv", pd.DataFrame(rows, columns=list(COLUMNS)))
        Manifest(run).extended({REAL: record}, command).write(path)
        write_text(folder / "validation.md", validation_markdown(folder))
    return folder


def twin_rows(
    dataset: Dataset, seed: int, fits: int, pairs: int, workers: int, progress: Progress | None
) -> list[dict[str, Any]]:
    """Return one row a pair; arguments as for ``twins``."""
    test, train = describe(dataset.test.voxels, workers=workers), describe(dataset.train.voxels, workers=workers)
    rows, scored = [], []
    with bars(progress)("fit and score twins", fits) as advance:
        tasks = [joblib.delayed(_replicates)(dataset, test, train, seed, number) for number in range(fits)]
        for one in joblib.Parallel(workers, return_as="generator", batch_size=1)(tasks):
            scored.append(one)
            advance(1)
    rng = np.random.default_rng([seed, 1])
    for pair in range(pairs):
        chosen = rng.permutation(fits)[: 2 * FITS].reshape(2, FITS)
        first, second = (
            Replicates.over([scored[number] for number in side], [seed, 2, pair, place])
            for place, side in enumerate(chosen)
        )
        found = difference(first, second)
        names = (" ".join(map(str, side)) for side in chosen.tolist())
        rows.append(dict(zip(COLUMNS, (*names, found.value, found.low, found.high, found.holds(0)), strict=True)))
    return rows


def _replicates(dataset: Dataset, test: Descriptors, train: Descriptors, seed: int, number: int) -> Replicates:
    """Return the replicates of one fit, drawn and scored at every test density."""
    fit, draw = (np.random.default_rng([seed, 0, number, part]) for part in (0, int(Stream.SAMPLES)))
    density = dataset.test.density
    generator = SpherePacking().fit(dataset.train.voxels, dataset.train.density, rng=fit)
    drawn = describe(generator.sample(density, rng=draw))
    found = score(
        drawn,
        test,
        train,
        generated_density=density,
        test_density=density,
        train_density=dataset.train.density,
        kind=dataset.density_kind,
        n_bootstrap=KEPT,
        n_permutations=0,
        seed=seed,
    ).replicates
    if found is None:
        raise ValueError(f"{dataset.name} has too few test volumes to score twins on")
    return found
