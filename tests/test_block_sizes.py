"""Blocks of another size: names of their own, and networks that were trained on blocks of the usual size."""

import numpy as np
import pytest

from porebench.benchmarks.audit.status import FRESH, MISSING, status
from porebench.benchmarks.evaluate.fits import NeedsTrainingError, fitted, made, prepare
from porebench.benchmarks.evaluate.options import Options
from porebench.benchmarks.evaluate.run import evaluate
from porebench.benchmarks.store.places import Places
from porebench.data import datasets, is_simulated, load, stamp_balls
from porebench.data.datasets import true_spheres


@pytest.fixture(name="rock")
def _rock(monkeypatch):
    monkeypatch.setattr(datasets, "EDGE", 6)
    rng = np.random.default_rng(0)
    coarse = rng.random((24, 12, 12)) < 0.4
    image = coarse.repeat(2, axis=0).repeat(2, axis=1).repeat(2, axis=2)  # blocks of 12: eight to train on
    return lambda block: datasets._from_image(image, "rock", block, None)


def test_blocks_of_another_size_make_a_data_set_of_another_name(rock) -> None:
    usual, larger = rock(6), rock(12)
    assert (usual.name, larger.name, larger.test.name) == ("rock", "rock-12", "rock-12")
    assert usual.usual is None
    assert larger.usual.digest() == usual.digest()


def test_blocks_of_the_usual_size_that_reach_into_the_test_part_are_left_out(rock) -> None:
    """The image is 48 deep: usual blocks are trained and watched on until 36, tests on blocks of 10 begin at 30."""
    assert rock(12).usual is not None
    assert rock(10).usual is None


OWN = """
from porebench.generators import Generator
class Late(Generator):
    name = "late"
    trained_on_request = True
    def _fit(self, volumes, density, rng):
        self.mean_ = float(volumes.mean())
    def _sample(self, density, shape, rng):
        return rng.random((len(density), *shape)) < self.mean_
"""


def test_a_network_of_the_usual_size_draws_the_blocks_of_another(rock, tmp_path) -> None:
    (tmp_path / "own.py").write_text(OWN)
    late = f"{tmp_path / 'own.py'}:Late"
    places = Places(tmp_path / "cache", tmp_path / "published")
    options = Options(device="cpu", places=places, quick=True)
    with pytest.raises(NeedsTrainingError, match=r"--dataset rock$"):
        made(prepare(late, rock(12), places=places), options)
    fitted(late, rock(6), options, refit=True)
    fit = prepare(late, rock(12), places=places)
    assert (fit.dataset, fit.shape, fit.training.shape) == ("rock", (12, 12, 12), (6, 6, 6))
    assert prepare("pca", rock(12), places=places).shape is None
    outcome = evaluate(rock(12), [late], tmp_path / "results", options)[0]
    assert outcome.record["status"] == "scored"
    assert outcome.record["fitted_on"] == [6, 6, 6]
    said = "Trained on blocks of 6 × 6 × 6 voxels of the same image, and drawn larger or smaller: late."
    assert said in (tmp_path / "results" / "rock-12" / "accuracy.md").read_text()
    for given in ([rock(12)], []):
        states = status(tmp_path / "results", given, [late], places)
        assert {state.state for state in states if state.generator == "late"} <= {FRESH, MISSING}
    assert "fitted_on" not in evaluate(rock(6), [late], tmp_path / "results", options)[0].record


def test_a_network_that_was_trained_on_blocks_of_that_size_comes_first(rock, tmp_path) -> None:
    (tmp_path / "own.py").write_text(OWN)
    late = f"{tmp_path / 'own.py'}:Late"
    options = Options(device="cpu", places=Places(tmp_path / "cache", tmp_path / "published"))
    for block in (6, 12):
        fitted(late, rock(block), options, refit=True)
    fit = prepare(late, rock(12), places=options.places)
    assert (fit.dataset, fit.shape) == ("rock-12", None)


def test_a_built_in_data_set_has_volumes_of_any_size_with_pores_as_large(monkeypatch) -> None:
    monkeypatch.setattr(datasets, "_SET_SIZE", 64)
    monkeypatch.setattr(datasets, "_SET_SIZE_OF_LARGE", 24)
    small, large = load("spheres"), load("spheres", block=45)
    assert (large.name, large.train.shape, large.law) == ("spheres-45", (45, 45, 45), small.law)
    assert [len(part) for part in large] == [21, 3, 24]
    assert large.digest() == load("spheres-45").digest()
    assert large.usual.digest() == small.digest()
    assert load("spheres-30", block=45).digest() == large.digest()
    chords = [mean_chords(part.train.voxels[part.train.density > 0.5]) for part in (small, large)]
    assert chords[1] == pytest.approx(chords[0], rel=0.05)
    spheres = true_spheres("spheres-45")
    stamped = stamp_balls(*spheres, shape=(45, 45, 45), n=24)
    np.testing.assert_array_equal(stamped, large.test.voxels)
    assert prepare("reference", large).generator.simulator == "spheres"


def test_a_network_of_the_usual_size_draws_as_much_pore_as_volumes_of_that_size_have(monkeypatch, tmp_path) -> None:
    """Balls keep clear of the walls, which leave less room in a smaller volume."""
    monkeypatch.setattr(datasets, "_SET_SIZE", 64)
    monkeypatch.setattr(datasets, "_SET_SIZE_OF_LARGE", 24)
    (tmp_path / "own.py").write_text(OWN)
    late = f"{tmp_path / 'own.py'}:Late"
    options = Options(device="cpu", places=Places(tmp_path / "cache", tmp_path / "published"), quick=True)
    small, large = load("spheres"), load("spheres-45")
    usual = fitted(late, small, options, refit=True).generator.law_
    moved = made(prepare(late, large, places=options.places), options).generator.law_
    assert moved.porosity(0.8) > 1.02 * usual.porosity(0.8)
    assert moved.porosity(large.train.density).sum() == pytest.approx(large.train.porosity.sum(), rel=0.03)
    evaluate(large, [late], tmp_path / "results", options)
    assert not (tmp_path / "results" / "spheres-45" / "calibration.csv").exists()  # that is for the usual size


def mean_chords(voxels) -> float:
    """Return pore voxels over the beginnings of their runs along the depth."""
    begins = voxels[:, 1:] & ~voxels[:, :-1]
    return voxels.sum() / begins.sum()


@pytest.mark.parametrize("name", ["spheres-0", "spheres-064", "spheres-1000", "spheres--64", "berea-64", "-64"])
def test_other_names_are_not_those_of_built_in_sets(name) -> None:
    assert not is_simulated(name)


def test_a_file_named_like_a_built_in_set_of_another_size_gets_another_name() -> None:
    assert datasets._safe_name("spheres-64") == "spheres-64-files"


def test_smaller_blocks_are_cut_where_all_usual_ones_would_touch_the_outside(monkeypatch) -> None:
    monkeypatch.setattr(datasets, "EDGE", 12)
    image = np.random.default_rng(0).random((48, 12, 12)) < 0.4
    outside = np.zeros(image.shape, dtype=bool)
    outside[:, 0] = True
    assert datasets._from_image(image, "rock", 12, None).usual is None
    smaller = datasets._from_image(image, "rock", 6, None, outside)
    assert (smaller.name, smaller.usual) == ("rock-6", None)
