"""Several workers make what one makes, bit for bit, even where one of them dies."""

import os

import pytest

from porebench.benchmarks.evaluate.options import Options
from porebench.benchmarks.evaluate.run import evaluate

dask = pytest.importorskip("dask")
distributed = pytest.importorskip("distributed")
pytestmark = [pytest.mark.slow, pytest.mark.usefixtures("own_cache"), pytest.mark.filterwarnings("ignore")]

NAMES = ["pca", "noise", "memoriser", "gaussian-field", "reference"]

KILLS = '''
import os, signal
from pathlib import Path
import numpy as np
from porebench.generators import Generator

class Kills(Generator):
    """Kills the worker that it runs for, the first time."""

    name = "kills"

    def _fit(self, volumes, density, rng):
        self.mean_ = float(volumes.mean())

    def _sample(self, density, shape, rng):
        mark = Path({mark!r})
        if not mark.exists():
            mark.touch()
            for pid in map(int, mark.with_name("workers").read_text().split()):
                os.kill(pid, signal.SIGKILL)
        return rng.random((len(density), *shape)) < self.mean_
'''


def _table(folder) -> bytes:
    return (folder / "tiny" / "accuracy.csv").read_bytes()


def test_two_workers_make_the_same_table_as_one(tiny, tmp_path) -> None:
    for processes in (1, 2):
        out = tmp_path / str(processes)
        outcomes = evaluate(tiny, NAMES, out, Options(quick=True, workers=1, processes=processes))
        assert not any(outcome.failed for outcome in outcomes)
        assert [outcome.generator for outcome in outcomes] == NAMES
    assert _table(tmp_path / "1") == _table(tmp_path / "2")


def test_a_worker_that_is_killed_costs_nothing(tiny, tmp_path) -> None:
    file = tmp_path / "kills.py"
    file.write_text(KILLS.replace("{mark!r}", repr(str(tmp_path / "mark"))))
    references = [*NAMES, f"{file}:Kills"]
    local = {"n_workers": 2, "threads_per_worker": 1, "dashboard_address": None, "host": "127.0.0.1"}
    with (
        dask.config.set({"distributed.worker.daemon": False}),
        distributed.LocalCluster(processes=True, **local) as cluster,
        distributed.Client(cluster) as client,
    ):
        pids = client.run(os.getpid)
        (tmp_path / "workers").write_text(" ".join(str(pid) for pid in list(pids.values())[:1]))
        options = Options(quick=True, workers=1, scheduler=cluster.scheduler_address)
        outcomes = evaluate(tiny, references, tmp_path / "cluster", options)
        assert client.run(os.getpid) != pids
    assert (tmp_path / "mark").exists()
    assert not any(outcome.failed for outcome in outcomes), outcomes[-1].record
    (tmp_path / "mark").touch()
    evaluate(tiny, references, tmp_path / "serial", Options(quick=True, workers=1))
    assert _table(tmp_path / "cluster") == _table(tmp_path / "serial")


def test_a_scheduler_that_does_not_answer_is_an_error(tiny, tmp_path) -> None:
    with pytest.raises(OSError, match=r"\S"):
        evaluate(tiny, ["noise"], tmp_path, Options(quick=True, workers=1, scheduler="tcp://127.0.0.1:1"))
