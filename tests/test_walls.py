import numpy as np
import pytest

from porebench.generators.walls import empty_layers, layers, profile


def test_layers_are_numbered_from_the_nearest_boundary() -> None:
    found = layers((3, 5, 6))
    assert found[1, 2, 2] == 1
    assert found[0].max() == 0
    assert layers((5, 5, 5))[2, 2, 2] == 2


def test_a_stationary_set_has_no_outer_layers() -> None:
    volumes = np.random.default_rng(0).random((40, 12, 12, 12)) < 0.3
    porosities, inner = profile(volumes)
    assert inner == 0
    assert porosities == pytest.approx([0.3] * 6, abs=0.01)


def test_layers_that_no_volume_has_pores_in_are_counted() -> None:
    volumes = np.zeros((3, 9, 8, 7), dtype=bool)
    assert empty_layers(volumes) == 0
    volumes[1, 4, 4, 3] = True
    assert empty_layers(volumes) == 3
    volumes[2, 2, 4, 3] = True
    assert empty_layers(volumes) == 2


def test_a_medium_that_ends_before_the_walls_has_outer_layers() -> None:
    volumes = np.random.default_rng(0).random((40, 12, 12, 12)) < 0.3
    volumes[:, :, :2] = volumes[:, :, -2:] = False
    volumes[:, :2] = volumes[:, -2:] = False
    volumes[:, :, :, :2] = volumes[:, :, :, -2:] = False
    assert profile(volumes)[1] == 2
