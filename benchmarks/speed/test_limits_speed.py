"""Limits of the machine: matrix products in two number formats, and sums of arrays larger than its caches."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch

from porebench.generators.machine import product_format

from ..report.speed import LIMITS
from .work import probe

SIZES = {
    ("float32", "cpu"): 2048,
    ("bfloat16", "cpu"): 4096,
    ("memory", "cpu"): 2**27,
    ("float32", "cuda"): 8192,
    ("bfloat16", "cuda"): 8192,
    ("memory", "cuda"): 2**28,
}


@pytest.mark.benchmark(group="limits")
@pytest.mark.parametrize("device", ["cpu", pytest.param("cuda", marks=pytest.mark.gpu)])
@pytest.mark.parametrize("kind", list(LIMITS))
def test_limit(measure: Callable[..., None], kind: str, device: str) -> None:
    if device == "cuda" and not torch.cuda.is_available():
        pytest.skip("this machine has no CUDA device")
    if kind == "bfloat16" and product_format(device) != torch.bfloat16:
        pytest.skip("emulated here, which takes minutes and limits nothing: networks multiply in float32")
    found = probe(kind, device, SIZES[kind, device])
    measure(found.call, 1, device, generator=kind, amount=found.amount, params={"size": SIZES[kind, device]})
