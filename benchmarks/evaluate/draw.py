"""Fit, sample, reconstruct: the cells that run a generator's own code."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

from porebench.data import Dataset, Volumes

from ..store.cells import DRAWING_PACKAGES, Cell, Cells, Inputs, packages
from ..store.files import save_samples
from ..store.provenance import device_name, peak_memory_mb
from . import fits
from .isolation import Tell


@dataclass(frozen=True)
class Plan:
    """What a generator's cells would be made from, found out without fitting or drawing.

    Attributes:
        reference: registered name, or ``path/to/file.py:Class``.
        name: what its row is headed with.
        digest: of code, hyper-parameters, training data and seed.
        identity: the parts of that digest one by one.
        weights: digest of the fitted state; where it is not at hand, the one that the samples at hand were drawn with.
        at_hand: whether the fitted state is at hand.
        drawing: what decides the samples and reconstructions besides.
        reconstructs: whether it can render given volumes.
        params: hyper-parameters by name.
        seed: of fit and draws.
        device: to draw on, as it was asked for.
        trained_on_request: whether it must not be trained unasked.
        any_shape: whether it can draw other shapes than it was fitted on.
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
    seed: int
    device: str
    trained_on_request: bool
    any_shape: bool

    @property
    def stages(self) -> tuple[str, ...]:
        """The stages that run the generator, in order."""
        return ("fit", "sample", "reconstruct") if self.reconstructs else ("fit", "sample")

    def inputs(self, stage: str, weights: str | None = None) -> Inputs:
        """The inputs of a stage, with the weights that are known or the given ones."""
        known = {**self.identity, "weights": self.weights if weights is None else weights}
        return known if stage == "fit" else {**known, **self.drawing}

    def stale(self, cells: Cells, weights: str | None = None) -> list[str]:
        """The stages that have to be run."""
        return [stage for stage in self.stages if cells.fresh(stage, self.inputs(stage, weights)) is None]


def plan(reference: str, dataset: Dataset, test: Volumes, folder: Path, *, seed: int, device: str) -> Plan:
    """The plan of a generator. Loads its class, which for one of the user's own runs that file.

    Args:
        reference: registered name, or ``path/to/file.py:Class``.
        dataset: what it is to be fitted on.
        test: the volumes whose densities it is to draw.
        folder: the run folder.
        seed: of fit and draws.
        device: as it was asked for.
    """
    generator, training = fits.prepare(reference, dataset)
    weights = fits.weights_at_hand(generator, training, dataset.name, seed)
    earlier = Cells(folder, generator.name).read("sample") if weights is None else None
    drawing = {"test data": test.digest()[:16], "device": device, "packages": packages(DRAWING_PACKAGES)}
    return Plan(
        reference,
        generator.name,
        fits.digest(generator, training, seed),
        fits.identity(generator, training, seed),
        weights if weights is not None else earlier.inputs.get("weights", "") if earlier else "",
        weights is not None,
        drawing,
        generator.reconstructs,
        generator.params,
        seed,
        device,
        generator.trained_on_request,
        generator.any_shape,
    )


def draw(
    plan: Plan,
    dataset: Dataset,
    test: Volumes,
    folder: Path,
    *,
    show_progress: bool = False,
    enter: Callable[[str], object] = lambda _phase: None,
) -> None:
    """Bring the generator's fit, sample and reconstruct cells up to date.

    Args:
        plan: of the generator.
        dataset: what it is fitted on.
        test: the volumes whose densities it draws, and which it reconstructs.
        folder: the run folder.
        show_progress: let a fit draw its progress bar.
        enter: told the name of each phase before it begins.
    """
    cells = Cells(folder, plan.name)
    if not plan.stale(cells):
        return
    enter("fit")
    ready = fits.fitted(plan.reference, dataset, seed=plan.seed, device=plan.device, show_progress=show_progress)
    generator, stale = ready.generator, plan.stale(cells, ready.weights)
    if "fit" in stale:
        output = {"source": ready.source, "fit_seconds": round(ready.seconds, 2), "fit_machine": ready.machine}
        cells.finish("fit", plan.inputs("fit", ready.weights), output, ready.seconds, peak_memory_mb())
    if "sample" in stale:
        enter("sample")
        began = time.perf_counter()
        drawn = generator.sample(test.density, rng=np.random.default_rng([plan.seed, 1]))
        seconds = time.perf_counter() - began
        samples = Volumes(drawn, test.density, test.voxel_size, plan.name)
        save_samples(samples, cells.arrays("sample"))
        output = {
            "device": device_name(generator.device),
            "sample_milliseconds": round(1000 * seconds / len(drawn), 3),
            "samples_digest": samples.digest(),
        }
        cells.finish("sample", plan.inputs("sample", ready.weights), output, seconds, peak_memory_mb())
    if "reconstruct" in stale:
        enter("reconstruct")
        began = time.perf_counter()
        made = Volumes(generator.reconstruct(test.voxels, test.density), test.density, test.voxel_size, plan.name)
        seconds = time.perf_counter() - began
        save_samples(made, cells.arrays("reconstruct"))
        output = {"reconstruction_digest": made.digest()}
        cells.finish("reconstruct", plan.inputs("reconstruct", ready.weights), output, seconds, peak_memory_mb())


def draw_in_own_process(
    reference: str,
    dataset: Dataset,
    samples: int | None,
    folder: Path,
    seed: int,
    device: str,
    show_progress: bool,
    places: tuple[Path, Path],
    tell: Tell,
) -> dict[str, Any]:
    """``plan`` and ``draw``, for ``isolation.call``.

    Args:
        reference: registered name, or ``path/to/file.py:Class``.
        dataset: what it is fitted on.
        samples: how many test volumes to draw for; None means all.
        folder: the run folder.
        seed: of fit and draws.
        device: "auto", "cpu" or "cuda".
        show_progress: let a fit draw its progress bar.
        places: where fits are kept, and where published weights lie.
        tell: is told each phase, and the generator's name.

    Returns:
        The fields of the plan.
    """
    tell(phase="load")
    fits.CACHE, fits.PUBLISHED = places
    test = fits.select_test(dataset, samples)
    planned = plan(reference, dataset, test, folder, seed=seed, device=device)
    tell(name=planned.name)
    draw(planned, dataset, test, folder, show_progress=show_progress, enter=lambda phase: tell(phase=phase))
    return asdict(planned)


def drawn_cells(folder: Path, name: str, stages: tuple[str, ...]) -> dict[str, Cell]:
    """The finished cells of those stages.

    Raises:
        ValueError: if one is missing.
    """
    cells = Cells(folder, name)
    found = {stage: cells.read(stage) for stage in stages}
    missing = [stage for stage, cell in found.items() if cell is None]
    if missing:
        raise ValueError(f"{name} left no {' and no '.join(missing)} cell in {folder}")
    return {stage: cell for stage, cell in found.items() if cell is not None}
