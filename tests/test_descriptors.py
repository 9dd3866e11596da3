"""Descriptors against known answers, slow re-implementations and PoreSpy."""

from __future__ import annotations

import doctest
import hashlib
import importlib
import logging
import pkgutil
from itertools import product

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from scipy import ndimage, sparse
from scipy.sparse.linalg import spsolve
from skimage import measure
from tests.surrogates import ball, spheres, stamp_ball

from porebench import metrics
from porebench.benchmarks.evaluate.rows import NOVELTY, RECONSTRUCTION
from porebench.benchmarks.speed.peers import porespy
from porebench.data.symmetry import symmetries, transform
from porebench.metrics._batch import S2_RADII, Fields
from porebench.metrics._distances import squared_distance, squared_thickness
from porebench.metrics.descriptors import DESCRIPTORS, HEADLINE, Descriptors, describe, percolation
from porebench.metrics.morphology import (
    CHORD_LENGTHS,
    PATH_LENGTHS,
    chord_lengths,
    component_counts,
    distance_distribution,
    euler_6,
    largest_component_fraction,
    lineal_path,
    max_distance,
    mean_chord,
    mean_local_thickness,
    n_components,
    profile_sd,
    specific_surface,
    thickness_distribution,
    two_point_correlation,
)
from porebench.metrics.morphology import DESCRIPTORS as MORPHOLOGY
from porebench.metrics.suites import CURRENT, JOINT, SUITES, Suite
from porebench.metrics.table import METRICS, UNDERWOOD, WESTFALL, versions
from porebench.metrics.transport import effective_diffusivity
from porebench.metrics.verdict import WORDS


def random_volume(
    shape: tuple[int, ...], porosity: float = 0.3, seed: int = 0, sigma: float = 1.0
) -> NDArray[np.bool_]:
    field = ndimage.gaussian_filter(np.random.default_rng(seed).standard_normal(shape), sigma)
    return field > np.quantile(field, 1 - porosity)


def boolean_model(size: int, radius: float, intensity: float, rng: np.random.Generator) -> NDArray[np.bool_]:
    """Poisson points anywhere, a ball of one radius around each: every average is known in closed form."""
    volume = np.zeros((size, size, size), dtype=bool)
    edge = size + 2 * radius
    for centre in rng.uniform(-radius, size + radius, (rng.poisson(intensity * edge**3), 3)):
        stamp_ball(volume, centre, radius)
    return volume


@pytest.mark.parametrize("module", [module.name for module in pkgutil.iter_modules(metrics.__path__)])
def test_the_examples_in_the_docstrings_hold(module: str) -> None:
    failed, _ = doctest.testmod(importlib.import_module(f"porebench.metrics.{module}"))
    assert failed == 0


@pytest.mark.parametrize("shape", [(8, 9, 10), (3, 4, 5), (1, 1, 1), (1, 6, 2)])
@pytest.mark.parametrize("kind", ["empty", "full", "one voxel", "all but one voxel"])
def test_every_descriptor_is_finite_on_degenerate_volumes(shape: tuple[int, int, int], kind: str) -> None:
    voxels = np.full((2, *shape), kind in ("full", "all but one voxel"))
    if kind.endswith("one voxel"):
        voxels[:, 0, 0, 0] = kind == "one voxel"
    described = describe(voxels)
    assert tuple(described.values) == HEADLINE
    for name, values in described.values.items():
        assert values.dtype == np.float64
        assert values.shape == (2, describe(np.zeros((1, 5, 5, 5), dtype=bool)).values[name].shape[1]), name
        assert np.isfinite(values).all(), name


def test_an_empty_volume_has_nothing_and_a_full_one_is_a_single_pore() -> None:
    empty, full = np.zeros((1, 13, 13, 13), dtype=bool), np.ones((1, 13, 13, 13), dtype=bool)
    assert all(np.all(function(empty) == 0) for function in DESCRIPTORS.values())
    assert specific_surface(full).item() == 0
    assert euler_6(full).item() == n_components(full).item() == largest_component_fraction(full).item() == 1
    assert max_distance(full).item() == pytest.approx(np.sqrt(3 * 13**2))
    assert mean_local_thickness(full).item() == pytest.approx(np.sqrt(3 * 13**2))
    np.testing.assert_allclose(lineal_path(full), 1)
    assert mean_chord(full).item() == 0  # every chord is cut by the border


def test_a_slab_has_its_surface_its_thickness_and_no_complete_chord_but_across() -> None:
    slab = np.zeros((1, 10, 8, 9), dtype=bool)
    slab[:, 2:7] = True
    assert specific_surface(slab).item() == pytest.approx(2 / 10)
    assert mean_chord(slab).item() == 5
    np.testing.assert_array_equal(chord_lengths(slab)[0], CHORD_LENGTHS >= 5)
    assert profile_sd(slab).item() == pytest.approx(0.5 / 3)
    assert max_distance(slab).item() == mean_local_thickness(slab).item() == 3
    assert euler_6(slab).item() == 1


def test_a_checkerboard_is_isolated_voxels_for_six_neighbours_and_one_cluster_for_twenty_six() -> None:
    board = (np.indices((6, 6, 6)).sum(axis=0) % 2 == 0)[None]
    assert euler_6(board).item() == board.sum()
    assert n_components(board).item() == 1
    assert specific_surface(board).item() == pytest.approx(3 * 5 * 36 / 216)
    np.testing.assert_array_equal(lineal_path(board), 0)
    assert mean_chord(board).item() == mean_local_thickness(board).item() == 1


def test_a_ball_a_torus_and_a_shell_have_euler_numbers_one_zero_and_two() -> None:
    z, y, x = np.indices((25, 25, 25)) - 12
    solid_ball = z**2 + y**2 + x**2 <= 64
    torus = (np.sqrt(y**2 + x**2) - 7) ** 2 + z**2 <= 9
    shell = solid_ball & (z**2 + y**2 + x**2 > 25)
    np.testing.assert_array_equal(euler_6(np.stack([solid_ball, torus, shell]))[:, 0], [1, 0, 2])


def test_a_digital_ball_shows_one_face_a_line_that_crosses_it() -> None:
    volume = np.pad(ball(8), 2)[None]
    lines = sum(np.count_nonzero(volume.any(axis=axis)) for axis in (1, 2, 3))
    assert specific_surface(volume).item() * volume.size == 2 * lines
    assert specific_surface(volume).item() * volume.size == pytest.approx(1.5 * 4 * np.pi * 8**2, rel=0.03)


def test_the_euler_number_equals_that_of_scikit_image() -> None:
    for seed in range(5):
        volume = random_volume((9, 10, 11), 0.4, seed, 0.6)
        assert euler_6(volume[None]).item() == measure.euler_number(volume, connectivity=1)


def test_distances_equal_those_of_scipy_and_a_search_over_all_solid_voxels() -> None:
    volume = random_volume((9, 10, 11), 0.7)
    squared = squared_distance(volume)
    np.testing.assert_array_equal(squared, np.rint(ndimage.distance_transform_edt(volume) ** 2))
    solid = np.argwhere(~volume)
    for voxel in np.argwhere(volume)[::17]:
        assert squared[tuple(voxel)] == ((solid - voxel) ** 2).sum(axis=1).min()


def test_local_thickness_equals_a_ball_by_ball_search() -> None:
    volume = random_volume((8, 9, 10), 0.5)
    squared = squared_distance(volume)
    slow = np.zeros_like(squared)
    grid = np.indices(volume.shape)
    for centre in np.argwhere(volume):
        inside = ((grid - centre[:, None, None, None]) ** 2).sum(axis=0) < squared[tuple(centre)]
        slow[inside] = np.maximum(slow[inside], squared[tuple(centre)])
    np.testing.assert_array_equal(squared_thickness(squared), slow)


def test_local_thickness_equals_porespy_with_unique_sizes() -> None:
    volume = spheres(np.array([0.82]), np.random.default_rng(3), size=24)[0]
    distance = ndimage.distance_transform_edt(volume).astype(np.float32)  # PoreSpy's own precision
    theirs = porespy().filters.local_thickness(volume, dt=distance, method="legacy", sizes=np.unique(distance[volume]))
    np.testing.assert_allclose(np.sqrt(squared_thickness(squared_distance(volume))), theirs, atol=1e-6)


def test_two_point_probability_equals_a_sum_over_all_offsets() -> None:
    volume = random_volume((16, 15, 14), 0.3)
    pairs, places = np.zeros(S2_RADII + 1), np.zeros(S2_RADII + 1)
    reach = [min(S2_RADII, length - 1) for length in volume.shape]
    for z, y, x in product(*(range(-r, r + 1) for r in reach)):
        shell = round(np.sqrt(z * z + y * y + x * x))
        if shell <= S2_RADII:
            a, b = (
                volume[
                    tuple(
                        slice(max(sign * s, 0), n + min(sign * s, 0))
                        for s, n in zip((z, y, x), volume.shape, strict=True)
                    )
                ]
                for sign in (1, -1)
            )
            pairs[shell] += np.count_nonzero(a & b)
            places[shell] += a.size
    probability, exists = Fields(volume[None]).shell_probability
    assert exists.all()
    np.testing.assert_allclose(probability[0], pairs / places, atol=1e-12)
    porosity = volume.mean()
    np.testing.assert_allclose(
        two_point_correlation(volume[None])[0],
        ((pairs / places)[1:] - porosity**2) / (porosity - porosity**2),
        atol=1e-12,
    )


def test_two_point_probability_starts_at_the_porosity_and_agrees_with_porespy() -> None:
    volume = spheres(np.array([0.82]), np.random.default_rng(3))[0]
    probability = Fields(volume[None]).shell_probability[0][0]
    theirs = porespy().metrics.two_point_correlation(volume, bins=np.arange(-0.5, S2_RADII + 1))
    assert probability[0] == pytest.approx(volume.mean())
    # PoreSpy averages over offsets, here pairs are pooled: close, not equal
    np.testing.assert_allclose(probability, theirs.probability_scaled, atol=5e-4)


def test_porosity_and_its_profile_are_those_of_porespy() -> None:
    volume = random_volume((8, 9, 10))
    theirs = porespy().metrics
    assert describe(volume[None]).porosity.item() == pytest.approx(theirs.porosity(volume))
    profiles = [theirs.porosity_profile(volume, axis).porosity for axis in range(3)]
    assert profile_sd(volume[None]).item() == pytest.approx(np.mean([profile.std() for profile in profiles]))


def test_percolation_is_that_of_porespy() -> None:
    volumes = np.stack([random_volume((8, 9, 10), share, seed) for seed in range(8) for share in (0.3, 0.35)])
    theirs = np.array([porespy().metrics.is_percolating(volume) for volume in volumes])
    assert 0 < theirs.mean() < 1
    np.testing.assert_array_equal(percolation(volumes), theirs)


def test_chords_and_lineal_paths_equal_a_walk_along_every_line() -> None:
    volume = random_volume((9, 10, 11), 0.5)
    chords: list[int] = []
    inside, fit = np.zeros(len(PATH_LENGTHS)), np.zeros(len(PATH_LENGTHS))
    for axis in range(3):
        for line in np.moveaxis(volume, axis, 2).reshape(-1, volume.shape[axis]):
            text = "".join("x" if pore else "." for pore in line)
            runs = text.split(".")
            chords += [len(run) for run in runs[1:-1] if run]
            for i, k in enumerate(PATH_LENGTHS):
                windows = [text[start : start + k + 1] for start in range(len(text) - k)]
                fit[i] += len(windows)
                inside[i] += sum(window == "x" * (k + 1) for window in windows)
    assert mean_chord(volume[None]).item() == pytest.approx(np.mean(chords))
    np.testing.assert_allclose(chord_lengths(volume[None])[0], [np.mean(np.array(chords) <= k) for k in CHORD_LENGTHS])
    np.testing.assert_allclose(lineal_path(volume[None])[0], inside / fit / volume.mean())


def test_clusters_are_counted_by_size() -> None:
    volume = np.zeros((1, 12, 12, 12), dtype=bool)
    volume[0, 0, 0, 0] = True
    volume[0, 4:6, 4:6, 4:6] = True
    volume[0, 6, 6, 6] = True  # touches the cube at a corner
    assert n_components(volume).item() == 2
    assert largest_component_fraction(volume).item() == pytest.approx(9 / 10)
    np.testing.assert_allclose(np.expm1(component_counts(volume)[0, :5]), [1, 1, 1, 1, 2])


def test_the_distributions_of_a_ball_reach_one_at_its_radius() -> None:
    volume = np.pad(ball(3), 2)[None]
    radius = max_distance(volume).item()
    share = thickness_distribution(volume)[0]
    assert share[-1] == distance_distribution(volume)[0, -1] == 1
    assert mean_local_thickness(volume).item() <= radius
    assert np.all(np.diff(share) >= 0)
    assert np.all(distance_distribution(volume)[0] >= share)


def test_the_boolean_model_has_its_analytic_two_point_probability_surface_and_lineal_path() -> None:
    radius, porosity, size = 4.0, 0.25, 56
    body = 4 / 3 * np.pi * radius**3
    intensity = -np.log(1 - porosity) / body
    rng = np.random.default_rng(11)
    volumes = np.stack([boolean_model(size, radius, intensity, rng) for _ in range(12)])

    def both_pore(r: NDArray[np.float64]) -> NDArray[np.float64]:
        x = np.minimum(r / (2 * radius), 1)
        union = body * (1 + 1.5 * x - 0.5 * x**3)
        return 2 * porosity - 1 + np.exp(-intensity * union)

    offsets = np.indices((2 * S2_RADII + 1,) * 3) - S2_RADII
    lengths = np.sqrt((offsets**2).sum(axis=0)).ravel()
    shells = np.rint(lengths).astype(int)
    expected = [both_pore(lengths[shells == r]).mean() for r in range(S2_RADII + 1)]
    measured = Fields(volumes).shell_probability[0].mean(axis=0)
    np.testing.assert_allclose(measured, expected, atol=0.006)

    surface = intensity * 4 * np.pi * radius**2 * (1 - porosity)
    assert specific_surface(volumes).mean() == pytest.approx(1.5 * surface, rel=0.07)  # faces count 3/2 of an area
    path = (lineal_path(~volumes) * (1 - volumes.mean(axis=(1, 2, 3)))[:, None]).mean(axis=0)
    np.testing.assert_allclose(path, np.exp(-intensity * (body + np.pi * radius**2 * PATH_LENGTHS)), atol=0.01)


def test_a_straight_channel_percolates_along_its_axis_and_a_blocked_one_does_not() -> None:
    channels = np.zeros((2, 8, 9, 10), dtype=bool)
    channels[:, 4, :, 5] = True
    channels[1, 4, 3, 5] = False
    np.testing.assert_array_equal(percolation(channels), [[False, True, False], [False, False, False]])


@settings(max_examples=12, deadline=None)
@given(seed=st.integers(0, 2**31), cubic=st.booleans(), porosity=st.floats(0, 1), data=st.data())
def test_no_descriptor_changes_under_a_symmetry_of_the_grid(
    seed: int, cubic: bool, porosity: float, data: st.DataObject
) -> None:
    shape = (8, 8, 8) if cubic else (7, 7, 9)
    volume = (np.random.default_rng(seed).random(shape) < porosity)[None]
    turned = transform(volume, data.draw(st.sampled_from(symmetries(shape))))
    for name, function in MORPHOLOGY.items():
        error = 1e-3 if name == "pore_diffusivity" else 1e-9  # its solver stops early
        np.testing.assert_allclose(function(turned), function(volume), atol=error, err_msg=name)


def test_order_and_number_of_workers_do_not_matter() -> None:
    voxels = np.stack(
        [random_volume((8, 9, 10), porosity, seed) for seed, porosity in enumerate((0.1, 0.3, 0.6))] * 200
    )
    done: list[int] = []
    one, two = describe(voxels), describe(voxels, workers=2, progress=done.append)
    assert sum(done) == len(voxels) == len(two)
    backwards = describe(voxels[::-1])
    for name, values in one.values.items():
        np.testing.assert_array_equal(values, two.values[name])
        np.testing.assert_array_equal(values, backwards.values[name][::-1])
        np.testing.assert_allclose(values[1:2], DESCRIPTORS[name](voxels[1:2]), atol=1e-12)
    np.testing.assert_array_equal(one.pore_voxels, voxels.sum(axis=(1, 2, 3)))


def test_an_ensemble_can_be_cut_joined_and_stored() -> None:
    voxels = np.stack([random_volume((8, 9, 10), seed=seed) for seed in range(4)])
    described = describe(voxels)
    joined = Descriptors.concatenate([described[:1], described[[1, 2]], described[np.arange(4) == 3]])
    restored = Descriptors.from_arrays(described.arrays())
    for other in (joined, restored):
        assert other.shape == (8, 9, 10)
        for name, value in described.arrays().items():
            np.testing.assert_array_equal(other.arrays()[name], value)
    with pytest.raises(ValueError, match="one shape"):
        Descriptors.concatenate([described, describe(np.zeros((1, 5, 5, 5), dtype=bool))])


def test_no_volumes_give_an_ensemble_of_none() -> None:
    described = describe(np.zeros((0, 8, 9, 10), dtype=bool))
    assert len(described) == 0
    assert described.values["lineal_path"].shape == (0, len(PATH_LENGTHS))
    assert described.percolating.shape == (0, 3)


def test_wrong_input_is_refused_with_what_was_expected() -> None:
    with pytest.raises(TypeError, match="boolean"):
        describe(np.zeros((1, 4, 4, 4)))  # type: ignore[arg-type]
    with pytest.raises(ValueError, match=r"\[n, depth, height, width\]"):
        describe(np.zeros((4, 4, 4), dtype=bool))
    with pytest.raises(ValueError, match="workers"):
        describe(np.zeros((1, 4, 4, 4), dtype=bool), workers=0)


def test_importing_porespy_changes_neither_numpy_nor_logging() -> None:
    before, handlers = np.geterr(), logging.getLogger().handlers[:]
    porespy.cache_clear()
    assert porespy().__name__ == "porespy"
    assert np.geterr() == before
    assert logging.getLogger().handlers == handlers


def test_parallel_slabs_conduct_their_share_and_a_blocked_phase_nothing() -> None:
    volume = np.ones((9, 8, 10), dtype=bool)
    assert effective_diffusivity(volume) == pytest.approx(1, abs=1e-5)
    volume[:, ::4] = False
    assert effective_diffusivity(volume) == pytest.approx(0.75, abs=1e-5)
    assert effective_diffusivity(volume, axis=1) == 0
    volume[4] = False
    assert effective_diffusivity(volume) == pytest.approx(0, abs=1e-5)
    assert effective_diffusivity(np.zeros((4, 4, 4), dtype=bool)) == 0


def test_the_solid_conducts_no_better_than_the_upper_bound_allows() -> None:
    for volume in spheres(np.array([0.6, 0.82, 0.95]), np.random.default_rng(5), size=24):
        porosity = volume.mean()
        assert 0.5 * (1 - porosity) < effective_diffusivity(~volume) < 2 * (1 - porosity) / (2 + porosity) + 0.01


def test_diffusivity_equals_a_direct_solution() -> None:
    phase = random_volume((6, 7, 8), 0.6, 4, 0.7)
    where = np.argwhere(phase)
    index = {tuple(int(i) for i in voxel): i for i, voxel in enumerate(where)}
    matrix, source = sparse.lil_array((len(where), len(where))), np.zeros(len(where))
    for (z, y, x), i in index.items():
        for other in ((z - 1, y, x), (z + 1, y, x), (z, y - 1, x), (z, y + 1, x), (z, y, x - 1), (z, y, x + 1)):
            if other in index:
                matrix[i, i] += 1
                matrix[i, index[other]] -= 1
        if z in (0, 5):
            matrix[i, i] += 2
            source[i] += 2 * (z == 0)
        matrix[i, i] += 1e-12
    field = spsolve(matrix.tocsc(), source)
    flux = sum(2 * (1 - field[i]) for (z, _, _), i in index.items() if z == 0)
    assert effective_diffusivity(phase, tolerance=1e-9) == pytest.approx(flux * 6 / 56, abs=1e-6)


def test_the_suites_are_frozen() -> None:
    known = {name: hashlib.sha256(repr(suite).encode()).hexdigest()[:12] for name, suite in SUITES.items()}
    assert known == {"2026.1": "c78a73e339c7", "2026.2": "8cfaeef23d10"}
    assert set(SUITES[CURRENT].components) == {*HEADLINE, JOINT}
    assert len(SUITES["2026.1"].components) == 14
    assert set(WORDS) == {*SUITES[CURRENT].components, "amount"}


@pytest.mark.parametrize("suite", SUITES.values(), ids=list(SUITES))
def test_every_family_has_the_same_weight(suite: Suite) -> None:
    weights = dict(zip(suite.components, suite.weights(), strict=True))
    for members in suite.families.values():
        assert sum(weights[name] for name in members) == pytest.approx(1 / len(suite.families))
    assert suite.weights([suite.components[0]])[0] == 0
    assert suite.weights([suite.components[0]]).sum() == pytest.approx(1)


def test_every_metric_of_a_row_has_its_source_and_version() -> None:
    assert {*HEADLINE, *NOVELTY, *RECONSTRUCTION} <= set(METRICS)
    assert list(versions()) == list(METRICS)
    for name, metric in METRICS.items():
        assert metric.name == name
        assert versions()[name] == metric.version >= 1
        assert metric.description
        assert "doi:10." in metric.reference or metric.reference in {"porebench", WESTFALL, UNDERWOOD}
