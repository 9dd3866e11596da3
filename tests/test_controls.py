import numpy as np
import pytest

from porebench import data
from porebench.generators import controls
from porebench.generators.controls import Memoriser, Noise, Reference, Twin
from porebench.generators.sphere_packing import SpherePacking

SHAPE = (8, 9, 10)


@pytest.fixture(scope="module")
def real():
    density = np.random.default_rng(0).permutation(np.linspace(0.3, 0.99, 24))
    return data.simulate(density, rng=1, shape=SHAPE), density


def _index(drawn, volumes) -> list[int]:
    """Which of the volumes each draw is a copy of."""
    same = np.all(drawn[:, None] == volumes, axis=(2, 3, 4))
    assert np.all(same.any(axis=1)), "a draw is none of the volumes"
    return same.argmax(axis=1).tolist()


def test_the_reference_draws_fresh_volumes_of_a_named_law(real) -> None:
    reference = Reference(simulator="spheres-small").fit(*real, rng=0)
    drawn = reference.sample([0.9, 0.5], rng=np.random.default_rng(4))
    assert np.array_equal(drawn, data.simulate([0.9, 0.5], "spheres-small", np.random.default_rng(4), SHAPE))
    assert reference.any_shape
    assert reference.sample(0.9, shape=(20, 21, 22), rng=0).shape == (1, 20, 21, 22)


def test_a_law_that_does_not_exist_is_refused_when_fitting(real) -> None:
    with pytest.raises(ValueError, match="cubes"):
        Reference(simulator="cubes").fit(*real)


def test_held_out_volumes_are_matched_in_density_and_none_is_used_twice_in_a_round(real) -> None:
    volumes, density = real
    reference = Reference().fit(volumes, density, rng=0)
    assert not reference.any_shape
    chosen = _index(reference.sample(density, rng=1), volumes)
    assert sorted(chosen) == list(range(24))
    assert np.abs(density[chosen] - density).max() < 0.06
    assert np.array_equal(Reference(jitter=0).fit(volumes, density).sample(density[::2], rng=1), volumes[::2])


def test_more_requests_than_volumes_use_each_about_equally_often(real) -> None:
    volumes, density = real
    chosen = _index(Reference().fit(volumes, density).sample(np.linspace(0.3, 0.99, 60), rng=2), volumes)
    times = np.bincount(chosen, minlength=24)
    assert set(times.tolist()) == {2, 3}


def test_the_assignment_is_the_best_of_all_together() -> None:
    volumes = np.zeros((3, 2, 2, 2), dtype=bool)
    volumes[1, 0], volumes[2, 1] = True, True
    reference = Reference(jitter=0).fit(volumes, [0.1, 0.5, 0.6])
    # Greedily 0.52 would take 0.5 and leave 0.1 to 0.45.
    assert _index(reference.sample([0.52, 0.45], rng=0), volumes) == [2, 1]


def test_the_memoriser_gives_training_volumes_of_nearly_the_density(real) -> None:
    volumes, density = real
    memoriser = Memoriser(neighbours=3).fit(volumes, density, rng=0)
    requested = np.repeat(density, 10)
    chosen = _index(memoriser.sample(requested, rng=1), volumes)
    assert np.abs(density[chosen] - requested).max() <= 2.01 * 0.69 / 23
    assert len(set(chosen)) == 24
    assert _index(Memoriser(neighbours=1).fit(volumes, density).sample(density, rng=1), volumes) == list(range(24))


def test_the_memorisers_neighbours_are_in_order_of_distance_and_then_of_place(real) -> None:
    volumes, density = real
    coarse = np.round(density, 1)  # many at one distance
    asked = np.repeat([0.35, 0.5, 0.8], 20)
    drawn = Memoriser(neighbours=4).fit(volumes, coarse, rng=0).sample(asked, rng=5)
    lots = np.random.default_rng(5).integers(4, size=len(asked))
    nearest = [sorted(range(24), key=lambda i: (abs(coarse[i] - wanted), i))[:4] for wanted in asked]
    assert _index(drawn, volumes) == [four[lot] for four, lot in zip(nearest, lots, strict=True)]


def test_the_memoriser_refuses_to_have_no_neighbours(real) -> None:
    with pytest.raises(ValueError, match="neighbours must be at least 1, got 0"):
        Memoriser(neighbours=0).fit(*real)


def test_noise_has_the_exact_count_and_no_structure(real) -> None:
    noise = Noise().fit(*real, rng=0)
    drawn = noise.sample(0.95, 40, shape=(16, 16, 16), rng=1)
    assert set(drawn.sum(axis=(1, 2, 3)).tolist()) == {int(noise.law_.pore_voxels(0.95, 16**3))}
    both = np.mean(drawn[:, 1:] & drawn[:, :-1])
    assert both == pytest.approx(drawn.mean() ** 2, rel=0.05)
    assert np.array_equal(noise.sample([0.9, 0.5], rng=3)[:1], noise.sample([0.9], rng=3))


def test_noise_does_not_depend_on_how_many_volumes_are_drawn_at_a_time(real, monkeypatch: pytest.MonkeyPatch) -> None:
    noise = Noise().fit(*real, rng=0)
    asked = np.linspace(0, 1, 7)
    together = noise.sample(asked, rng=3)
    for at_a_time in (1, 3):
        monkeypatch.setattr(controls, "_CHUNK", at_a_time * 720)
        assert np.array_equal(noise.sample(asked, rng=3), together)


def test_libraries_keep_one_bit_a_voxel(real) -> None:
    for library in (Memoriser(), Reference()):
        library.fit(*real, rng=0)
        assert library.packed_.nbytes == 24 * 720 // 8
    assert not hasattr(Reference(simulator="spheres").fit(*real), "packed_")


def test_a_twin_differs_from_its_original_in_seed_only(real) -> None:
    original, twin = SpherePacking(match_count=True), Twin(match_count=True)
    assert twin.params == original.params
    assert Twin.original == original.name != twin.name
    for generator in (original, twin):
        generator.fit(*real, rng=0)
    assert not np.array_equal(original.radius_, twin.radius_)
    twin.volume_, twin.radius_, twin.quantiles_ = original.volume_, original.radius_, original.quantiles_
    drawn = [generator.sample([0.5, 0.9], rng=np.random.default_rng(3)) for generator in (original, twin)]
    assert not np.array_equal(*drawn)
    spawned = np.random.default_rng(3).spawn(1)[0]
    assert np.array_equal(original.sample([0.5, 0.9], rng=spawned), drawn[1])


def test_spawned_twins_are_not_the_same_twice_in_one_stream(real) -> None:
    twin = Twin().fit(*real, rng=0)
    rng = np.random.default_rng(3)
    assert not np.array_equal(twin.sample(0.9, rng=rng), twin.sample(0.9, rng=rng))
