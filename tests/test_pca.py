import numpy as np
import pytest

from porebench.generators.pca import PCASampler


def _slabs(n: int, seed: int = 0):
    """Pore from the lower end of the first axis up to the density, with a ragged surface."""
    rng = np.random.default_rng(seed)
    density = rng.permutation(np.linspace(0.2, 0.8, n))
    height = density[:, None, None] + 0.05 * rng.standard_normal((n, 9, 10))
    return np.arange(8)[:, None, None] < height[:, None] * 8, density


def test_training_volumes_are_reconstructed_where_all_components_are_kept() -> None:
    volumes, _ = _slabs(40)
    porosity = volumes.mean(axis=(1, 2, 3))
    pca = PCASampler(n_components=39).fit(volumes, porosity, rng=0)
    again = pca.reconstruct(volumes, porosity)
    assert again.sum(axis=(1, 2, 3)).tolist() == pca.law_.pore_voxels(porosity, 720).tolist()
    assert np.mean(again != volumes) < 0.01


def test_more_components_reconstruct_better() -> None:
    volumes, density = _slabs(60)
    errors = [
        np.mean(PCASampler(n_components=k).fit(volumes, density, rng=0).reconstruct(volumes, density) != volumes)
        for k in (1, 8, 50)
    ]
    assert errors[0] > errors[1] > errors[2]


def test_components_are_at_most_one_less_than_volumes() -> None:
    volumes, density = _slabs(12)
    assert PCASampler().fit(volumes, density, rng=0).components_.shape == (11, 720)
    assert PCASampler().fit(volumes[:1], density[:1], rng=0).components_.shape == (0, 720)
    assert PCASampler(n_components=3).fit(volumes, density, rng=0).scores_.shape == (12, 3)


def test_components_are_orthonormal() -> None:
    volumes, density = _slabs(30)
    components = PCASampler(n_components=10).fit(volumes, density, rng=0).components_
    assert components @ components.T == pytest.approx(np.eye(10), abs=1e-4)


def test_draws_look_like_the_training_volumes_of_their_density() -> None:
    volumes, density = _slabs(200)
    pca = PCASampler().fit(volumes, density, rng=0)
    for d in (0.3, 0.7):
        profile = pca.sample(d, 40, rng=1).mean(axis=(0, 2, 3))
        near = volumes[np.abs(density - d) < 0.05].mean(axis=(0, 2, 3))
        assert profile == pytest.approx(near, abs=0.1)


def test_scores_follow_a_straight_line_and_the_spread_around_it() -> None:
    rng = np.random.default_rng(0)
    pca = PCASampler(bandwidth=0.1)
    pca.density_ = np.linspace(0, 1, 400)
    noise = rng.standard_normal((400, 2)) * (0.1 + pca.density_[:, None])
    pca.scores_ = np.stack([3 * pca.density_, 1 - pca.density_], axis=1) + noise
    wanted = np.array([0, 0.2, 0.5, 1])
    mean, weight = pca._expected(wanted)
    assert mean == pytest.approx(np.stack([3 * wanted, 1 - wanted], axis=1), abs=0.5)
    assert weight.sum(axis=1) == pytest.approx(np.ones(4))
    pca.scores_ -= noise
    assert pca._expected(wanted)[0].numpy() == pytest.approx(np.stack([3 * wanted, 1 - wanted], axis=1), abs=0.02)


def test_far_from_all_training_densities_the_line_is_not_followed_without_end() -> None:
    volumes, _ = _slabs(30)
    density = np.linspace(0.4, 0.45, 30)
    pca = PCASampler().fit(volumes, density, rng=0)
    assert np.abs(pca._expected(np.array([1.0]))[0].numpy()).max() < 10 * np.abs(pca.scores_).max()


def test_volumes_hardly_depend_on_what_is_drawn_with_them() -> None:
    pca = PCASampler().fit(*_slabs(30), rng=0)
    assert np.mean(pca.sample([0.7, 0.3], rng=3)[:1] != pca.sample([0.7], rng=3)) < 0.01


def test_settings_out_of_range_are_refused_in_words() -> None:
    volumes, density = _slabs(5)
    with pytest.raises(ValueError, match="n_components must be at least 1, got 0"):
        PCASampler(n_components=0).fit(volumes, density)
    with pytest.raises(ValueError, match="bandwidth must be positive, got 0"):
        PCASampler(bandwidth=0).fit(volumes, density)
