"""The work behind local thickness is bounded by the number of voxels, whatever the shape of the pores."""

from __future__ import annotations

import numpy as np
import pytest

from porebench.benchmarks.speed.shapes import SHAPES, blobs_like
from porebench.metrics import _distances
from porebench.metrics.descriptors import describe

EDGE = 20
MOST = 5
"""Times the work on blobs of the same size and share of pores."""


@pytest.fixture
def steps(monkeypatch: pytest.MonkeyPatch):
    """Return a function of a volume that counts the rows and voxels which stamping balls visits."""
    counted = 0

    def next_free(row, place):
        nonlocal counted
        counted += 1
        while row[place] != place:
            counted += 1
            row[place] = row[row[place]]
            place = row[place]
        return place

    def count(volume) -> int:
        nonlocal counted
        counted = 0
        distance = _distances.squared_distance(volume)
        expected = _distances.squared_thickness(distance)
        with monkeypatch.context() as patched:
            patched.setattr(_distances, "find_root", next_free)
            patched.setattr(_distances, "_stamp_balls", _distances._stamp_balls.py_func)
            np.testing.assert_array_equal(_distances.squared_thickness(distance), expected)
        return counted

    return count


@pytest.mark.parametrize("name", SHAPES)
def test_no_shape_takes_many_times_the_work_of_blobs(steps, name: str) -> None:
    volume = SHAPES[name](EDGE)
    if volume.all():
        assert steps(volume) == 0
        return
    blobs = blobs_like(volume)
    assert blobs.sum() == volume.sum()
    assert steps(volume) <= MOST * steps(blobs)


@pytest.mark.parametrize("name", SHAPES)
def test_every_shape_is_described_in_finite_numbers(name: str) -> None:
    found = describe(SHAPES[name](12)[None])
    assert all(np.isfinite(values).all() for values in found.values.values())
