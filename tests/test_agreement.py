"""Fast descriptors beside obvious ones, to 1e-6: those that test_descriptors.py does not compare with PoreSpy."""

from functools import cache
from itertools import product

import numpy as np
import pytest
from tests.surrogates import spheres

from porebench.metrics import morphology
from porebench.metrics.morphology import COMPONENT_SIZES, SQUARED_RADII


@cache
def _volumes():
    drawn = spheres(np.array([0.45, 0.7, 0.95]), np.random.default_rng(5), size=11)[:, :, 1:-1, :-1]
    drawn[0, 0, 0] = True  # pore at the boundary, and a pore that only a corner joins
    drawn[0, 1, 1, 9] = True
    return drawn


def _surface(volume):
    faces = 0
    for place in np.ndindex(volume.shape):
        for axis in range(3):
            beside = tuple(index + (turn == axis) for turn, index in enumerate(place))
            faces += beside[axis] < volume.shape[axis] and volume[place] != volume[beside]
    return [faces / volume.size]


def _squared_distances(volume):
    solid = np.argwhere(~volume)
    squared = np.zeros(volume.shape, dtype=int)
    for pore in np.argwhere(volume):
        squared[tuple(pore)] = ((solid - pore) ** 2).sum(axis=1).min()
    return squared


def _squared_thickness(volume):
    squared, grid = _squared_distances(volume), np.indices(volume.shape)
    found = np.zeros(volume.shape, dtype=int)
    for centre in np.argwhere(volume):
        inside = ((grid - centre[:, None, None, None]) ** 2).sum(axis=0) < squared[tuple(centre)]
        found[inside] = np.maximum(found[inside], squared[tuple(centre)])
    return found


def _shares(squared):
    inside = squared[squared > 0]
    return [np.mean(inside <= limit) for limit in SQUARED_RADII]


def _clusters(volume):
    """Sizes of clusters, by walking from neighbour to neighbour."""
    waiting, sizes = {tuple(place) for place in np.argwhere(volume).tolist()}, []
    while waiting:
        border, size = [waiting.pop()], 0
        while border:
            place, size = border.pop(), size + 1
            for step in product((-1, 0, 1), repeat=3):
                beside = tuple(index + offset for index, offset in zip(place, step, strict=True))
                if beside in waiting:
                    waiting.remove(beside)
                    border.append(beside)
        sizes.append(size)
    return np.array(sizes)


OBVIOUS = {
    "specific_surface": _surface,
    "max_distance": lambda volume: [np.sqrt(_squared_distances(volume).max())],
    "distance_distribution": lambda volume: _shares(_squared_distances(volume)),
    "mean_local_thickness": lambda volume: [np.sqrt(_squared_thickness(volume))[volume].mean()],
    "thickness_distribution": lambda volume: _shares(_squared_thickness(volume)),
    "n_components": lambda volume: [len(_clusters(volume))],
    "largest_component_fraction": lambda volume: [_clusters(volume).max() / volume.sum()],
    "component_counts": lambda volume: [np.log1p(np.sum(_clusters(volume) <= size)) for size in COMPONENT_SIZES],
}


@pytest.mark.parametrize("name", OBVIOUS)
def test_a_fast_descriptor_equals_an_obvious_one(name) -> None:
    volumes = _volumes()
    slow = [OBVIOUS[name](volume) for volume in volumes]
    np.testing.assert_allclose(morphology.DESCRIPTORS[name](volumes), slow, rtol=0, atol=1e-6)
