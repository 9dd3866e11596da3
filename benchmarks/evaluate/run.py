"""Accuracy: data set -> fit -> sample -> describe -> score -> results."""

from __future__ import annotations

import errno
import logging
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from rich.progress import Progress

from porebench.data import Dataset

from ..store.cells import REAL, Cells
from ..store.files import save_samples, sweep
from ..store.provenance import peak_memory_mb
from ..store.results import run_folder
from . import fits, isolation, side_tables
from .accuracy import Outcome, Results
from .draw import Plan, draw_in_own_process, drawn_cells
from .options import Options
from .progress import bars
from .ranking import has_replicates
from .score import Judge, run_identity

log = logging.getLogger("porebench")

NO_ROOM = (errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.EFBIG)


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


def bring_up_to_date(reference: str, judge: Judge, results: Results, *, show_progress: bool) -> Outcome:
    """A generator's row, its cells brought up to date; whatever fails becomes a row with its phase and reason."""
    name, phase, kind = reference.rpartition(":")[2], "load", ""
    started = time.perf_counter()
    try:
        planned = _draw(reference, judge, show_progress=show_progress)
        name, phase = planned.name, "score"
        return _outcome(judge, planned, results.stamp)
    except isolation.IsolatedError as error:
        name, phase = error.facts.get("name", name), error.facts.get("phase", phase)
        reason, kind = str(error), error.kind
    except Exception as error:  # a file may hold anything; a failure is a row, the others go on
        if isinstance(error, OSError) and error.errno in NO_ROOM:
            raise  # the same for all of them
        log.debug("%s failed to %s", name, phase, exc_info=error)
        reason, kind = str(error) or type(error).__name__, type(error).__name__
    if kind == fits.NeedsTrainingError.__name__:
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
            raise fits.NeedsTrainingError(planned.name, judge.dataset.name)
    drawn, _ = isolation.call(
        draw_in_own_process,
        reference,
        judge.dataset,
        judge.samples_asked,
        judge.folder,
        options.seed,
        options.device,
        show_progress,
        (fits.CACHE, fits.PUBLISHED),
        timeout=options.timeout,
        memory=options.memory,
    )
    return Plan(**drawn)


def _outcome(judge: Judge, planned: Plan, stamp: dict[str, Any]) -> Outcome:
    """A generator's row, from its score cell or computed now.

    Args:
        judge: of the run.
        planned: of the generator, whose drawing cells are finished.
        stamp: date, command and environment, for a row that is computed now.
    """
    cells = Cells(judge.folder, planned.name)
    drawn = drawn_cells(judge.folder, planned.name, planned.stages)
    samples = drawn["sample"].output["samples_digest"]
    made = drawn["reconstruct"].output["reconstruction_digest"] if planned.reconstructs else "none"
    inputs = judge.inputs("score", samples, made)
    cell = cells.fresh("score", inputs)
    if cell is None or not has_replicates(judge.folder, planned.name, run_identity(judge), samples):
        began = time.perf_counter()
        rows = judge.rows(planned.name, reconstructs=planned.reconstructs)
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
