"""Random fibres: cylinders laid to the voxel, and radius and directions that a fit finds again."""

import numpy as np
import pytest

from porebench.generators.fibres import Fibres, _touch, faces, lay

SHAPE = (20, 20, 20)


@pytest.mark.parametrize("along", [(1, 0, 0), (0, 0, 1), (1, 2, 3), (-3, 1, 0)])
def test_a_fibre_is_all_voxels_within_its_radius_of_its_axis(along: tuple[int, int, int]) -> None:
    direction = np.array(along) / np.linalg.norm(along)
    centre, volume = np.array([3.1, 5.2, 4.3]), np.ones((9, 10, 11), dtype=np.bool_)
    away = np.moveaxis(np.indices(volume.shape), 0, -1) - centre
    inside = np.linalg.norm(away - (away @ direction)[..., None] * direction, axis=-1) <= 2.4
    assert _touch(volume, centre, direction, 2.4, True, volume.size) == inside.sum()
    assert np.array_equal(~volume, inside)


@pytest.mark.parametrize("solid", [0, 1, 777, 7999, 8000])
def test_fibres_make_as_many_voxels_solid_as_asked_for(solid: int) -> None:
    volume = np.ones(SHAPE, dtype=np.bool_)
    lay(volume, solid, 1.7, np.array([1.0, 2.0, 0.5]), np.random.default_rng(0))
    assert np.count_nonzero(~volume) == solid


def test_isotropic_fibres_cross_all_axes_alike_and_have_the_surface_of_a_boolean_model() -> None:
    rng, radius, porosity = np.random.default_rng(1), 4.0, 0.6
    drawn = np.ones((40, 30, 30, 30), dtype=np.bool_)
    for volume in drawn:
        lay(volume, int(0.4 * volume.size), radius, np.ones(3), rng)
    crossed = faces(drawn).mean(axis=0)
    assert crossed == pytest.approx(np.full(3, crossed.mean()), rel=0.12)
    assert 2 * crossed.mean() == pytest.approx(-2 * porosity * np.log(porosity) / radius, rel=0.1)


def test_a_fit_finds_radius_and_directions_again() -> None:
    rng = np.random.default_rng(2)
    real = np.ones((60, *SHAPE), dtype=np.bool_)
    density = np.linspace(0.4, 0.8, len(real))
    for volume, pores in zip(real, density, strict=True):
        lay(volume, round((1 - pores) * volume.size), 2.5, np.array([4.0, 1.0, 1.0]), rng)
    fitted = Fibres().fit(real, density, rng=0)
    assert np.median(fitted.radius_) == pytest.approx(2.5, rel=0.1)
    assert np.median(fitted.spread_[:, 0] / fitted.spread_[:, 1]) == pytest.approx(4, rel=0.5)
    drawn = fitted.sample(density, rng=0)
    assert faces(drawn).mean(axis=0) == pytest.approx(faces(real).mean(axis=0), rel=0.08)


def test_the_number_of_pore_voxels_is_that_of_the_porosity_law() -> None:
    rng = np.random.default_rng(3)
    volumes = np.stack([rng.random((8, 9, 10)) < share for share in np.linspace(0.1, 0.9, 9)])
    generator = Fibres().fit(volumes, volumes.mean(axis=(1, 2, 3)), rng=0)
    wanted = [0.0, 0.3, 1.0]
    drawn = generator.sample(wanted, rng=0).sum(axis=(1, 2, 3))
    assert drawn.tolist() == generator.law_.pore_voxels(wanted, 720).tolist()
