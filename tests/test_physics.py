"""Percolation and diffusion of ensembles, against values that are known."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pytest
from scipy.stats import binom
from tests.diffusion import directly
from tests.surrogates import spheres

from porebench.data import read_volume
from porebench.metrics.descriptors import percolation
from porebench.metrics.estimate import Estimate, binomial, normal
from porebench.metrics.physics import (
    AXES,
    diffusivity_by_band,
    hashin_shtrikman,
    percolation_by_band,
    relative_diffusivity,
)
from porebench.metrics.transport import effective_diffusivity

ROCKS = Path(os.environ.get("POREBENCH_ROCKS", Path(__file__).parents[2] / "shared" / "rocks"))


def test_slabs_conduct_along_themselves_and_not_across() -> None:
    slabs = np.zeros((1, 8, 8, 8), dtype=bool)
    slabs[0, :, ::4] = True  # a quarter is pore, in layers across the height
    bound = 2 * 0.75 / 2.25
    np.testing.assert_allclose(relative_diffusivity(slabs), [[0.75 / bound, 0, 0.75 / bound]], atol=1e-3)


def test_a_dilute_suspension_reaches_the_upper_bound() -> None:
    """One small ball in a large solid: Maxwell's exact result, which is the bound."""
    grid = np.indices((24, 24, 24)) - 11.5
    ball = ((grid**2).sum(axis=0) <= 5.2**2)[None]
    assert relative_diffusivity(ball)[0] == pytest.approx(np.ones(3), abs=0.01)


def test_real_packs_stay_below_the_bound_of_their_porosity() -> None:
    packs = spheres(np.array([0.7, 0.9]), np.random.default_rng(41), size=20)
    relative = relative_diffusivity(packs, workers=2)
    assert np.all((relative > 0.7) & (relative < 1.005))
    alone = effective_diffusivity(~packs[1], axis=2) / hashin_shtrikman(packs[1].mean())
    assert relative[1, 2] == pytest.approx(alone, abs=1e-3)


def test_all_pore_and_all_solid_are_outcomes() -> None:
    extremes = np.zeros((2, 6, 6, 6), dtype=bool)
    extremes[1] = True
    np.testing.assert_allclose(relative_diffusivity(extremes), [[1, 1, 1], [0, 0, 0]], atol=1e-5)


def test_failure_to_conduct_is_counted_and_enters_the_mean_as_zero() -> None:
    relative = np.array([[1.0, 0.5, 0.0], [1.0, 1.0, 1.0], [0.0, 0.0, 0.0]])
    found = {it["metric"]: it for it in diffusivity_by_band(relative, [0.5, 0.5, 0.9], [0.5, 0.5, 0.9], "factor")[:5]}
    assert {it["band"] for it in found.values()} == {"0.4-0.6"}
    assert found["solid_diffusivity"]["value"] == pytest.approx(0.75)
    assert found["solid_diffusivity:width"]["value"] == pytest.approx(0.5)
    assert found["solid_blocked"]["value"] == 0.5
    assert found["solid_blocked"]["n"] == 2
    dense = diffusivity_by_band(relative, [0.5, 0.5, 0.9], [0.5, 0.5, 0.9], "factor")[5:]
    assert {(it["metric"], it["value"]) for it in dense if it["metric"] in {"solid_diffusivity", "solid_blocked"}} == {
        ("solid_diffusivity", 0.0),
        ("solid_blocked", 1.0),
    }


def test_percolation_is_counted_by_axis_and_band() -> None:
    channels = np.zeros((4, 6, 6, 6), dtype=bool)
    channels[:3, :, 2, 2] = True
    channels[3, 2, 2, :] = True
    found = percolation_by_band(percolation(channels), np.full(4, 0.5), np.full(4, 0.5), "factor")
    assert [it["metric"] for it in found] == [f"percolation:{axis}" for axis in AXES]
    assert [it["value"] for it in found] == [0.75, 0, 0.25]
    assert all(it["n"] == 4 and it["low"] <= it["value"] <= it["high"] for it in found)
    assert found[1]["high"] == pytest.approx(1 - 0.025 ** (1 / 4))


@pytest.mark.parametrize("chance", [0.02, 0.3, 0.9])
def test_the_binomial_interval_holds_the_truth_at_least_as_often_as_it_says(chance: float) -> None:
    n = 40
    held = 0.0
    for hits in range(n + 1):
        held += binom.pmf(hits, n, chance) * binomial(hits, n).holds(chance)
    assert held >= 0.95


def test_the_interval_of_a_mean_holds_the_truth_as_often_as_it_says() -> None:
    rng = np.random.default_rng(42)
    held = [normal(rng.normal(2, 3, 60)).holds(2) for _ in range(600)]
    assert 0.92 <= np.mean(held) <= 0.975
    assert normal(np.array([0.4])) == Estimate(0.4, 0.4, 0.4)


@pytest.mark.parametrize("shape", [(3, 4, 5), (1, 1, 1), (1, 6, 2)])
@pytest.mark.parametrize("corner", [False, True])
def test_diffusion_is_defined_for_the_smallest_volumes(shape: tuple[int, int, int], corner: bool) -> None:
    voxels = np.full((2, *shape), not corner)
    voxels[:, 0, 0, 0] = corner
    relative = relative_diffusivity(voxels)
    assert np.isfinite(relative).all()
    assert np.all(relative >= 0)


@pytest.mark.slow
def test_diffusivity_agrees_with_taufactor() -> None:
    """The same faces, half a voxel outside: the two solve the same equations."""
    import taufactor  # noqa: PLC0415

    solids = ~spheres(np.array([0.6, 0.82, 0.95]), np.random.default_rng(44), size=16)
    for solid in solids:
        solver = taufactor.Solver(solid.astype(np.uint8), device="cpu")
        solver.solve(conv_crit=1e-6, verbose=False)
        assert effective_diffusivity(solid) == pytest.approx(float(solver.D_eff[0]), rel=1e-4)


@pytest.mark.slow
@pytest.mark.skipif(not (ROCKS / "berea.zip").is_file(), reason=f"needs the tomography of Berea in {ROCKS}")
def test_berea_has_its_published_formation_factor() -> None:
    """The image of 400³ voxels has a formation factor of 24.1, as published with it."""
    pores = read_volume(ROCKS / "berea.zip")
    found = [1 / effective_diffusivity(pores, axis=axis, tolerance=1e-3) for axis in range(3)]
    assert np.mean(found) == pytest.approx(24.1, rel=0.03)


def test_diffusivity_agrees_with_a_direct_solution() -> None:
    """The same finite volumes as an assembled matrix, factorised."""
    solid = ~spheres(np.array([0.9]), np.random.default_rng(45), size=10)[0]
    for axis in range(3):
        assert effective_diffusivity(solid, axis=axis) == pytest.approx(directly(np.moveaxis(solid, axis, 0)), rel=1e-5)
