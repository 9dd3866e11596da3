"""What each axis of a volume shows: descriptors of direction, and of percolation and diffusion, on known media."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy import ndimage
from scipy.io import loadmat
from tests.diffusion import directly
from tifffile import imread

from porebench.data.symmetry import symmetries, transform
from porebench.metrics._batch import Fields
from porebench.metrics.descriptors import DESCRIPTORS as EVERY
from porebench.metrics.descriptors import percolation
from porebench.metrics.direction import DESCRIPTORS as DIRECTION
from porebench.metrics.direction import (
    LAGS,
    chord_direction,
    lineal_path_direction,
    percolation_direction,
    surface_direction,
    two_point_direction,
)
from porebench.metrics.morphology import PATH_LENGTHS, percolation_share, pore_diffusivity
from porebench.metrics.transport import effective_diffusivity

Floats = NDArray[np.float64]

SHARED = Path(os.environ.get("POREBENCH_ROCKS", Path(__file__).parents[2] / "shared" / "rocks"))
MENISCUS = SHARED.parent / "media" / "meniscus_anisotropic_115x115x200.mat"
SEPARATOR = SHARED / "separator_156x75x75.tif"
needs_meniscus = pytest.mark.skipif(not MENISCUS.is_file(), reason=f"needs the tissue in {MENISCUS}")
needs_separator = pytest.mark.skipif(not SEPARATOR.is_file(), reason=f"needs the separator in {SEPARATOR}")

SHAPE = (8, 9, 10)
SOLVED = 3e-3  # error that the solver of the diffusivity is allowed, relative to 1 or to its value


def slabs(axis: int) -> NDArray[np.bool_]:
    """A slab of two layers and one of a single layer of pore, across an axis: layers 2, 3 and 6."""
    volume = np.zeros(SHAPE, dtype=bool)
    np.moveaxis(volume, axis, 0)[[2, 3, 6]] = True
    return volume[None]


def across(axis: int, along: Floats, others: Floats) -> Floats:
    """Deviations [3, points] where one axis has the first values and two have the second."""
    values = np.stack([along if each == axis else others for each in range(3)])
    return values - (along + 2 * others) / 3


def ellipsoid(axis: int) -> NDArray[np.bool_]:
    """A spheroid with a semi-axis of 16 voxels along an axis and of 8 across it, in a cube."""
    squares = (np.indices((37, 37, 37)) - 18.0) ** 2
    semi_axes = np.where(np.arange(3) == axis, 16.0, 8.0)
    return ((squares / semi_axes[:, None, None, None] ** 2).sum(axis=0) <= 1)[None]


def random_volume(
    shape: tuple[int, int, int], sigma: tuple[float, float, float], porosity: float, seed: int
) -> NDArray[np.bool_]:
    """Thresholded noise that is smoothed more along some axes than along others."""
    field = ndimage.gaussian_filter(np.random.default_rng(seed).standard_normal(shape), sigma)
    return (field > np.quantile(field, 1 - porosity))[None]


def by_axis(values: Floats) -> Floats:
    """Return the points of one volume, [3, points]."""
    return values[0].reshape(3, -1)


@pytest.mark.parametrize("axis", [0, 1, 2])
def test_slabs_have_their_faces_and_complete_chords_across_them_alone(axis: int) -> None:
    np.testing.assert_allclose(by_axis(surface_direction(slabs(axis))), across(axis, np.ones(1), np.zeros(1)))
    mean = np.full(1, 1.5)  # a chord of two voxels for each of one; along the slabs the border cuts all
    np.testing.assert_allclose(by_axis(chord_direction(slabs(axis))), across(axis, mean, np.zeros(1)))


@pytest.mark.parametrize("axis", [0, 1, 2])
def test_slabs_are_correlated_for_ever_along_them_and_by_their_layers_across(axis: int) -> None:
    length = SHAPE[axis]
    porosity = 3 / length
    pairs = np.array([1, 0, 1, 1, 0, 0, 0, 0])  # layers 2 and 3; 3 and 6; 2 and 6
    autocovariance = (pairs / np.maximum(length - LAGS, 1) - porosity**2) / (porosity * (1 - porosity))
    fits = min(SHAPE) > LAGS  # the depth has no two voxels eight apart
    expected = across(axis, np.where(fits, autocovariance, 0), np.where(fits, 1.0, 0))
    np.testing.assert_allclose(by_axis(two_point_direction(slabs(axis))), expected, atol=1e-12)


@pytest.mark.parametrize("axis", [0, 1, 2])
def test_slabs_hold_every_path_along_them_and_one_of_two_voxels_across(axis: int) -> None:
    length = SHAPE[axis]
    path = np.where(PATH_LENGTHS == 1, (1 / (length - 1)) / (3 / length), 0)  # layers 2 and 3
    expected = across(axis, path, np.where(min(SHAPE) > PATH_LENGTHS, 1.0, 0))
    np.testing.assert_allclose(by_axis(lineal_path_direction(slabs(axis))), expected, atol=1e-12)


@pytest.mark.parametrize("axis", [0, 1, 2])
def test_slabs_percolate_and_conduct_their_share_along_them_and_not_across(axis: int) -> None:
    np.testing.assert_allclose(by_axis(percolation_direction(slabs(axis))), across(axis, np.zeros(1), np.ones(1)))
    assert percolation_share(slabs(axis)).item() == pytest.approx(2 / 3)
    assert pore_diffusivity(slabs(axis)).item() == pytest.approx(2 / 3 * 3 / SHAPE[axis], rel=SOLVED)


@pytest.mark.parametrize("axis", [0, 1, 2])
def test_a_stretched_ball_is_longest_along_its_axis_by_the_amount_of_the_formula(axis: int) -> None:
    """The mean chord of an ellipsoid is 4/3 of the semi-axis along it; its shadows are ellipses."""
    volume = ellipsoid(axis)
    expected = across(axis, np.full(1, 4 / 3 * 16), np.full(1, 4 / 3 * 8))
    np.testing.assert_allclose(by_axis(chord_direction(volume)), expected, atol=0.3)
    expected = across(axis, np.full(1, 8 * 8 / (8 * 8 + 2 * 8 * 16)), np.full(1, 8 * 16 / (8 * 8 + 2 * 8 * 16)))
    np.testing.assert_allclose(by_axis(surface_direction(volume)), expected, atol=0.005)
    for function in (two_point_direction, lineal_path_direction):
        found = by_axis(function(volume))
        across_it = np.delete(found, axis, axis=0)
        assert np.all(found[axis] > 0.01)
        np.testing.assert_allclose(across_it[0], across_it[1], atol=1e-12)
    assert not percolation_direction(volume).any()


def normalised(voxels: NDArray[np.bool_], lag: int) -> Floats:
    """Return (S2 − φ²)/(φ − φ²) at one lag along each axis, by counting pairs, [3]."""
    porosity = voxels.mean()
    lines = [np.moveaxis(voxels, axis, 0) for axis in range(3)]
    both = np.array([np.mean(line[lag:] & line[:-lag]) for line in lines])
    return (both - porosity**2) / (porosity - porosity**2)


@needs_meniscus
def test_a_meniscus_has_its_published_correlation_along_each_axis() -> None:
    volume = loadmat(MENISCUS)["A"] == 0
    known = np.array([0.036, 0.013, 0.558])
    np.testing.assert_allclose(normalised(volume, 4), known, atol=0.0006)
    found = by_axis(two_point_direction(volume[None]))[:, 3]
    np.testing.assert_allclose(found, known - known.mean(), atol=0.001)
    np.testing.assert_allclose(found, normalised(volume, 4) - normalised(volume, 4).mean(), atol=1e-9)


@needs_meniscus
def test_the_pores_of_a_meniscus_run_along_its_width() -> None:
    batch = Fields(loadmat(MENISCUS)["A"][None, :60, :60, :60] == 0)
    for name in ("chord_direction", "two_point_direction", "lineal_path_direction"):
        found = by_axis(DIRECTION[name](batch))
        assert np.all(found[2] > 0), name
        assert np.all(found[:2] < 0), name
    assert by_axis(surface_direction(batch))[2] < -0.1


@needs_separator
def test_the_pores_of_a_separator_are_flat_across_its_width() -> None:
    volume = (imread(SEPARATOR) == 0)[None]
    batch = Fields(volume)
    assert by_axis(surface_direction(batch))[2] > 0.2
    np.testing.assert_allclose(
        by_axis(two_point_direction(batch))[:, 3], normalised(volume[0], 4) - normalised(volume[0], 4).mean(), atol=1e-9
    )
    for name in ("chord_direction", "two_point_direction", "lineal_path_direction"):
        found = by_axis(DIRECTION[name](batch))
        assert np.all(found[2] < 0), name
        assert np.all(found[:2] > 0), name


@pytest.mark.parametrize("shape", [(1, 1, 1), (1, 4, 5), (2, 9, 3), (12, 2, 2), (9, 9, 9)])
@pytest.mark.parametrize("kind", ["empty", "full", "one voxel", "all but one voxel"])
def test_every_descriptor_of_direction_is_finite_on_degenerate_volumes(shape: tuple[int, int, int], kind: str) -> None:
    voxels = np.full((2, *shape), kind in ("full", "all but one voxel"))
    if kind.endswith("one voxel"):
        voxels[:, 0, 0, 0] = kind == "one voxel"
    points = {"two_point_direction": 24, "lineal_path_direction": 27}
    for name, function in DIRECTION.items():
        values = function(voxels)
        assert values.shape == (2, points.get(name, 3)), name
        assert np.isfinite(values).all(), name
        np.testing.assert_allclose(values.reshape(2, 3, -1).sum(axis=1), 0, atol=1e-9, err_msg=name)
    for function in (percolation_share, pore_diffusivity):
        values = function(voxels)
        assert values.shape == (2, 1)
        assert np.all((values >= 0) & (values <= 1 + SOLVED))


@pytest.mark.parametrize("shape", [(2, 9, 3), (9, 9, 9)])
def test_an_empty_volume_conducts_nothing_and_a_full_one_everything(shape: tuple[int, int, int]) -> None:
    empty, full = np.zeros((1, *shape), dtype=bool), np.ones((1, *shape), dtype=bool)
    for function in (percolation_share, pore_diffusivity):
        assert function(empty).item() == 0
        assert function(full).item() == pytest.approx(1, rel=SOLVED)


@pytest.mark.parametrize("shape", [(8, 8, 8), (7, 9, 7)])
def test_turning_a_volume_permutes_the_axes_of_direction_and_nothing_else(shape: tuple[int, int, int]) -> None:
    volume = random_volume(shape, (2.0, 0.8, 0.3), 0.3, 1)
    turns = symmetries(shape)
    batch = Fields(np.concatenate([transform(volume, turn) for turn in turns]))
    assert len(turns) == (48 if shape == (8, 8, 8) else 16)
    for name, function in EVERY.items():
        first, turned = function(Fields(volume)), function(batch)
        if name in DIRECTION:
            expected = np.stack([by_axis(first)[list(order)].ravel() for order, _ in turns])
            assert by_axis(first).std(axis=0).max() > 0.01, name  # the axes differ, so that the order shows
        else:
            expected = np.repeat(first, len(turns), axis=0)
        error = 1e-3 if name == "pore_diffusivity" else 1e-9
        np.testing.assert_allclose(turned, expected, atol=error, err_msg=name)


@pytest.mark.parametrize("axis", [0, 1, 2])
def test_a_straight_channel_conducts_its_cross_section(axis: int) -> None:
    volume = np.zeros(SHAPE, dtype=bool)
    np.moveaxis(volume, axis, 0)[:, 2:5, 3:5] = True
    share = 6 * SHAPE[axis] / np.prod(SHAPE)
    assert pore_diffusivity(volume[None]).item() == pytest.approx(share / 3, rel=SOLVED)
    np.moveaxis(volume, axis, 0)[4] = False
    assert pore_diffusivity(volume[None]).item() == 0


def test_pores_that_reach_both_faces_without_connecting_them_conduct_nothing() -> None:
    volume = np.zeros((1, 6, 6, 6), dtype=bool)
    volume[0, :3, 1, 1] = volume[0, 3:, 4, 4] = True
    volume[0, 2, 1:4, 1] = volume[0, 3, 4, 1:5] = True  # they touch at an edge only
    assert percolation_share(volume).item() == 0
    assert pore_diffusivity(volume).item() == 0


def test_the_diffusivity_of_the_pores_equals_a_direct_solution() -> None:
    volume = random_volume((9, 10, 11), (1.2, 0.8, 0.8), 0.45, 3)
    assert percolation(volume).all()
    expected = np.mean([directly(np.moveaxis(volume[0], axis, 0)) for axis in range(3)])
    assert 0.05 < expected < 0.45
    assert pore_diffusivity(volume).item() == pytest.approx(expected, abs=1e-3)


def test_the_order_in_memory_decides_no_diffusivity() -> None:
    volume = random_volume((6, 7, 8), (0.8, 0.8, 0.8), 0.6, 4)[0]
    assert effective_diffusivity(np.asfortranarray(volume)) == pytest.approx(directly(volume), abs=1e-4)


def test_a_single_layer_of_pore_conducts_along_all_its_axes() -> None:
    assert pore_diffusivity(np.ones((1, 1, 4, 5), dtype=bool)).item() == pytest.approx(1, rel=SOLVED)
