"""Accuracy: data set -> fit -> sample -> describe -> score -> results. ``python -m benchmarks.evaluate --help``."""

from __future__ import annotations

import errno
import logging
import os
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, SpinnerColumn, TextColumn, TimeElapsedColumn

from data import NAMES, Dataset, Volumes, true_spheres
from metrics.descriptors import Descriptors, describe
from metrics.distances import ScoreResult, score
from metrics.nearest import Familiarity, Nearest, familiarity
from metrics.novelty import NoveltyResult, judge_novelty
from metrics.reconstruction import MEANS, ReconstructionResult, reconstruction_scores
from metrics.sizes import detected_radii, size_scores

from . import artefacts, isolation, side_tables
from .cells import JUDGING_PACKAGES, REAL, Cells, Inputs, metric_code, metric_versions, packages, short_digest
from .drawing import Plan, draw_in_own_process, drawn_cells, plan
from .provenance import peak_memory_mb
from .ranking import has_replicates, keep_replicates
from .results import Outcome, Results
from .runs import run_folder
from .store import load_samples, read_arrays, save_samples, sweep, write_arrays

log = logging.getLogger("porebench")

NOVELTY = ("copy_rate", "leak_rate", "novelty", "diversity")
RECONSTRUCTION = (*MEANS, "small_pore_recall", "speck_recall", "radius_w1")
FULL = {"n_bootstrap": 1000, "n_permutations": 200}
QUICK = {"n_bootstrap": 200, "n_permutations": 100}
QUICK_SAMPLES = 256
NO_ROOM = (errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.EFBIG)


@dataclass(frozen=True)
class Options:
    """What a run is asked for.

    Attributes:
        seed: of fits, draws, bootstrap and permutations.
        samples: test volumes to draw and score against, spread over density; None takes all.
        device: "auto", "cpu" or "cuda".
        quick: fewer samples and resamplings.
        workers: threads that describe volumes.
        timeout: seconds that loading, fitting, drawing or reconstructing may take for one generator; None for any.
        memory: bytes that one generator's process may allocate; None for any.
        extras: side tables to make that are not made by default, "physics" or "voxel-test".
        processes: generators that are worked on at a time, on this machine.
        scheduler: address of a Dask scheduler whose workers do the work; None for this machine.
    """

    seed: int = 0
    samples: int | None = None
    device: str = "auto"
    quick: bool = False
    workers: int = field(default_factory=lambda: os.cpu_count() or 1)
    timeout: float | None = None
    memory: int | None = None
    extras: tuple[str, ...] = ()
    processes: int = 1
    scheduler: str | None = None


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
        self.test = artefacts.select_test(dataset, self.samples_asked)

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
        rows = _score_rows(result)
        rows += _novelty_rows(
            judge_novelty(drawn, self.dataset.train, self.test, kind=kind, real=self.familiarity),
            len(self.test),
        )
        if reconstructs:
            made = self.samples(name, "reconstruct").voxels
            compared = reconstruction_scores(self.test, made, kind=kind, workers=self.options.workers)
            rows += _reconstruction_rows(compared)
        if self.dataset.name in NAMES:
            rows += self._size_rows(drawn)
        return [{"generator": name, **row} for row in rows]

    @cached_property
    def _real_radii(self) -> tuple[list[NDArray[np.float64]], list[NDArray[np.float64]]]:
        """Radii of the pores of each test volume of a built-in data set, voxels: detected ones and true ones."""
        detected = detected_radii(self.test.voxels, workers=self.options.workers)
        spheres = true_spheres(self.dataset.name)
        chosen = artefacts.selected(self.dataset, self.samples_asked)
        return detected, [spheres.radii[spheres.owner == index] for index in chosen]

    def _size_rows(self, drawn: Volumes) -> list[dict[str, Any]]:
        """How well the sizes of pores are met, where the truth is known."""
        radii = detected_radii(drawn.voxels, workers=self.options.workers)
        kind, n = self.dataset.density_kind, (len(drawn), len(self.test))
        found = size_scores(radii, *self._real_radii, self.test.density, kind=kind, seed=self.options.seed)
        return [
            _row(band, metric, it.value, (it.low, it.high), n)
            for band, scores in found.items()
            for metric, it in scores.items()
        ]

    def outcome(self, planned: Plan, stamp: dict[str, Any]) -> Outcome:
        """A generator's row, from its score cell or computed now.

        Args:
            planned: of the generator, whose drawing cells are finished.
            stamp: date, command and environment, for a row that is computed now.
        """
        cells = Cells(self.folder, planned.name)
        drawn = drawn_cells(self.folder, planned.name, planned.stages)
        samples = drawn["sample"].output["samples_digest"]
        made = drawn["reconstruct"].output["reconstruction_digest"] if planned.reconstructs else "none"
        inputs = self.inputs("score", samples, made)
        cell = cells.fresh("score", inputs)
        if cell is None or not has_replicates(self.folder, planned.name, run_identity(self), samples):
            began = time.perf_counter()
            rows = self.rows(planned.name, reconstructs=planned.reconstructs)
            output = {"rows": rows, "stamp": stamp}
            cell = cells.finish("score", inputs, output, time.perf_counter() - began, peak_memory_mb())
        fit, sample = dict(drawn["fit"].output), dict(drawn["sample"].output)
        sample.pop("file")
        finished = {**drawn, "describe": cells.read("describe"), "score": cell}
        record = {
            "status": "scored",
            "digest": planned.digest,
            "params": planned.params,
            **fit,
            **sample,
            **cell.output["stamp"],
            "cells": {stage: done.summary() for stage, done in finished.items() if done is not None},
        }
        return Outcome(planned.name, cell.output["rows"], record)


def evaluate(
    dataset: Dataset,
    references: Sequence[str],
    out: Path,
    options: Options | None = None,
    *,
    progress: Progress | None = None,
    command: str = "",
) -> list[Outcome]:
    """Score generators on a data set and write ``out/<data set>/``.

    Each stage of each generator is a cell (see ``cells``) that is kept as soon as it is finished; what earlier runs
    finished from the same data, code, weights and metrics is taken from there. The tables are rewritten after each
    generator, so an interruption loses only the cell in progress. Rows of other generators are kept where data,
    samples, seed and metric versions are the same.

    Args:
        dataset: its training part is fitted on, its test part judged against.
        references: registered names, or ``path/to/file.py:Class``.
        out: the results folder.
        options: see :class:`Options`.
        progress: a started rich progress display, or None for silence.
        command: the command line, for the manifest.

    Returns:
        One outcome a generator, in order.
    """
    options = options or Options()
    folder = run_folder(out, dataset.name, options.seed)
    folder.mkdir(parents=True, exist_ok=True)
    sweep(folder)
    judge = Judge(dataset, options, folder, bars(progress))
    save_samples(judge.test, Cells(folder, REAL).arrays("sample"))  # to be looked at beside the draws
    results = Results(folder, run_identity(judge), command)
    if _anything_to_draw(references, judge):
        isolation.warm_up()
        judge.describe_real()  # meanwhile
    outcomes: dict[str, Outcome] = {}
    overall = progress.add_task("generators", total=len(references)) if progress else None
    for reference, outcome in _outcomes(references, judge, results, show_progress=progress is not None):
        results.add(outcome)
        noted = {} if outcome.failed else side_tables.update(judge, outcome, reference, results.records)
        outcomes[reference] = results.note(outcome, noted) if noted else outcome
        if progress is not None and overall is not None:
            progress.advance(overall)
    return [outcomes[reference] for reference in references]


def _outcomes(
    references: Sequence[str], judge: Judge, results: Results, *, show_progress: bool
) -> Iterator[tuple[str, Outcome]]:
    """Each generator with its row: one after the other, or as a cluster finishes them."""
    options = judge.options
    if options.processes > 1 or options.scheduler is not None:
        from .cluster import on_cluster  # noqa: PLC0415 - an optional dependency

        yield from on_cluster(references, judge, results)
        return
    for reference in references:
        yield reference, bring_up_to_date(reference, judge, results, show_progress=show_progress)


def _anything_to_draw(references: Sequence[str], judge: Judge) -> bool:
    """Whether a generator's own code has to run, as far as that is known without running any."""
    try:
        planned = [judge.plan(reference) for reference in references if ":" not in reference]
    except ValueError:
        return True  # becomes a row
    stale = any(each.stale(Cells(judge.folder, each.name)) for each in planned)
    return stale or len(planned) < len(references)


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


def bring_up_to_date(reference: str, judge: Judge, results: Results, *, show_progress: bool) -> Outcome:
    """A generator's row, its cells brought up to date; whatever fails becomes a row with its phase and reason."""
    name, phase, kind = reference.rpartition(":")[2], "load", ""
    started = time.perf_counter()
    try:
        planned = _draw(reference, judge, show_progress=show_progress)
        name, phase = planned.name, "score"
        return judge.outcome(planned, results.stamp)
    except isolation.IsolatedError as error:
        name, phase = error.facts.get("name", name), error.facts.get("phase", phase)
        reason, kind = str(error), error.kind
    except Exception as error:  # a file may hold anything; a failure is a row, the others go on
        if isinstance(error, OSError) and error.errno in NO_ROOM:
            raise  # the same for all of them
        log.debug("%s failed to %s", name, phase, exc_info=error)
        reason, kind = str(error) or type(error).__name__, type(error).__name__
    if kind == artefacts.NeedsTrainingError.__name__:
        phase, earlier = "fit", results.earlier(name)
        unchanged = ":" not in reference and judge.plan(reference).digest
        if earlier is not None and earlier.record["digest"] == unchanged:
            return earlier  # its weights are elsewhere, but nothing has changed since
    log.error("%s failed to %s", name, phase)
    seconds = round(time.perf_counter() - started, 2)
    record = {"status": "failed", "phase": phase, "reason": reason, "seconds": seconds, **results.stamp}
    return Outcome(name, [], record)


def _draw(reference: str, judge: Judge, *, show_progress: bool) -> Plan:
    """Bring the cells that run a generator's own code up to date, in a process of its own where any is stale."""
    options = judge.options
    if ":" not in reference:
        planned = judge.plan(reference)
        if not planned.stale(Cells(judge.folder, planned.name)):
            return planned
        if planned.trained_on_request and not planned.at_hand:
            raise artefacts.NeedsTrainingError(planned.name, judge.dataset.name)
    drawn, _ = isolation.call(
        draw_in_own_process,
        reference,
        judge.dataset,
        judge.samples_asked,
        judge.folder,
        options.seed,
        options.device,
        show_progress,
        (artefacts.CACHE, artefacts.PUBLISHED),
        timeout=options.timeout,
        memory=options.memory,
    )
    return Plan(**drawn)


def _row(
    band: str, metric: str, value: float | None, interval: Iterable[float | None] | None, n: Sequence[int]
) -> dict[str, Any]:
    low, high = interval if interval is not None else (None, None)
    return {
        "band": band,
        "metric": metric,
        "value": value,
        "ci_low": low,
        "ci_high": high,
        "n_generated": n[0],
        "n_real": n[1],
    }


def _score_rows(result: ScoreResult) -> list[dict[str, Any]]:
    rows = []
    for name, band in result.bands.items():
        n = (band.n_generated, band.n_real)
        if band.nfr100 is None:
            continue
        rows.append(_row(name, "nfr100", band.nfr100, (band.ci_low, band.ci_high), n))
        for metric in (
            "p",
            "density_bias",
            "density_error",
            "density_error_real",
            "fidelity",
            "coverage",
            "coverage_expected",
            "n_empty",
        ):
            value = getattr(band, metric)
            if value is not None:
                rows.append(_row(name, metric, float(value), None, n))
        if band.c2st_auc is not None:
            rows.append(_row(name, "c2st_auc", band.c2st_auc, band.c2st_interval, n))
        if band.percolation is not None:
            rows.append(_row(name, "percolation", band.percolation, band.percolation_interval, n))
            rows.append(_row(name, "percolation_real", band.percolation_real, band.percolation_real_interval, n))
        for descriptor, estimate in band.descriptors.items():
            rows.append(_row(name, f"nfr100:{descriptor}", estimate.value, (estimate.low, estimate.high), n))
        for quantity, physical in band.physical.items():
            parts = ("error", "floor", "bias", "real_mean")
            rows += [_row(name, f"{quantity}:{part}", getattr(physical, part), None, n) for part in parts]
    return rows


def _novelty_rows(result: NoveltyResult, n_real: int) -> list[dict[str, Any]]:
    n = (result.n_judged, n_real)
    rows = []
    for metric in NOVELTY:
        by_band: dict[str, float | None] = getattr(result, f"{metric}_by_band")
        rows += [_row(band, metric, value, None, n) for band, value in by_band.items()]
        rows.append(_row("all", metric, getattr(result, metric), None, n))
    return [row for row in rows if row["value"] is not None]


def _reconstruction_rows(result: ReconstructionResult) -> list[dict[str, Any]]:
    return [
        _row(name, metric, getattr(band, metric), None, (band.n, band.n))
        for name, band in result.bands.items()
        for metric in RECONSTRUCTION
        if getattr(band, metric) is not None
    ]


def progress_display() -> Progress:
    """The progress bars of long commands, on standard error."""
    return Progress(
        SpinnerColumn(),
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        console=Console(stderr=True),
    )


def bars(progress: Progress | None) -> Callable[[str, int], AbstractContextManager[Callable[[int], Any]]]:
    """What opens a bar of a progress display with a text and a total, and yields its steps; silent without one."""
    if progress is None:
        return lambda _text, _total: nullcontext(lambda _step: None)

    @contextmanager
    def bar(text: str, total: int) -> Iterator[Callable[[int], Any]]:
        task = progress.add_task(text, total=total)
        yield lambda step: progress.advance(task, step)
        progress.remove_task(task)

    return bar


if __name__ == "__main__":
    from .cli import main

    main("evaluate")
