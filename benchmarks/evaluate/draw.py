"""Fit, sample, reconstruct: the cells that run a generator's own code."""

from __future__ import annotations

import logging
import random
import time
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from porebench.data import Dataset, Volumes
from porebench.generators import ON_REQUEST, importable

from ..store.cells import Cells, Inputs
from ..store.digests import code_digest, short_digest
from ..store.files import save_samples
from ..store.provenance import DRAWING_PACKAGES, device_name, packages, peak_memory_mb
from ..store.results import fit_folder
from . import fits
from .isolation import Tell
from .options import Options, Stream, select_test

if TYPE_CHECKING:
    from porebench.generators import Generator

log = logging.getLogger("porebench")

QUICK_FIT = 60.0  # seconds that a fit may take to be made several times
GLOBAL_STATE = (
    "%s uses the global random numbers of %s, so its draws need not follow --seed; take them from `rng`, which _fit "
    "and _sample are given: `rng.random(shape)`, `torch.Generator().manual_seed(int(rng.integers(2**63)))`"
)


@dataclass(frozen=True)
class Plan:
    """The inputs of a generator's cells, found out without fitting or drawing.

    Attributes:
        reference: registered name, or ``path/to/file.py:Class``.
        name: heading of its row.
        digest: of code, hyper-parameters, training data and seed.
        identity: the parts of that digest one by one.
        weights: digest of the fitted state; where it is not at hand, the one that the samples at hand were drawn with.
        at_hand: whether the fitted state is at hand.
        drawing: what decides the samples and reconstructions besides.
        reconstructs: whether the generator can render given volumes.
        params: hyper-parameters by name.
        trained_on_request: whether the generator must not be trained unasked.
        any_shape: whether the generator can draw other shapes than it was fitted on.
        fitted_on: edges of the training volumes, where it draws others.
        trained_on: descriptors that the fit makes agree with the training volumes.
    """

    reference: str
    name: str
    digest: str
    identity: Inputs
    weights: str
    at_hand: bool
    drawing: Inputs
    reconstructs: bool
    params: dict[str, Any]
    trained_on_request: bool
    any_shape: bool
    fitted_on: tuple[int, ...]
    trained_on: tuple[str, ...]

    @property
    def stages(self) -> tuple[str, ...]:
        """Stages that run the generator, in order."""
        return ("fit", "sample", "reconstruct") if self.reconstructs else ("fit", "sample")

    def inputs(self, stage: str, weights: str | None = None) -> Inputs:
        """Return the inputs of a stage, with the weights that are known or the given ones."""
        known = {**self.identity, "weights": self.weights if weights is None else weights}
        return known if stage == "fit" else {**known, **self.drawing}

    def stale(self, cells: Cells, weights: str | None = None) -> list[str]:
        """Return the stages that have to be run."""
        return [stage for stage in self.stages if cells.fresh(stage, self.inputs(stage, weights)) is None]


def plan(reference: str, dataset: Dataset, test: Volumes, folder: Path, options: Options) -> Plan:
    """Return the plan of a generator. Loads its class, which for one of the user's own runs that file.

    Args:
        reference: registered name, or ``path/to/file.py:Class``.
        dataset: what it is to be fitted on.
        test: volumes whose densities it is to draw.
        folder: of the run.
        options: of the run.
    """
    return _planned(reference, _prepared(reference, dataset, options), test, folder, options)


def _prepared(reference: str, dataset: Dataset, options: Options) -> fits.Fit:
    """Return the fit that a run draws from."""
    return fits.prepare(reference, dataset, options.fit_seed, options.places)


def _planned(reference: str, fit: fits.Fit, test: Volumes, folder: Path, options: Options) -> Plan:
    generator = fit.generator
    weights = fit.weights(options.places)
    earlier = Cells(folder, generator.name).read("sample") if weights is None else None
    asked = {} if options.precision == "auto" else {"precision": options.precision}
    return Plan(
        reference,
        generator.name,
        fit.digest,
        fit.identity,
        weights if weights is not None else earlier.inputs.get("weights", "") if earlier else "",
        weights is not None,
        {
            "drawing code": code_digest(sampled, reconstructed) if fit.shape is None else code_digest(enlarged),
            "test data": test.digest()[:16],
            "device": options.device,
            **({} if fit.law is None else {"porosity law": short_digest(asdict(fit.law))}),
            **asked,
            "packages": packages(DRAWING_PACKAGES),
        },
        generator.reconstructs and fit.shape is None,
        generator.params,
        generator.trained_on_request,
        generator.any_shape,
        () if fit.shape is None else fit.training.shape,
        tuple(generator.trained_on),
    )


def sampled(generator: Generator, test: Volumes, seed: int) -> NDArray[np.bool_]:
    """Return one realisation for each test density, bool [n, D, H, W]."""
    return generator.sample(test.density, rng=Stream.SAMPLES.of(seed))


def enlarged(generator: Generator, test: Volumes, seed: int) -> NDArray[np.bool_]:
    """Return one realisation for each test density in the shape of the test volumes, bool [n, D, H, W]."""
    return generator.sample(test.density, shape=test.shape, rng=Stream.SAMPLES.of(seed))


def reconstructed(generator: Generator, test: Volumes) -> NDArray[np.bool_]:
    """Return the rendering of each test volume, bool [n, D, H, W]."""
    return generator.reconstruct(test.voxels, test.density)


def draw(
    reference: str, dataset: Dataset, folder: Path, options: Options, show_progress: bool, tell: Tell
) -> dict[str, Any]:
    """Bring a generator's fit, sample and reconstruct cells up to date, and return the fields of its plan.

    Args:
        reference: registered name, or ``path/to/file.py:Class``.
        dataset: what it is fitted on.
        folder: of the run.
        options: of the run.
        show_progress: let a fit draw its progress bar.
        tell: told the generator's name, and each phase before it begins, by ``isolation.call``.
    """
    before = _global_states()
    with importable(reference):
        first = _draw_fit(reference, dataset, folder, options, show_progress, tell)
        for fit in range(1, fits_of(Cells(folder, first.name), options)):
            other = replace(options, fit=fit)
            _draw_fit(reference, dataset, fit_folder(folder, fit), other, show_progress, tell)
    touched = [owner for owner, state in _global_states().items() if state != before[owner]]
    if ":" in reference and touched:
        log.warning(GLOBAL_STATE, first.name, " and ".join(touched))
    return asdict(first)


def _global_states() -> dict[str, str]:
    """Return the state of every source of random numbers that all code shares, by its owner."""
    import torch  # noqa: PLC0415 - not needed to score

    state = np.random.get_state(legacy=False)["state"]  # noqa: NPY002 - read to see whether a generator uses it
    return {
        "random": repr(random.getstate()),
        "NumPy": f"{state['pos']} {state['key'].tobytes()!r}",
        "torch": repr(torch.get_rng_state().numpy().tobytes()),
    }


def _draw_fit(
    reference: str, dataset: Dataset, folder: Path, options: Options, show_progress: bool, tell: Tell
) -> Plan:
    """Bring the cells of one fit up to date, and return its plan; arguments as for ``draw``."""
    tell(phase="load")
    test = select_test(dataset, options)
    fit = _prepared(reference, dataset, options)
    planned = _planned(reference, fit, test, folder, options)
    tell(name=planned.name)
    cells = Cells(folder, planned.name)
    if not planned.stale(cells):
        return planned
    tell(phase="fit")
    ready = fits.made(fit, options, show_progress=show_progress)
    generator, stale = ready.generator, planned.stale(cells, ready.weights)
    if "fit" in stale:
        output = {"source": ready.source, "fit_seconds": round(ready.seconds, 2), "fit_machine": ready.machine}
        cells.finish("fit", planned.inputs("fit", ready.weights), output, ready.seconds, peak_memory_mb())
    for stage in stale:
        if stage == "fit":
            continue
        tell(phase=stage)
        began = time.perf_counter()
        if stage == "sample":
            voxels = (sampled if fit.shape is None else enlarged)(generator, test, options.fit_seed)
        else:
            voxels = reconstructed(generator, test)
        seconds = time.perf_counter() - began
        made = Volumes(voxels, test.density, test.voxel_size, planned.name)
        save_samples(made, cells.arrays(stage))
        output = {"reconstruction_digest": made.digest()}
        if stage == "sample":
            output = {
                "device": device_name(generator.device),
                **({"precision": generator.number_format} if generator.number_format else {}),
                "sample_milliseconds": round(1000 * seconds / len(made), 3),
                "samples_digest": made.digest(),
            }
        cells.finish(stage, planned.inputs(stage, ready.weights), output, seconds, peak_memory_mb())
    return planned


def fits_of(cells: Cells, options: Options) -> int:
    """Return the number of fits that a row stands on, once the first is made: one where the fit or the draws take long.

    Args:
        cells: of the generator's first fit.
        options: of the run.
    """
    first = cells.read("fit")
    if first is None or first.output["source"] == "published" or first.output["fit_seconds"] > QUICK_FIT:
        return 1
    if options.fits is None and cells.generator in ON_REQUEST:
        return 1
    return options.number_of_fits
