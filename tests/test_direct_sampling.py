import numpy as np
import pytest
from numpy.lib.stride_tricks import sliding_window_view
from scipy.ndimage import convolve
from tests.surrogates import packs

from porebench.generators.direct_sampling import (
    DirectSampling,
    _fit_window,
    chance_of_pore,
    find_neighbours,
    flat,
    in_words,
    offsets_within,
)

EDGE = 16


@pytest.fixture(scope="module")
def fitted_packs() -> DirectSampling:
    return DirectSampling().fit(*packs(size=EDGE), rng=0)


def test_offsets_are_all_steps_within_the_radius_by_distance() -> None:
    offsets = offsets_within(3)
    square = np.sum(offsets**2, axis=1)
    assert len(offsets) == len(np.unique(offsets, axis=0)) == 122
    assert square.min() == 1
    assert square.max() == 9
    assert np.all(np.diff(square) >= 0)


def test_neighbours_are_the_nearest_known_voxels() -> None:
    rng = np.random.default_rng(0)
    known, out = rng.random((7, 8, 9)) < 0.1, rng.random((7, 8, 9)) < 0.5
    steps, values = np.zeros((12, 3), dtype=np.int64), np.zeros(12, dtype=bool)
    for place in ((0, 0, 0), (3, 4, 5), (6, 7, 0)):
        known[place] = False
        count = find_neighbours(out, known, place, offsets_within(5), steps, values)
        square = np.sort(np.sum((np.argwhere(known) - place) ** 2, axis=1))
        assert np.sum(steps[:count] ** 2, axis=1).tolist() == square[square <= 25][:12].tolist()
        found = tuple((steps[:count] + place).T)
        assert known[found].all()
        assert np.array_equal(out[found], values[:count])


def test_a_window_holds_every_place_whose_neighbours_are_inside() -> None:
    rng = np.random.default_rng(0)
    offsets, window = offsets_within(4), np.zeros((3, 2), dtype=np.int64)
    for _ in range(50):
        steps = offsets[np.sort(rng.choice(len(offsets), 6, replace=False))]
        count = _fit_window((9, 9, 9), (20, 20, 20), (6, 7, 20), 0, steps, window)
        for axis, size in enumerate((6, 7, 20)):
            inside = [
                place for place in range(size) if all(0 <= place + step < size for step in steps[:count, axis].tolist())
            ]
            assert inside == list(range(window[axis, 0], window[axis, 1] + 1))
        assert count == 6 or any(np.ptp([0, *steps[: count + 1, axis]]) >= size for axis, size in enumerate((6, 7)))


def test_a_voxel_near_a_wall_comes_from_places_as_near_to_it() -> None:
    window, none = np.zeros((3, 2), dtype=np.int64), np.zeros((0, 3), dtype=np.int64)
    _fit_window((1, 10, 38), (40, 40, 40), (16, 16, 16), 3, none, window)
    assert window.tolist() == [[1, 1], [3, 12], [14, 14]]


def _agreeing(volumes, window, steps, values) -> list[bool]:
    """The voxels at all places of a window that agree with the neighbours, place by place."""
    places = [
        (volume, np.array(place) + window[:, 0]) for volume in volumes for place in np.ndindex(*np.ptp(window, 1) + 1)
    ]
    for step, value in zip(steps, values, strict=True):
        kept = [(volume, place) for volume, place in places if volume[tuple(place + step)] == value]
        places = kept or places
    return [bool(volume[tuple(place)]) for volume, place in places]


@pytest.mark.parametrize("shape", [(7, 8, 9), (5, 5, 70), (20, 4, 4)])
def test_a_voxel_is_pore_with_the_share_of_pores_at_the_places_that_agree(shape) -> None:
    rng = np.random.default_rng(0)
    volumes = rng.random((3, *shape)) < 0.3
    offsets = offsets_within(2)
    margin = int(flat(offsets, shape).max()) // 64 + 1
    words = in_words(np.packbits(volumes.reshape(3, -1), axis=1), margin)
    places = np.zeros((2, 3, words.shape[1] - 2 * margin), dtype=np.uint64)
    window = np.array([[max(size // 5, 2), size - 3] if size > 4 else [2, 1] for size in shape])
    window = np.where(window[:, :1] > window[:, 1:], 1, window)
    for count in (0, 1, 3, 9):
        reach = offsets[np.all((window[:, 0] + offsets >= 0) & (window[:, 1] + offsets < shape), axis=1)]
        steps = reach[np.sort(rng.choice(len(reach), count, replace=False))]
        values = rng.random(count) < 0.5
        chance = chance_of_pore(words, margin, 1, shape, window, steps, values, 10**6, places)
        assert chance == pytest.approx(np.mean(_agreeing(volumes, window, steps, values)), abs=1e-12)


def test_one_training_volume_is_copied_where_all_known_voxels_are_neighbours() -> None:
    volume = np.random.default_rng(0).random((1, 27, 27, 27)) < 0.4
    sampling = DirectSampling(neighbours=125, servo=0.0, mend=False, walls=False)
    drawn = sampling.fit(volume, [0.4], rng=0).sample(0.4, shape=(5, 5, 5), rng=1)[0]
    windows = sliding_window_view(volume[0], drawn.shape)
    assert np.count_nonzero((windows == drawn).all(axis=(3, 4, 5))) == 1


@pytest.mark.parametrize("axis", [1, 2, 3])
def test_stripes_keep_their_direction(axis) -> None:
    place = np.arange(20).reshape([-1 if each == axis else 1 for each in range(4)])
    stripes = np.broadcast_to(place % 5 < 2, (8, 20, 20, 20))
    drawn = DirectSampling(walls=False).fit(stripes, np.full(8, 0.4), rng=0).sample(0.4, 2, rng=1)
    changes = [np.mean(np.diff(drawn, axis=each)) for each in (1, 2, 3)]
    assert changes[axis - 1] == pytest.approx(0.4, abs=0.05)
    assert max(change for each, change in enumerate(changes) if each != axis - 1) < 0.2, "but for dislocations"


def test_the_servo_keeps_volumes_near_the_number_of_pore_voxels_of_the_law(fitted_packs) -> None:
    density = np.linspace(0.6, 1, 24)
    wanted = fitted_packs.law_.porosity(density)
    steered = fitted_packs.sample(density, rng=1).mean(axis=(1, 2, 3))
    free = fitted_packs.altered(servo=0.0).sample(density, rng=1).mean(axis=(1, 2, 3))
    assert steered.mean() == pytest.approx(wanted.mean(), rel=0.05)
    assert np.abs(steered - wanted).mean() < 0.5 * np.abs(free - wanted).mean()


def test_mending_leaves_fewer_lone_voxels_and_changes_few_others(fitted_packs) -> None:
    faces = np.zeros((1, 3, 3, 3), dtype=int)
    for axis in (1, 2, 3):
        np.moveaxis(faces, axis, 0)[[0, 2], 0, 1, 1] = 1
    plain, mended = (fitted_packs.altered(mend=mend).sample(0.9, 8, rng=1) for mend in (False, True))
    lone = [
        np.count_nonzero(drawn & (convolve(drawn.astype(int), faces, mode="constant") == 0))
        for drawn in (plain, mended)
    ]
    assert lone[1] < 0.5 * lone[0]
    assert np.count_nonzero(plain != mended) < 0.1 * plain.sum()


@pytest.mark.parametrize("shape", [(EDGE, EDGE, EDGE), (14, 20, 18)])
def test_no_pore_reaches_the_boundary_where_none_did(fitted_packs, shape) -> None:
    drawn = fitted_packs.sample(0.95, 4, shape=shape, rng=0)
    assert drawn.any()
    assert drawn[:, 1:-1, 1:-1, 1:-1].sum() == drawn.sum()


def test_a_stationary_medium_has_pores_at_the_boundary() -> None:
    drawn = DirectSampling(walls=False).fit(*packs(size=EDGE), rng=0).sample(0.95, 4, rng=0)
    assert drawn[:, 0].any()


def test_shapes_of_a_voxel_or_a_line_are_drawn(fitted_packs) -> None:
    for shape in ((1, 1, 1), (1, 2, 40)):
        assert fitted_packs.sample(0.9, 3, shape=shape, rng=0).shape == (3, *shape)


@pytest.mark.parametrize(
    ("params", "words"),
    [
        ({"neighbours": 0}, "neighbours must be at least 1, got 0"),
        ({"scan": 0}, "scan must be at least 1, got 0"),
        ({"servo": -0.1}, "servo must be at least 0, got -0.1"),
        ({"images": 0}, "images must be at least 1, got 0"),
    ],
)
def test_impossible_settings_are_refused_by_fit_and_by_a_fitted_copy(fitted_packs, params, words) -> None:
    with pytest.raises(ValueError, match=words):
        DirectSampling(**params).fit(*packs(8), rng=0)
    with pytest.raises(ValueError, match=words):
        fitted_packs.altered(**params).sample(0.9, rng=0)
