"""The work spread over processes by joblib: some on this machine, or the workers of a Dask cluster; the same rows.

A task is one generator. It reads and writes the cells of the results folder, which all workers must see under the same
path; a worker that dies costs the cell it was working on, since the next one takes up the others.
"""

from __future__ import annotations

import multiprocessing
import os
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import replace
from importlib import import_module
from pathlib import Path
from typing import Any

import joblib
from joblib.externals.loky.process_executor import TerminatedWorkerError

from porebench.data import Dataset

from ..store.digests import code_digest
from ..store.results import Outcome
from .accuracy import Results
from .draw import Plan
from .options import Options
from .row import bring_up_to_date, failed
from .score import CODE, Judge

DEATHS = 3
"""Number of times that workers of this machine may die before the generators that are left count as failed."""


def on_cluster(
    references: Sequence[str], plans: Mapping[str, Plan], judge: Judge, results: Results
) -> Iterator[tuple[str, Outcome]]:
    """Yield each generator with its row, as they are finished.

    Args:
        references: registered names, or ``path/to/file.py:Class``; such files must lie where all workers see them.
        plans: of registered generators.
        judge: of the run; its options say how many processes, or which scheduler.
        results: of the run.

    Raises:
        ImportError: if a scheduler is asked for and Dask is not installed, naming the extra.
        OSError: if the scheduler cannot be reached.
        ValueError: if its workers cannot do the work; says why.
    """
    options, left, reason = judge.options, list(references), ""
    _ = judge.real  # described once, for all
    with ExitStack() as stack:
        if options.scheduler is not None:
            client = stack.enter_context(_client(options.scheduler))
            _check_workers(client, judge.folder)
            stack.enter_context(joblib.parallel_config("dask", n_jobs=-1))
        else:
            processes = min(options.processes, len(references))
            options = replace(options, workers=max(1, options.workers // processes))
            stack.enter_context(joblib.parallel_config("loky", n_jobs=processes))
        for _ in range(DEATHS):
            if not left:
                break
            tasks = [
                joblib.delayed(_work)(reference, plans.get(reference), judge.dataset, options, judge.folder, results)
                for reference in left
            ]
            try:
                for reference, outcome in joblib.Parallel(return_as="generator_unordered", batch_size=1)(tasks):
                    left.remove(reference)
                    yield reference, outcome
            except TerminatedWorkerError as error:
                reason = " ".join(str(error).split())
    for reference in left:
        yield reference, failed(reference.rpartition(":")[2], "run", reason, 0.0, results)


def _work(
    reference: str, planned: Plan | None, dataset: Dataset, options: Options, folder: Path, results: Results
) -> tuple[str, Outcome]:
    """Return one generator's row, made on a worker."""
    if options.scheduler is not None:
        options = replace(options, workers=len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else 1)
    judge = _judge(dataset.digest(), options, folder, dataset)
    return reference, bring_up_to_date(reference, planned, judge, results)


_judges: dict[tuple[str, Options, Path], Judge] = {}


def _judge(digest: str, options: Options, folder: Path, dataset: Dataset) -> Judge:
    """Return a worker's judge, kept for its next generator."""
    key = (digest, options, folder)
    if key not in _judges:
        _judges.clear()
        _judges[key] = Judge(dataset, options, folder)
    return _judges[key]


def _client(scheduler: str) -> Any:
    try:
        return import_module("distributed").Client(scheduler, timeout=30)
    except ImportError as error:
        raise ImportError("a scheduler needs dask.distributed: pip install 'porebench[cluster]'") from error


def _check_workers(client: Any, folder: Path) -> None:
    """Refuse workers that could not do the work, or would do another."""
    client.wait_for_workers(1, timeout=120)
    answers = client.run(_describe_worker, str(folder)).values()
    if not all(answer["sees folder"] for answer in answers):
        raise ValueError(f"not all workers see {folder}; give --out a folder that all machines share")
    if any(answer["daemon"] for answer in answers):
        raise ValueError(
            "the workers may not start processes; start them with DASK_DISTRIBUTED__WORKER__DAEMON=False set"
        )
    if {answer["code"] for answer in answers} != {code_digest(*CODE["score"])}:
        raise ValueError("the workers run another version of porebench; install the same one everywhere")


def _describe_worker(folder: str) -> dict[str, Any]:
    return {
        "sees folder": os.path.isdir(folder),  # noqa: PTH112 - as on any worker
        "daemon": multiprocessing.current_process().daemon,
        "code": code_digest(*CODE["score"]),
    }
