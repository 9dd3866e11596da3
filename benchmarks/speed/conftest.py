"""Fitted generators, a clock policy, and results without host names, for all speed benchmarks.

Every benchmark runs once in each of several blocks, and the order inside a block is random: what drifts (temperature,
neighbours, memory) then widens the spread between blocks, which the tables show, instead of favouring one row.
"""

from __future__ import annotations

import functools
import random
import time
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from porebench import data
from porebench.generators import get

from ..evaluate import fits
from ..evaluate.options import Options
from ..report.speed import UNTRAINED
from ..store.provenance import device_name, environment

BLOCKS = 3
SECONDS = 1.0
"""Of steady state that each block times."""
ROUNDS = (2, 100)
SLOW = 3.0
"""Seconds of a call from which on later blocks do without an untimed one before: it has long been warm."""

_first_calls: dict[str, float] = {}


def pytest_benchmark_update_machine_info(machine_info: dict[str, Any]) -> None:
    """Add software and kind of the machine, and take its name out."""
    machine_info.pop("node", None)
    machine_info.update(environment())
    unit = machine_info["bfloat16_matrix_unit"]
    machine_info["processor_kind"] = "matrix unit" if unit else torch.backends.cpu.get_cpu_capability()


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Run every benchmark once in each block."""
    if "block" in metafunc.fixturenames:
        metafunc.parametrize("block", range(BLOCKS))


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Put one block after the other, each in a random order of its own (the same in every run)."""
    shuffled = random.Random(0).sample(items, len(items))  # noqa: S311 - no secret
    items[:] = sorted(shuffled, key=lambda item: _parameters(item).get("block", -1))


def _parameters(item: Any) -> dict[str, Any]:
    return dict(item.callspec.params) if hasattr(item, "callspec") else {}


@functools.cache
def spheres() -> data.Dataset:
    """Return the data set that speed is measured on, loaded once."""
    return data.load("spheres")


@functools.cache
def fitted_generator(name: str, device: str) -> tuple[Any, dict[str, Any]]:
    """Return the generator that the accuracy table is about, and what is recorded of it beside each time.

    One that trains for hours and has not been trained is timed with untrained weights, which cost the same to run.
    """
    try:
        ready = fits.fitted(name, spheres(), Options(device=device))
        generator, digest = ready.generator, ready.fit.digest
    except fits.NeedsTrainingError:
        training = spheres().train
        kind: Any = get(name)
        generator, digest = kind(epochs=0).fit(training.voxels, training.density, rng=0).to(device), UNTRAINED
    precision = {"precision": generator.number_format} if generator.number_format else {}
    return generator, {"generator": name, "digest": digest, "params": generator.params, **precision}


def samples_on(name: str, kind: str) -> bool:
    """Return whether a generator samples on a kind of device; False where it cannot be imported on this machine."""
    try:
        return kind in get(name).devices
    except ModuleNotFoundError:  # a bare machine that times a GPU has no numba
        return False


def mixed_densities(count: int) -> NDArray[np.float64]:
    """Return densities spread evenly over (0, 1), sparse and dense mixed; 0.5 where there is one."""
    return np.random.default_rng(0).permutation((np.arange(count) + 0.5) / count)


@pytest.fixture
def measure(benchmark: Any, request: pytest.FixtureRequest, block: int) -> Callable[..., None]:
    """Time a function that draws or describes volumes, and record throughput, device, threads and what came out.

    The function is called before the clock starts, since compilation and caches of this very shape are no steady
    state; the time of the very first call is kept apart. ``check`` makes facts of what it returns, and must find the
    same ones in the first and in the last call.
    """
    case = str((request.node.location[0], request.node.originalname, _parameters(request.node) | {"block": None}))

    def run(
        function: Callable[[], Any],
        volumes: int,
        device: str = "cpu",
        check: Callable[[Any], dict[str, Any]] = lambda _: {},
        *,
        warm: bool = True,
        **info: Any,
    ) -> None:
        facts, seconds = None, _first_calls.get(case, 0.0)
        if warm and seconds < SLOW:
            start = time.perf_counter()
            drawn = function()
            seconds = time.perf_counter() - start
            facts = check(drawn)
            info["first_call_seconds"] = _first_calls.setdefault(case, seconds)
        if device == "cuda":
            torch.cuda.reset_peak_memory_stats()
        rounds = int(np.clip(SECONDS / seconds, *ROUNDS)) if 0 < seconds < SECONDS else 1
        last = check(benchmark.pedantic(function, rounds=rounds, iterations=1, warmup_rounds=0))
        if facts not in (None, last):
            pytest.fail("the same call gave another result")
        if device == "cuda":
            info["peak_memory_bytes"] = torch.cuda.max_memory_allocated()
        benchmark.extra_info.update(
            volumes=volumes,
            volumes_per_second=volumes / benchmark.stats.stats.median,
            device=device_name(device),
            threads=torch.get_num_threads(),
            block=block,
            **info,
            **last,
        )

    return run
