from itertools import product

import numpy as np
import pytest
from numpy.lib.stride_tricks import sliding_window_view
from tests.surrogates import packs

from porebench.generators.quilting import Quilting, cut, lay_out

EDGE = 16


@pytest.fixture(scope="module")
def fitted_packs() -> Quilting:
    return Quilting().fit(*packs(size=EDGE), rng=0)


def _places_in(block, volumes) -> int:
    """Number of places in volumes where a block occurs."""
    windows = sliding_window_view(volumes, block.shape, axis=(1, 2, 3))
    return int(np.count_nonzero((windows == block).all(axis=(4, 5, 6))))


@pytest.mark.parametrize(("size", "length", "overlap"), [(30, 12, 4), (10, 10, 3), (7, 3, 0), (5, 1, 0), (31, 5, 4)])
def test_patches_cover_an_axis_and_overlap_as_much_as_asked_for_or_more(size, length, overlap) -> None:
    starts, laps = lay_out(size, length, overlap).T
    covered = np.unique(starts[:, None] + np.arange(length))
    assert covered.tolist() == list(range(size))
    assert laps[0] == 0
    assert np.all(laps[1:] >= overlap)
    assert np.all(starts[1:] + laps[1:] == starts[:-1] + length)


def test_the_first_slice_is_cut_along_the_cheapest_of_all_paths() -> None:
    rng = np.random.default_rng(0)
    for _ in range(20):
        differs = rng.random((3, 1, 5)) < 0.5

        def cost(path, differs=differs) -> int:
            beside = ((max(level - 1, 0), min(level, 2)) for level in path)
            return sum(int(differs[side, 0, place]) for place, pair in enumerate(beside) for side in pair)

        steady = [path for path in product(range(4), repeat=5) if np.abs(np.diff(path)).max() <= 1]
        assert cost(cut(differs)[0]) == min(cost(path) for path in steady)


def test_a_surface_follows_the_layer_where_old_and_new_agree() -> None:
    level = 3 + np.minimum(np.arange(9), 4)[:, None] // 2 + np.zeros((1, 7), dtype=int)
    layers = np.arange(8)[:, None, None]
    agree = (layers == level) | (layers == level - 1)
    assert np.array_equal(cut(~agree), level)


def test_an_overlap_of_no_thickness_is_not_cut() -> None:
    assert cut(np.zeros((0, 2, 3), dtype=bool)).tolist() == [[0, 0, 0], [0, 0, 0]]


def test_patches_without_overlap_are_pieces_of_training_volumes() -> None:
    volumes = np.random.default_rng(0).random((16, 8, 8, 8)) < 0.4
    quilting = Quilting(patch=4, overlap=0, walls=False).fit(volumes, np.full(16, 0.4), rng=0)
    drawn = quilting.sample(0.4, shape=(8, 12, 4), rng=1)[0]
    for z, y in product((0, 4), (0, 4, 8)):
        assert _places_in(drawn[z : z + 4, y : y + 4], volumes) >= 1
    assert _places_in(drawn[2:6, :4], volumes) == 0, "across two patches"


@pytest.mark.parametrize("axis", [1, 2, 3])
def test_stripes_are_continued_in_their_direction(axis) -> None:
    place = np.arange(20).reshape([-1 if each == axis else 1 for each in range(4)])
    stripes = np.broadcast_to(place % 5 < 2, (16, 20, 20, 20))
    quilting = Quilting(walls=False).fit(stripes, np.full(16, 0.4), rng=0)
    drawn = np.moveaxis(quilting.sample(0.4, 2, shape=(33, 33, 33), rng=1), axis, 1)
    assert np.array_equal(drawn, np.broadcast_to(drawn[:, :, :1, :1], drawn.shape))
    assert np.array_equal(drawn[:, 5:], drawn[:, :-5])
    assert drawn.mean() == pytest.approx(0.4, abs=0.02)


def test_steering_keeps_volumes_near_the_number_of_pore_voxels_of_the_law(fitted_packs) -> None:
    density = np.linspace(0.6, 1, 24)
    wanted = fitted_packs.law_.porosity(density)
    steered = fitted_packs.sample(density, rng=1).mean(axis=(1, 2, 3))
    free = fitted_packs.altered(steering=0.0).sample(density, rng=1).mean(axis=(1, 2, 3))
    assert steered.mean() == pytest.approx(wanted.mean(), rel=0.05)
    assert np.abs(steered - wanted).mean() < 0.7 * np.abs(free - wanted).mean()


def test_more_candidates_fit_better(fitted_packs) -> None:
    surface = [
        sum(np.count_nonzero(np.diff(drawn, axis=axis)) for axis in (1, 2, 3)) / drawn.sum()
        for drawn in (fitted_packs.altered(candidates=count).sample(0.9, 12, rng=1) for count in (1, 400))
    ]
    assert surface[1] < surface[0]


@pytest.mark.parametrize("shape", [(EDGE, EDGE, EDGE), (14, 25, 30)])
def test_no_pore_reaches_the_boundary_where_none_did(fitted_packs, shape) -> None:
    drawn = fitted_packs.sample(0.95, 8, shape=shape, rng=0)
    assert drawn.any()
    assert drawn[:, 1:-1, 1:-1, 1:-1].sum() == drawn.sum()


def test_a_stationary_medium_has_pores_at_the_boundary() -> None:
    quilting = Quilting(walls=False).fit(*packs(size=EDGE), rng=0)
    drawn = quilting.sample(0.95, 4, rng=0)
    assert drawn[:, 0].any()
    assert quilting.layers_.tolist() == [1]


def test_patches_are_at_most_half_as_long_as_training_volumes(fitted_packs) -> None:
    assert fitted_packs._patch((30, 30, 30)) == (8, 8, 8)
    assert fitted_packs.altered(patch=5)._patch((30, 3, 1)) == (5, 3, 1)
    assert fitted_packs.sample(0.9, shape=(1, 2, 40), rng=0).shape == (1, 1, 2, 40)


def test_volumes_that_are_to_be_empty_or_full_are_so() -> None:
    volumes = np.random.default_rng(0).random((16, 8, 8, 8)) < np.linspace(0.2, 0.8, 16)[:, None, None, None]
    quilting = Quilting().fit(volumes, volumes.mean(axis=(1, 2, 3)), rng=0)
    assert quilting.law_.pore_voxels([0, 1], 512).tolist() == [0, 512]
    assert quilting.sample([0, 1], rng=1).mean(axis=(1, 2, 3)).tolist() == [0, 1]


@pytest.mark.parametrize(
    ("params", "words"),
    [
        ({"patch": 0}, "patch must be at least 1, got 0"),
        ({"candidates": 0}, r"candidates must lie in \[1, 1000000\], got 0"),
        ({"overlap": -1}, "overlap and steering must be at least 0, got -1 and"),
        ({"steering": float("nan")}, "overlap and steering must be at least 0, got 5 and nan"),
        ({"images": 0}, "images must be at least 1, got 0"),
    ],
)
def test_impossible_settings_are_refused_by_fit_and_by_a_fitted_copy(fitted_packs, params, words) -> None:
    with pytest.raises(ValueError, match=words):
        Quilting(**params).fit(*packs(8), rng=0)
    with pytest.raises(ValueError, match=words):
        fitted_packs.altered(**params).sample(0.9, rng=0)
