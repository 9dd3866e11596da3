import numpy as np
import pytest
import torch

from porebench.generators.hartley import basis, mix, product, spectrum, transform, unsorted

GRID = (6, 7, 9)


def _numbers(period: int) -> np.ndarray:
    return np.array([(place + 1) // 2 * (1 if place % 2 else -1) for place in range(period)])


def _cas(angle: np.ndarray) -> np.ndarray:
    return np.cos(angle) + np.sin(angle)


def _angles() -> np.ndarray:
    """2π k·r / P of each wave and each voxel, [waves, voxels]."""
    numbers = np.stack(np.meshgrid(*map(_numbers, GRID), indexing="ij"), axis=-1).reshape(-1, 3) / np.array(GRID)
    voxels = np.stack(np.meshgrid(*map(np.arange, GRID), indexing="ij"), axis=-1).reshape(-1, 3)
    return 2 * np.pi * numbers @ voxels.T


def test_waves_of_an_axis_are_orthogonal() -> None:
    for period in (8, 9):
        waves = basis(period, np.arange(period), period)
        assert waves @ waves.T == pytest.approx(period * np.eye(period), abs=1e-4)
        assert torch.equal(basis(period, np.arange(period), 3), waves[:3])


def test_a_product_is_the_sum_over_all_waves() -> None:
    values = torch.randn(2, 3, 5, 4, generator=torch.Generator().manual_seed(0))
    factors = [torch.randn(size, points) for size, points in zip((3, 6, 4), (7, 2, 5), strict=True)]
    slow = torch.einsum("nabc,ax,by,cz->nxyz", values, factors[0], factors[1][:5], factors[2])
    assert torch.allclose(product(values, factors), slow, atol=1e-4)


def test_mixed_amplitudes_make_the_field_of_oblique_waves() -> None:
    amplitudes = torch.randn(GRID, generator=torch.Generator().manual_seed(0))
    slow = amplitudes.flatten().numpy() @ _cas(_angles())
    bases = [basis(period, np.arange(period), period) for period in GRID]
    assert product(mix(amplitudes)[None], bases).flatten().numpy() == pytest.approx(slow, abs=1e-3)


@pytest.mark.parametrize("points", [GRID, (1, 1, 1), (4, 5, 7), (6, 7, 3)])
def test_a_transform_makes_the_field_of_oblique_waves(points) -> None:
    amplitudes = torch.randn(2, *GRID, generator=torch.Generator().manual_seed(0))
    found = transform(torch.stack([unsorted(each) for each in amplitudes]), points)
    slow = (amplitudes.flatten(1).numpy() @ _cas(_angles())).reshape(2, *GRID)
    assert found.numpy() == pytest.approx(slow[:, : points[0], : points[1], : points[2]], abs=1e-3)


@pytest.mark.parametrize("isotropic", [True, False])
def test_a_spectrum_is_the_fourier_transform_of_the_correlation(isotropic) -> None:
    correlation = np.random.default_rng(0).random((3, 3, 3)).astype(np.float32)
    correlation += correlation[::-1, ::-1, ::-1]
    if isotropic:
        correlation = correlation + correlation[::-1]
        correlation = correlation + correlation[:, ::-1]
    lags = np.zeros(GRID)
    lags[np.ix_(*(np.arange(-1, 2) % period for period in GRID))] = correlation
    known = np.fft.fftn(lags)
    assert np.abs(known.imag).max() < 1e-5
    found = spectrum(correlation, GRID, isotropic).numpy()
    assert found == pytest.approx(known.real[np.ix_(*map(_numbers, GRID))], abs=1e-4)
