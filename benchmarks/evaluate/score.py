"""Scores of samples against the test part of a data set."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from contextlib import nullcontext
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any
from zlib import crc32

import numpy as np
from numpy.typing import NDArray

from porebench.data import Dataset, Volumes, true_spheres
from porebench.data.packed import load_samples, read_arrays
from porebench.metrics.descriptors import Descriptors, describe
from porebench.metrics.nearest import Familiarity, Nearest, familiarity
from porebench.metrics.novelty import judge_novelty
from porebench.metrics.patches import PatchCopies, PatchIndex, patch_copy_test
from porebench.metrics.ranking import Replicates
from porebench.metrics.reconstruction import reconstruction_scores
from porebench.metrics.score import score
from porebench.metrics.sizes import detected_radii, size_scores
from porebench.metrics.suites import CURRENT
from porebench.metrics.table import versions
from porebench.metrics.verdict import Verdict, copies_p, verdict

from ..store.cells import REAL, Cells, Inputs
from ..store.digests import code_digest, short_digest
from ..store.files import write_arrays
from ..store.provenance import JUDGING_PACKAGES, packages, peak_memory_mb
from ..store.results import fit_folder
from .options import QUICK_SAMPLES, Options, select_test, selected
from .rows import novelty_rows, over_fits, reconstruction_rows, score_rows, size_rows, verdict_rows

if TYPE_CHECKING:
    from .draw import Plan

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
        patches: patches of each test volume that occur in training volumes.
        chosen: which volumes of the test part they are.
        workers: threads.
    """

    dataset: Dataset
    test: Volumes
    train_descriptors: Descriptors
    test_descriptors: Descriptors
    familiarity: Familiarity
    patches: PatchCopies
    chosen: NDArray[np.int64]
    workers: int = 1

    @cached_property
    def index(self) -> PatchIndex:
        """Patches of the training volumes."""
        return PatchIndex.of(self.dataset.train.voxels, self.workers)

    @cached_property
    def radii(self) -> tuple[Radii, Radii] | None:
        """Detected and true radii of the pores of each test volume, voxels, where a simulator knows the true ones."""
        if self.dataset.law is None or self.dataset.law.stretch != 1:
            return None
        spheres = true_spheres(self.dataset.name)
        true = [spheres.radii[spheres.owner == index] for index in self.chosen]
        return detected_radii(self.test.voxels, workers=self.workers), true


@dataclass(frozen=True, eq=False)
class Scored:
    """What is known of one fit of a generator, or of a method from several fits.

    Attributes:
        rows: of ``accuracy.csv``, but for the name.
        replicates: behind the rank; None without a headline score.
        verdict: in words.
    """

    rows: list[dict[str, Any]]
    replicates: Replicates | None
    verdict: Verdict


def numbers(
    drawn: Volumes,
    described: Descriptors,
    made: Volumes | None,
    real: Real,
    *,
    seed: int,
    resampling: dict[str, int],
    suite: str = CURRENT,
    relatives: Sequence[str] = (),
    workers: int = 1,
) -> Scored:
    """Return every number of one fit of a generator.

    Args:
        drawn: one volume for each test density.
        described: their descriptors.
        made: reconstructions of the test volumes; None for a generator that makes none.
        real: the truth.
        seed: of the resampling.
        resampling: ``n_bootstrap`` and ``n_permutations``.
        suite: name of the list of what the score is made of.
        relatives: descriptors that the generator was trained on.
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
        suite=suite,
        n_bootstrap=resampling["n_bootstrap"],
        n_permutations=resampling["n_permutations"],
    )
    novelty = judge_novelty(drawn, train, test, kind=kind, real=real.familiarity, workers=workers)
    patches = patch_copy_test(real.index.copies(drawn.voxels, workers), real.patches)
    bias = result.headline.density_bias or 0.0
    tests = {
        "copies": copies_p(int(novelty.flagged.sum()), novelty.n_judged),
        "patches": patches.p,
    }
    words = {
        "copies": f"copies of training volumes ({100 * (novelty.copy_rate or 0):.0f} %)",
        "patches": f"copied patches ({0 if patches.rate is None else 100 * patches.rate.value:.3g} % of all)",
        "amount": f"{'too much' if bias > 0 else 'too little'} pore ({bias:+.1f} %)",
    }
    found = verdict(result.headline, {name: p for name, p in tests.items() if p is not None}, words)
    rows = score_rows(result, relatives) + novelty_rows(novelty, len(test)) + verdict_rows(found, patches, len(drawn))
    if made is not None:
        rows += reconstruction_rows(reconstruction_scores(test, made.voxels, kind=kind, workers=workers))
    if real.radii is not None:
        radii = detected_radii(drawn.voxels, workers=workers)
        sizes = size_scores(radii, *real.radii, test.density, kind=kind, seed=seed)
        rows += size_rows(sizes, (len(drawn), len(test)))
    return Scored(rows, result.replicates, found)


SCORING = (numbers,)
DESCRIBING = (describe,)
"""Code that decides the numbers of a generator, and its descriptors."""
CODE = {
    "real": (*DESCRIBING, familiarity, PatchIndex),
    "describe": DESCRIBING,
    "score": (*DESCRIBING, *SCORING),
}
"""Code that decides what a cell holds: that of the real volumes, and by stage those of a generator."""


def described_fits(others: Sequence[str]) -> str:
    """Return the number of fits and a digest of the samples of all but the first, from the digests of those."""
    return f"{1 + len(others)} {short_digest(list(others))}" if others else "1"


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
        from .draw import plan  # noqa: PLC0415 - generators need torch, scores do not

        return plan(reference, self.dataset, self.test, self.folder, self.options)

    def real_is_fresh(self) -> bool:
        """Return whether the real volumes are described already."""
        return Cells(self.folder, REAL).fresh("describe", self._real_inputs) is not None

    @property
    def _real_inputs(self) -> Inputs:
        return {
            "metric code": code_digest(*CODE["real"]),
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
            near = familiarity(self.test, self.dataset.train, self.test, among=True, workers=self.options.workers)
            arrays = {
                f"nearest-{side}/{key}": value
                for side in ("train", "unseen")
                for key, value in vars(getattr(near, side)).items()
            }
            for part, volumes in (("train", self.dataset.train), ("test", self.test)):
                described = self._describe(volumes.voxels, f"real {part} volumes")
                arrays |= {f"{part}/{key}": value for key, value in described.arrays().items()}
            index = PatchIndex.of(self.dataset.train.voxels, self.options.workers)
            copied = index.copies(self.test.voxels, self.options.workers)
            arrays |= {f"patches/{key}": value for key, value in vars(copied).items()}
            write_arrays(cells.arrays("describe"), arrays)
            cells.finish("describe", inputs, {}, time.perf_counter() - began, peak_memory_mb())
        kept = read_arrays(cells.arrays("describe"))

        def of(part: str) -> dict[str, NDArray[Any]]:
            return {key.removeprefix(part): value for key, value in kept.items() if key.startswith(part)}

        train, test = (Descriptors.from_arrays(of(f"{part}/")) for part in ("train", "test"))
        near = Familiarity(*(Nearest(**of(f"nearest-{side}/")) for side in ("train", "unseen")))
        chosen = selected(self.dataset, self.options)
        patches = PatchCopies(**of("patches/"))
        return Real(self.dataset, self.test, train, test, near, patches, chosen, self.options.workers)

    @cached_property
    def data_digest(self) -> str:
        """Digest that the data set is recognised by."""
        return self.dataset.digest()[:16]

    def _describe(self, voxels: NDArray[np.bool_], what: str) -> Descriptors:
        """Return descriptors of volumes, made under a progress bar."""
        with self.bar(f"describe {what}", len(voxels)) as advance:
            return describe(voxels, workers=self.options.workers, progress=advance)

    def inputs(self, stage: str, samples: str, reconstruction: str = "none", fits: str = "1") -> Inputs:
        """Return what the describe or score cell of a generator is made from.

        Args:
            stage: "describe" or "score".
            samples: digest of its samples.
            reconstruction: digest of its reconstructions, if it makes any.
            fits: number of fits that the row stands on, with a digest of the samples of the others.
        """
        described = {
            "metric code": code_digest(*CODE["describe"]),
            "packages": packages(JUDGING_PACKAGES),
            "samples": samples[:16],
        }
        if stage == "describe":
            return described
        return {
            **described,
            "metric code": code_digest(*CODE["score"]),
            "reconstruction": reconstruction[:16],
            "fits": fits,
            "real data": self.data_digest,
            "test data": self.test.digest()[:16],
            "metric versions": short_digest(versions()),
            "resampling": str(self.options.resampling),
            "suite": self.options.suite,
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

    def scored(self, name: str, *, reconstructs: bool, fits: int = 1, relatives: Sequence[str] = ()) -> Scored:
        """Return every number of a generator, tidy, from its stored draws.

        Args:
            name: of the generator.
            reconstructs: whether it has stored reconstructions.
            fits: number of its fits that have stored draws.
            relatives: descriptors that it was trained on.
        """
        each = [
            numbers(
                judge.samples(name),
                judge.descriptors(name),
                judge.samples(name, "reconstruct") if reconstructs else None,
                self.real,
                seed=self.options.seed,
                resampling=self.options.resampling,
                suite=self.options.suite,
                relatives=relatives,
                workers=self.options.workers,
            )
            for judge in map(self.of_fit, range(fits))
        ]
        replicates = [one.replicates for one in each if one.replicates is not None]
        return Scored(
            [{"generator": name, **row} for row in over_fits([one.rows for one in each])],
            Replicates.over(replicates, [self.options.seed, crc32(name.encode())]) if replicates else None,
            Verdict.over([one.verdict for one in each]),
        )

    def of_fit(self, fit: int) -> Judge:
        """Return the judge of a fit, whose cells lie in a folder of their own."""
        if fit == self.options.fit:
            return self
        return Judge(self.dataset, replace(self.options, fit=fit), fit_folder(self.folder, fit), self.bar)

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
            "suite": self.options.suite,
            "metric_versions": versions(),
        }
