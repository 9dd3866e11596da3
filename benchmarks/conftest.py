"""What the speed benchmarks share: fitted generators, a clock policy, and results without host names."""

from __future__ import annotations

import functools
import resource
import time
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

import data
from benchmarks import artefacts
from benchmarks.provenance import device_name, environment
from benchmarks.report import UNTRAINED
from generators.cvae.seed import SeedCVAE

SECONDS = 3.0
ROUNDS = (5, 200)


def pytest_benchmark_update_machine_info(machine_info: dict[str, Any]) -> None:
    """Say what machine it is, not whose."""
    machine_info.pop("node", None)
    machine_info.update(environment())


@functools.cache
def spheres() -> data.Dataset:
    """The data set that speed is measured on, loaded once."""
    return data.load("spheres")


@functools.cache
def fitted_generator(name: str, device: str) -> tuple[Any, str]:
    """The generator that the accuracy table is about, and its digest.

    One that trains for hours and has not been trained is timed with untrained weights, which cost the same to run.
    """
    try:
        ready = artefacts.fitted(name, spheres(), device=device)
    except artefacts.NeedsTrainingError:
        training = spheres().train
        generator = SeedCVAE(epochs=0)
        generator.fit(training.voxels, training.density, rng=0)
        return generator.to(device), UNTRAINED
    return ready.generator, ready.digest


def mixed_densities(count: int) -> NDArray[np.float64]:
    """Densities spread evenly over (0, 1), in an order that mixes sparse and dense."""
    return np.random.default_rng(0).permutation((np.arange(count) + 0.5) / count)


@pytest.fixture
def measure(benchmark: Any) -> Callable[..., None]:
    """Time a function that draws or describes volumes, and record throughput, device, threads and memory.

    The function is called before the clock starts, since compilation and caches of this very shape are no steady
    state; ``check`` looks at its output after the clock has stopped, and may return more to record.
    """

    def run(
        function: Callable[[], Any],
        volumes: int,
        device: str = "cpu",
        check: Callable[[], dict[str, Any]] = dict,
        **info: Any,
    ) -> None:
        start = time.perf_counter()
        function()
        first = time.perf_counter() - start
        if device == "cuda":
            torch.cuda.reset_peak_memory_stats()
        rounds = 2 if first > SECONDS else int(np.clip(SECONDS / first, *ROUNDS))
        benchmark.pedantic(function, rounds=rounds, iterations=1, warmup_rounds=0 if first > 1 else 1)
        if device == "cuda":
            memory = torch.cuda.max_memory_allocated()
        else:
            memory = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
        benchmark.extra_info.update(
            volumes=volumes,
            volumes_per_second=volumes / benchmark.stats.stats.median,
            first_call_seconds=first,
            device=device_name(device),
            threads=torch.get_num_threads(),
            peak_memory_bytes=memory,
            **info,
            **check(),
        )

    return run
