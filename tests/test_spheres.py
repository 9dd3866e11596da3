from dataclasses import replace

import numpy as np
import pytest
from scipy.optimize import curve_fit

from porebench.data import LAWS, NAMES, Dataset, SphereLaw, load, simulate, stamp_balls
from porebench.data.spheres import draw_spheres


@pytest.fixture(scope="module")
def published() -> Dataset:
    return load("spheres")


@pytest.fixture(scope="module")
def variants(published) -> dict[str, Dataset]:
    return {name: published if name == "spheres" else load(name) for name in NAMES}


def boundary(voxels):
    inner = np.zeros(voxels.shape[1:], dtype=bool)
    inner[1:-1, 1:-1, 1:-1] = True
    return voxels[:, ~inner]


def mean_chord(voxels, axis):
    """Pore voxels along an axis over the runs of them."""
    lines = np.moveaxis(voxels, axis, -1)
    starts = np.count_nonzero(lines[..., 1:] & ~lines[..., :-1]) + np.count_nonzero(lines[..., 0])
    return np.count_nonzero(lines) / starts


def brute_force(centres, radii, owner, shape, n):
    """One ball and one voxel at a time, in exact integers."""
    out = np.zeros((n, *shape), dtype=bool)
    for centre, radius, volume in zip(centres, radii, owner, strict=True):
        c, r = [round(float(x) * 1024) for x in centre], round(float(radius) * 1024)
        for point in np.ndindex(*shape):
            if sum((1024 * p - x) ** 2 for p, x in zip(point, c, strict=True)) < r**2:
                out[(volume, *point)] = True
    return out


def test_the_fitted_law_is_the_published_one(published):
    density = np.concatenate([published.train.density, published.validation.density])
    pores = np.concatenate([published.train.pore_voxels, published.validation.pore_voxels])
    d, n = density[pores > 0], pores[pores > 0].astype(float)
    (a, b), _ = curve_fit(lambda x, a, b: a * x**b, n, d, p0=(0.1, 0.25))
    unexplained = np.sum((d - a * n**b) ** 2) / np.sum((d - d.mean()) ** 2)
    assert a == pytest.approx(0.0882, rel=0.02)
    assert b == pytest.approx(0.2632, rel=0.02)
    assert 1 - unexplained >= 0.995
    assert 0.33 <= pores.max() / 27000 <= 0.37


def test_the_same_voxels_come_out_on_every_machine(published):
    assert [part.digest()[:16] for part in published] == ["b224aaf85ce86b81", "334eee84ea725e1b", "0d718062a9b2bcc0"]


def test_parts_have_their_sizes_and_every_band_of_densities_is_well_filled(variants):
    for name, dataset in variants.items():
        assert [len(part) for part in dataset] == [448, 64, 512]
        assert dataset.density_kind == "factor"
        for part, least in zip(dataset, (80, 11, 100), strict=True):
            assert part.name == name
            assert part.shape == (30, 30, 30)
            assert part.voxel_size == 1 / 29
            assert part.density.min() >= 0.001
            assert part.density.max() <= 0.999
            np.testing.assert_array_equal(part.density, np.round(part.density, 3))
            assert np.histogram(part.density, bins=np.linspace(0, 1, 6))[0].min() >= least


def test_parts_share_no_volume(published):
    packed = [{np.packbits(v).tobytes() for v in part.voxels[part.pore_voxels > 20]} for part in published]
    assert len(set.union(*packed)) == sum(len(part) for part in packed)


def test_no_pore_touches_the_boundary_in_any_data_set(variants):
    for dataset in variants.values():
        for part in dataset:
            assert not boundary(part.voxels).any()


def test_no_pore_touches_the_boundary_even_if_every_sphere_touches_a_face():
    tight = SphereLaw(spheres=200, smallest=0.499, largest=0.499)
    spheres = draw_spheres(np.ones(5), tight, rng=1)
    assert not boundary(stamp_balls(*spheres, shape=(30, 30, 30), n=5)).any()
    face = stamp_balls([[2, 4, 4], [4, 4, 6]], [2, 2], [0, 0], shape=(9, 9, 9), n=1)
    assert face.any()
    assert not boundary(face).any()


def test_variants_differ_as_they_are_described(variants):
    u = (np.arange(10_000) + 0.5) / 10_000
    radius = {name: law.radius(u) for name, law in LAWS.items()}
    np.testing.assert_allclose(radius["spheres-small"], 0.7 * radius["spheres"])
    assert radius["spheres-wide"].std() > 1.5 * radius["spheres"].std()
    assert np.mean(radius["spheres-wide"] ** 3) == pytest.approx(np.mean(radius["spheres"] ** 3), rel=0.02)
    assert [name for name, law in LAWS.items() if not law.overlap] == ["spheres-hard"]
    pores = {name: dataset.test.pore_voxels.sum() for name, dataset in variants.items()}
    assert pores["spheres-small"] < 0.5 * pores["spheres"]
    assert len({dataset.digest() for dataset in variants.values()}) == len(NAMES)


def test_hard_spheres_never_overlap_and_all_find_a_place():
    density = np.linspace(0.5, 1, 20)
    spheres = draw_spheres(density, "spheres-hard", rng=3)
    for volume, d in enumerate(density):
        mine = spheres.owner == volume
        assert mine.sum() == np.rint(LAWS["spheres-hard"].spheres * d)
        c, r = spheres.centres[mine], spheres.radii[mine]
        apart = np.linalg.norm(c[:, None] - c[None], axis=-1) - (r[:, None] + r[None])
        assert apart[~np.eye(len(c), dtype=bool)].min() > -1e-9


def test_the_densest_hard_volumes_lack_no_sphere():
    hard = LAWS["spheres-hard"]
    spheres = draw_spheres(np.full(100, 0.999), hard, rng=4)
    assert len(spheres.radii) == 100 * round(0.999 * hard.spheres)


def test_a_hard_sphere_without_a_place_is_left_out():
    crowded = SphereLaw(spheres=30, smallest=0.3, largest=0.3, overlap=False)
    owner = draw_spheres([1, 1], crowded, rng=0).owner
    assert np.all(np.bincount(owner) < 30)
    assert np.all(np.bincount(owner) >= 1)


def test_overlapping_spheres_do_overlap():
    c, r, _ = draw_spheres(1, "spheres", rng=0)
    apart = np.linalg.norm(c[:, None] - c[None], axis=-1) - (r[:, None] + r[None])
    assert np.any(apart[~np.eye(len(c), dtype=bool)] < 0)


def test_numbers_and_radii_follow_the_law():
    c, r, owner = draw_spheres([0.2, 0.5, 1.0], rng=0)
    assert np.bincount(owner).tolist() == [50, 125, 250]
    for volume, d in enumerate([0.2, 0.5, 1.0]):
        mine = r[owner == volume] / 29
        assert mine.min() >= d * 0.05 - 1e-4
        assert mine.max() <= d * 0.10 + 1e-4
    assert np.all(c >= r[:, None])
    assert np.all(c <= 29 - r[:, None])


@pytest.mark.parametrize("name", NAMES)
def test_a_volume_is_the_same_alone_in_a_batch_and_in_two_calls(name):
    density = [0.9, 0.001, 0.4, 0.95]
    whole = simulate(density, name, 7)
    rng = np.random.default_rng(7)
    np.testing.assert_array_equal(
        np.concatenate([simulate(density[:1], name, rng), simulate(density[1:], name, rng)]), whole
    )
    assert not np.array_equal(simulate(density, name, 8), whole)


def test_one_density_is_one_volume_and_none_is_none():
    assert simulate(0.5, rng=0).shape == (1, 30, 30, 30)
    assert simulate([], rng=0, shape=(8, 9, 10)).shape == (0, 8, 9, 10)
    assert not simulate([0.0, 0.001], rng=0).any()


def test_the_expected_number_of_spheres_grows_with_the_volume():
    assert len(draw_spheres(1, rng=0, shape=(59, 30, 30)).radii) == 500
    assert simulate([0.9, 0.9], rng=0, shape=(8, 9, 10)).shape == (2, 8, 9, 10)


def test_larger_volumes_have_nearly_the_same_porosity():
    large = simulate(np.full(4, 0.9), rng=0, shape=(59, 59, 59)).mean()
    small = simulate(np.full(40, 0.9), rng=0).mean()
    assert small < large < 1.3 * small


def test_stamped_balls_equal_a_slow_brute_force_and_may_be_clipped():
    rng = np.random.default_rng(5)
    shape, n, k = (8, 9, 10), 3, 40
    centres = rng.uniform(-3, 12, size=(k, 3))
    radii = rng.uniform(0, 4, size=k)
    centres[:10], radii[:10] = np.rint(centres[:10]), np.rint(radii[:10])  # points exactly on a surface
    radii[0] = 20
    owner = rng.integers(0, n, size=k)
    expected = brute_force(centres, radii, owner, shape, n)
    np.testing.assert_array_equal(stamp_balls(centres, radii, owner, shape, n), expected)
    shuffled = rng.permutation(k)
    np.testing.assert_array_equal(stamp_balls(centres[shuffled], radii[shuffled], owner[shuffled], shape, n), expected)


def test_simulated_volumes_equal_a_slow_brute_force():
    spheres = draw_spheres([0.3, 0.8], rng=2, shape=(8, 9, 10))
    expected = brute_force(*spheres, (8, 9, 10), 2)
    np.testing.assert_array_equal(simulate([0.3, 0.8], rng=2, shape=(8, 9, 10)), expected)


def test_the_same_spheroids_come_out_on_every_machine(variants):
    spheroids = variants["spheroids"]
    assert [part.digest()[:16] for part in spheroids] == ["3d64e8f922103465", "0609ee581b9cab4b", "0ee62116ef23257f"]


def test_spheroids_are_longer_along_the_depth_and_alike_across_it(variants):
    dense, sphere_packs = (variants[name].test.voxels for name in ("spheroids", "spheres"))
    along, across, other = (mean_chord(dense, axis) for axis in (1, 2, 3))
    assert along / across == pytest.approx(1.5, abs=0.1)
    assert across / other == pytest.approx(1, abs=0.02)
    assert mean_chord(sphere_packs, 1) / mean_chord(sphere_packs, 2) == pytest.approx(1, abs=0.02)


def test_spheroids_hold_the_pore_that_spheres_hold(variants):
    density = np.linspace(0.3, 1, 400)
    ratio = simulate(density, "spheroids", 0).sum() / simulate(density, "spheres", 1).sum()
    assert ratio == pytest.approx(1, abs=0.07)
    train = variants["spheroids"].train
    chosen = train.pore_voxels > 100
    slope, _ = np.polyfit(np.log(train.density[chosen]), np.log(train.pore_voxels[chosen]), 1)
    assert 1 / slope == pytest.approx(0.2632, rel=0.05)


@pytest.mark.parametrize("stretch", [1.5, 0.7])
def test_a_stretched_ball_holds_the_points_inside_its_spheroid(stretch):
    rng = np.random.default_rng(8)
    shape = (30, 12, 13)
    points = np.stack(np.meshgrid(*map(np.arange, shape), indexing="ij"), axis=-1)
    for _ in range(20):
        centre, radius = rng.uniform(-2, 14, 3), rng.uniform(0.5, 6)
        distance = np.linalg.norm((points - centre) / [stretch, 1, 1], axis=-1)
        stamped = stamp_balls([centre], [radius], [0], shape, 1, stretch)[0]
        clear = np.abs(distance - radius) > 2 / 1024
        np.testing.assert_array_equal(stamped[clear], (distance < radius)[clear])


def test_hard_spheroids_lie_apart_and_inside_once_they_are_stretched():
    law = replace(LAWS["spheres-hard"], smallest=0.044, largest=0.088, stretch=1.5)
    c, r, _ = draw_spheres(1, law, rng=5)
    squeezed = c / [1.5, 1, 1]
    apart = np.linalg.norm(squeezed[:, None] - squeezed[None], axis=-1) - (r[:, None] + r[None])
    assert apart[~np.eye(len(c), dtype=bool)].min() > -1 / 1024
    assert np.all(c >= r[:, None] * [1.5, 1, 1])
    assert np.all(c <= 29 - r[:, None] * [1.5, 1, 1])
    assert np.any(c[:, 0] > 20)


def test_no_ball_stamps_nothing():
    assert not stamp_balls(np.empty((0, 3)), [], np.empty(0, int), (2, 3, 4), 2).any()
    assert not stamp_balls([[1, 1, 1]], [0], [0], (3, 3, 3), 1).any()


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (([[0, 0]], [1], [0], (3, 3, 3), 1), r"expected centres \[k, 3\]"),
        (([[0, 0, 0]], [1, 2], [0], (3, 3, 3), 1), r"expected centres \[k, 3\]"),
        (([[0, 0, np.nan]], [1], [0], (3, 3, 3), 1), "must be finite"),
        (([[0, 0, 0]], [-1], [0], (3, 3, 3), 1), "radii not negative"),
        (([[0, 0, 0]], [1], [1], (3, 3, 3), 1), r"owner must lie in \[0, 1\)"),
        (([[0, 0, 0]], [1], [0], (3, 3), 1), "three positive integers"),
        (([[0, 0, 0]], [1], [0], (3, 3, 3), 1, 0.0), "stretch must lie between"),
    ],
)
def test_bad_balls_are_refused(arguments, words):
    with pytest.raises(ValueError, match=words):
        stamp_balls(*arguments)


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ({"density": 1.2}, r"in \[0, 1\], got 1.2"),
        ({"density": [0.5, np.nan]}, r"in \[0, 1\]"),
        ({"density": 0.5, "law": "cubes"}, "use one of spheres, spheres-small"),
        ({"density": 1, "shape": (4, 30, 30)}, "use at least 7 voxels along each axis"),
        ({"density": 1, "shape": (8, 30, 30), "law": "spheroids"}, "use at least 9 voxels along each axis"),
        ({"density": 1, "shape": (30, 30)}, "three positive integers"),
    ],
)
def test_a_draw_that_cannot_be_made_is_refused(arguments, words):
    with pytest.raises(ValueError, match=words):
        simulate(**arguments)


@pytest.mark.parametrize(
    "change",
    [
        {"spheres": 0},
        {"smallest": 0.2},
        {"largest": 0.5},
        {"median": 0.1},
        {"smallest": 0.0},
        {"stretch": 0},
        {"stretch": 5},
    ],
)
def test_a_law_out_of_range_is_refused(change):
    with pytest.raises(ValueError, match=r"must|needs"):
        replace(LAWS["spheres"], **change)
