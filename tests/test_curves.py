"""Curves over density and calibration, against counts done by hand."""

from __future__ import annotations

import numpy as np
import pytest
from tests.surrogates import spheres

from porebench.metrics.curves import BINS, calibration, density_bins, descriptor_curves
from porebench.metrics.descriptors import HEADLINE, describe


def test_calibration_is_mean_spread_and_bias_at_each_density() -> None:
    points = calibration([0.5, 0.2, 0.5, 0.5, 0.0], [90, 10, 110, 130, 0], [100, 20, 100, 100, 0])
    assert [point.density for point in points] == [0, 0.2, 0.5]
    dense = points[2]
    assert (dense.mean, dense.n, dense.target) == (110, 3, 100)
    assert dense.bias == pytest.approx(10)
    assert dense.sd == pytest.approx(20)
    assert (dense.low, dense.high) == pytest.approx((92, 128))
    assert points[1].bias == pytest.approx(-50)
    assert points[1].sd == 0
    assert points[0].bias is None  # no pores are expected: nothing to be off from


def test_bins_are_tenths_of_the_factor_and_deciles_of_porosity() -> None:
    density = np.linspace(0.1, 0.5, 101) ** 2
    np.testing.assert_allclose(density_bins(density, "factor"), np.arange(BINS + 1) / 10)
    edges = density_bins(density, "porosity")
    counts = np.histogram(density, edges)[0]
    assert counts.min() >= 9
    assert counts.max() <= 11
    assert len(density_bins(np.full(5, 0.3), "porosity")) == 1


def test_curves_hold_every_descriptor_and_volume_once() -> None:
    rng = np.random.default_rng(40)
    density = rng.uniform(0.3, 1, 30)
    described = describe(spheres(density, rng, size=12))
    points = descriptor_curves(described, density, density_bins(density, "factor"))
    assert {point.descriptor for point in points} == set(HEADLINE)
    for name in HEADLINE:
        own = [point for point in points if point.descriptor == name]
        assert sum(point.n for point in own) == 30
        assert [point.density for point in own] == sorted(point.density for point in own)
        total = sum(point.n * point.mean for point in own) / 30
        assert total == pytest.approx(described.values[name].mean())
    (one,) = [p for p in points if p.descriptor == "specific_surface" and p.density >= 0.9]
    inside = described.values["specific_surface"][density >= 0.9, 0]
    assert (one.low, one.high) == pytest.approx(tuple(np.percentile(inside, [5, 95])))


def test_volumes_of_one_density_make_one_point() -> None:
    described = describe(np.ones((3, 6, 6, 6), dtype=bool))
    points = descriptor_curves(described, np.full(3, 0.3), density_bins(np.full(3, 0.3), "porosity"))
    assert {point.n for point in points} == {3}
