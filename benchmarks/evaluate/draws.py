"""A few real volumes of a data set and every generator's draws at the same densities, for looking at."""

from __future__ import annotations

import logging

import numpy as np
from numpy.typing import NDArray

from porebench import data
from porebench.data import Volumes
from porebench.data.packed import load_samples
from porebench.generators import GENERATORS

from ..report.volumes import Draws, NoDrawsError
from ..store.cells import REAL as KEPT
from ..store.cells import Cells
from ..store.places import Places
from ..store.results import REAL, Run
from . import fits
from .options import Options, Stream, select_test

SHOWN = {"factor": (0.3, 0.5, 0.7, 0.8, 0.9, 1.0), "porosity": (0.05, 0.2, 0.4, 0.6, 0.8, 0.95)}
"""Densities to look at where density is a label; where density is porosity, quantiles of the test part."""

log = logging.getLogger("porebench")


def read_draws(run: Run) -> Draws:
    """Return draws that evaluation stored, or fresh ones where none are kept and the data set is built in.

    Raises:
        NoDrawsError: if the real volumes are not at hand.
    """
    test = _real(run)
    chosen = _nearest(test, run.manifest["run"]["density_kind"])
    density = test.density[chosen]
    voxels, missing = {REAL: test.voxels[chosen]}, {}
    for name in run.generators:
        stored = _stored(run, name, run.records[name]["samples_digest"])
        drawn = stored.voxels[chosen] if stored is not None else _fresh(run, name, density)
        if drawn is None:
            missing[name] = run.command
        else:
            voxels[name] = drawn
    return Draws(density, voxels, missing, test.voxel_size)


def _real(run: Run) -> Volumes:
    """Return the real volumes that the run was judged against."""
    wanted = str(run.manifest["run"]["test"])
    test = _stored(run, KEPT, wanted)
    if test is None and run.name in data.NAMES:
        test = select_test(data.load(run.name), Options(samples=run.manifest["run"]["n_test"]))
    if test is None or test.digest() != wanted:
        raise NoDrawsError(f"The real volumes of {run.name} are not at hand; {run.command} keeps them.")
    return test


def _stored(run: Run, name: str, digest: str) -> Volumes | None:
    path = Cells(run.folder, name).arrays("sample")
    samples = load_samples(path) if path.is_file() else None
    return samples if samples is not None and samples.digest() == digest else None


def _fresh(run: Run, name: str, density: NDArray[np.float64]) -> NDArray[np.bool_] | None:
    """Return draws of a registered generator on a built-in data set, unless it would have to be trained for long."""
    if run.name not in data.NAMES or name not in GENERATORS:
        return None
    fit = fits.prepare(name, data.load(run.name), int(run.manifest["run"]["seed"]))
    if fit.generator.trained_on_request and fit.at_hand(Places()) is None:
        return None
    log.info("drawing from %s", name)
    return fits.made(fit).generator.sample(density, rng=Stream.SAMPLES.of(fit.seed))


def _nearest(test: Volumes, kind: str) -> NDArray[np.int64]:
    """Return indices of the test volumes nearest to the densities to look at, in order of density."""
    wanted = np.asarray(SHOWN[kind])
    targets = wanted if kind == "factor" else np.quantile(test.density, wanted)
    chosen = np.unique([int(np.abs(test.density - target).argmin()) for target in targets])
    return np.asarray(chosen[np.argsort(test.density[chosen], kind="stable")])
