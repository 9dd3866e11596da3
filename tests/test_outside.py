"""Volumes that were drawn elsewhere: tasks, reading, pairing, refusals, and the row they get."""

import json
import pickle
import subprocess
import sys
import zipfile
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import tifffile
from typer.testing import CliRunner

import porebench
from porebench.benchmarks.cli import app
from porebench.benchmarks.evaluate import outside
from porebench.benchmarks.evaluate.tasks import Task, load_task
from porebench.data import Dataset, Volumes, load, read_volume, simulate
from porebench.data.collections import Collection, numbers_in, read_collection
from porebench.data.packed import read_arrays

N = 60


def _volumes(n=N, seed=0):
    rng = np.random.default_rng(seed)
    density = (np.arange(n) + 0.5) / n
    return Volumes(simulate(density, "spheres", rng), density)


@pytest.fixture(scope="module")
def task() -> Task:
    """A task of 60 conditions."""
    return Task("spheres", Dataset(_volumes(120, 1), _volumes(64, 2), _volumes(N, 3), "spheres", "factor"))


@pytest.fixture(autouse=True)
def cache(tmp_path_factory, monkeypatch) -> None:
    """Keep descriptors of real volumes out of the user's cache."""
    monkeypatch.setenv("POREBENCH_CACHE", str(tmp_path_factory.getbasetemp() / "cache" / "fits"))


@pytest.fixture(scope="module")
def draws():
    return simulate((np.arange(N) + 0.5) / N, "spheres", np.random.default_rng(9))


def test_an_exported_task_says_what_to_learn_from_and_what_to_draw_but_not_the_answers(tmp_path) -> None:
    asked = load_task("spheres", samples=20)
    asked.export(tmp_path)
    conditions = pd.read_csv(tmp_path / "conditions.csv")
    assert conditions["density"].tolist() == asked.test.density.tolist()
    train = read_arrays(tmp_path / "train.npz")
    np.testing.assert_array_equal(train["voxels"], load("spheres").train.voxels)
    assert {path.name for path in tmp_path.iterdir()} == {"train.npz", "validation.npz", "conditions.csv", "task.json"}
    for given in (tmp_path, tmp_path / "task.json"):
        assert load_task(given).test.digest() == asked.test.digest()


@pytest.mark.parametrize("toolbox", ["porespy-blobs", "porespy-spheres", "gstools-field"])
def test_another_toolbox_draws_for_a_task_by_its_files_alone(toolbox, tmp_path) -> None:
    pytest.importorskip(toolbox.partition("-")[0])
    load_task("spheres", samples=3).export(tmp_path)
    script = Path(outside.__file__).resolve().parents[2] / "docs" / "draw_outside.py"
    command = [sys.executable, str(script), toolbox, str(tmp_path), str(tmp_path / "drawn.npz")]
    done = subprocess.run(command, capture_output=True, text=True, check=True)  # noqa: S603
    assert done.stdout.endswith("ms a volume\n")
    drawn = read_collection(tmp_path / "drawn.npz").voxels
    asked = pd.read_csv(tmp_path / "conditions.csv")["porosity_expected"]
    assert drawn.shape == (3, 30, 30, 30)
    np.testing.assert_allclose(drawn.mean(axis=(1, 2, 3)), asked, atol=0.02)


@pytest.mark.parametrize(
    ("changes", "words"),
    [({"format": 7}, "format 7"), ({"test_digest": "0"}, "other volumes"), ({"source": "gone.tif"}, "not here")],
)
def test_a_task_of_another_format_or_data_is_refused(tmp_path, changes, words) -> None:
    load_task("spheres-small", samples=20).export(tmp_path)
    file = tmp_path / "task.json"
    file.write_text(json.dumps(json.loads(file.read_text()) | changes))
    with pytest.raises((ValueError, FileNotFoundError), match=words):
        load_task(file)


@pytest.mark.parametrize("kind", ["folder", "npz", "npy", "channel", "grey", "floats", "tif"])
def test_one_set_of_volumes_is_read_alike_from_every_file(tmp_path, draws, kind) -> None:
    some = draws[40:44]
    if kind == "folder":
        for place, volume in enumerate(some):
            np.save(tmp_path / f"draw_{place}.npy", volume)
        path = tmp_path
    elif kind == "tif":
        for place, volume in enumerate(some):
            tifffile.imwrite(tmp_path / f"draw_{place}.tif", np.where(volume, 0, 255).astype(np.uint8))
        path = tmp_path
    elif kind == "npz":
        path = tmp_path / "all.npz"
        np.savez(path, samples=some, density=np.zeros(4))
    else:
        path = tmp_path / "all.npy"
        stored = {"npy": some, "channel": some[:, None], "grey": np.where(some, 0, 255).astype(np.uint8)}
        np.save(path, stored.get(kind, some.astype(np.float32)))
    found = read_collection(path)
    np.testing.assert_array_equal(found.voxels, some)
    assert f"porosity {some.mean():.3f}" in found.phase


@pytest.mark.parametrize(
    ("stored", "options", "pores"),
    [
        ([0, 0, 0, 1], {}, 1),
        ([0, 0, 0, 1], {"pore": 0}, 3),
        ([3, 7, 7, 7], {}, 1),
        ([3, 7, 7, 7], {"pore": [7]}, 3),
        ([0, 85, 170, 170], {"pore": [0, 85]}, 2),
        ([10, 20, 200, 220], {"threshold": 20}, 2),
        ([10, 200, 210, 220], {"threshold": "otsu"}, 1),
        ([0.0, 0.2, 0.7, 1.0], {"threshold": 0.2}, 2),
    ],
)
def test_pores_of_a_set_are_what_they_are_in_an_image(tmp_path, stored, options, pores) -> None:
    cube = np.array(stored).reshape(1, 2, 2)
    np.save(tmp_path / "a.npy", cube)
    found = read_collection(tmp_path, **options)
    assert found.voxels.sum() == pores
    assert f"porosity {pores / 4:.3f}" in found.phase
    if options or set(stored) != {0, 1}:  # of 0 and 1, which an image leaves in doubt, a task says that 1 is pore
        np.testing.assert_array_equal(found.voxels[0], read_volume(tmp_path / "a.npy", **options))


def test_a_file_without_a_number_cannot_be_paired_by_name(tmp_path, task, draws) -> None:
    for letter, volume in zip("ab", draws, strict=False):
        np.save(tmp_path / f"{letter}.npy", volume)
    with pytest.raises(ValueError, match="asks for 60"):
        porebench.score(read_collection(tmp_path), task, match="name")
    named = Collection(draws, [f"{place}" for place in range(N - 1)] + ["last"], "")
    with pytest.raises(ValueError, match="'last' has no number"):
        porebench.score(named, task, match="name")


def test_files_are_taken_in_natural_order(tmp_path) -> None:
    for place in (10, 9, 1):
        np.save(tmp_path / f"v{place}.npy", np.arange(27).reshape(3, 3, 3) < place)
    assert [int(volume.sum()) for volume in read_collection(tmp_path).voxels] == [1, 9, 10]


class _Evil:
    def __reduce__(self):
        return (pytest.fail, ("code of a file was run",))


def _hostile(folder, what) -> None:
    cube = np.zeros((4, 4, 4))
    cube[0] = 1
    if what == "mixed":
        np.save(folder / "a.npy", cube)
        np.save(folder / "b.npy", cube[:3])
    elif what == "nan":
        np.save(folder / "a.npy", np.where(cube == 1, np.nan, 0))
    elif what == "grey":
        np.save(folder / "a.npy", np.arange(64.0).reshape(4, 4, 4))
    elif what == "labels":
        np.save(folder / "a.npy", np.arange(64).reshape(4, 4, 4) % 3)
    elif what == "solid":
        np.save(folder / "a.npy", np.full((4, 4, 4), 255, np.uint8))
    elif what == "flat":
        np.save(folder / "a.npy", cube[0])
    elif what == "pickle":
        (folder / "a.pkl").write_bytes(pickle.dumps(_Evil()))
    elif what == "object":
        np.save(folder / "a.npy", np.array([_Evil()], dtype=object), allow_pickle=True)
    elif what == "nothing":
        (folder / "readme.txt").write_text("volumes were here")
    elif what == "two arrays":
        np.savez(folder / "a.npz", one=cube, two=cube)
    elif what == "bomb":
        with zipfile.ZipFile(folder / "a.npz", "w", zipfile.ZIP_DEFLATED) as archive:
            archive.writestr("voxels.npy", bytes(10**8))


@pytest.mark.parametrize(
    ("what", "words"),
    [
        ("mixed", "give one shape"),
        ("nan", "NaN"),
        ("grey", "--threshold"),
        ("labels", "--pore"),
        ("solid", "single phase"),
        ("flat", "expected volumes"),
        ("pickle", "run code"),
        ("object", "refused"),
        ("nothing", "holds no volumes"),
        ("two arrays", "one array of volumes"),
        ("bomb", "damaged|claims"),
    ],
)
def test_hostile_folders_get_one_sentence(tmp_path, what, words) -> None:
    _hostile(tmp_path, what)
    with pytest.raises(ValueError, match=words) as caught:
        read_collection(tmp_path)
    assert "\n" not in str(caught.value)


def test_numbers_of_files_are_rows_of_the_conditions() -> None:
    assert numbers_in(["a_0003", "a_0000"]) == [3, 0]
    with pytest.raises(ValueError, match="no number"):
        numbers_in(["a"])
    with pytest.raises(ValueError, match="several files"):
        numbers_in(["a1", "b1"])


def test_honest_volumes_cannot_be_told_from_real_and_noise_can(task, draws) -> None:
    honest = porebench.score(draws, task, name="honest")
    assert honest.nfr100 < 3
    assert "honest" in str(honest)
    assert {"nfr100", "p:joint", "copy_rate"} <= set(honest.frame["metric"])
    again = outside.score(draws, task)
    assert again.rows == honest.rows
    scattered = np.random.default_rng(0).random(draws.shape) < draws.mean(axis=(1, 2, 3), keepdims=True)
    assert porebench.score(scattered, task).nfr100 > 5 * honest.nfr100


def test_names_and_porosities_pair_volumes_that_are_out_of_order(task, draws) -> None:
    order = np.random.default_rng(0).permutation(N)
    by_name = Collection(draws[order], [f"x_{place:03d}" for place in order], "")
    assert outside.paired(by_name, task, "name")[0].tolist() == draws.tolist()
    paired, told = outside.paired(Collection(draws[order], [""] * N, ""), task, "porosity")
    assert np.all(np.diff(paired.mean(axis=(1, 2, 3))) >= 0)
    assert "0 left out" in told


def test_larger_volumes_are_cut_into_blocks_for_unconditional_generators(task) -> None:
    large = np.random.default_rng(0).random((8, 60, 60, 60)) < np.linspace(0, 0.3, 8)[:, None, None, None]
    paired, told = outside.paired(Collection(large, [""] * 8, ""), task, "porosity")
    assert paired.shape == (N, 30, 30, 30)
    assert "60 of 64 volumes by porosity, 4 left out" in told


@pytest.mark.parametrize(
    ("alter", "match", "words"),
    [
        (lambda draws: draws[:5], "order", "asks for 60 volumes"),
        (lambda draws: draws[:1], "order", "asks for 60 volumes, one for each row of conditions.csv, got 1"),
        (lambda draws: draws[:5], "porosity", "at least as many"),
        (lambda draws: draws[:, :20, :20, :20], "order", "30 × 30 × 30 voxels"),
        (lambda draws: ~draws, "order", "swapped"),
    ],
)
def test_volumes_that_do_not_answer_the_task_are_refused(task, draws, alter, match, words) -> None:
    with pytest.raises(ValueError, match=words):
        porebench.score(alter(draws), task, match=match)


def test_a_quick_score_follows_the_quality_of_draws_for_a_training(task) -> None:
    density = outside.quick_densities(task)
    honest = porebench.quick_score(simulate(density, "spheres", np.random.default_rng(5)), task)
    noise = np.random.default_rng(0).random((len(density), 30, 30, 30)) < 0.05
    assert set(honest) == {"nfr100", "size", "correlation", "topology", "direction", "joint"}
    assert honest["nfr100"] < porebench.quick_score(noise, task)["nfr100"]


def test_a_folder_gets_a_row_and_files_from_the_command_line(tmp_path, monkeypatch, draws, task) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("porebench.benchmarks.evaluate.tasks.load_task", lambda *_, **__: task)
    np.savez(tmp_path / "mine.npz", voxels=draws)
    done = CliRunner().invoke(app, ["score", "mine.npz", "--task", "spheres"])
    assert done.exit_code == 0, done.output
    assert "| mine |" in done.output
    kept = json.loads((tmp_path / "mine-score" / "score.json").read_text())
    assert kept["task"] == "spheres"
    assert kept["samples_digest"] == Volumes(draws, task.test.density).digest()
    assert (tmp_path / "mine-score" / "row.tex").read_text().endswith("\\\\\n")
    assert (tmp_path / "mine-score" / "score.png").stat().st_size > 10_000
