"""What every generator promises, tested over the registry, a user's own file and ``--generator FILE.py:CLASS``."""

import inspect
import math
import pickle
import random

import numpy as np
import pytest
import torch
from sklearn.exceptions import NotFittedError

from porebench import generators
from porebench.generators import Generator
from porebench.generators.porosity_law import PorosityLaw

SHAPE = (8, 9, 10)
VOXELS = 720
FINAL = ("fit", "sample", "probability", "reconstruct", "altered", "to", "save", "load")


@pytest.fixture(autouse=True)
def _short_epochs(monkeypatch: pytest.MonkeyPatch) -> None:
    """Networks need not learn much to keep what is promised."""
    monkeypatch.setattr("porebench.generators.lattice_module.Views.epoch", 10)


# --- drawing -----------------------------------------------------------------------------------------------------


def test_a_draw_is_boolean_on_the_host_and_has_the_training_shape(case, fitted) -> None:
    drawn = fitted(case).sample(0.7, 3, rng=0)
    assert isinstance(drawn, np.ndarray)
    assert drawn.dtype == np.bool_
    assert drawn.shape == (3, *SHAPE)


def test_one_density_gives_one_realisation(case, fitted) -> None:
    assert fitted(case).sample(0.7, rng=0).shape == (1, *SHAPE)
    assert fitted(case).sample([0.7], rng=0).shape == (1, *SHAPE)
    assert fitted(case).sample(0.7, 1, rng=0).shape == (1, *SHAPE)


def test_realisations_come_in_the_order_of_the_densities(case, fitted) -> None:
    density = np.tile([0.98, 0.4], 8)
    pores = fitted(case).sample(density, rng=0).sum(axis=(1, 2, 3))
    assert pores[::2].min() > pores[1::2].max()


def test_the_number_of_pore_voxels_follows_the_training_volumes(case, fitted, training) -> None:
    density = np.tile(training[1], 4)
    drawn = fitted(case).sample(density, rng=0).mean()
    assert drawn == pytest.approx(training[0].mean(), rel=0.25)


def test_the_same_seed_gives_the_same_draw(case, fitted) -> None:
    generator = fitted(case)
    first = generator.sample([0.8, 0.6], rng=5)
    assert np.array_equal(first, generator.sample([0.8, 0.6], rng=5))
    assert np.array_equal(first, generator.sample([0.8, 0.6], rng=np.random.default_rng(5)))


def test_another_seed_gives_another_draw(case, fitted) -> None:
    generator = fitted(case)
    density = np.linspace(0.5, 1, 12)
    assert not np.array_equal(generator.sample(density, rng=5), generator.sample(density, rng=6))
    stream = np.random.default_rng(5)
    assert not np.array_equal(generator.sample(density, rng=stream), generator.sample(density, rng=stream))


def test_the_ends_of_the_density_range_can_be_drawn(case, fitted) -> None:
    drawn = fitted(case).sample([0, 1], rng=0)
    assert drawn[0].sum() < drawn[1].sum()


def test_another_shape_is_drawn_or_refused_with_the_word_extrapolate(case, fitted) -> None:
    generator = fitted(case)
    if generator.any_shape:
        drawn = generator.sample([0.9, 0.5], shape=(11, 12, 13), rng=0)
        assert drawn.shape == (2, 11, 12, 13)
        assert drawn[0].any()
    else:
        with pytest.raises(ValueError, match="extrapolate"):
            generator.sample([0.9, 0.5], shape=(11, 12, 13), rng=0)


def test_occupancy_is_a_probability(case, fitted) -> None:
    occupancy = fitted(case).probability(0.9, 4, rng=0)
    assert occupancy.shape == SHAPE
    assert occupancy.dtype == np.float64
    assert occupancy.min() >= 0
    assert 0 < occupancy.max() <= 1


def test_reconstruction_keeps_shape_and_count_or_says_that_there_is_none(case, fitted, training) -> None:
    generator = fitted(case)
    volumes, density = training[0][:3], training[1][:3]
    if generator.reconstructs:
        again = generator.reconstruct(volumes, density)
        assert again.shape == volumes.shape
        assert again.dtype == np.bool_
        assert np.array_equal(again, generator.reconstruct(volumes, density))
        assert again.sum(axis=(1, 2, 3)).tolist() == generator.law_.pore_voxels(density, VOXELS).tolist()
        with pytest.raises(ValueError, match="one entry for each of 3 volumes, got 2"):
            generator.reconstruct(volumes, density[:2])
    else:
        with pytest.raises(NotImplementedError, match="cannot reconstruct"):
            generator.reconstruct(volumes, density)


def _global_state() -> dict[str, object]:
    return {
        "random": random.getstate(),
        "numpy": pickle.dumps(np.random.get_state()),  # noqa: NPY002 - the one that must be left alone
        "torch": torch.get_rng_state().tolist(),
        "threads": torch.get_num_threads(),
        "errors": np.geterr(),
    }


# --- what is left alone --------------------------------------------------------------------------------------------


def test_inputs_and_global_random_states_are_left_alone(case, make, training) -> None:
    volumes, density = training[0][:8].copy(), training[1][:8].copy()
    requested = np.array([0.9, 0.5])
    before = _global_state()
    generator = make(case).fit(volumes, density, rng=0)
    generator.sample(requested, rng=1)
    if generator.reconstructs:
        generator.reconstruct(volumes, density)
    assert _global_state() == before
    assert np.array_equal(volumes, training[0][:8])
    assert np.array_equal(density, training[1][:8])
    assert requested.tolist() == [0.9, 0.5]


def test_read_only_inputs_will_do(case, make, training) -> None:
    volumes, density = training[0][:8].copy(), training[1][:8].copy()
    volumes.setflags(write=False)
    density.setflags(write=False)
    generator = make(case).fit(volumes, density, rng=0)
    if generator.reconstructs:
        generator.reconstruct(volumes, density)
    assert generator.sample(density, rng=1).shape == volumes.shape


def test_a_draw_can_be_written_to(case, fitted) -> None:
    generator = fitted(case)
    drawn = generator.sample([0.8, 0.6], rng=5)
    kept = drawn.copy()
    drawn[:] = ~drawn
    assert np.array_equal(generator.sample([0.8, 0.6], rng=5), kept)


# --- unusual training sets ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("pore", [False, True], ids=["solid", "pore"])
def test_training_volumes_that_are_all_one_phase_are_learnt(case, make, pore) -> None:
    volumes = np.full((16, *SHAPE), pore)
    density = np.full(16, 0.8 if pore else 0.2)
    generator = make(case).fit(volumes, density, rng=0)
    assert generator.sample(0.5, 2, rng=1).shape == (2, *SHAPE)
    assert generator.sample([0, 1], rng=1).shape == (2, *SHAPE)


def test_a_single_training_volume_will_do(case, make, training) -> None:
    generator = make(case).fit(training[0][:1], training[1][:1], rng=0)
    assert generator.sample([0, 0.5, 1], rng=1).shape == (3, *SHAPE)


def test_volumes_without_and_with_nothing_but_pores_may_be_among_others(case, make, training) -> None:
    volumes = np.concatenate([training[0][:8], np.zeros((1, *SHAPE), bool), np.ones((1, *SHAPE), bool)])
    generator = make(case).fit(volumes, np.append(training[1][:8], [0, 1]), rng=0)
    assert generator.sample([0.5, 0.9], rng=1).shape == (2, *SHAPE)


def test_fitting_again_forgets_the_first_training_set(case, make, training) -> None:
    volumes, density = training[0][:8], training[1][:8]
    again = make(case).fit(volumes[:, :, :, ::-1], density[::-1], rng=9).fit(volumes, density, rng=3)
    again.sample([0.9, 0.7], rng=4)
    fresh = make(case).fit(volumes, density, rng=3)
    assert np.array_equal(again.sample([0.9, 0.7], rng=4), fresh.sample([0.9, 0.7], rng=4))


# --- storage --------------------------------------------------------------------------------------------------------


def test_what_is_loaded_draws_as_what_was_saved(case, fitted, tmp_path) -> None:
    generator = fitted(case)
    generator.save(tmp_path / "folder" / "saved.safetensors")
    loaded = type(generator).load(tmp_path / "folder" / "saved.safetensors")
    assert loaded.params == generator.params
    assert loaded.law_ == generator.law_
    assert loaded.shape_ == generator.shape_
    assert loaded.any_shape == generator.any_shape
    density = [0.9, 0.4, 0.7]
    assert np.array_equal(loaded.sample(density, rng=7), generator.sample(density, rng=7))


def test_a_file_of_another_generator_is_refused(case, fitted, replay, tmp_path) -> None:
    replay.script.clear()
    replay.calls.clear()
    replay.save(tmp_path / "other.safetensors")
    with pytest.raises(ValueError, match=f"not a saved {fitted(case).name} generator.*replay"):
        type(fitted(case)).load(tmp_path / "other.safetensors")


def test_a_missing_file_and_a_broken_one_are_told_apart(case, fitted, tmp_path) -> None:
    with pytest.raises(FileNotFoundError, match="porebench train"):
        type(fitted(case)).load(tmp_path / "missing.safetensors")
    (tmp_path / "broken.safetensors").write_bytes(b"no tensors")
    with pytest.raises(ValueError, match="not a saved"):
        type(fitted(case)).load(tmp_path / "broken.safetensors")


def test_it_draws_the_same_in_a_process_started_from_nothing(case, fitted, reference_of, other_process) -> None:
    generator, reference = fitted(case), reference_of(case)
    if ":" in reference:
        other_process.submit(generators.from_file, reference).result()
    there = other_process.submit(generator.sample, [0.9, 0.5], rng=3).result()
    assert np.array_equal(there, generator.sample([0.9, 0.5], rng=3))
    assert pickle.loads(pickle.dumps(generator)).params == generator.params  # noqa: S301


# --- hyper-parameters and bad input --------------------------------------------------------------------------------


def test_the_constructor_stores_hyper_parameters_unchanged_and_does_no_work(case, make) -> None:
    generator = make(case)
    signature = inspect.signature(type(generator)).parameters
    assert all(parameter.kind is parameter.KEYWORD_ONLY for parameter in signature.values())
    assert all(parameter.default is not parameter.empty for parameter in signature.values())
    assert type(generator)(**generator.params).params == generator.params
    assert not [key for key in vars(generator) if key.endswith("_")]
    assert repr(generator).startswith(type(generator).__name__ + "(")


def test_an_altered_copy_shares_what_was_learnt_and_leaves_its_original_alone(case, fitted) -> None:
    generator = fitted(case)
    before, own = generator.params, vars(generator).copy()
    again = generator.altered()
    assert type(again) is type(generator)
    assert again is not generator
    assert np.array_equal(again.sample([0.9, 0.5], rng=3), generator.sample([0.9, 0.5], rng=3))
    for name, value in before.items():
        other = generator.altered(**{name: not value})
        assert other.params == {**before, name: not value}
        assert all(vars(other)[key] is vars(generator)[key] for key in own if key.endswith("_"))
    assert generator.params == before
    with pytest.raises(TypeError, match="has no unknown; it has"):
        generator.altered(unknown=1)


def test_public_methods_are_those_of_the_base_class(case, make) -> None:
    for method in FINAL:
        assert inspect.getattr_static(type(make(case)), method) is inspect.getattr_static(Generator, method)


def test_nothing_works_before_fitting(case, make, training, tmp_path) -> None:
    generator = make(case)
    with pytest.raises(NotFittedError, match="not fitted; call fit or load first"):
        generator.sample(0.5)
    with pytest.raises(NotFittedError, match="not fitted"):
        generator.probability(0.5)
    with pytest.raises(NotFittedError, match="not fitted"):
        generator.reconstruct(*training)
    with pytest.raises(NotFittedError, match="not fitted"):
        generator.save(tmp_path / "never.safetensors")


def test_bad_requests_are_refused_in_words(case, fitted) -> None:
    generator = fitted(case)
    for density in (-0.1, 1.2, float("nan"), [0.5, 1.01]):
        with pytest.raises(ValueError, match=r"density must lie in \[0, 1\], got"):
            generator.sample(density)
    with pytest.raises(ValueError, match="density must be a number or a"):
        generator.sample([])
    with pytest.raises(ValueError, match="density must be a number or a"):
        generator.sample([[0.5]])
    with pytest.raises(ValueError, match="density must be a number or a"):
        generator.sample("dense")
    for n in (0, -1, 1.5, True):
        with pytest.raises(ValueError, match="n must be a positive whole number"):
            generator.sample(0.5, n)
    with pytest.raises(ValueError, match="n goes with a single density"):
        generator.sample([0.5, 0.6], 2)
    for shape in ((8, 9), (8, 9, 0), (8, 9, 10.0)):
        with pytest.raises(ValueError, match="shape must be three positive whole numbers"):
            generator.sample(0.5, shape=shape)


def test_bad_training_sets_are_refused_in_words(case, make) -> None:
    generator = make(case)
    volumes = np.zeros((3, *SHAPE), dtype=bool)
    with pytest.raises(TypeError, match="must be boolean with True = pore, got dtype uint8"):
        generator.fit(volumes.astype(np.uint8), [0.1, 0.2, 0.3])
    for wrong in (volumes[0], volumes[:0], volumes[:, :, :0]):
        with pytest.raises(ValueError, match="volumes must have shape"):
            generator.fit(wrong, [0.1, 0.2, 0.3])
    with pytest.raises(ValueError, match="one entry for each of 3 volumes, got 2"):
        generator.fit(volumes, [0.1, 0.2])
    with pytest.raises(ValueError, match=r"density must lie in \[0, 1\], got 1.5"):
        generator.fit(volumes, [0.1, 0.2, 1.5])


def test_devices_are_refused_rather_than_replaced(case, make) -> None:
    generator = make(case)
    assert generator.to("cpu") is generator
    with pytest.raises(ValueError, match=r"samples on .*cpu.*, not on meta"):
        generator.to("meta")
    if "cuda" not in generator.devices:
        with pytest.raises(ValueError, match="not on cuda"):
            generator.to("cuda")
    elif not torch.cuda.is_available():
        with pytest.raises(RuntimeError, match="no CUDA device"):
            generator.to("cuda")


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device")
def test_it_draws_on_a_gpu_with_the_same_counts(case, make, training) -> None:
    generator = make(case)
    if "cuda" not in generator.devices:
        pytest.skip(f"{generator.name} runs on the CPU only")
    generator.fit(*training, rng=0)
    density = np.linspace(0.3, 1, 20)
    here = generator.sample(density, rng=1)
    there = generator.to("cuda").sample(density, rng=1)
    assert np.array_equal(there, generator.sample(density, rng=1))
    assert there.sum(axis=(1, 2, 3)).tolist() == here.sum(axis=(1, 2, 3)).tolist()
    if generator.reconstructs:
        assert generator.reconstruct(*training).shape == training[0].shape


# --- the base class itself -----------------------------------------------------------------------------------------


def test_private_methods_get_plain_arrays_and_a_generator(replay, training) -> None:
    replay.script.append(np.zeros((2, *SHAPE), dtype=bool))
    replay.sample((1, 0), rng=4)
    (_, (volumes, density, fit_rng)), (_, (requested, shape, sample_rng)) = replay.calls
    assert np.array_equal(volumes, training[0])
    assert density.dtype == np.float64
    assert isinstance(fit_rng, np.random.Generator)
    assert requested.dtype == np.float64
    assert requested.tolist() == [1, 0]
    assert shape == SHAPE
    assert isinstance(sample_rng, np.random.Generator)


def test_what_a_long_fit_may_use_is_at_hand_while_it_lasts_and_no_longer(training, tmp_path) -> None:
    names = ("validation", "checkpoints", "machines", "show_progress")
    seen = []

    class Asks(Generator):
        name = "asks"

        def _fit(self, volumes, density, rng):
            seen.append([getattr(self, name) for name in names])
            if self.show_progress:
                raise RuntimeError("the lights went out")

        def _sample(self, density, shape, rng):
            raise NotImplementedError

    volumes, density = training
    generator = Asks().fit(volumes, density)
    assert seen == [[None, None, (1, 1), False]]
    options = {"checkpoints": tmp_path, "machines": (2, 3), "show_progress": True}
    with pytest.raises(RuntimeError, match="lights"):
        generator.fit(volumes, density, validation=(volumes[:2], density[:2].tolist()), **options)
    (held_out, asked), *others = seen[1]
    assert np.array_equal(held_out, volumes[:2])
    assert asked.dtype == np.float64
    assert asked.tolist() == density[:2].tolist()
    assert others == list(options.values())
    assert not {*names} & {*vars(generator)}


def test_bad_validation_volumes_are_refused_in_words(replay, training) -> None:
    volumes, density = training
    with pytest.raises(ValueError, match=r"validation volumes of .* do not go with volumes of"):
        replay.fit(*training, validation=(volumes[..., 1:], density))
    with pytest.raises(TypeError, match="must be boolean"):
        replay.fit(*training, validation=(volumes.astype(np.uint8), density))
    with pytest.raises(ValueError, match="one entry for each of 24 volumes, got 2"):
        replay.fit(*training, validation=(volumes, density[:2]))


def test_a_draw_of_the_wrong_shape_or_type_is_caught(replay) -> None:
    halves = np.full((1, *SHAPE), 0.5)
    replay.script.extend([np.zeros((1, 8, 10, 9), dtype=bool), halves, torch.zeros((1, *SHAPE)).bool()])
    with pytest.raises(ValueError, match=r"drew an array of shape \(1, 8, 10, 9\), expected \(1, 8, 9, 10\)"):
        replay.sample(0.5)
    with pytest.raises(TypeError, match="must draw boolean voxels with True = pore, got dtype float64"):
        replay.sample(0.5)
    assert isinstance(replay.sample(0.5), np.ndarray)


def test_numbers_0_and_1_and_a_channel_of_length_one_are_taken(replay) -> None:
    volume = np.arange(math.prod(SHAPE)).reshape(1, *SHAPE) % 3 == 0
    replay.script.extend([volume.astype(np.uint8), volume.astype(np.float32), volume[:, None], volume[..., None]])
    for _ in range(4):
        drawn = replay.sample(0.5)
        assert drawn.dtype == np.bool_
        np.testing.assert_array_equal(drawn, volume)


def test_occupancy_is_the_mean_of_an_ensemble(replay) -> None:
    volumes = np.zeros((4, *SHAPE), dtype=bool)
    volumes[:3, 0] = True
    replay.script.append(volumes)
    occupancy = replay.probability(0.5, 4)
    assert np.all(occupancy[0] == 0.75)
    assert np.all(occupancy[1:] == 0)


def test_state_that_is_neither_array_nor_json_cannot_be_saved(replay, tmp_path) -> None:
    replay.script.clear()
    replay.calls.clear()
    replay.secret_ = object()
    with pytest.raises(TypeError, match="override _get_state and _set_state"):
        replay.save(tmp_path / "never.safetensors")


def test_unknown_names_and_files_are_refused_in_words(tmp_path, own_file) -> None:
    with pytest.raises(ValueError, match=r"no generator is called 'pcb'; registered are .*pca"):
        generators.get("pcb")
    with pytest.raises(ValueError, match=r"path/to/file\.py:ClassName"):
        generators.from_file("runs")
    with pytest.raises(FileNotFoundError, match="no such file"):
        generators.from_file(f"{tmp_path}/none.py:Runs")
    with pytest.raises(ValueError, match="not a class derived from"):
        generators.from_file(f"{own_file}:np")
    (tmp_path / "nameless.py").write_text(
        "from porebench.generators import Generator\nclass Nameless(Generator):\n    _fit = _sample = None\n"
    )
    with pytest.raises(ValueError, match="needs a class attribute `name`"):
        generators.from_file(f"{tmp_path}/nameless.py:Nameless")


def test_registered_names_are_those_of_the_classes() -> None:
    for name in generators.GENERATORS:
        assert generators.get(name).name == name


def test_every_generator_gets_the_porosity_law_of_its_training_set(case, fitted, training) -> None:
    law = PorosityLaw.fit(training[1], training[0].sum(axis=(1, 2, 3)), VOXELS)
    assert fitted(case).law_ == law
