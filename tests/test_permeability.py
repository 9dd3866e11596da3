"""Permeability against flows that are known: plates, ducts, arrays of spheres, and mirrors."""

import numpy as np
import pytest

from porebench.metrics.estimate import ratio_by_chance, ratio_of_means
from porebench.metrics.permeability import permeabilities, permeability

SPHERES = {0.216: 7.442, 0.343: 15.4, 0.45: 28.1}
"""Drag on a sphere of a simple cubic array over Stokes' drag, by solid fraction: Zick and Homsy (1982), table 2,
doi:10.1017/S0022112082000627."""


def _spheres(fraction: float, edge: int) -> tuple[np.ndarray, float]:
    """Pores of one cell of the array, and the radius of its sphere."""
    radius = (3 * fraction / (4 * np.pi)) ** (1 / 3) * edge
    away = np.indices((edge, edge, edge)) - (edge - 1) / 2
    return np.sum(away**2, axis=0) > radius**2, radius


@pytest.mark.parametrize("axis", [0, 1, 2])
@pytest.mark.parametrize("gap", [1, 2, 5, 12])
def test_parallel_plates_let_through_what_the_parabola_does_at_the_voxels(gap: int, axis: int) -> None:
    plates = np.zeros((5, gap + 2, 4), dtype=np.bool_)
    plates[:, 1:-1] = True
    turned = np.moveaxis(plates, 0, axis)
    expected = (gap**2 / 12 + 1 / 24) * gap / (gap + 2)
    assert permeability(turned, axis=axis, tolerance=1e-6).value == pytest.approx(expected, rel=1e-4)


def test_a_square_duct_is_within_a_hundredth_of_the_series() -> None:
    duct = np.zeros((4, 22, 22), dtype=np.bool_)
    duct[:, 1:-1, 1:-1] = True
    odd = np.arange(1, 99, 2)
    series = 20**2 / 12 * (1 - 192 / np.pi**5 * np.sum(np.tanh(odd * np.pi / 2) / odd**5)) * (20 / 22) ** 2
    assert permeability(duct, tolerance=1e-4).value == pytest.approx(series, rel=0.01)


@pytest.mark.parametrize("fraction", [0.343, 0.45])
def test_an_array_of_spheres_has_the_drag_of_the_multipole_expansion(fraction: float) -> None:
    pores, radius = _spheres(fraction, 24)
    drag = pores.size / (6 * np.pi * radius * permeability(pores).value)
    assert drag == pytest.approx(SPHERES[fraction], rel=0.05)


@pytest.mark.slow
@pytest.mark.parametrize("fraction", list(SPHERES))
def test_a_finer_array_of_spheres_comes_closer(fraction: float) -> None:
    pores, radius = _spheres(fraction, 48)
    drag = pores.size / (6 * np.pi * radius * permeability(pores, tolerance=2e-3).value)
    assert drag == pytest.approx(SPHERES[fraction], rel=0.04)


def test_only_pores_that_lead_through_count() -> None:
    rng = np.random.default_rng(0)
    plates = np.zeros((6, 7, 8), dtype=np.bool_)
    plates[:, 1:5] = True
    with_pockets = plates.copy()
    with_pockets[:3, 6] = rng.random((3, 8)) < 0.5
    assert permeability(with_pockets).value == pytest.approx(permeability(plates).value, rel=1e-9)
    assert permeability(plates, axis=1).value == 0
    assert permeability(np.zeros_like(plates)).value == 0


def test_faces_along_the_flow_are_mirrors() -> None:
    rng = np.random.default_rng(1)
    pores = rng.random((8, 9, 7)) < 0.75
    whole = np.concatenate([pores, pores[:, ::-1]], axis=1)
    assert permeability(whole, tolerance=1e-5).value == pytest.approx(
        permeability(pores, tolerance=1e-5).value, rel=1e-3
    )


def test_two_volumes_in_a_row_with_a_mirror_between_resist_twice() -> None:
    rng = np.random.default_rng(2)
    pores = rng.random((7, 8, 6)) < 0.8
    twice = np.concatenate([pores, pores[::-1]])
    assert permeability(twice, tolerance=1e-5).value == pytest.approx(
        permeability(pores, tolerance=1e-5).value, rel=1e-3
    )


def test_a_flow_that_runs_out_of_steps_says_so() -> None:
    found = permeability(np.ones((10, 10, 10), dtype=np.bool_), limit=100)
    assert not found.converged
    assert found.steps == 100


def test_every_volume_and_axis_has_a_value_in_order() -> None:
    rng = np.random.default_rng(3)
    voxels = rng.random((3, 6, 7, 8)) < 0.8
    told: list[int] = []
    value, converged = permeabilities(voxels, workers=2, progress=told.append)
    assert value[1, 2] == permeability(voxels[1], axis=2).value
    assert converged.shape == value.shape == (3, 3)
    assert sum(told) == 3


def test_a_ratio_of_paired_means_has_an_interval_that_holds_the_truth() -> None:
    rng = np.random.default_rng(4)
    held = 0
    for _ in range(400):
        common = rng.gamma(2.0, size=60)
        found = ratio_of_means(1.5 * common * rng.gamma(8.0, 1 / 8, 60), common * rng.gamma(8.0, 1 / 8, 60))
        assert found is not None
        held += found.holds(1.5)
    assert 0.9 < held / 400 < 0.98
    assert ratio_of_means(np.zeros(3), np.ones(3)) is None


def test_sets_of_one_law_differ_by_as_much_as_the_interval_of_chance_says() -> None:
    rng = np.random.default_rng(0)
    held = []
    for _ in range(400):
        place = rng.random(90)
        first, second, third = (place**3 * rng.gamma(2.0, 0.5, 90) for _ in range(3))
        expected = ratio_by_chance(third, place)
        assert expected is not None
        held.append(expected.holds(first.mean() / second.mean()))
    assert 0.9 <= np.mean(held) <= 0.98
    assert ratio_by_chance(np.zeros(5), np.arange(5.0)) is None
    assert ratio_by_chance(np.ones(2), np.arange(2.0)) is None
    alike = ratio_by_chance(np.array([1.0, 3.0, 2.0]), np.zeros(3))
    assert alike is not None
    assert alike.low < 1 < alike.high
