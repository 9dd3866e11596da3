"""Copies by patches: pieces of training volumes are found wherever they lie, honest volumes are left alone."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from porebench import data
from porebench.benchmarks.studies.validation.quilting import quilted
from porebench.data.symmetry import symmetries, transform
from porebench.metrics.patches import LEAST, PATCH, PatchCopies, PatchIndex, patch_copy_test

ROCKS = Path(os.environ.get("POREBENCH_ROCKS", Path(__file__).parents[2] / "shared" / "rocks"))
needs_rocks = pytest.mark.skipif(not ROCKS.is_dir(), reason=f"needs the tomographies in {ROCKS} (POREBENCH_ROCKS)")
SETS = 200  # repeated sets of volumes


class Copies:
    """Shares of held-out real volumes and of quilts of training volumes, those with patches that count."""

    def __init__(self, train: NDArray[np.bool_], held_out: NDArray[np.bool_], quilts_of: NDArray[np.bool_]) -> None:
        index = PatchIndex.of(train, workers=2)
        quilts = quilted(quilts_of, 130, np.random.default_rng(40))
        self.real, self.quilts = (index.copies(voxels, workers=2).share for voxels in (held_out, quilts))
        self.real, self.quilts = (share[~np.isnan(share)] for share in (self.real, self.quilts))

    def p(self, quilts: int, rng: np.random.Generator, size: int = 100) -> float:
        """The p-value of a set with some quilts among real volumes, against as many other real ones."""
        real = rng.permutation(self.real)
        assert len(real) >= 2 * size - quilts
        mixed = np.concatenate([rng.permutation(self.quilts)[:quilts], real[size : 2 * size - quilts]])
        assert len(mixed) == size
        return _p(mixed, real[:size])


def _p(own: NDArray[np.float64], real: NDArray[np.float64]) -> float:
    p = patch_copy_test(*(PatchCopies(share, np.full(len(share), 9)) for share in (own, real))).p
    assert p is not None
    return p


def _noise(*shape: int, seed: int = 0) -> NDArray[np.bool_]:
    return np.random.default_rng(seed).random(shape) < 0.5


@pytest.fixture(scope="module")
def spheres() -> Copies:
    train, _, test = data.load("spheres")
    return Copies(train.voxels, test.voxels, train.voxels[train.density > 0.6])


@pytest.fixture(scope="module")
def berea() -> Copies:
    train, _, test = data.load(ROCKS / "berea.zip")
    return Copies(train.voxels, test.voxels[:260], train.voxels)


@pytest.mark.parametrize("shape", [(14, 14, 14), (12, 13, 15)])
def test_a_copied_cube_is_found_at_any_offset_and_under_any_symmetry(shape: tuple[int, int, int]) -> None:
    training, rng = _noise(3, *shape), np.random.default_rng(1)
    index = PatchIndex.of(training)
    edge = PATCH + 1
    for symmetry in symmetries((edge,) * 3):
        source = [rng.integers(length - edge + 1) for length in shape]
        cube = training[rng.integers(3)][tuple(slice(start, start + edge) for start in source)]
        volume = _noise(1, 16, 16, 16, seed=2)
        goal = [rng.integers(16 - edge + 1) for _ in range(3)]
        volume[0][tuple(slice(start, start + edge) for start in goal)] = transform(cube[None], symmetry)[0]
        found = index.copies(volume)
        assert found.counted.item() == 4**3
        assert found.share.item() == 1 / 4**3


def test_a_cube_with_one_other_voxel_is_not_a_copy() -> None:
    training = _noise(1, PATCH, PATCH, PATCH)
    index = PatchIndex.of(training)
    for place in np.ndindex(2, 5, PATCH):
        other = training.copy()
        other[0][place] ^= True
        assert index.copies(other).share.item() == 0
    assert index.copies(training).share.item() == 1


def test_a_cube_with_lines_layers_or_voxels_exchanged_is_not_a_copy() -> None:
    training = _noise(1, PATCH, PATCH, PATCH)
    index = PatchIndex.of(training)
    for axis in (1, 2, 3):
        order = np.r_[1, 0, 2:PATCH]
        assert index.copies(np.take(training, order, axis)).share.item() == 0
    turned = training.copy()
    turned[0, 3] = turned[0, 3, ::-1]
    assert index.copies(turned).share.item() == 0


def test_independent_volumes_are_no_copies_and_training_volumes_are() -> None:
    train, _, test = data.load("spheres-wide")
    index = PatchIndex.of(train.voxels)
    independent, own = index.copies(test.voxels[:60]), index.copies(train.voxels[:60])
    assert np.nanmax(independent.share) == 0
    assert np.nanmin(own.share) == 1
    assert np.any(independent.counted > 0)
    np.testing.assert_array_equal(np.isnan(independent.share), independent.counted == 0)


def test_patches_with_too_little_pore_or_solid_do_not_count() -> None:
    volume = np.zeros((4, PATCH, PATCH, PATCH), dtype=bool)
    for each, pores in zip(volume, (LEAST - 1, LEAST, PATCH**3 - LEAST, PATCH**3 - LEAST + 1), strict=True):
        each.ravel()[:pores] = True
    found = PatchIndex.of(volume).copies(volume)
    assert found.counted.tolist() == [0, 1, 1, 0]
    np.testing.assert_array_equal(found.share, [np.nan, 1, 1, np.nan])


def test_volumes_thinner_than_a_patch_have_none() -> None:
    thin, thick = _noise(2, 30, PATCH - 1, 30), _noise(2, 12, 12, 12)
    for training, volumes in ((thin, thick), (thick, thin), (thick[:0], thick)):
        found = PatchIndex.of(training).copies(volumes)
        assert not np.nansum(found.share)
    assert PatchIndex.of(thick).copies(thin).counted.tolist() == [0, 0]
    assert len(PatchIndex.of(thick).copies(thick[:0]).share) == 0


def test_threads_and_read_only_volumes_change_nothing() -> None:
    training = _noise(6, 14, 14, 14)
    mixed = np.concatenate([training[:3, ::-1], _noise(5, 14, 14, 14, seed=5)])
    once = PatchIndex.of(training).copies(mixed)
    mixed.flags.writeable = False
    again = PatchIndex.of(training, workers=2).copies(mixed, workers=3)
    np.testing.assert_array_equal(once.share, again.share)
    np.testing.assert_array_equal(once.counted, again.counted)


def test_other_types_and_shapes_are_refused() -> None:
    index = PatchIndex.of(_noise(1, 12, 12, 12))
    with pytest.raises(TypeError, match="boolean"):
        index.copies(np.zeros((1, 12, 12, 12)))  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="shape"):
        PatchIndex.of(_noise(12, 12, 12))


def test_p_values_are_those_of_all_orders_of_the_volumes() -> None:
    rng = np.random.default_rng(3)
    own, real = rng.random(6), rng.random(9)
    own[:3] += 1
    orders = [rng.permutation(15) < 6 for _ in range(20_000)]
    both = np.concatenate([own, real])
    above = np.count_nonzero(own > real.max())
    expected = np.mean([np.count_nonzero(both[mine] > both[~mine].max()) >= above for mine in orders])
    assert _p(own, real) == pytest.approx(expected, abs=0.01)


def test_p_values_are_no_smaller_than_they_say_with_few_shares_above_zero() -> None:
    rng = np.random.default_rng(4)
    for nonzero in (0.01, 0.1, 1.0):
        for real in (60, 250):
            shares = rng.random((600, 80 + real)) * (rng.random((600, 80 + real)) < nonzero)
            p = np.array([_p(each[:80], each[80:]) for each in shares])
            for level in (0.01, 0.05):
                assert np.mean(p <= level) <= level + 3 * np.sqrt(level / 600)


def test_a_side_with_fewer_than_two_volumes_has_no_p_value() -> None:
    none = PatchCopies(np.array([np.nan, np.nan]), np.array([0, 0]))
    one = PatchCopies(np.array([0.5, np.nan]), np.array([4, 0]))
    two = PatchCopies(np.array([0.5, 0.1]), np.array([4, 4]))
    assert patch_copy_test(one, two).p is None
    assert patch_copy_test(two, none).p is None
    result = patch_copy_test(none, two)
    assert (result.rate, result.p) == (None, None)
    assert result.real is not None
    assert result.real.value == pytest.approx(0.3)
    assert (result.real.low, result.real.holds(0.3)) == (0, True)


def test_quilts_of_sphere_packs_are_caught_and_real_ones_are_not(spheres: Copies) -> None:
    rng = np.random.default_rng(41)
    assert max(spheres.p(100, rng) for _ in range(SETS)) < 1e-9
    assert np.mean([spheres.p(10, rng) < 0.01 for _ in range(SETS)]) > 0.9
    assert np.mean([spheres.p(0, rng) < 0.05 for _ in range(SETS)]) <= 0.05
    assert spheres.real.max() == 0
    assert spheres.quilts.mean() > 5e-4


@needs_rocks
def test_quilts_of_rock_are_caught_and_real_blocks_are_not(berea: Copies) -> None:
    rng = np.random.default_rng(42)
    assert max(berea.p(100, rng) for _ in range(SETS)) < 1e-9
    assert np.mean([berea.p(10, rng) < 0.05 for _ in range(SETS)]) > 0.9
    assert np.mean([berea.p(0, rng) < 0.05 for _ in range(SETS)]) <= 0.05
    assert berea.real.mean() < 1e-4
    assert berea.quilts.mean() > 0.02
