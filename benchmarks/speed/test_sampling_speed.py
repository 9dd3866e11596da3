"""Seconds from a list of densities to boolean voxels in host memory, for every registered generator."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from porebench.generators import GENERATORS, ON_REQUEST, get

from ..store.timings import voxel_facts
from .conftest import fitted_generator, mixed_densities, samples_on
from .work import work

EDGE = 30
LARGE = 128


@pytest.mark.benchmark(group="sampling")
@pytest.mark.parametrize("device", ["cpu", pytest.param("cuda", marks=pytest.mark.gpu)])
@pytest.mark.parametrize("batch", [1, 64, 512])
@pytest.mark.parametrize("name", list(GENERATORS))
def test_sampling(measure: Callable[..., None], name: str, batch: int, device: str) -> None:
    if device == "cuda" and not torch.cuda.is_available():
        pytest.skip("this machine has no CUDA device")
    if not samples_on(name, device):
        pytest.skip(f"{name} does not sample on a {device} device here")
    if name in ON_REQUEST and device == "cpu" and batch > 1:
        pytest.skip(f"{name} takes as long for each volume of a batch as for one: minutes")
    generator, facts = fitted_generator(name, device)
    density = mixed_densities(batch)
    counted = work(fitted_generator(name, "cpu")[0], density, EDGE) if batch == 64 else None
    asked = {} if counted is None else asdict(counted)
    if asked and "precision" in facts:
        asked["arithmetic"] = facts["precision"]  # of the device that is timed, not of the one that counted

    def check(drawn: NDArray[np.bool_]) -> dict[str, Any]:
        assert drawn.dtype == np.bool_
        assert drawn.shape == (batch, EDGE, EDGE, EDGE)
        assert drawn.any()
        return voxel_facts(drawn)

    measure(
        lambda: generator.sample(density, rng=0),
        batch,
        device,
        check,
        devices=list(generator.devices),
        **facts,
        **asked,
    )


@pytest.mark.gpu
@pytest.mark.benchmark(group="sampling-large")
@pytest.mark.parametrize("device", ["cuda"])
@pytest.mark.parametrize("batch", [1, 64])
@pytest.mark.parametrize("name", [name for name in GENERATORS if samples_on(name, "cuda") and get(name).any_shape])
def test_sampling_large_volumes(measure: Callable[..., None], name: str, batch: int, device: str) -> None:
    if not torch.cuda.is_available():
        pytest.skip("this machine has no CUDA device")
    generator, facts = fitted_generator(name, device)
    density, shape = mixed_densities(batch), (LARGE,) * 3
    measure(lambda: generator.sample(density, shape=shape, rng=0), batch, device, voxel_facts, edge=LARGE, **facts)
