"""Simulated annealing: counts kept up to date swap by swap, and draws with the statistics of the training volumes."""

import numpy as np
import pytest

from porebench.generators.annealing import Annealing, _change, _strides, count

REACH = 5


def _volume(seed: int, shape: tuple[int, int, int] = (7, 8, 9), porosity: float = 0.6) -> np.ndarray:
    return np.random.default_rng(seed).random(shape) < porosity


def _counted(volume: np.ndarray) -> np.ndarray:
    """Pairs, unlike pairs and paths, window by window."""
    counts = np.zeros((3, 3, REACH), dtype=np.int64)
    for axis in range(3):
        lines = np.moveaxis(volume, axis, -1)
        for lag in range(1, min(REACH, lines.shape[-1] - 1) + 1):
            counts[0, axis, lag - 1] = np.sum(lines[..., lag:] & lines[..., :-lag])
            counts[1, axis, lag - 1] = np.sum(lines[..., lag:] != lines[..., :-lag])
            windows = np.lib.stride_tricks.sliding_window_view(lines, lag + 1, axis=-1)
            counts[2, axis, lag - 1] = np.sum(windows.all(axis=-1))
    return counts


@pytest.mark.parametrize("shape", [(7, 8, 9), (3, 12, 2), (1, 1, 6)])
def test_pairs_and_paths_are_those_of_a_count_window_by_window(shape: tuple[int, int, int]) -> None:
    volume = _volume(0, shape)
    assert np.array_equal(count(volume.view(np.uint8), REACH), _counted(volume))


def test_a_swap_changes_the_counts_by_what_a_new_count_finds() -> None:
    volume, rng = _volume(1).view(np.uint8), np.random.default_rng(2)
    flat, strides = volume.reshape(-1), _strides(volume)
    for _ in range(50):
        before, change = count(volume, REACH), np.zeros((3, 3, REACH), dtype=np.int64)
        out, into = rng.choice(np.flatnonzero(flat)), rng.choice(np.flatnonzero(flat == 0))
        flat[out] = 0
        _change(flat, volume.shape, strides, out, -1, change)
        _change(flat, volume.shape, strides, into, 1, change)
        flat[into] = 1
        assert np.array_equal(before + change, count(volume, REACH))


def test_statistics_along_each_axis_come_near_those_of_the_training_volumes() -> None:
    rng = np.random.default_rng(3)
    rods = np.repeat(rng.random((12, 1, 12, 12)) < 0.4, 12, axis=1)  # pores that run through along the depth
    drawn = Annealing(reach=6).fit(rods, np.full(12, 0.4), rng=0).sample(np.full(4, 0.4), rng=0)

    def paths(volumes: np.ndarray) -> np.ndarray:
        """Share of places where four voxels in a row are pore, along each axis."""
        return np.mean([count(volume.view(np.uint8), 6)[2, :, 2] for volume in volumes], axis=0) / (12 * 12 * 9)

    assert paths(rods)[0] > 10 * paths(rods)[1]
    assert paths(drawn) == pytest.approx(paths(rods), abs=0.03)


def test_without_sweeps_voxels_are_independent() -> None:
    volumes = np.stack([_volume(seed, (12, 12, 12), 0.5) for seed in range(4)])
    blocks = volumes.repeat(2, axis=1).repeat(2, axis=2).repeat(2, axis=3)
    drawn = Annealing(sweeps=0).fit(blocks, np.full(4, 0.5), rng=0).sample(0.5, 4, rng=0)
    assert np.mean(drawn[:, 1:] & drawn[:, :-1]) == pytest.approx(0.25, abs=0.01)


def test_the_number_of_pore_voxels_is_that_of_the_porosity_law() -> None:
    volumes = np.stack([_volume(seed, porosity=(seed + 1) / 10) for seed in range(8)])
    density = volumes.mean(axis=(1, 2, 3))
    generator = Annealing(sweeps=2).fit(volumes, density, rng=0)
    wanted = [0.0, 0.2, 0.5, 1.0]
    drawn = generator.sample(wanted, rng=0).sum(axis=(1, 2, 3))
    assert drawn.tolist() == generator.law_.pore_voxels(wanted, volumes[0].size).tolist()


def test_no_pore_is_put_on_a_boundary_that_never_has_one() -> None:
    volumes = np.zeros((4, 8, 8, 8), dtype=np.bool_)
    volumes[:, 1:-1, 1:-1, 1:-1] = np.stack([_volume(seed, (6, 6, 6)) for seed in range(4)])
    drawn = Annealing(sweeps=5).fit(volumes, volumes.mean(axis=(1, 2, 3)), rng=0).sample(0.25, 3, rng=0)
    assert drawn.any()
    assert not np.delete(drawn, np.s_[1:-1], axis=1).any()
    assert drawn.sum() == drawn[:, 1:-1, 1:-1, 1:-1].sum()


@pytest.mark.parametrize(
    ("wrong", "word"),
    [
        ({"sweeps": -1}, "sweeps"),
        ({"reach": 0}, "reach"),
        ({"neighbours": 0}, "neighbours"),
        ({"cooling": 1.0}, "cooling"),
    ],
)
def test_a_hyper_parameter_out_of_range_is_refused_by_name(wrong: dict[str, float], word: str) -> None:
    volumes = _volume(0)[None]
    with pytest.raises(ValueError, match=word):
        Annealing(**wrong).fit(volumes, [0.5])
