"""Reconstruction quality: known damage gives known numbers."""

from __future__ import annotations

import json
from dataclasses import asdict

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy import ndimage
from skimage.morphology import h_maxima
from tests.surrogates import ball, blurred, shuffled, spheres

from porebench.data.volumes import Volumes
from porebench.metrics._peaks import high_peaks
from porebench.metrics.reconstruction import ReconstructionResult, compare_voxels, reconstruction_scores
from porebench.metrics.sizes import pore_radii

SIZE = 22
EVERYWHERE = np.ones((3, 3, 3), dtype=bool)


@pytest.fixture(scope="module")
def truth() -> Volumes:
    density = np.repeat([0.5, 0.7, 0.9], 6)
    return Volumes(spheres(density, np.random.default_rng(40), size=SIZE), density)


def headline(result: ReconstructionResult) -> dict[str, float | None]:
    row = result.bands["all"]
    return {name: getattr(row, name) for name in ("iou", "corrected_iou", "precision", "recall", "volume_bias")}


def without_small_clusters(volume: NDArray[np.bool_]) -> NDArray[np.bool_]:
    labels = ndimage.label(volume, EVERYWHERE)[0]
    return volume & (np.bincount(labels.ravel())[labels] > 33)


def test_a_perfect_reconstruction_is_perfect_everywhere(truth: Volumes) -> None:
    result = reconstruction_scores(truth, truth.voxels, workers=2)
    assert headline(result) == {"iou": 1, "corrected_iou": 1, "precision": 1, "recall": 1, "volume_bias": 0}
    row = result.bands["all"]
    assert (row.tolerant_f1, row.small_pore_recall, row.radius_w1) == (1, 1, 0)
    assert (row.false_positives, row.false_negatives, row.n, row.n_undefined) == (0, 0, 18, 0)


def test_shuffled_voxels_overlap_by_chance_only(truth: Volumes) -> None:
    result = reconstruction_scores(truth, shuffled(truth.voxels, np.random.default_rng(41)), radii=False)
    dense = result.bands["0.8-1.0"]
    assert dense.iou is not None
    assert dense.iou > 0.1
    assert dense.corrected_iou == pytest.approx(0, abs=0.01)
    assert dense.radius_w1 is None
    porosity = truth.porosity[truth.density > 0.8].mean()
    assert dense.precision == pytest.approx(porosity, abs=0.02)


def test_dropping_small_pores_hardly_moves_the_overlap_and_their_recall_to_zero(truth: Volumes) -> None:
    damaged = np.stack([without_small_clusters(volume) for volume in truth.voxels])
    row = reconstruction_scores(truth, damaged).bands["0.6-0.8"]
    assert row.iou is not None
    assert row.iou > 0.85
    assert row.n_small_pores > 0
    assert (row.small_pore_recall, row.precision) == (0, 1)
    assert row.radius_w1 is not None
    assert row.radius_w1 > 0


def test_a_shift_by_one_voxel_is_forgiven_by_the_tolerant_score_only(truth: Volumes) -> None:
    row = reconstruction_scores(truth, np.roll(truth.voxels, 1, axis=1)).bands["all"]
    assert row.tolerant_f1 == pytest.approx(1, abs=0.01)
    assert row.iou is not None
    assert row.iou < 0.7
    assert row.radius_w1 == pytest.approx(0, abs=0.02)
    assert row.volume_bias == pytest.approx(0)


def test_dilation_finds_every_pore_at_twice_the_volume(truth: Volumes) -> None:
    row = reconstruction_scores(truth, ndimage.binary_dilation(truth.voxels, EVERYWHERE[None])).bands["all"]
    assert (row.recall, row.small_pore_recall, row.false_negatives) == (1, 1, 0)
    assert row.volume_bias is not None
    assert row.volume_bias > 90
    assert row.radius_w1 is not None
    assert row.radius_w1 > 0.5


def test_blur_keeps_the_volume_and_loses_small_pores(truth: Volumes) -> None:
    row = reconstruction_scores(truth, blurred(truth.voxels)).bands["all"]
    assert row.volume_bias == pytest.approx(0)
    assert row.iou is not None
    assert row.small_pore_recall is not None
    assert row.iou > 0.7
    assert row.small_pore_recall < 0.7


def test_specks_are_found_when_they_are_touched() -> None:
    voxels = np.zeros((1, 9, 9, 9), dtype=bool)
    voxels[0, 1, 1, 1:4] = True
    voxels[0, 5, 5, 5] = True
    made = np.zeros_like(voxels)
    made[0, 1, 1, 1] = True
    row = reconstruction_scores(Volumes(voxels, np.array([0.5])), made).bands["0.4-0.6"]
    assert (row.n_specks, row.speck_recall, row.n_small_pores, row.small_pore_recall) == (2, 0.5, 2, 0)


def test_volumes_without_pore_are_counted_and_give_no_nan() -> None:
    voxels = np.zeros((3, 8, 9, 10), dtype=bool)
    voxels[0, 2:5, 2:5, 2:5] = True
    made = np.zeros_like(voxels)
    made[1, 0, 0, 0] = True
    result = reconstruction_scores(Volumes(voxels, np.full(3, 0.5)), made)
    row = result.bands["all"]
    assert (row.n, row.n_undefined) == (3, 3)
    np.testing.assert_array_equal(result.volumes["iou"], [0, 0, 1])
    np.testing.assert_array_equal(result.volumes["volume_bias"], [-100, 100, 0])
    assert all(np.isfinite(values).all() for values in result.volumes.values())
    json.dumps(asdict(result)["bands"], allow_nan=False)
    none = reconstruction_scores(Volumes(voxels[:0], np.empty(0)), made[:0])
    assert none.bands["all"].n == 0
    assert none.bands["all"].iou is None


def test_counts_equal_a_loop_over_voxels() -> None:
    rng = np.random.default_rng(42)
    truth, made = rng.random((2, 4, 5, 6)) < 0.3
    scores = compare_voxels(truth[None], made[None])
    pairs = list(zip(truth.ravel(), made.ravel(), strict=True))
    hits, extra, missed = pairs.count((True, True)), pairs.count((False, True)), pairs.count((True, False))
    assert scores["false_positives"].item() == extra
    assert scores["false_negatives"].item() == missed
    assert scores["iou"].item() == pytest.approx(hits / (hits + extra + missed))
    assert scores["precision"].item() == pytest.approx(hits / (hits + extra))
    assert scores["recall"].item() == pytest.approx(hits / (hits + missed))


def test_separate_balls_are_detected_with_their_radii() -> None:
    volume = np.zeros((24, 24, 24), dtype=bool)
    volume[1:8, 1:8, 1:8] |= ball(3)
    volume[12:21, 12:21, 12:21] |= ball(4)
    volume[2:5, 15:18, 15:18] |= ball(1)
    expected = np.sort(np.cbrt(3 / (4 * np.pi) * np.array([ball(r).sum() for r in (1, 3, 4)])))
    np.testing.assert_allclose(np.sort(pore_radii(volume)), expected)


def test_two_overlapping_balls_are_told_apart() -> None:
    volume = np.zeros((20, 20, 30), dtype=bool)
    volume[5:14, 5:14, 4:13] |= ball(4)
    volume[5:14, 5:14, 10:19] |= ball(4)
    radii = pore_radii(volume)
    assert len(radii) == 2
    np.testing.assert_allclose(radii, 4, atol=0.5)


def test_detected_pores_share_out_the_whole_pore_volume(truth: Volumes) -> None:
    for volume in truth.voxels:
        assert (4 / 3 * np.pi * pore_radii(volume) ** 3).sum() == pytest.approx(volume.sum())
    assert len(pore_radii(np.zeros((5, 5, 5), dtype=bool))) == 0
    assert pore_radii(np.ones((5, 6, 7), dtype=bool)).item() == pytest.approx(np.cbrt(3 * 210 / (4 * np.pi)))


def test_high_peaks_are_the_h_maxima_of_scikit_image() -> None:
    for seed in range(4):
        field = ndimage.gaussian_filter(np.random.default_rng(seed).random((10, 11, 12)), 1.0)
        np.testing.assert_array_equal(high_peaks(field, 0.03), h_maxima(field, 0.03).astype(bool))


def test_inputs_that_do_not_belong_together_are_refused(truth: Volumes) -> None:
    with pytest.raises(TypeError, match="boolean"):
        reconstruction_scores(truth, truth.voxels.astype(float))  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="must have the shape"):
        reconstruction_scores(truth, truth.voxels[:2])
