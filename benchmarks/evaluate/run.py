"""Accuracy: data set -> fit -> sample -> describe -> score -> results."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

from rich.progress import Progress

from porebench.data import Dataset

from ..store.cells import REAL, Cells
from ..store.files import save_samples, sweep
from ..store.results import Outcome, run_folder
from . import isolation, side_tables
from .accuracy import Results
from .draw import Plan
from .judgeable import check_judgeable
from .options import Options
from .progress import bars
from .row import bring_up_to_date
from .score import Judge


def evaluate(
    dataset: Dataset,
    references: Sequence[str],
    out: Path,
    options: Options | None = None,
    *,
    progress: Progress | None = None,
    command: str = "",
) -> list[Outcome]:
    """Score generators on a data set and write ``out/<data set>/`` (see `run_folder`).

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

    Raises:
        NothingToJudgeError: if no generator can be compared with the data set.
    """
    options = options or Options()
    folder = run_folder(out, dataset, options.seed)
    judge = Judge(dataset, options, folder, bars(progress))
    check_judgeable(dataset, judge.test)
    folder.mkdir(parents=True, exist_ok=True)
    sweep(folder)
    save_samples(judge.test, Cells(folder, REAL).arrays("sample"))  # to be looked at beside the draws
    results = Results(folder, judge.run, command, dataset.phase)
    plans = {reference: judge.plan(reference) for reference in references if ":" not in reference}
    if len(plans) < len(references) or any(each.stale(Cells(folder, each.name)) for each in plans.values()):
        isolation.warm_up()
        _ = judge.real  # described meanwhile
    outcomes: dict[str, Outcome] = {}
    overall = progress.add_task("generators", total=len(references)) if progress else None
    for reference, outcome in _outcomes(references, plans, judge, results, show_progress=progress is not None):
        results.add(outcome)
        noted = {} if outcome.failed else side_tables.update(judge, outcome, reference, results.records)
        outcomes[reference] = results.note(outcome, noted) if noted else outcome
        if progress is not None and overall is not None:
            progress.advance(overall)
    return [outcomes[reference] for reference in references]


def _outcomes(
    references: Sequence[str], plans: dict[str, Plan], judge: Judge, results: Results, *, show_progress: bool
) -> Iterator[tuple[str, Outcome]]:
    """Yield each generator with its row: one after the other, or as a cluster finishes them."""
    if judge.options.processes > 1 or judge.options.scheduler is not None:
        from .cluster import on_cluster  # noqa: PLC0415 - an optional dependency

        yield from on_cluster(references, plans, judge, results)
        return
    for reference in references:
        planned = plans.get(reference)
        yield reference, bring_up_to_date(reference, planned, judge, results, show_progress=show_progress)
