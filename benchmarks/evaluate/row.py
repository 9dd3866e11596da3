"""One generator's row: its cells brought up to date, its numbers, or the reason why there are none."""

from __future__ import annotations

import errno
import logging
import time
from typing import Any

from ..store.cells import Cell, Cells, Inputs
from ..store.provenance import peak_memory_mb
from ..store.replicates import has_replicates, keep_replicates
from ..store.results import Outcome, fit_folder
from . import fits, isolation
from .accuracy import Results
from .draw import Plan, draw, fits_of
from .score import Judge, described_fits

log = logging.getLogger("porebench")

NO_ROOM = (errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.EFBIG)


def bring_up_to_date(
    reference: str, planned: Plan | None, judge: Judge, results: Results, *, show_progress: bool = False
) -> Outcome:
    """Return a generator's row, its cells brought up to date; a failure is a row with its phase and reason.

    Args:
        reference: registered name, or ``path/to/file.py:Class``.
        planned: its plan; None for a user's own file, whose code runs in a process of its own only.
        judge: of the run.
        results: of the run.
        show_progress: let a fit draw its progress bar.
    """
    name, phase, kind = reference.rpartition(":")[2], "load", ""
    started = time.perf_counter()
    try:
        drawn = _draw(reference, planned, judge, show_progress=show_progress)
        name, phase = drawn.name, "score"
        return _outcome(judge, drawn, results.stamp)
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
        if earlier is not None and planned is not None and earlier.record["digest"] == planned.digest:
            return earlier  # its weights are elsewhere, but nothing has changed since
    log.error("%s failed to %s", name, phase)
    return failed(name, phase, reason, round(time.perf_counter() - started, 2), results)


def failed(name: str, phase: str, reason: str, seconds: float, results: Results) -> Outcome:
    """Return the row of a generator that failed."""
    record = {"status": "failed", "phase": phase, "reason": reason, "seconds": seconds, **results.stamp}
    return Outcome(name, [], record)


def _draw(reference: str, planned: Plan | None, judge: Judge, *, show_progress: bool) -> Plan:
    """Bring the cells that run a generator's own code up to date, in a process of its own where any is stale."""
    options = judge.options
    if planned is not None:
        cells = Cells(judge.folder, planned.name)
        if not planned.stale(cells) and others_drawn(judge, reference, cells):
            return planned
        if planned.trained_on_request and not planned.at_hand:
            raise fits.NeedsTrainingError(planned.name, judge.dataset.name)
    drawn, _ = isolation.call(
        draw,
        reference,
        judge.dataset,
        judge.folder,
        options,
        show_progress,
        timeout=options.timeout,
        memory=options.memory,
    )
    return Plan(**drawn)


def _outcome(judge: Judge, planned: Plan, stamp: dict[str, Any]) -> Outcome:
    """Return a generator's row, from its score cell or computed now, once its drawing cells are finished."""
    cells = Cells(judge.folder, planned.name)
    drawn = {stage: finished(cells, stage) for stage in planned.stages}
    samples = drawn["sample"].output["samples_digest"]
    n_fits = fits_of(cells, judge.options)
    inputs = inputs_of("score", judge, planned)
    cell = cells.fresh("score", inputs)
    if cell is None or not has_replicates(judge.folder, planned.name, judge.run, samples):
        began = time.perf_counter()
        scored = judge.scored(
            planned.name, reconstructs=planned.reconstructs, fits=n_fits, relatives=planned.trained_on
        )
        if scored.replicates is not None:
            keep_replicates(judge.folder, planned.name, scored.replicates, judge.run, samples)
        output = {"rows": scored.rows, "verdict": str(scored.verdict), "stamp": stamp}
        cell = cells.finish("score", inputs, output, time.perf_counter() - began, peak_memory_mb())
    fit, sample = dict(drawn["fit"].output), dict(drawn["sample"].output)
    sample.pop("file")
    every = {**drawn, "describe": cells.read("describe"), "score": cell}
    record = {
        "status": "scored",
        "digest": planned.digest,
        "params": planned.params,
        **fit,
        **sample,
        "fits": n_fits,
        "trained_on": list(planned.trained_on),
        **({"fitted_on": list(planned.fitted_on)} if planned.fitted_on else {}),
        "verdict": cell.output["verdict"],
        **cell.output["stamp"],
        "cells": {stage: done.summary() for stage, done in every.items() if done is not None},
    }
    return Outcome(planned.name, cell.output["rows"], record)


def others_drawn(judge: Judge, reference: str, cells: Cells) -> bool:
    """Return whether the draws of all fits but the first, as many as a row stands on, are up to date."""
    others = map(judge.of_fit, range(1, fits_of(cells, judge.options)))
    return not any(other.plan(reference).stale(Cells(other.folder, cells.generator)) for other in others)


def inputs_of(stage: str, judge: Judge, planned: Plan) -> Inputs:
    """Return the inputs of "describe" or "score" from a generator's finished drawing cells.

    Raises:
        ValueError: if one is missing.
    """
    cells = Cells(judge.folder, planned.name)
    made = "none"
    if planned.reconstructs:
        made = finished(cells, "reconstruct").output["reconstruction_digest"]
    folders = [fit_folder(judge.folder, fit) for fit in range(1, fits_of(cells, judge.options))]
    samples = [finished(Cells(each, planned.name), "sample").output["samples_digest"] for each in folders]
    first = finished(cells, "sample").output["samples_digest"]
    return judge.inputs(stage, first, made, described_fits(samples))


def finished(cells: Cells, stage: str) -> Cell:
    """Return a cell.

    Raises:
        ValueError: if it was never finished.
    """
    found = cells.read(stage)
    if found is None:
        raise ValueError(f"{cells.generator} left no {stage} cell in {cells.folder}")
    return found
