"""A few real volumes of a data set and every generator's draws at the same densities, for looking at."""

from __future__ import annotations

import logging
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from porebench import data
from porebench.data import Volumes
from porebench.data.packed import load_samples
from porebench.generators import GENERATORS

from ..report.series import Run
from ..store.cells import REAL as KEPT
from ..store.cells import Cells
from . import fits

REAL = "real"
SHOWN = {"factor": (0.3, 0.5, 0.7, 0.8, 0.9, 1.0), "porosity": (0.05, 0.2, 0.4, 0.6, 0.8, 0.95)}
"""Densities that are looked at where density is a label; shares of the test volumes below them where it is porosity."""

log = logging.getLogger("porebench")


class NoDrawsError(ValueError):
    """There is nothing to look at; the message says which command makes it."""


@dataclass(frozen=True, eq=False)
class Draws:
    """Volumes at a few densities.

    Attributes:
        density: float64 [k], rising.
        voxels: bool [k, D, H, W] by name, ``"real"`` first, then generators from the best score to the worst.
        missing: generators that have a score but no draws at hand, each with the command that makes them.
    """

    density: NDArray[np.float64]
    voxels: dict[str, NDArray[np.bool_]]
    missing: dict[str, str]


def read_draws(run: Run) -> Draws:
    """Draws that evaluation stored, or fresh ones where none are kept and the data set is built in.

    Raises:
        NoDrawsError: if the real volumes are not at hand.
    """
    test = _test_volumes(run)
    chosen = _spread(test, run.manifest["run"]["density_kind"])
    density = test.density[chosen]
    voxels, missing = {REAL: test.voxels[chosen]}, {}
    for name in run.generators:
        stored = _stored(run, name)
        drawn = stored.voxels[chosen] if stored is not None else _fresh(run, name, density)
        if drawn is None:
            missing[name] = run.command
        else:
            voxels[name] = drawn
    return Draws(density, voxels, missing)


def _test_volumes(run: Run) -> Volumes:
    """The real volumes that the run was judged against."""
    wanted = run.manifest["run"]["test"]
    kept = Cells(run.folder, KEPT).arrays("sample")
    if kept.is_file():
        test = load_samples(kept)
        if test.digest() == wanted:
            return test
    if data.is_simulated(run.name):
        test = fits.select_test(data.load(run.name), run.manifest["run"]["n_test"])
        if test.digest() == wanted:
            return test
    raise NoDrawsError(f"The real volumes of {run.name} are not at hand; {run.command} keeps them.")


def _stored(run: Run, name: str) -> Volumes | None:
    path = Cells(run.folder, name).arrays("sample")
    if not path.is_file():
        return None
    samples = load_samples(path)
    return samples if samples.digest() == run.manifest["generators"][name]["samples_digest"] else None


def _fresh(run: Run, name: str, density: NDArray[np.float64]) -> NDArray[np.bool_] | None:
    """Draws of a generator that is quickly at hand: registered, on a built-in data set, without long training."""
    if not data.is_simulated(run.name) or name not in GENERATORS:
        return None
    dataset, seed = data.load(run.name), int(run.manifest["run"]["seed"])
    if not fits.at_hand(name, dataset, seed):
        return None
    log.info("drawing from %s", name)
    return fits.fitted(name, dataset, seed=seed).generator.sample(density, rng=np.random.default_rng([seed, 1]))


def _spread(test: Volumes, kind: str) -> NDArray[np.int64]:
    """Indices of test volumes nearest to the densities that are looked at."""
    wanted = np.asarray(SHOWN[kind])
    targets = wanted if kind == "factor" else np.quantile(test.density, wanted)
    chosen = np.unique([int(np.abs(test.density - target).argmin()) for target in targets])
    return np.asarray(chosen[np.argsort(test.density[chosen], kind="stable")])


def typical_slice(volume: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """The slice across depth whose porosity is closest to the volume's, bool [height, width]; the first of equals."""
    profile = volume.mean(axis=(1, 2))
    return np.asarray(volume[np.abs(profile - profile.mean()).argmin()])
