"""The network on voxels finds a planted difference and none where there is none."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from tests.surrogates import shuffled, spheres

from porebench.metrics.voxel_classifier import voxel_auc


@pytest.fixture(scope="module")
def packs() -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    rng = np.random.default_rng(50)
    density = rng.uniform(0.6, 1, 60)
    return spheres(density, rng, size=12, scale=0.7), spheres(density, rng, size=12, scale=0.7), density


def test_equal_sets_cannot_be_told_apart(packs) -> None:
    one, other, density = packs
    auc = voxel_auc(one, other, density, density, seed=0)
    assert auc is not None
    assert auc.low < 0.5 < auc.high


def test_shuffled_voxels_are_recognised_and_the_same_seed_repeats_itself(packs) -> None:
    one, _, density = packs
    noise = shuffled(one, np.random.default_rng(51))
    state = torch.random.get_rng_state()
    first = voxel_auc(noise, one, density, density, seed=1)
    assert first is not None
    assert first.low > 0.9
    assert torch.equal(torch.random.get_rng_state(), state)
    assert voxel_auc(noise, one, density, density, seed=1) == first


def test_too_few_densities_have_no_area(packs) -> None:
    one, other, _ = packs
    assert voxel_auc(one, other, np.full(60, 0.5), np.full(60, 0.5), seed=0) is None
