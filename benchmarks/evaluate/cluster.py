"""The work spread over processes by Dask: some on this machine, or the workers of a cluster. Same cells, same rows.

A task is one generator. It reads and writes the cells of the results folder, which all workers must see under the same
path; a worker that dies costs the cell it was working on, since the next one takes up the others.
"""

from __future__ import annotations

import functools
import multiprocessing
import os
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from dataclasses import replace
from importlib import import_module
from pathlib import Path
from typing import Any

from porebench.data import Dataset

from ..store.cells import metric_code
from . import fits
from .accuracy import Outcome, Results
from .options import Options
from .run import bring_up_to_date
from .score import Judge

DEATHS = 3
"""Workers that may die over one generator before it counts as failed."""


def on_cluster(references: Sequence[str], judge: Judge, results: Results) -> Iterator[tuple[str, Outcome]]:
    """Each generator with its row, as they are finished.

    Args:
        references: registered names, or ``path/to/file.py:Class``; such files must lie where all workers see them.
        judge: of the run; its options say how many processes, or which scheduler.
        results: of the run.

    Raises:
        ImportError: if Dask is not installed, naming the extra.
        OSError: if the scheduler cannot be reached.
        ValueError: if its workers cannot do the work; says why.
    """
    try:
        dask: Any = import_module("dask")
        distributed: Any = import_module("distributed")
    except ImportError as error:
        raise ImportError("several workers need dask.distributed: pip install 'porebench[cluster]'") from error
    options = judge.options
    judge.describe_real()  # once, for all
    with ExitStack() as stack:
        # the workers start processes of their own, one a generator
        stack.enter_context(dask.config.set({"distributed.worker.daemon": False}))
        stack.enter_context(dask.config.set({"distributed.scheduler.allowed-failures": DEATHS}))
        if options.scheduler is None:
            cluster = distributed.LocalCluster(
                n_workers=min(options.processes, len(references)),
                threads_per_worker=1,
                processes=True,
                dashboard_address=None,
                host="127.0.0.1",
            )
            client = distributed.Client(stack.enter_context(cluster))
            options = replace(options, workers=max(1, options.workers // options.processes))
        else:
            client = distributed.Client(options.scheduler, timeout=30)
        stack.enter_context(client)
        _check_workers(client, judge.folder)
        dataset = client.scatter(judge.dataset, broadcast=DEATHS + 1)  # one copy outlives so many deaths
        places = (fits.CACHE, fits.PUBLISHED)
        futures = {
            client.submit(_work, reference, dataset, options, judge.folder, results, places, pure=False): reference
            for reference in references
        }
        for future in distributed.as_completed(list(futures)):
            reference = futures[future]
            death = future.exception()
            yield reference, future.result() if death is None else _lost(reference, death, results)


def _work(
    reference: str, dataset: Dataset, options: Options, folder: Path, results: Results, places: tuple[Path, Path]
) -> Outcome:
    """One generator's row, made on a worker."""
    fits.CACHE, fits.PUBLISHED = places
    if options.scheduler is not None:
        options = replace(options, workers=_cores())
    return bring_up_to_date(reference, _judge(dataset, options, folder), results, show_progress=False)


def _cores() -> int:
    """Processor cores that this worker may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


@functools.lru_cache(maxsize=1)
def _judge(dataset: Dataset, options: Options, folder: Path) -> Judge:
    """A worker's judge, kept for its next generator."""
    return Judge(dataset, options, folder)


def _lost(reference: str, error: BaseException, results: Results) -> Outcome:
    """The row of a generator whose workers died."""
    reason = " ".join(str(error).split()) or type(error).__name__
    record = {"status": "failed", "phase": "run", "reason": reason, "seconds": 0.0, **results.stamp}
    return Outcome(reference.rpartition(":")[2], [], record)


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
    if {answer["code"] for answer in answers} != {metric_code()}:
        raise ValueError("the workers run another version of porebench; install the same one everywhere")


def _describe_worker(folder: str) -> dict[str, Any]:
    return {
        "sees folder": os.path.isdir(folder),  # noqa: PTH112 - as on any worker
        "daemon": multiprocessing.current_process().daemon,
        "code": metric_code(),
    }
