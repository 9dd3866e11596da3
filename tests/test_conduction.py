"""Conductivity, critical diameter and the Katz-Thompson estimate: known answers, empty and full volumes, rock."""

from pathlib import Path

import numpy as np
import pytest
from scipy.stats import spearmanr

from porebench import data
from porebench.metrics.conduction import conduction, critical_diameters, katz_thompson
from porebench.metrics.permeability import permeabilities

BEREA = Path(__file__).resolve().parents[2] / "shared" / "rocks" / "berea.zip"


def _duct(width: int, axis: int = 0):
    pores = np.zeros((9, 12, 13), dtype=bool)
    pores[:, 2 : 2 + width, 3 : 3 + width] = True
    return np.moveaxis(pores, 0, axis)


@pytest.mark.parametrize("axis", [0, 1, 2])
@pytest.mark.parametrize("width", [1, 3, 5, 7])
def test_a_ball_as_wide_as_a_duct_passes_along_it_alone(width, axis) -> None:
    expected = np.zeros(3)
    expected[axis] = width
    np.testing.assert_allclose(critical_diameters(_duct(width, axis)), expected)


def test_the_narrowest_place_of_the_widest_way_decides() -> None:
    pores = np.zeros((15, 20, 20), dtype=bool)
    pores[:, 2:9, 2:9] = True
    pores[7, 2:9, 2:9] = False
    pores[7, 4:7, 4:7] = True  # a throat of 3 in a duct of 7
    pores[:, 12:17, 12:17] = True
    assert critical_diameters(pores)[0] == 5
    pores[10, 12:17, 12:17] = False
    assert critical_diameters(pores)[0] == 3


def test_empty_full_and_single_voxels_have_an_answer() -> None:
    assert critical_diameters(np.zeros((4, 5, 6), dtype=bool)).tolist() == [0, 0, 0]
    assert critical_diameters(np.ones((4, 5, 6), dtype=bool)).tolist() == [4, 4, 4]
    assert critical_diameters(np.ones((1, 1, 1), dtype=bool)).tolist() == [1, 1, 1]
    conductivity, diameter = conduction(np.zeros((0, 4, 5, 6), dtype=bool))
    assert conductivity.shape == diameter.shape == (0, 3)


def test_ducts_conduct_by_their_area_and_progress_is_told_of_each_volume() -> None:
    told = []
    volumes = np.stack([_duct(3), _duct(5), np.zeros((9, 12, 13), dtype=bool)])
    conductivity, diameter = conduction(volumes, workers=2, progress=told.append)
    np.testing.assert_allclose(conductivity[:, 0], [9 / 156, 25 / 156, 0], rtol=1e-3)
    np.testing.assert_allclose(conductivity[:, 1:], 0)
    np.testing.assert_allclose(diameter[:, 0], [3, 5, 0])
    assert told == [1, 1, 1]


def test_the_estimate_grows_with_the_square_of_the_diameter() -> None:
    assert katz_thompson(0.04, 10) == pytest.approx(4 / 226)
    np.testing.assert_allclose(katz_thompson([0.04, 0.0], [20, 20]), [16 / 226, 0])


@pytest.mark.skipif(not BEREA.is_file(), reason="needs the tomography shared/rocks/berea.zip")
def test_on_rock_the_estimate_ranks_blocks_as_the_permeability_does() -> None:
    """Of blocks that flow goes through. The amount is far too low where throats are a few voxels wide."""
    volumes = data.load(str(BEREA)).test.voxels[::24]
    solved = permeabilities(volumes, workers=2)[0]
    estimated = katz_thompson(*conduction(volumes, workers=2))
    assert np.array_equal(solved > 0, estimated > 0)
    through = solved > 0
    assert through.sum() > 15
    assert spearmanr(solved[through], estimated[through]).statistic > 0.9
    assert 0.01 < estimated.sum() / solved.sum() < 0.1
