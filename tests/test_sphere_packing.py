from importlib import import_module

import numpy as np
import pytest
from scipy.spatial.distance import pdist

from porebench import data
from porebench.generators.sphere_moments import _counts, quantiles
from porebench.generators.sphere_packing import SpherePacking

EDGE = 20


def _packs(law, n: int = 160, seed: int = 0, low: float = 0.2, edge: int = EDGE):
    density = np.random.default_rng(seed).permutation(np.linspace(low, 1, n))
    return data.simulate(density, law, rng=seed + 1, shape=(edge, edge, edge)), density


@pytest.fixture(scope="module")
def spheres() -> SpherePacking:
    return SpherePacking().fit(*_packs("spheres"), rng=0)


def test_number_and_radius_of_the_spheres_are_learnt_from_voxels(spheres) -> None:
    density = np.array([0.4, 0.6, 0.8, 1.0])
    number, radius = spheres.spheres(density)
    assert radius == pytest.approx(29 * 0.075 * density, rel=0.06)
    assert number == pytest.approx(250 * (EDGE - 1) ** 3 / 29**3 * density, rel=0.15)
    assert spheres.inside_
    assert not spheres.matches_count_


def test_spheres_smaller_than_a_voxel_are_learnt(spheres) -> None:
    _, radius = spheres.spheres(0.25)
    assert radius == pytest.approx(29 * 0.075 * 0.25, rel=0.15)


def test_the_spread_of_radii_is_learnt() -> None:
    narrow = data.SphereLaw(spheres=250, smallest=0.074, largest=0.076)
    learnt = SpherePacking().fit(*_packs(narrow), rng=0).quantiles_
    uniform = SpherePacking().fit(*_packs("spheres"), rng=0).quantiles_
    assert learnt.std() / learnt.mean() < 0.1
    assert uniform.std() / uniform.mean() == pytest.approx(1 / 3 / np.sqrt(3), abs=0.05)


def test_new_volumes_have_the_counts_of_the_training_volumes(spheres) -> None:
    fresh, density = _packs("spheres", n=320, seed=50, low=0.5)
    drawn = spheres.sample(density, rng=1)
    order = np.argsort(density)
    real, made = (_counts(volumes[order]).reshape(4, 10, -1).sum(axis=1) for volumes in (fresh, drawn))
    common = real.min(axis=0) > 500
    assert common.sum() > 10
    assert made[:, common] == pytest.approx(real[:, common], rel=0.15)


def test_no_pore_reaches_the_boundary_where_none_did(spheres) -> None:
    for shape in ((EDGE, EDGE, EDGE), (14, 25, 30)):
        drawn = spheres.sample(0.95, 20, shape=shape, rng=0)
        assert drawn.any()
        assert drawn[:, 1:-1, 1:-1, 1:-1].sum() == drawn.sum()


def test_pores_reach_the_boundary_where_they_did_and_porosity_is_uniform() -> None:
    volumes, density = _packs("spheres", edge=30, n=60, low=0.7)
    crops = volumes[:, 8:-8, 8:-8, 8:-8]
    packing = SpherePacking().fit(crops, density, rng=0)
    assert not packing.inside_
    drawn = packing.sample(density, shape=(20, 20, 20), rng=1)
    outer = drawn.mean() * 20**3 - drawn[:, 3:-3, 3:-3, 3:-3].mean() * 14**3
    assert outer / (20**3 - 14**3) == pytest.approx(drawn[:, 3:-3, 3:-3, 3:-3].mean(), rel=0.15)
    assert drawn.mean() == pytest.approx(crops.mean(), rel=0.1)


def test_the_number_of_spheres_grows_with_the_volume(spheres) -> None:
    small = spheres.sample(0.9, 24, rng=0).mean()
    large = spheres.sample(0.9, 3, shape=(39, 39, 39), rng=0).mean()
    assert large == pytest.approx(small, rel=0.25)
    assert large > small, "the empty layer at the boundary weighs less"


def test_volumes_do_not_depend_on_what_is_drawn_with_them(spheres) -> None:
    together = spheres.sample([0.9, 0.5, 0.7], rng=3)
    assert np.array_equal(together[:1], spheres.sample([0.9], rng=3))


def test_porosity_as_density_is_met_by_each_volume_and_else_left_to_chance(spheres) -> None:
    volumes, _ = _packs("spheres", n=80, low=0.5)
    porosity = volumes.mean(axis=(1, 2, 3))
    packing = SpherePacking().fit(volumes, porosity, rng=0)
    assert packing.matches_count_
    wanted = packing.law_.pore_voxels(porosity, EDGE**3)
    assert np.abs(packing.sample(porosity, rng=1).sum(axis=(1, 2, 3)) - wanted).max() <= 3
    assert spheres.sample(0.9, 20, rng=1).sum(axis=(1, 2, 3)).std() > 20
    assert SpherePacking(match_count=False).fit(volumes[:8], porosity[:8], rng=0).matches_count_ is False
    assert SpherePacking(match_count=True).fit(volumes[:8], porosity[:8], rng=0).matches_count_ is True


def test_without_overlap_no_two_spheres_touch() -> None:
    law = data.SphereLaw(spheres=120, smallest=0.05, largest=0.1, overlap=False)
    packing = SpherePacking(overlap=False).fit(*_packs(law, n=40, low=0.5), rng=0)
    radius, number = packing.curves(np.full(6, 0.9))[1], np.full(6, 40.0)
    centres, radii, owner = packing._draw(number, radius, (EDGE, EDGE, EDGE), np.random.default_rng(0).spawn(6))
    assert len(radii) > 200
    for which in range(6):
        mine = np.flatnonzero(owner == which)
        first, second = np.triu_indices(len(mine), 1)
        assert np.all(pdist(centres[mine]) >= radii[mine[first]] + radii[mine[second]] - 1e-9)
    assert np.all(centres.min(axis=1) >= radii - 1e-9)
    assert packing.spheres(0.9)[1] == pytest.approx(29 * 0.075 * 0.9, rel=0.1)


def test_spheres_without_room_are_left_out_instead_of_looping_for_ever() -> None:
    packing = SpherePacking(overlap=False).fit(*_packs("spheres", n=16, low=0.8), rng=0)
    _, radii, _ = packing._draw(
        np.full(2, 400.0), np.log([4.0, 4.0]), (EDGE, EDGE, EDGE), np.random.default_rng(0).spawn(2)
    )
    assert 4 < len(radii) < 100


def test_quantiles_have_a_mean_cube_of_1_and_never_fall() -> None:
    for coefficients in ([0.3, 0, 0], [0.5, 0.2, -0.1], [-0.4, 0, 0], [2, 0, 0]):
        q = quantiles(np.array(coefficients))
        fine = np.interp(np.linspace(0, 1, 20001), np.linspace(0, 1, len(q)), q)
        assert np.mean(fine**3) == pytest.approx(1, rel=1e-3)
        assert np.all(np.diff(q) >= 0)
        assert np.all(q > 0)


def test_counts_are_those_of_a_slow_count() -> None:
    volumes = np.random.default_rng(0).random((11, 6, 7, 8)) < 0.6
    counts = _counts(volumes)
    assert counts.shape[0] == 2
    for group, members in enumerate((volumes[:8], volumes[8:])):
        pores = members.sum()
        along = sum(
            np.sum(np.take(members, range(size - 1), axis) & np.take(members, range(1, size), axis))
            for axis, size in zip((1, 2, 3), (6, 7, 8), strict=True)
        )
        windows = np.lib.stride_tricks.sliding_window_view(members, (2, 2, 2), axis=(1, 2, 3))
        assert counts[group, 0] == pores
        assert counts[group, 1] == along
        assert np.all(windows, axis=(4, 5, 6)).sum() in counts[group]
        assert np.any(windows, axis=(4, 5, 6)).sum() in counts[group]


def test_a_model_fitted_on_its_own_draws_is_found_again(spheres) -> None:
    density = np.linspace(0.4, 1, 96)
    again = SpherePacking().fit(spheres.sample(density, rng=6), density, rng=2)
    assert again.spheres([0.6, 0.9])[1] == pytest.approx(spheres.spheres([0.6, 0.9])[1], rel=0.06)


@pytest.mark.slow
def test_volumes_of_the_published_law_can_hardly_be_told_from_real_ones() -> None:
    descriptors, distances = import_module("porebench.metrics.descriptors"), import_module("porebench.metrics.score")
    train, density = _packs("spheres", n=448, low=0.0, edge=30)
    test, requested = _packs("spheres", n=300, seed=9, low=0.4, edge=30)
    packing = SpherePacking().fit(train, density, rng=0)
    result = distances.score(
        descriptors.describe(packing.sample(requested, rng=1)),
        descriptors.describe(test),
        descriptors.describe(train),
        generated_density=requested,
        test_density=requested,
        train_density=density,
        n_bootstrap=10,
        n_permutations=10,
    )
    assert result.headline.nfr100 is not None
    assert result.headline.nfr100.value < 2
