"""The work spread over processes by Dask: some on this machine, or the workers of a cluster. Same cells, same rows.

A task is one generator. It reads and writes the cells of the results folder, which all workers must see under the same
path; a worker that dies costs the cell it was working on, since the next one takes up the others.
"""

from __future__ import annotations

import functools
import multiprocessing
import os
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import replace
from importlib import import_module
from pathlib import Path
from typing import Any

from porebench.data import Dataset

from ..store.digests import code_digest
from ..store.results import Outcome
from .accuracy import Results
from .draw import Plan
from .options import Options
from .row import bring_up_to_date, failed
from .score import DESCRIBING, SCORING, Judge

DEATHS = 3
"""Workers that may die over one generator before it counts as failed."""


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
    _ = judge.real  # described once, for all
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
        futures = {
            client.submit(
                _work, reference, plans.get(reference), dataset, options, judge.folder, results, pure=False
            ): reference
            for reference in references
        }
        for future in distributed.as_completed(list(futures)):
            reference = futures[future]
            death = future.exception()
            if death is None:
                yield reference, future.result()
            else:
                reason = " ".join(str(death).split()) or type(death).__name__
                yield reference, failed(reference.rpartition(":")[2], "run", reason, 0.0, results)


def _work(
    reference: str, planned: Plan | None, dataset: Dataset, options: Options, folder: Path, results: Results
) -> Outcome:
    """Return one generator's row, made on a worker."""
    if options.scheduler is not None:
        options = replace(options, workers=len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else 1)
    return bring_up_to_date(reference, planned, _judge(dataset, options, folder), results)


@functools.lru_cache(maxsize=1)
def _judge(dataset: Dataset, options: Options, folder: Path) -> Judge:
    """Return a worker's judge, kept for its next generator."""
    return Judge(dataset, options, folder)


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
    if {answer["code"] for answer in answers} != {code_digest(*DESCRIBING, *SCORING)}:
        raise ValueError("the workers run another version of porebench; install the same one everywhere")


def _describe_worker(folder: str) -> dict[str, Any]:
    return {
        "sees folder": os.path.isdir(folder),  # noqa: PTH112 - as on any worker
        "daemon": multiprocessing.current_process().daemon,
        "code": code_digest(*DESCRIBING, *SCORING),
    }
