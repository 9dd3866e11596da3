"""A run made again from its manifest, and what differs."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pandas as pd

from porebench.data import Dataset
from porebench.generators import GENERATORS

from ..evaluate.accuracy import Outcome
from ..evaluate.options import Options
from ..evaluate.run import evaluate
from ..store.provenance import environment
from ..store.results import read_accuracy
from .compare import Rescored, changed_versions, moved_numbers
from .status import dataset_of

Line = tuple[str, bool]
"""What is said, and whether it agrees with the manifest."""


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
    table, manifest = read_accuracy(folder)
    run, records = manifest["run"], manifest["generators"]
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
    versions = changed_versions(run.get("metric_versions", {}))
    for outcome in outcomes:
        yield from _compare(outcome, records.get(outcome.generator), table, run["dataset"], versions)
    for name in records:
        if name not in {outcome.generator for outcome in outcomes}:
            yield f"{name}: left out; give its file with --generator FILE.py:Class", True


def _compare(
    outcome: Outcome,
    record: dict[str, Any] | None,
    table: pd.DataFrame,
    dataset: str,
    versions: dict[str, tuple[int | None, int | None]],
) -> Iterator[Line]:
    """A generator's new row against the old one."""
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
        compared = Rescored(dataset, name, len(outcome.rows), moved, versions)
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
