"""Seconds to describe volumes: the whole set, and each descriptor beside the calls of other packages."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from .conftest import spheres

pytest.importorskip("porespy", reason="descriptors need porespy", exc_type=ImportError)
from porebench.metrics._batch import Fields
from porebench.metrics.descriptors import describe

from .calls import CALLS
from .shapes import SHAPES, blobs_like

SUBSET, LEAST = 64, 100
"""Volumes to compare calls on, and pore voxels that each has at least: fewer make some of the calls fail."""
EDGE = 60
"""Of the volumes of hard shapes, voxels."""


@pytest.mark.benchmark(group="scoring")
@pytest.mark.parametrize("workers", [1, 2])
def test_describe(measure: Callable[..., None], workers: int) -> None:
    volumes = spheres().test.voxels
    measure(
        lambda: describe(volumes, workers=workers), len(volumes), generator="descriptors", params={"workers": workers}
    )


@functools.cache
def _volumes() -> NDArray[np.bool_]:
    """Return test volumes spread evenly over the densities that have enough pore."""
    test = spheres().test
    filled = test[test.pore_voxels >= LEAST]
    return filled.spread(SUBSET).voxels


@pytest.mark.benchmark(group="descriptors")
@pytest.mark.parametrize("by", ["porebench", "calls"])
@pytest.mark.parametrize("name", CALLS)
def test_descriptor(measure: Callable[..., None], name: str, by: str) -> None:
    compared = CALLS[name]

    def ours() -> list[Any]:
        batches = map(Fields, np.array_split(_volumes(), 8))
        return [[function(batch) for function in compared.ours] for batch in batches]

    def theirs() -> list[Any]:
        return [compared.theirs(volume) for volume in _volumes()]

    measure(ours if by == "porebench" else theirs, SUBSET, generator=name, params={"by": by, "calls": compared.calls})


@pytest.mark.benchmark(group="shapes")
@pytest.mark.parametrize("by", ["shape", "blobs"])
@pytest.mark.parametrize("name", SHAPES)
def test_shape(measure: Callable[..., None], name: str, by: str) -> None:
    volume = SHAPES[name](EDGE)
    share = float(volume.mean())
    described = (volume if by == "shape" else blobs_like(volume))[None]
    measure(lambda: describe(described), 1, generator=name, edge=EDGE, params={"by": by, "share": share})
