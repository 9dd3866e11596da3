"""Scores of samples against the test part of a data set."""

from __future__ import annotations

import time
from collections.abc import Callable
from contextlib import nullcontext
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from porebench.data import Dataset, Volumes, true_spheres
from porebench.data.packed import load_samples, read_arrays
from porebench.metrics.descriptors import Descriptors, describe
from porebench.metrics.nearest import Familiarity, Nearest, familiarity
from porebench.metrics.novelty import judge_novelty
from porebench.metrics.ranking import Replicates
from porebench.metrics.reconstruction import reconstruction_scores
from porebench.metrics.score import score
from porebench.metrics.sizes import detected_radii, size_scores
from porebench.metrics.table import versions

from ..store.cells import REAL, Cells, Inputs
from ..store.digests import code_digest, short_digest
from ..store.files import write_arrays
from ..store.provenance import JUDGING_PACKAGES, packages, peak_memory_mb
from .draw import Plan, plan, select_test, selected
from .options import QUICK_SAMPLES, Options
from .rows import novelty_rows, reconstruction_rows, score_rows, size_rows

Radii = list[NDArray[np.float64]]


@dataclass(frozen=True, eq=False)
class Real:
    """The real volumes of one run and their descriptors.

    Attributes:
        dataset: whose test part is the truth.
        test: test volumes that are scored against.
        train_descriptors: of the training volumes.
        test_descriptors: of the test volumes.
        familiarity: nearest training volume and nearest other test volume of each test volume.
        chosen: which volumes of the test part they are.
        workers: threads.
    """

    dataset: Dataset
    test: Volumes
    train_descriptors: Descriptors
    test_descriptors: Descriptors
    familiarity: Familiarity
    chosen: NDArray[np.int64]
    workers: int = 1

    @cached_property
    def radii(self) -> tuple[Radii, Radii] | None:
        """Detected and true radii of the pores of each test volume, voxels, where a simulator knows the true ones."""
        if self.dataset.law is None:
            return None
        spheres = true_spheres(self.dataset.name)
        true = [spheres.radii[spheres.owner == index] for index in self.chosen]
        return detected_radii(self.test.voxels, workers=self.workers), true


def numbers(
    drawn: Volumes,
    described: Descriptors,
    made: Volumes | None,
    real: Real,
    *,
    seed: int,
    resampling: dict[str, int],
    workers: int = 1,
) -> tuple[list[dict[str, Any]], Replicates | None]:
    """Return every number of one generator as rows of ``accuracy.csv``, and the replicates behind its rank.

    Args:
        drawn: one volume for each test density.
        described: their descriptors.
        made: reconstructions of the test volumes; None for a generator that makes none.
        real: the truth.
        seed: of the resampling.
        resampling: ``n_bootstrap`` and ``n_permutations``.
        workers: threads.
    """
    kind, test, train = real.dataset.density_kind, real.test, real.dataset.train
    result = score(
        described,
        real.test_descriptors,
        real.train_descriptors,
        generated_density=test.density,
        test_density=test.density,
        train_density=train.density,
        kind=kind,
        seed=seed,
        **resampling,
    )
    rows = score_rows(result)
    rows += novelty_rows(judge_novelty(drawn, train, test, kind=kind, real=real.familiarity), len(test))
    if made is not None:
        rows += reconstruction_rows(reconstruction_scores(test, made.voxels, kind=kind, workers=workers))
    if real.radii is not None:
        radii = detected_radii(drawn.voxels, workers=workers)
        found = size_scores(radii, *real.radii, test.density, kind=kind, seed=seed)
        rows += size_rows(found, (len(drawn), len(test)))
    return rows, result.replicates


SCORING = (numbers,)
DESCRIBING = (describe,)
"""Code that decides the numbers of a generator, and its descriptors."""


class Judge:
    """Scores samples against the test part of one data set; describes the real volumes once, when first asked.

    Attributes:
        dataset: whose test part is the truth.
        options: of the run, with the number of test volumes that it comes to.
        folder: of the run, whose cells are read and written.
        test: test volumes to score against.
        bar: opens a progress bar with a text and a total.
    """

    def __init__(
        self, dataset: Dataset, options: Options, folder: Path, bar: Callable[[str, int], Any] | None = None
    ) -> None:
        if options.samples is None and options.quick:
            options = replace(options, samples=min(QUICK_SAMPLES, len(dataset.test)))
        self.dataset = dataset
        self.options = replace(options, places=options.places.settled())
        self.folder = folder
        self.bar = bar or (lambda _text, _total: nullcontext(lambda _step: None))
        self.test = select_test(dataset, options)

    def plan(self, reference: str) -> Plan:
        """Return what a generator's cells would be made from; see ``draw.plan``."""
        return plan(reference, self.dataset, self.test, self.folder, self.options)

    def real_is_fresh(self) -> bool:
        """Return whether the real volumes are described already."""
        return Cells(self.folder, REAL).fresh("describe", self._real_inputs) is not None

    @property
    def _real_inputs(self) -> Inputs:
        return {
            "metric code": code_digest(*DESCRIBING, familiarity),
            "packages": packages(JUDGING_PACKAGES),
            "real data": self.data_digest,
            "test data": self.test.digest()[:16],
        }

    @cached_property
    def real(self) -> Real:
        """The real volumes and their descriptors, from their cell or computed now."""
        cells, inputs = Cells(self.folder, REAL), self._real_inputs
        if cells.fresh("describe", inputs) is None:
            began = time.perf_counter()
            near = familiarity(self.test, self.dataset.train, self.test, among=True)
            arrays = {
                f"nearest-{side}/{key}": value
                for side in ("train", "unseen")
                for key, value in vars(getattr(near, side)).items()
            }
            for part, volumes in (("train", self.dataset.train), ("test", self.test)):
                described = self._describe(volumes.voxels, f"real {part} volumes")
                arrays |= {f"{part}/{key}": value for key, value in described.arrays().items()}
            write_arrays(cells.arrays("describe"), arrays)
            cells.finish("describe", inputs, {}, time.perf_counter() - began, peak_memory_mb())
        kept = read_arrays(cells.arrays("describe"))

        def of(part: str) -> dict[str, NDArray[Any]]:
            return {key.removeprefix(part): value for key, value in kept.items() if key.startswith(part)}

        train, test = (Descriptors.from_arrays(of(f"{part}/")) for part in ("train", "test"))
        near = Familiarity(*(Nearest(**of(f"nearest-{side}/")) for side in ("train", "unseen")))
        chosen = selected(self.dataset, self.options)
        return Real(self.dataset, self.test, train, test, near, chosen, self.options.workers)

    @cached_property
    def data_digest(self) -> str:
        """Digest that the data set is recognised by."""
        return self.dataset.digest()[:16]

    def _describe(self, voxels: NDArray[np.bool_], what: str) -> Descriptors:
        """Return descriptors of volumes, made under a progress bar."""
        with self.bar(f"describe {what}", len(voxels)) as advance:
            return describe(voxels, workers=self.options.workers, progress=advance)

    def inputs(self, stage: str, samples: str, reconstruction: str = "none") -> Inputs:
        """Return what the describe or score cell of a generator is made from.

        Args:
            stage: "describe" or "score".
            samples: digest of its samples.
            reconstruction: digest of its reconstructions, if it makes any.
        """
        described = {
            "metric code": code_digest(*DESCRIBING),
            "packages": packages(JUDGING_PACKAGES),
            "samples": samples[:16],
        }
        if stage == "describe":
            return described
        return {
            **described,
            "metric code": code_digest(*DESCRIBING, *SCORING),
            "reconstruction": reconstruction[:16],
            "real data": self.data_digest,
            "test data": self.test.digest()[:16],
            "metric versions": short_digest(versions()),
            "resampling": str(self.options.resampling),
            "seed": str(self.options.seed),
        }

    def descriptors(self, name: str) -> Descriptors:
        """Return descriptors of a generator's samples, from their cell or computed now.

        Raises:
            ValueError: if the samples are damaged, or are not one volume a test density.
            OSError: if there are no samples.
        """
        cells, samples = Cells(self.folder, name), self.samples(name)
        inputs = self.inputs("describe", samples.digest())
        if cells.fresh("describe", inputs) is None:
            began = time.perf_counter()
            described = self._describe(samples.voxels, name)
            write_arrays(cells.arrays("describe"), described.arrays())
            cells.finish("describe", inputs, {}, time.perf_counter() - began, peak_memory_mb())
        return Descriptors.from_arrays(read_arrays(cells.arrays("describe")))

    def samples(self, name: str, stage: str = "sample") -> Volumes:
        """Return a generator's samples (or reconstructions) as they are stored.

        Raises:
            ValueError: if they are damaged, or are not one volume a test density.
            OSError: if there are none.
        """
        stored = load_samples(Cells(self.folder, name).arrays(stage))
        if stored.voxels.shape != self.test.voxels.shape or not np.array_equal(stored.density, self.test.density):
            raise ValueError(
                f"{name} stored {len(stored)} volumes of {stored.shape}, expected one of {self.test.shape} for each of "
                f"{len(self.test)} test densities; delete its folder in {self.folder / 'cells'} and evaluate again"
            )
        return stored

    def rows(self, name: str, *, reconstructs: bool) -> tuple[list[dict[str, Any]], Replicates | None]:
        """Return every number of one generator, tidy, from its stored draws, and the replicates behind its rank."""
        rows, replicates = numbers(
            self.samples(name),
            self.descriptors(name),
            self.samples(name, "reconstruct") if reconstructs else None,
            self.real,
            seed=self.options.seed,
            resampling=self.options.resampling,
            workers=self.options.workers,
        )
        return [{"generator": name, **row} for row in rows], replicates

    @cached_property
    def run(self) -> dict[str, Any]:
        """Properties that all rows of the table have in common."""
        return {
            "dataset": self.dataset.name,
            "density_kind": self.dataset.density_kind,
            "data": self.dataset.digest(),
            "test": self.test.digest(),
            "n_test": len(self.test),
            "seed": self.options.seed,
            "quick": self.options.quick,
            "metric_versions": versions(),
        }
