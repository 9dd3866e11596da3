"""Accuracy: data set -> fit -> sample -> describe -> score -> results. ``python -m benchmarks.evaluate --help``."""

from __future__ import annotations

import json
import logging
import os
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, SpinnerColumn, TextColumn, TimeElapsedColumn

from data import Dataset, Volumes
from generators import GENERATORS
from metrics.descriptors import Descriptors, describe
from metrics.distances import ScoreResult, score
from metrics.novelty import NoveltyResult, copy_rate, nearest_training
from metrics.reconstruction import MEANS, ReconstructionResult, reconstruction_scores
from metrics.table import METRICS

from . import artefacts
from .provenance import device_name, environment
from .report import accuracy_markdown

log = logging.getLogger("porebench")

COLUMNS = ("generator", "band", "metric", "value", "ci_low", "ci_high", "n_generated", "n_real")
RECONSTRUCTION = (*MEANS, "small_pore_recall", "speck_recall", "radius_w1")
FULL = {"n_bootstrap": 1000, "n_permutations": 200}
QUICK = {"n_bootstrap": 200, "n_permutations": 100}
QUICK_SAMPLES = 256


@dataclass(frozen=True)
class Options:
    """What a run is asked for.

    Attributes:
        seed: of fits, draws, bootstrap and permutations.
        samples: test volumes to draw and score against, spread over density; None takes all.
        device: "auto", "cpu" or "cuda".
        quick: fewer samples and resamplings.
        workers: threads that describe volumes.
    """

    seed: int = 0
    samples: int | None = None
    device: str = "auto"
    quick: bool = False
    workers: int = field(default_factory=lambda: os.cpu_count() or 1)


@dataclass(frozen=True)
class Outcome:
    """One generator's row: its numbers, or the phase and reason of its failure."""

    generator: str
    rows: list[dict[str, Any]]
    record: dict[str, Any]

    @property
    def failed(self) -> bool:
        """Whether the generator has no score."""
        return bool(self.record["status"] == "failed")


class Judge:
    """Scores samples against the test part of one data set; describes the real volumes once."""

    def __init__(self, dataset: Dataset, options: Options, bar: Callable[[str, int], Any] | None = None) -> None:
        self.dataset = dataset
        self.options = options
        self.bar = bar or (lambda _text, _total: nullcontext(lambda _step: None))
        samples = options.samples
        if samples is None and options.quick:
            samples = min(QUICK_SAMPLES, len(dataset.test))
        self.test = artefacts.select_test(dataset, samples)
        self.train_descriptors = self.describe(dataset.train.voxels, "real training volumes")
        self.test_descriptors = self.describe(self.test.voxels, "real test volumes")
        self.held_out = nearest_training(self.test, dataset.train)

    def describe(self, voxels: NDArray[np.bool_], what: str) -> Descriptors:
        """Descriptors of volumes, under a progress bar."""
        with self.bar(f"describe {what}", len(voxels)) as advance:
            return describe(voxels, workers=self.options.workers, progress=advance)

    def rows(
        self, name: str, drawn: NDArray[np.bool_], reconstruction: NDArray[np.bool_] | None
    ) -> list[dict[str, Any]]:
        """Every number of one generator, tidy, from its draws at the test densities."""
        kind = self.dataset.density_kind
        resampling = QUICK if self.options.quick else FULL
        result = score(
            self.describe(drawn, name),
            self.test_descriptors,
            self.train_descriptors,
            generated_density=self.test.density,
            test_density=self.test.density,
            train_density=self.dataset.train.density,
            kind=kind,
            seed=self.options.seed,
            **resampling,
        )
        generated = Volumes(drawn, self.test.density, self.test.voxel_size, name)
        rows = _score_rows(result)
        rows += _novelty_rows(
            copy_rate(generated, self.dataset.train, self.test, kind=kind, held_out=self.held_out), len(self.test)
        )
        if reconstruction is not None:
            compared = reconstruction_scores(self.test, reconstruction, kind=kind, workers=self.options.workers)
            rows += _reconstruction_rows(compared)
        return [{"generator": name, **row} for row in rows]


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

    Rows of generators that earlier runs scored on the same data, samples, seed and metric versions are kept. The
    files are rewritten after each generator, so an interruption loses only the one in progress.

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
    judge = Judge(dataset, options, _bars(progress))
    folder = out / dataset.name
    (folder / "samples").mkdir(parents=True, exist_ok=True)
    store = _Store(folder, judge, command)
    outcomes = []
    overall = progress.add_task("generators", total=len(references)) if progress else None
    for reference in references:
        outcome = _run(reference, judge, folder, show_progress=progress is not None)
        store.add(outcome)
        outcomes.append(outcome)
        if progress is not None and overall is not None:
            progress.advance(overall)
    return outcomes


def _run(reference: str, judge: Judge, folder: Path, *, show_progress: bool) -> Outcome:
    """Fit or load, draw, store, score; whatever fails becomes a row with its phase and reason."""
    options = judge.options
    name, phase = reference.rpartition(":")[2], "load"
    started = time.perf_counter()
    try:
        generator, _ = artefacts.prepare(reference, judge.dataset)
        name, phase = generator.name, "fit"
        ready = artefacts.fitted(
            reference, judge.dataset, seed=options.seed, device=options.device, show_progress=show_progress
        )
        generator, phase = ready.generator, "sample"
        began = time.perf_counter()
        drawn = generator.sample(judge.test.density, rng=np.random.default_rng([options.seed, 1]))
        seconds = time.perf_counter() - began
        samples = Volumes(drawn, judge.test.density, judge.test.voxel_size, name)
        save_samples(samples, folder / "samples" / f"{name}.npz")
        phase = "reconstruct"
        reconstruction = None
        if generator.reconstructs:
            reconstruction = generator.reconstruct(judge.test.voxels, judge.test.density)
        phase = "score"
        rows = judge.rows(name, drawn, reconstruction)
    except Exception as error:  # a generator may raise anything; its failure is a row, the others go on
        log.exception("%s failed to %s", name, phase, exc_info=error if log.isEnabledFor(logging.DEBUG) else None)
        reason = str(error) or type(error).__name__
        record = {
            "status": "failed",
            "phase": phase,
            "reason": reason,
            "seconds": round(time.perf_counter() - started, 2),
        }
        return Outcome(name, [], record)
    record = {
        "status": "scored",
        "digest": ready.digest,
        "source": ready.source,
        "params": generator.params,
        "device": device_name(generator.device),
        "fit_seconds": round(ready.seconds, 2),
        "fit_machine": ready.machine,
        "sample_milliseconds": round(1000 * seconds / len(drawn), 3),
        "samples_digest": samples.digest(),
    }
    return Outcome(name, rows, record)


def save_samples(samples: Volumes, path: Path) -> None:
    """Write volumes as packed bits with shape, density and SHA-256, to be read by ``load_samples``."""
    part = path.with_suffix(".part")
    with part.open("wb") as file:
        np.savez_compressed(
            file,
            packed=np.packbits(samples.voxels.reshape(len(samples), -1), axis=1),
            shape=np.array(samples.shape),
            density=samples.density,
            voxel_size=samples.voxel_size,
            digest=samples.digest(),
        )
    part.replace(path)


def load_samples(path: Path) -> Volumes:
    """Volumes that ``save_samples`` wrote.

    Raises:
        ValueError: if the content is not what was written.
    """
    with np.load(path, allow_pickle=False) as file:
        shape = tuple(int(size) for size in file["shape"])
        flat = np.unpackbits(file["packed"], axis=1, count=int(np.prod(shape))).astype(bool)
        samples = Volumes(flat.reshape(-1, *shape), file["density"], float(file["voxel_size"]), path.stem)
        if samples.digest() != str(file["digest"]):
            raise ValueError(f"{path} does not match its checksum; make it again with porebench evaluate")
    return samples


class _Store:
    """The results folder of one data set: accuracy.csv, accuracy.md and manifest.json, rewritten after each row."""

    def __init__(self, folder: Path, judge: Judge, command: str) -> None:
        self.folder = folder
        self.run = {
            "dataset": judge.dataset.name,
            "density_kind": judge.dataset.density_kind,
            "data": judge.dataset.digest(),
            "test": judge.test.digest(),
            "n_test": len(judge.test),
            "seed": judge.options.seed,
            "quick": judge.options.quick,
            "metric_versions": {name: metric.version for name, metric in METRICS.items()},
        }
        self.stamp = {"date": time.strftime("%Y-%m-%d"), "command": command, **environment()}
        self.rows: dict[str, list[dict[str, Any]]] = {}
        self.records: dict[str, dict[str, Any]] = {}
        self._take_over()

    def _take_over(self) -> None:
        manifest, table = self.folder / "manifest.json", self.folder / "accuracy.csv"
        if not (manifest.is_file() and table.is_file()):
            return
        try:
            earlier = json.loads(manifest.read_text())
            rows = pd.read_csv(table)
        except (ValueError, OSError) as error:
            log.warning("earlier results in %s cannot be read and are replaced: %s", self.folder, error)
            return
        if earlier.get("run") != self.run:
            log.warning(
                "earlier results in %s came from other data, samples, seed or metrics, and are replaced", self.folder
            )
            return
        self.records = earlier["generators"]
        for name, part in rows.groupby("generator"):
            clean = part.astype(object).where(part.notna(), None)
            self.rows[str(name)] = [{str(key): value for key, value in row.items()} for row in clean.to_dict("records")]

    def add(self, outcome: Outcome) -> None:
        """Replace the generator's row and rewrite the files."""
        self.rows.pop(outcome.generator, None)
        self.records[outcome.generator] = {**outcome.record, **self.stamp}
        if outcome.rows:
            self.rows[outcome.generator] = outcome.rows
        names = sorted(self.records, key=_table_order)
        self.records = {name: self.records[name] for name in names}
        table = pd.DataFrame([row for name in names for row in self.rows.get(name, [])], columns=list(COLUMNS))
        manifest = {"run": self.run, "generators": self.records}
        write_text(self.folder / "accuracy.csv", table.to_csv(index=False, float_format="%.6g", lineterminator="\n"))
        write_text(self.folder / "manifest.json", json.dumps(manifest, indent=2) + "\n")
        write_text(self.folder / "accuracy.md", accuracy_markdown(table, manifest))


def write_text(path: Path, text: str) -> None:
    """Replace a file in one step, so that an interruption leaves the old or the new one."""
    part = path.with_name(path.name + ".part")
    part.write_text(text)
    part.replace(path)


def _table_order(name: str) -> tuple[int, str]:
    registered = list(GENERATORS)
    return (registered.index(name) if name in registered else len(registered), name)


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
            "c2st_auc",
            "n_empty",
            "solid_diffusivity_ratio",
        ):
            value = getattr(band, metric)
            if value is not None:
                rows.append(_row(name, metric, float(value), None, n))
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
    rows = [_row("all", "copy_rate", result.copy_rate, None, n), _row("all", "diversity", result.diversity, None, n)]
    for metric, by_band in (("copy_rate", result.copy_rate_by_band), ("diversity", result.diversity_by_band)):
        rows += [_row(band, metric, value, None, n) for band, value in by_band.items() if band != "all"]
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


def _bars(progress: Progress | None) -> Callable[[str, int], AbstractContextManager[Callable[[int], Any]]] | None:
    if progress is None:
        return None

    @contextmanager
    def bar(text: str, total: int) -> Iterator[Callable[[int], Any]]:
        task = progress.add_task(text, total=total)
        yield lambda step: progress.advance(task, step)
        progress.remove_task(task)

    return bar


if __name__ == "__main__":
    from .cli import main

    main("evaluate")
