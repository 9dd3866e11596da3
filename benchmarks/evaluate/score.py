"""Scores of samples against the test part of a data set: its code, and that of ``rows``, decides every number."""

from __future__ import annotations

import time
from collections.abc import Callable
from contextlib import nullcontext
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
from porebench.metrics.reconstruction import reconstruction_scores
from porebench.metrics.score import score
from porebench.metrics.sizes import detected_radii, size_scores

from ..store.cells import JUDGING_PACKAGES, REAL, Cells, Inputs, metric_code, metric_versions, packages, short_digest
from ..store.files import write_arrays
from ..store.provenance import peak_memory_mb
from . import fits
from .draw import Plan, plan
from .options import FULL, QUICK, QUICK_SAMPLES, Options
from .ranking import keep_replicates
from .rows import novelty_rows, reconstruction_rows, score_rows, size_rows


class Judge:
    """Scores samples against the test part of one data set; describes the real volumes once, when first asked.

    Attributes:
        dataset: whose test part is the truth.
        options: of the run.
        folder: the run folder, whose cells are read and written.
        test: the test volumes to score against.
        samples_asked: how many they are; None means all.
    """

    def __init__(
        self, dataset: Dataset, options: Options, folder: Path, bar: Callable[[str, int], Any] | None = None
    ) -> None:
        self.dataset = dataset
        self.options = options
        self.folder = folder
        self.bar = bar or (lambda _text, _total: nullcontext(lambda _step: None))
        self.samples_asked = options.samples
        if options.samples is None and options.quick:
            self.samples_asked = min(QUICK_SAMPLES, len(dataset.test))
        self.test = fits.select_test(dataset, self.samples_asked)

    def plan(self, reference: str) -> Plan:
        """What a generator's cells would be made from; see ``drawing.plan``."""
        options = self.options
        return plan(reference, self.dataset, self.test, self.folder, seed=options.seed, device=options.device)

    @property
    def train_descriptors(self) -> Descriptors:
        """Descriptors of the real training volumes."""
        return self._real[0]

    @property
    def test_descriptors(self) -> Descriptors:
        """Descriptors of the real test volumes."""
        return self._real[1]

    @property
    def familiarity(self) -> Familiarity:
        """The nearest training volume and the nearest other test volume of each test volume."""
        return self._real[2]

    def describe_real(self) -> None:
        """Describe the real volumes now, rather than when a score first needs them."""
        _ = self._real

    def real_is_fresh(self) -> bool:
        """Whether the real volumes are described already."""
        return Cells(self.folder, REAL).fresh("describe", self._real_inputs) is not None

    @property
    def _real_inputs(self) -> Inputs:
        return {**self._described_by, "real data": self.data_digest, "test data": self.test.digest()[:16]}

    @cached_property
    def _real(self) -> tuple[Descriptors, Descriptors, Familiarity]:
        """What is known of the real volumes, from their cell or computed now."""
        cells = Cells(self.folder, REAL)
        inputs = self._real_inputs
        if cells.fresh("describe", inputs) is None:
            began = time.perf_counter()
            near = familiarity(self.test, self.dataset.train, self.test, among=True)
            found = {"train": near.train, "unseen": near.unseen}
            arrays = {f"nearest-{side}/{key}": value for side, it in found.items() for key, value in vars(it).items()}
            for part, volumes in (("train", self.dataset.train), ("test", self.test)):
                described = self._describe(volumes.voxels, f"real {part} volumes")
                arrays |= {f"{part}/{key}": value for key, value in described.arrays().items()}
            write_arrays(cells.arrays("describe"), arrays)
            cells.finish("describe", inputs, {}, time.perf_counter() - began, peak_memory_mb())
        kept = read_arrays(cells.arrays("describe"))
        train, test = (
            Descriptors.from_arrays({key.removeprefix(part): kept[key] for key in kept if key.startswith(part)})
            for part in ("train/", "test/")
        )
        sides = [
            Nearest(kept[f"nearest-{side}/overlap"], kept[f"nearest-{side}/index"]) for side in ("train", "unseen")
        ]
        return train, test, Familiarity(sides[0], sides[1])

    @cached_property
    def data_digest(self) -> str:
        """What the data set is recognised by."""
        return self.dataset.digest()[:16]

    @property
    def _described_by(self) -> Inputs:
        return {"metric code": metric_code(), "packages": packages(JUDGING_PACKAGES)}

    def _describe(self, voxels: NDArray[np.bool_], what: str) -> Descriptors:
        """Descriptors of volumes, under a progress bar."""
        with self.bar(f"describe {what}", len(voxels)) as advance:
            return describe(voxels, workers=self.options.workers, progress=advance)

    def inputs(self, stage: str, samples: str, reconstruction: str = "none") -> Inputs:
        """What the describe or score cell of a generator is made from.

        Args:
            stage: "describe" or "score".
            samples: digest of its samples.
            reconstruction: digest of its reconstructions, if it makes any.
        """
        described = {**self._described_by, "samples": samples[:16]}
        if stage == "describe":
            return described
        return {
            **described,
            "reconstruction": reconstruction[:16],
            "real data": self.data_digest,
            "test data": self.test.digest()[:16],
            "metric versions": short_digest(metric_versions()),
            "resampling": str(self._resampling),
            "seed": str(self.options.seed),
        }

    @property
    def _resampling(self) -> dict[str, int]:
        return QUICK if self.options.quick else FULL

    def descriptors(self, name: str) -> Descriptors:
        """Descriptors of a generator's samples, from their cell or computed now.

        Raises:
            ValueError: if the samples are damaged, or are not one volume a test density.
            OSError: if there are no samples.
        """
        cells = Cells(self.folder, name)
        samples = self.samples(name)
        inputs = self.inputs("describe", samples.digest())
        if cells.fresh("describe", inputs) is None:
            began = time.perf_counter()
            described = self._describe(samples.voxels, name)
            write_arrays(cells.arrays("describe"), described.arrays())
            cells.finish("describe", inputs, {}, time.perf_counter() - began, peak_memory_mb())
        return Descriptors.from_arrays(read_arrays(cells.arrays("describe")))

    def samples(self, name: str, stage: str = "sample") -> Volumes:
        """A generator's samples (or reconstructions) as they are stored.

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

    def rows(self, name: str, *, reconstructs: bool) -> list[dict[str, Any]]:
        """Every number of one generator, tidy, from its stored draws at the test densities."""
        kind = self.dataset.density_kind
        result = score(
            self.descriptors(name),
            self.test_descriptors,
            self.train_descriptors,
            generated_density=self.test.density,
            test_density=self.test.density,
            train_density=self.dataset.train.density,
            kind=kind,
            seed=self.options.seed,
            **self._resampling,
        )
        drawn = self.samples(name)
        if result.replicates is not None:
            keep_replicates(self.folder, name, result.replicates, run_identity(self), drawn.digest())
        rows = score_rows(result)
        rows += novelty_rows(
            judge_novelty(drawn, self.dataset.train, self.test, kind=kind, real=self.familiarity),
            len(self.test),
        )
        if reconstructs:
            made = self.samples(name, "reconstruct").voxels
            compared = reconstruction_scores(self.test, made, kind=kind, workers=self.options.workers)
            rows += reconstruction_rows(compared)
        if self.dataset.law is not None:
            rows += self._size_rows(drawn)
        return [{"generator": name, **row} for row in rows]

    @cached_property
    def _real_radii(self) -> tuple[list[NDArray[np.float64]], list[NDArray[np.float64]]]:
        """Radii of the pores of each test volume of a built-in data set, voxels: detected ones and true ones."""
        detected = detected_radii(self.test.voxels, workers=self.options.workers)
        spheres = true_spheres(self.dataset.name)
        chosen = fits.selected(self.dataset, self.samples_asked)
        return detected, [spheres.radii[spheres.owner == index] for index in chosen]

    def _size_rows(self, drawn: Volumes) -> list[dict[str, Any]]:
        """How well the sizes of pores are met, where the truth is known."""
        radii = detected_radii(drawn.voxels, workers=self.options.workers)
        kind, n = self.dataset.density_kind, (len(drawn), len(self.test))
        found = size_scores(radii, *self._real_radii, self.test.density, kind=kind, seed=self.options.seed)
        return size_rows(found, n)


def run_identity(judge: Judge) -> dict[str, Any]:
    """What all rows of a table have in common."""
    return {
        "dataset": judge.dataset.name,
        "density_kind": judge.dataset.density_kind,
        "data": judge.dataset.digest(),
        "test": judge.test.digest(),
        "n_test": len(judge.test),
        "seed": judge.options.seed,
        "quick": judge.options.quick,
        "metric_versions": metric_versions(),
    }
