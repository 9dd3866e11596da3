"""Pore sizes of draws: known distributions, the truth of the simulator, and the interval."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.stats import wasserstein_distance

from porebench import data
from porebench.data.spheres import draw_spheres
from porebench.metrics.sizes import detected_radii, pore_radii, size_scores

DENSITY = np.repeat([0.1, 0.5, 0.7, 0.9], 12)


def radii(mean: float, rng: np.random.Generator) -> list[np.ndarray]:
    return [rng.normal(mean, 0.3, rng.integers(5, 30)) for _ in DENSITY]


def test_the_distance_is_that_of_the_pooled_radii() -> None:
    rng = np.random.default_rng(0)
    drawn, real, true = radii(2.0, rng), radii(2.5, rng), radii(3.0, rng)
    found = size_scores(drawn, real, true, DENSITY)
    inside = np.flatnonzero(DENSITY == 0.5)
    pooled = [np.concatenate([side[i] for i in inside]) for side in (drawn, real, true)]
    band = found["0.4-0.6"]
    assert band["drawn_radius_w1"].value == pytest.approx(wasserstein_distance(pooled[0], pooled[1]))
    assert band["true_radius_w1"].value == pytest.approx(wasserstein_distance(pooled[0], pooled[2]))
    assert band["small_pore_ratio"].value == np.sum(pooled[0] <= 2) / np.sum(pooled[1] <= 2)
    assert band["drawn_radius_w1"].low < 0.5 < band["drawn_radius_w1"].high


def test_all_averages_the_headline_bands() -> None:
    rng = np.random.default_rng(1)
    found = size_scores(radii(2.0, rng), radii(2.5, rng), None, DENSITY)
    assert list(found) == ["0.0-0.2", "0.4-0.6", "0.6-0.8", "0.8-1.0", "all"]
    assert set(found["all"]) == {"drawn_radius_w1", "small_pore_ratio"}
    values = [found[band]["drawn_radius_w1"].value for band in ("0.4-0.6", "0.6-0.8", "0.8-1.0")]
    assert found["all"]["drawn_radius_w1"].value == pytest.approx(np.mean(values))


def test_identical_sets_are_at_no_distance_and_have_as_many_small_pores() -> None:
    real = radii(2.0, np.random.default_rng(2))
    scores = size_scores(real, real, None, DENSITY)["all"]
    assert (scores["drawn_radius_w1"].value, scores["drawn_radius_w1"].high) == (0, 0)
    assert scores["small_pore_ratio"].value == 1


def test_the_interval_holds_the_truth_in_about_nineteen_of_twenty_trials() -> None:
    rng = np.random.default_rng(3)
    density = np.full(40, 0.5)
    held = []
    for _ in range(150):
        sides = [[rng.normal(mean, 0.3, 20) for _ in density] for mean in (2.0, 2.5)]
        found = size_scores(*sides, None, density)["0.4-0.6"]["drawn_radius_w1"]
        held.append(found.low <= 0.5 <= found.high)
    assert 0.88 <= np.mean(held) <= 1


def test_volumes_without_pores_leave_scores_out_and_do_not_fail() -> None:
    none = [np.empty(0)] * len(DENSITY)
    found = size_scores(none, radii(2, np.random.default_rng(4)), None, DENSITY)
    assert set(found["all"]) == {"small_pore_ratio"}
    assert found["all"]["small_pore_ratio"].value == 0
    with pytest.raises(ValueError, match="48 volumes on each side"):
        size_scores(none[:3], none, None, DENSITY)


def test_the_true_spheres_of_a_built_in_test_part_are_the_ones_it_was_made_with() -> None:
    test = data.load("spheres").test
    spheres = data.true_spheres("spheres")
    chosen = np.flatnonzero(test.density > 0.95)[:3]
    for index in chosen:
        own = spheres.owner == index
        made = data.stamp_balls(spheres.centres[own], spheres.radii[own], np.zeros(own.sum(), int), test.shape, 1)
        assert np.array_equal(made[0], test.voxels[index])


def test_larger_spheres_are_seen_as_larger() -> None:
    density = np.full(8, 0.5)
    law = data.LAWS["spheres"]
    real = draw_spheres(density, law, 0)
    volumes = data.stamp_balls(*real, shape=(30, 30, 30), n=8)
    larger = data.stamp_balls(real.centres, 1.2 * real.radii, real.owner, shape=(30, 30, 30), n=8)
    true = [real.radii[real.owner == index] for index in range(8)]
    seen = detected_radii(volumes, workers=2)
    assert all(np.array_equal(one, pore_radii(volume)) for one, volume in zip(seen, volumes, strict=True))
    drawn = (seen, detected_radii(larger))
    same, grown = (size_scores(each, seen, true, density)["0.4-0.6"] for each in drawn)
    assert same["drawn_radius_w1"].value == 0 < grown["drawn_radius_w1"].low
    assert same["true_radius_w1"].value < grown["true_radius_w1"].value
    assert grown["small_pore_ratio"].value < 1
