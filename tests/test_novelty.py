"""Copies and diversity: copies are found however they are turned, honest sets are left alone."""

from __future__ import annotations

from itertools import product

import numpy as np
import pytest
from numpy.typing import NDArray
from tests.surrogates import keep_largest, spheres

from porebench.data.symmetry import orientations, symmetries, transform
from porebench.data.volumes import Volumes
from porebench.metrics.bands import density_bands
from porebench.metrics.nearest import MIN_PORE_VOXELS, familiarity, nearest
from porebench.metrics.novelty import diversity, judge_novelty
from porebench.metrics.overlap import corrected_iou, iou

SIZE = 16
BANDS = ("0.4-0.6", "0.6-0.8", "0.8-1.0")


class Sets:
    """Training, held-out and honest generated volumes."""

    def __init__(self) -> None:
        rng = np.random.default_rng(30)
        self.train = self.make(rng.uniform(0.4, 1, 250), rng)
        density = np.concatenate([rng.uniform(low, low + 0.2, 40) for low in (0.4, 0.6, 0.8)])
        self.test, self.honest = self.make(density, rng), self.make(density, rng)
        nearest = np.abs(self.train.density[:, None] - density).argmin(axis=0)
        self.original = nearest
        self.copies = Volumes(self.train.voxels[nearest], density)

    @staticmethod
    def make(density: NDArray[np.float64], rng: np.random.Generator) -> Volumes:
        return Volumes(spheres(density, rng, size=SIZE, scale=0.7), density)


@pytest.fixture(scope="module")
def sets() -> Sets:
    return Sets()


@pytest.fixture(autouse=True)
def fewer_candidates(monkeypatch: pytest.MonkeyPatch) -> None:
    """As many as the small volumes here need."""
    monkeypatch.setattr("porebench.metrics.nearest.LOOK_UPS", 40_000)


def test_honest_volumes_are_not_called_copies(sets: Sets) -> None:
    result = judge_novelty(sets.honest, sets.train, sets.test)
    assert result.copy_rate == 0
    assert result.leak_rate is not None
    assert result.leak_rate < 0.07
    assert result.novelty == pytest.approx(1, abs=0.05)
    assert result.diversity == pytest.approx(1, abs=0.05)
    assert result.n_judged + result.n_excluded == len(sets.honest)


def test_copies_are_found_with_their_originals(sets: Sets) -> None:
    result = judge_novelty(sets.copies, sets.train, sets.test)
    assert result.copy_rate == result.leak_rate == 1
    assert result.novelty == pytest.approx(0, abs=1e-9)
    assert result.flagged.sum() == result.n_judged
    np.testing.assert_array_equal(result.nearest_train, sets.original)
    np.testing.assert_allclose(result.nearest_iou, 1)


def test_turned_mirrored_and_slightly_damaged_copies_are_found(sets: Sets) -> None:
    rng = np.random.default_rng(31)
    turns = symmetries(sets.train.shape)
    turned = np.concatenate([transform(volume[None], turns[rng.integers(len(turns))]) for volume in sets.copies.voxels])
    turned ^= rng.random(turned.shape) < 0.01
    result = judge_novelty(Volumes(turned, sets.copies.density), sets.train, sets.test)
    assert result.copy_rate is not None
    assert result.copy_rate > 0.95


def test_turned_copies_that_are_shifted_by_a_voxel_along_each_axis_are_found(sets: Sets) -> None:
    rng = np.random.default_rng(36)
    turns, shifts = symmetries(sets.train.shape), np.array([s for s in product((-1, 0, 1), repeat=3) if any(s)])
    moved = np.stack(
        [
            shifted(transform(volume[None], turns[rng.integers(len(turns))])[0], shifts[rng.integers(len(shifts))])
            for volume in sets.copies.voxels
        ]
    )
    result = judge_novelty(Volumes(moved, sets.copies.density), sets.train, sets.test)
    assert result.copy_rate is not None
    assert result.copy_rate > 0.95
    np.testing.assert_array_equal(result.nearest_train[result.flagged], sets.original[result.flagged])


def shifted(volume: NDArray[np.bool_], by: NDArray[np.int64]) -> NDArray[np.bool_]:
    """A volume moved by some voxels along each axis; what leaves it is lost, and solid comes in."""
    roomy = np.roll(np.pad(volume, 1), by, axis=(0, 1, 2))
    return roomy[1:-1, 1:-1, 1:-1]


def test_a_share_of_copies_is_counted_as_such(sets: Sets) -> None:
    mixed = sets.honest.voxels.copy()
    mixed[::4] = sets.copies.voxels[::4]
    result = judge_novelty(Volumes(mixed, sets.honest.density), sets.train, sets.test)
    assert result.copy_rate == pytest.approx(0.25, abs=0.06)
    assert result.flagged[::4].all()


def test_volumes_that_are_only_smooth_are_neither_copies_nor_leaks(sets: Sets) -> None:
    """Means of real volumes that no generator saw lie closer to every real volume than real ones do to each other."""
    rng = np.random.default_rng(34)
    unseen = sets.make(rng.uniform(0.4, 1, 250), rng)
    smooth = blended(unseen.voxels, 20, sets.test, rng)
    near, usual = (nearest(volumes[80:], sets.train).overlap for volumes in (smooth, sets.test))
    assert np.mean(near > np.percentile(usual, 99)) > 0.2
    result = judge_novelty(smooth, sets.train, sets.test)
    assert result.copy_rate == 0
    assert result.leak_rate is not None
    assert result.leak_rate < 0.1


def test_blends_of_training_volumes_leak_but_are_no_copies(sets: Sets) -> None:
    result = judge_novelty(blended(sets.train.voxels, 10, sets.test, np.random.default_rng(35)), sets.train, sets.test)
    assert result.leak_rate is not None
    assert result.leak_rate > 0.3
    assert result.copy_rate is not None
    assert result.copy_rate < 0.05


def blended(voxels: NDArray[np.bool_], of: int, like: Volumes, rng: np.random.Generator) -> Volumes:
    """Means of some volumes, cut at the pore counts of others."""
    mixed = [
        keep_largest(
            voxels[rng.choice(len(voxels), of, replace=False)].mean(axis=0) + 1e-6 * rng.random(voxels.shape[1:]),
            int(count),
        )
        for count in like.pore_voxels
    ]
    return Volumes(np.stack(mixed), like.density)


def test_the_excess_is_what_training_explains_beyond_resemblance(sets: Sets) -> None:
    copies = familiarity(sets.copies, sets.train, sets.test)
    np.testing.assert_allclose(copies.excess, 1)
    exchanged = familiarity(sets.copies, sets.test, sets.train)
    np.testing.assert_array_equal(exchanged.excess, np.where(exchanged.train.overlap == 1, 0, exchanged.excess))
    again = familiarity(sets.honest, sets.train, sets.train)
    np.testing.assert_allclose(again.excess, 0, atol=1e-12)


def test_no_volume_is_its_own_neighbour(sets: Sets) -> None:
    some = sets.train[:12]
    apart = nearest(some, some, among=True)
    for i in range(len(some)):
        others = np.arange(len(some)) != i
        alone = nearest(some[[i]], some[others])
        assert apart.overlap[i] == alone.overlap[0]
        if alone.index[0] >= 0:
            assert apart.index[i] == np.flatnonzero(others)[alone.index[0]]
    lonely = nearest(some[:1], some[:1], among=True)
    assert (lonely.overlap.item(), lonely.index.item()) == (0, -1)


def test_held_out_neighbours_can_be_computed_once(sets: Sets) -> None:
    known = familiarity(sets.test, sets.train, sets.test, among=True)
    assert judge_novelty(sets.honest, sets.train, sets.test, real=known).thresholds == (
        judge_novelty(sets.honest, sets.train, sets.test).thresholds
    )


def test_a_set_with_few_distinct_volumes_has_little_diversity(sets: Sets) -> None:
    collapsed = sets.honest.voxels[np.arange(len(sets.honest)) // 4 * 4]
    values = diversity(Volumes(collapsed, sets.honest.density), sets.test)
    assert values["all"] == pytest.approx(0, abs=1e-9)
    assert values["0.0-0.2"] is None
    assert all(values[band] == pytest.approx(0, abs=1e-9) for band in BANDS)


def test_volumes_almost_without_pore_or_solid_are_excluded_and_counted(sets: Sets) -> None:
    voxels = sets.honest.voxels.copy()
    voxels[0] = False
    voxels[1] = True
    voxels[2] = False
    voxels[2].ravel()[: MIN_PORE_VOXELS - 1] = True
    result = judge_novelty(Volumes(voxels, sets.honest.density), sets.train, sets.test)
    assert result.n_excluded == 3
    assert np.isnan(result.nearest_iou[:3]).all()
    assert not result.flagged[:3].any()
    empty = judge_novelty(Volumes(np.zeros_like(voxels), sets.honest.density), sets.train, sets.test)
    assert (empty.copy_rate, empty.diversity, empty.n_judged) == (None, None, 0)


def test_a_volume_with_no_training_volume_of_its_size_is_no_copy(sets: Sets) -> None:
    dense = np.random.default_rng(0).random((1, *sets.train.shape)) < 0.95
    near = nearest(Volumes(dense, np.ones(1)), sets.train)
    assert (near.overlap.item(), near.index.item()) == (0, -1)


def test_without_held_out_volumes_there_is_no_threshold(sets: Sets) -> None:
    result = judge_novelty(sets.honest, sets.train, sets.test[:0])
    assert (result.copy_rate, result.leak_rate, result.novelty) == (None, None, None)
    assert set(result.thresholds.values()) == {None}


def test_the_nearest_volume_equals_a_search_over_all_symmetries_and_shifts() -> None:
    rng = np.random.default_rng(32)
    queries, train = rng.random((5, 5, 6, 6)) < 0.4, rng.random((7, 5, 6, 6)) < 0.4
    near = nearest(Volumes(queries, np.full(5, 0.5)), Volumes(train, np.full(7, 0.5)))
    for i, query in enumerate(queries):
        overlaps = []
        for stored in train:
            best = 0
            for axes, flips in product(((0, 1, 2), (0, 2, 1)), product((1, -1), repeat=3)):
                turned = query.transpose(axes)[tuple(slice(None, None, flip) for flip in flips)]
                for by in product((-1, 0, 1), repeat=3):
                    best = max(best, np.count_nonzero(shifted(turned, np.array(by)) & stored))
            overlaps.append(float(corrected_iou(best, query.sum(), stored.sum(), query.size)))
        assert near.overlap[i] == pytest.approx(max(overlaps))
        assert near.index[i] == np.argmax(overlaps)


@pytest.mark.parametrize(("shape", "count"), [((4, 4, 4), 48), ((3, 4, 4), 16), ((3, 4, 5), 8)])
def test_symmetries_are_distinct_and_keep_the_shape(shape: tuple[int, int, int], count: int) -> None:
    volume = np.arange(np.prod(shape)).reshape(1, *shape) % 7 == 0
    volume[0, 0, 1, 2] ^= True
    marked = np.arange(np.prod(shape)).reshape(1, *shape)
    turned = [transform(marked, symmetry) for symmetry in symmetries(shape)]  # type: ignore[arg-type]
    assert len({each.tobytes() for each in turned}) == len(turned) == count
    assert all(each.shape == marked.shape for each in turned)
    assert symmetries(shape)[0] == ((0, 1, 2), (False, False, False))
    assert all(map(np.array_equal, orientations(marked), turned))  # type: ignore[arg-type]
    assert len(orientations(volume)) == count


def test_volumes_of_another_shape_are_refused(sets: Sets) -> None:
    other = Volumes(np.zeros((1, 4, 4, 4), dtype=bool), np.ones(1))
    with pytest.raises(ValueError, match="training shape"):
        nearest(other, sets.train)


def test_overlap_beyond_chance_is_zero_for_independent_volumes_and_one_for_equal_ones() -> None:
    rng = np.random.default_rng(33)
    one, other = rng.random((2, 40, 40, 40)) < 0.3
    shared, n, m = np.count_nonzero(one & other), one.sum(), other.sum()
    assert float(iou(shared, n, m)) == pytest.approx(0.3 / 1.7, abs=0.01)
    assert float(corrected_iou(shared, n, m, one.size)) == pytest.approx(0, abs=0.01)
    assert float(corrected_iou(n, n, n, one.size)) == 1
    assert float(iou(0, 0, 0)) == float(corrected_iou(0, 0, 0, 8)) == float(corrected_iou(8, 8, 8, 8)) == 1
    assert float(corrected_iou(0, 0, 3, 8)) == 0


def test_thresholds_of_sparse_bands_come_from_all_bands(sets: Sets) -> None:
    few = np.concatenate([np.arange(5), np.arange(40, 120)])
    result = judge_novelty(sets.honest, sets.train, sets.test[few])
    pooled = familiarity(sets.test[few], sets.train, sets.test[few], among=True).excess
    assert result.thresholds["0.4-0.6"] == pytest.approx(np.percentile(pooled, 99))
    assert result.thresholds["0.6-0.8"] != result.thresholds["0.4-0.6"]
    assert set(result.thresholds) == {band.name for band in density_bands(sets.test.density, "factor")}
