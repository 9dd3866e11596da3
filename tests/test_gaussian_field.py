import math

import numpy as np
import pytest
import torch
from scipy.ndimage import gaussian_filter
from scipy.special import ndtri
from scipy.stats import multivariate_normal

from porebench import data
from porebench.generators.gaussian_field import GaussianField, _invert, _pairs, _simplex_level
from porebench.generators.hartley import basis, mix, product
from porebench.generators.walls import layers


def _fields(n: int, edge: int = 24, length: float = 1.5, porosity: float = 0.3, seed: int = 0):
    """Thresholded Gaussian fields with correlation exp(-r²/4 length²)."""
    rng = np.random.default_rng(seed)
    pad = int(6 * length)
    values = rng.standard_normal((n, *[edge + 2 * pad] * 3))
    smooth = gaussian_filter(values, (0, length, length, length), mode="wrap")[:, pad:-pad, pad:-pad, pad:-pad]
    return smooth / smooth.std() > -ndtri(porosity)


def _axis_lags(volumes, most: int) -> list[float]:
    """Probability of two pores at lags 0, 1, ... along the three axes."""
    lags = [volumes.mean()]
    for lag in range(1, most + 1):
        pairs = [np.moveaxis(volumes, axis, 1) for axis in (1, 2, 3)]
        lags.append(np.mean([np.mean(moved[:, lag:] & moved[:, :-lag]) for moved in pairs]))
    return lags


def test_inversion_agrees_with_bivariate_normal_probabilities() -> None:
    for porosity in (0.05, 0.3, 0.5, 0.9):
        level = ndtri(porosity)
        for rho in (-0.3, 0.2, 0.7):
            both = multivariate_normal([0, 0], [[1, rho], [rho, 1]]).cdf([level, level])
            autocovariance = np.array([1, 0, (both - porosity**2) / (porosity - porosity**2)])
            assert _invert(autocovariance, porosity) == pytest.approx([1, 0, rho], abs=0.005)


def test_inversion_at_porosity_one_half_is_a_sine() -> None:
    autocovariance = np.linspace(-0.5, 1, 7)
    assert _invert(autocovariance, 0.5) == pytest.approx(np.sin(np.pi / 2 * autocovariance), abs=1e-5)


def test_pair_probabilities_are_those_of_a_slow_count() -> None:
    volumes = np.random.default_rng(0).random((3, 6, 7, 8)) < 0.4
    pairs = _pairs(volumes, 2)
    assert pairs.shape == (5, 5, 5)
    assert pairs[2, 2, 2] == pytest.approx(volumes.mean())
    assert pairs[3, 2, 2] == pytest.approx(np.mean(volumes[:, 1:] & volumes[:, :-1]))
    assert pairs[2, 4, 1] == pytest.approx(np.mean(volumes[:, :, 2:, :-1] & volumes[:, :, :-2, 1:]))
    assert pairs[4, 1, 2] == pytest.approx(np.mean(volumes[:, 2:, :-1] & volumes[:, :-2, 1:]))


def test_the_correlation_of_a_known_field_is_found() -> None:
    length = 1.5
    volumes = _fields(48, length=length)
    field = GaussianField().fit(volumes, np.full(48, 0.5), rng=0)
    reach = field.correlation_.shape[1] // 2
    found = field.correlation_[0, reach, reach, reach : reach + 4]
    assert found == pytest.approx(np.exp(-(np.arange(4) ** 2) / (4 * length**2)), abs=0.03)
    assert field.clipped_.max() < 0.05


def test_the_nearest_spectrum_is_never_negative_and_leaves_a_possible_one_alone() -> None:
    assert _simplex_level(np.array([2.5, 1.0, 0.5, 0.0])) == pytest.approx(0)
    assert _simplex_level(np.array([3.0, 1.6, 0.6, -1.2])) == pytest.approx(0.4)
    rough = np.random.default_rng(0).normal(1, 2, (4, 5, 6))
    assert np.maximum(rough - _simplex_level(rough), 0).mean() == pytest.approx(1)


@pytest.mark.parametrize("isotropic", [True, False])
def test_draws_have_the_two_point_probability_of_the_training_volumes(isotropic) -> None:
    volumes = _fields(32)
    field = GaussianField(isotropic=isotropic).fit(volumes, np.full(32, 0.5), rng=0)
    drawn = field.sample(0.5, 32, rng=1)
    assert _axis_lags(drawn, 6) == pytest.approx(_axis_lags(volumes, 6), abs=0.01)


def test_direction_is_kept_only_where_asked_for() -> None:
    rng = np.random.default_rng(0)
    smooth = gaussian_filter(rng.standard_normal((24, 20, 20, 20)), (0, 3, 0.7, 0.7), mode="wrap")
    volumes = smooth > np.quantile(smooth, 0.7)
    ratio = {}
    for isotropic in (True, False):
        drawn = GaussianField(isotropic=isotropic).fit(volumes, np.full(24, 0.5), rng=0).sample(0.5, 24, rng=1)
        ratio[isotropic] = np.mean(drawn[:, 2:] & drawn[:, :-2]) / np.mean(drawn[:, :, 2:] & drawn[:, :, :-2])
    assert ratio[True] == pytest.approx(1, abs=0.1)
    assert ratio[False] > 1.5


def test_draws_are_not_periodic() -> None:
    field = GaussianField().fit(_fields(32, length=2), np.full(32, 0.5), rng=0)
    drawn = field.sample(0.5, 64, rng=1)
    for axis in (1, 2, 3):
        first, last = np.take(drawn, 0, axis), np.take(drawn, -1, axis)
        second = np.take(drawn, 1, axis)
        assert np.mean(first & last) == pytest.approx(drawn.mean() ** 2, abs=0.02)
        assert np.mean(first & second) > 1.8 * drawn.mean() ** 2


def test_the_number_of_pore_voxels_is_exact() -> None:
    density = np.linspace(0.3, 1, 64)
    field = GaussianField().fit(data.simulate(density, rng=0, shape=(16, 16, 16)), density, rng=0)
    for shape in ((16, 16, 16), (9, 20, 31)):
        wanted = field.law_.pore_voxels(density, int(np.prod(shape)))
        assert field.sample(density, shape=shape, rng=1).sum(axis=(1, 2, 3)).tolist() == wanted.tolist()


def test_layers_next_to_the_boundary_get_their_porosity_where_walls_are_learnt() -> None:
    density = np.full(64, 0.95)
    volumes = data.simulate(density, rng=0, shape=(24, 24, 24))
    layer = layers((24, 24, 24))
    wanted = np.bincount(layer.ravel(), weights=volumes.mean(axis=0).ravel()) / np.bincount(layer.ravel())
    for walls in (True, False):
        drawn = GaussianField(walls=walls).fit(volumes, density, rng=0).sample(density, rng=1)
        profile = np.bincount(layer.ravel(), weights=drawn.mean(axis=0).ravel()) / np.bincount(layer.ravel())
        assert (profile[:4] == pytest.approx(wanted[:4], abs=0.03)) == walls


def test_scattered_voxels_are_drawn_scattered() -> None:
    volumes = np.random.default_rng(0).random((64, 12, 12, 12)) < 0.05
    field = GaussianField().fit(volumes, np.full(64, 0.5), rng=0)
    assert field.support_.max() == 0
    drawn = field.sample(0.5, 64, rng=1)
    assert _axis_lags(drawn, 1)[1] == pytest.approx(drawn.mean() ** 2, rel=0.15)


@pytest.mark.parametrize("isotropic", [True, False])
def test_a_transform_makes_fields_of_the_same_kind_as_products(monkeypatch, isotropic) -> None:
    rng = np.random.default_rng(0)
    smooth = gaussian_filter(rng.standard_normal((24, 20, 20, 20)), (0, 2, 0.7, 0.7), mode="wrap")
    smooth[:, :3] -= 1
    field = GaussianField(isotropic=isotropic).fit(smooth > 0.1, np.full(24, 0.5), rng=0)
    found = []
    for long in (10**6, 0):
        monkeypatch.setattr("porebench.generators.gaussian_field.LONG_GRID", long)
        field.to("cpu")  # forgets what it kept
        drawn = field.sample(0.5, 200, rng=1)
        lags = [np.mean(np.take(drawn, range(2, 20), axis) & np.take(drawn, range(18), axis)) for axis in (1, 2, 3)]
        oblique = np.mean(drawn[:, :, 1:, 1:] & drawn[:, :, :-1, :-1])
        found.append([drawn[:, 0].mean(), drawn[:, 5].mean(), *lags, oblique])
    assert not np.array_equal(*found)
    assert found[0] == pytest.approx(found[1], abs=0.01)


def _values(field: GaussianField, grid: tuple[int, int, int], n: int) -> torch.Tensor:
    amplitudes = field._amplitudes(np.random.default_rng(0).spawn(n), grid, [0] * n)
    return product(amplitudes, [basis(period, np.arange(period), period) for period in grid]).double()


@pytest.mark.parametrize("isotropic", [True, False])
def test_waves_have_a_total_variance_of_1(isotropic) -> None:
    field = GaussianField(isotropic=isotropic).fit(_fields(8, edge=16), np.full(8, 0.5), rng=0)
    for grid in ((20, 24, 18), (20, 24, 25)):
        power = field._power(grid, 0)
        assert power.mean().item() == pytest.approx(1)
        kept = field._deviation(grid, 0).shape
        assert math.prod(kept) < math.prod(grid), "short waves that there are hardly any of are left out"
        assert power[tuple(map(slice, kept))].sum().item() > 0.99 * math.prod(grid)
        assert _values(field, grid, 300).var().item() == pytest.approx(1, abs=0.02)


def test_voxels_of_a_field_have_the_moments_of_a_normal_law() -> None:
    field = GaussianField().fit(_fields(8, edge=16), np.full(8, 0.5), rng=0)
    values = _values(field, (20, 20, 20), 400)
    assert [values.pow(k).mean().item() for k in (1, 2, 3, 4, 6)] == pytest.approx([0, 1, 0, 3, 15], rel=0.05, abs=0.05)


def test_a_field_has_the_correlation_of_its_spectrum_in_every_direction() -> None:
    rng = np.random.default_rng(0)
    smooth = gaussian_filter(rng.standard_normal((24, 20, 20, 20)), (0, 2, 0.7, 0.7), mode="wrap")
    field = GaussianField(isotropic=False).fit(smooth + np.roll(smooth, (1, 1), (1, 2)) > 0.1, np.full(24, 0.5), rng=0)
    grid = (20, 20, 20)
    values = _values(field, grid, 300)
    bases = [basis(20, np.arange(20), 20)] * 3
    wanted = product(mix(field._power(grid, 0))[None], bases)[0] / math.prod(grid)
    for lag in ((0, 0, 1), (0, 2, 0), (3, 0, 0), (1, 1, 0), (1, -1, 0), (0, 1, -1), (2, 1, 1)):
        found = (values * torch.roll(values, [-step for step in lag], (1, 2, 3))).mean().item()
        assert found == pytest.approx(wanted[lag].item(), abs=0.015)


@pytest.mark.parametrize("shape", [(10, 11, 12), (130, 130, 130), (150, 150, 150)])
def test_the_same_voxels_are_drawn_in_any_company_and_by_any_number_of_threads(shape) -> None:
    density = np.linspace(0.4, 1, 48)
    field = GaussianField().fit(data.simulate(density, rng=0, shape=(16, 16, 16)), density, rng=0)
    wanted = [0.9, 0.5, 0.7, 0.9] if shape[0] < 100 else [0.9, 0.5]
    threads = torch.get_num_threads()
    drawn = field.sample(wanted, shape=shape, rng=3)
    try:
        for number in (1, 2, 3):
            torch.set_num_threads(number)
            assert np.array_equal(field.sample(wanted, shape=shape, rng=3), drawn)
            assert np.array_equal(field.sample(wanted[:1], shape=shape, rng=3), drawn[:1])
    finally:
        torch.set_num_threads(threads)


def test_only_so_much_is_kept_for_the_next_call(monkeypatch) -> None:
    field = GaussianField().fit(_fields(8, edge=16), np.full(8, 0.5), rng=0)
    monkeypatch.setattr("porebench.generators.gaussian_field._ROOM", 1)
    first = field.sample(0.5, 2, rng=0)
    assert not field._kept
    monkeypatch.undo()
    assert np.array_equal(field.sample(0.5, 2, rng=0), first)
    assert len(field._kept) > 1


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device")
def test_a_gpu_draws_the_same_two_point_probability() -> None:
    volumes = _fields(32)
    field = GaussianField().fit(volumes, np.full(32, 0.5), rng=0)
    here = field.sample(0.5, 64, rng=1)
    assert _axis_lags(field.to("cuda").sample(0.5, 64, rng=1), 6) == pytest.approx(_axis_lags(here, 6), abs=0.01)
