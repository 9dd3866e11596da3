"""Seconds to describe volumes with all headline descriptors."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from benchmarks.conftest import spheres

pytest.importorskip("porespy", reason="descriptors need porespy", exc_type=ImportError)


@pytest.mark.benchmark(group="scoring")
@pytest.mark.parametrize("workers", [1, 2])
def test_describe(measure: Callable[..., None], workers: int) -> None:
    from metrics.descriptors import describe

    volumes = spheres().test.voxels
    measure(
        lambda: describe(volumes, workers=workers), len(volumes), generator="descriptors", params={"workers": workers}
    )
