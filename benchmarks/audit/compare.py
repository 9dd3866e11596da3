"""Scores computed again, old against new: from stored samples (``rescore``), or all from a manifest (``reproduce``)."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from porebench.data import Dataset
from porebench.data.packed import load_samples
from porebench.generators import GENERATORS
from porebench.metrics.table import versions

from ..evaluate.accuracy import Results
from ..evaluate.options import Options
from ..evaluate.run import evaluate
from ..evaluate.score import Judge, Scored
from ..store.cells import Cells
from ..store.files import write
from ..store.provenance import environment
from ..store.replicates import keep_replicates, replicates_path
from ..store.results import Outcome, fit_folder, read_run, run_folders
from .status import dataset_of, run_judge

Versions = dict[str, tuple[int | None, int | None]]
"""Old and new version by metric."""
SAME = 1e-5
"""Relative difference below which two numbers of ``accuracy.csv``, which has six digits, are the same."""


@dataclass(frozen=True)
class Rescored:
    """One generator's old and new numbers.

    Attributes:
        dataset: name of the data set.
        generator: whose row it is.
        numbers: how many values were compared.
        moved: old and new value by (band, metric), where they differ; NaN where there was or is none.
        versions: old and new version by metric, where they differ.
        note: what is wrong with the stored samples; "" if nothing is.
    """

    dataset: str
    generator: str
    numbers: int
    moved: dict[tuple[str, str], tuple[float, float]]
    versions: Versions
    note: str = ""

    def lines(self) -> list[str]:
        """Return the comparison as text: one line, and one for each number that moved."""
        head = f"{self.dataset} {self.generator}: "
        if self.note:
            return [head + self.note]
        lines = [f"{head}{len(self.moved)} of {self.numbers} numbers moved"]
        for (band, metric), (old, new) in self.moved.items():
            before, after = self.versions.get(metric.partition(":")[0], (None, None))
            version = f" (version {before} -> {after})" if before != after else ""
            lines.append(f"  {metric} {band}: {old:.6g} -> {new:.6g}{version}")
        return lines


def rescore(results: Path, given: Sequence[Dataset] = (), *, keep: bool = True) -> Iterator[Rescored]:
    """Compute every score again from the samples that are stored, without fitting or drawing.

    Args:
        results: a results folder, or the folder of one run.
        given: data sets that are not built in.
        keep: put the new numbers into the tables; rows whose samples are not stored are then dropped where metric
            versions have changed, since they cannot be compared any more.

    Yields:
        Old against new, one generator after the other.

    Raises:
        FileNotFoundError: if there is no run.
    """
    folders = [results] if (results / "manifest.json").is_file() else run_folders(results)
    if not folders:
        raise FileNotFoundError(f"there are no results in {results}; porebench evaluate makes some")
    for folder in folders:
        yield from _rescore_run(folder, given, keep=keep)


def _rescore_run(folder: Path, given: Sequence[Dataset], *, keep: bool) -> Iterator[Rescored]:
    old = read_run(folder)
    run = old.manifest["run"]
    dataset = dataset_of(run, given)
    moved_versions = changed_versions(run.get("metric_versions", {}))
    note = ""
    if dataset is None:
        note = "its data set is not at hand; give it with --dataset"
    elif dataset.digest() != run.get("data"):
        note = "the data set is not the one it was scored on"
    with tempfile.TemporaryDirectory() as scratch:
        judge = None if dataset is None or note else run_judge(Path(scratch), run, dataset)
        store = Results(folder, judge.run, "", judge.dataset.phase) if judge is not None and keep else None
        for name, record in old.records.items():
            if record["status"] != "scored":
                continue
            problem = note or _unfit(folder, name, record)
            if problem or judge is None:
                yield Rescored(run["dataset"], name, 0, {}, {}, problem)
                continue
            scored = _scored(folder, name, judge, record)
            rows = scored.rows
            moved = moved_numbers(old.table[old.table["generator"] == name], rows)
            if store is not None:
                _keep(folder, name, record, scored, judge, store)
            yield Rescored(run["dataset"], name, len(rows), moved, moved_versions)


def _unfit(folder: Path, name: str, record: dict[str, Any]) -> str:
    """Return the reason why the stored samples cannot be scored; "" if they can be."""
    path = Cells(folder, name).arrays("sample")
    if not path.is_file():
        return "its samples are not stored here"
    try:
        samples = load_samples(path)
    except ValueError as error:
        return str(error)
    return "" if samples.digest() == record.get("samples_digest") else "the stored samples are not those of the table"


def _scored(folder: Path, name: str, judge: Judge, record: dict[str, Any]) -> Scored:
    """Return all numbers of a generator, from nothing but its stored samples."""
    for fit in range(record.get("fits", 1)):
        stored, scratch = (Cells(fit_folder(place, fit), name) for place in (folder, judge.folder))
        for stage in ("sample", "reconstruct"):
            if stored.arrays(stage).is_file():
                _copy(stored.arrays(stage), scratch.arrays(stage))
    reconstructs = Cells(judge.folder, name).arrays("reconstruct").is_file()
    scored = judge.scored(
        name, reconstructs=reconstructs, fits=record.get("fits", 1), relatives=record.get("trained_on", ())
    )
    if scored.replicates is not None:
        keep_replicates(judge.folder, name, scored.replicates, judge.run, record["samples_digest"])
    return scored


def _keep(folder: Path, name: str, record: dict[str, Any], scored: Scored, judge: Judge, store: Results) -> None:
    """Put new rows, and the cells that they are made of, into the results."""
    cells, scratch = Cells(folder, name), Cells(judge.folder, name)
    described = scratch.read("describe")
    if described is None:
        raise RuntimeError(f"{name} was scored without being described")
    _copy(scratch.arrays("describe"), cells.arrays("describe"))
    _copy(scratch.record("describe"), cells.record("describe"))
    replicates = replicates_path(judge.folder, name)
    if replicates.is_file():
        _copy(replicates, replicates_path(folder, name))
    made = cells.read("reconstruct")
    inputs = judge.inputs(
        "score",
        record["samples_digest"],
        "none" if made is None else made.output["reconstruction_digest"],
        record["cells"]["score"]["inputs"].get("fits", "1") if "score" in record.get("cells", {}) else "1",
    )
    stamp = {**store.stamp, "command": record["command"]}
    output = {"rows": scored.rows, "verdict": str(scored.verdict), "stamp": stamp}
    cell = cells.finish("score", inputs, output, 0.0)
    summaries = {**record.get("cells", {}), "describe": described.summary(), "score": cell.summary()}
    store.add(Outcome(name, scored.rows, {**record, **stamp, "verdict": output["verdict"], "cells": summaries}))


def _copy(source: Path, target: Path) -> None:
    write(target, lambda file: file.write(source.read_bytes()))


def changed_versions(old: dict[str, int]) -> Versions:
    """Old and new version of the metrics whose version changed."""
    new = versions()
    pairs = {name: (old.get(name), new.get(name)) for name in {**old, **new}}
    return {name: pair for name, pair in pairs.items() if pair[0] != pair[1]}


def moved_numbers(table: pd.DataFrame, rows: list[dict[str, Any]]) -> dict[tuple[str, str], tuple[float, float]]:
    """Return old and new value, by band and metric, where those of the table and of new rows differ."""
    parts = {"old": table, "new": pd.DataFrame(rows)}
    keyed = {which: part.set_index(["band", "metric"])["value"].astype(float) for which, part in parts.items()}
    both = pd.concat(keyed, axis=1)
    same = np.isclose(both["old"], both["new"], rtol=SAME, atol=1e-12, equal_nan=True)
    return {key: (old, new) for key, old, new in both[~same].itertuples()}


Line = tuple[str, bool]
"""A line of text, and whether it agrees with the manifest."""


def reproduce(folder: Path, given: Sequence[Dataset], own: Sequence[str], out: Path | None) -> Iterator[Line]:
    """Fit, draw and score again every generator that a manifest lists, apart from its results.

    Args:
        folder: of the run.
        given: data sets that are not built in.
        own: generators of the user's own, as ``path/to/file.py:Class``; those files are run.
        out: where to keep the new run; None for nowhere.

    Yields:
        One line a difference or agreement. Another machine or version is said, but is no disagreement by itself.

    Raises:
        ValueError: if the manifest is damaged, or its data set is not at hand.
        FileNotFoundError: if there is no manifest or table.
    """
    old = read_run(folder)
    run, records = old.manifest["run"], old.records
    dataset = dataset_of(run, given)
    if dataset is None:
        raise ValueError(f"the data set {run['dataset']} is not at hand; give it with --dataset")
    same_data = dataset.digest() == run.get("data")
    yield f"data: {'the same' if same_data else 'different'}", same_data
    stamp: dict[str, Any] = next((record for record in records.values() if record["status"] == "scored"), {})
    yield from ((line, True) for line in _differences(stamp, environment()))
    references = [name for name in records if name in GENERATORS] + list(own)
    samples = None if run["n_test"] >= len(dataset.test) else int(run["n_test"])
    options = Options(seed=run["seed"], samples=samples, quick=run["quick"])
    with ExitStack() as stack:
        place = out or Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="porebench-")))
        outcomes = evaluate(dataset, references, place, options, command="porebench reproduce")
    moved_versions = changed_versions(run.get("metric_versions", {}))
    for outcome in outcomes:
        yield from _compare(outcome, records.get(outcome.generator), old.table, run["dataset"], moved_versions)
    for name in records:
        if name not in {outcome.generator for outcome in outcomes}:
            yield f"{name}: left out; give its file with --generator FILE.py:Class", True


def _compare(
    outcome: Outcome,
    record: dict[str, Any] | None,
    table: pd.DataFrame,
    dataset: str,
    moved_versions: Versions,
) -> Iterator[Line]:
    """Yield what differs between a generator's new row and the old one."""
    name = outcome.generator
    if record is None:
        yield f"{name}: not in the manifest", True
    elif outcome.failed or record["status"] == "failed":
        old, new = (each.get("reason", "was scored") for each in (record, outcome.record))
        yield f"{name}: before: {old}; now: {new}", old == new
    else:
        for what in ("digest", "samples_digest"):
            if record.get(what) != outcome.record[what]:
                yield f"{name}: {'code, data or seed' if what == 'digest' else 'samples'} differ", True
        if _weights(record) != _weights(outcome.record):
            yield f"{name}: weights differ", True
        moved = moved_numbers(table[table["generator"] == name], outcome.rows)
        compared = Rescored(dataset, name, len(outcome.rows), moved, moved_versions)
        yield "\n".join(compared.lines()), not moved


def _weights(record: dict[str, Any]) -> str | None:
    value: str | None = record.get("cells", {}).get("fit", {}).get("inputs", {}).get("weights")
    return value


def _differences(before: dict[str, Any], now: dict[str, Any]) -> list[str]:
    """Facts of machine and software that differ, one line each."""
    lines = []
    for name, value in now.items():
        old = before.get(name)
        if isinstance(value, dict):
            lines += _differences(old if isinstance(old, dict) else {}, value)
        elif old != value:
            lines.append(f"{name}: before {old}, now {value}")
    return lines
