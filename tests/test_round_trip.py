import numpy as np
import pytest

from porebench.benchmarks.evaluate.tasks import FILE, LEARN_FROM, Task, load_task
from porebench.benchmarks.store.files import save_samples
from porebench.data import Dataset, Volumes, load, load_image, read_phase, read_set
from porebench.data.collections import read_collection
from porebench.data.export import FORMATS, write_volumes

STATING = {"npz", "tiff", "nrrd", "hdf5", "vti", "samples"}
"""Formats that hold the size of a voxel."""


def _drawn(kind: str = "", n: int = 4) -> Volumes:
    """Volumes with three different edges where the format allows, and densities that are not their porosities."""
    shape = (6, 6, 6) if kind == "seed" else (6, 7, 8)
    voxels = np.random.default_rng(0).random((n, *shape)) < 0.3
    return Volumes(voxels, np.linspace(0.1, 0.9, n).round(3), 2.5, "noise")


def _written(volumes: Volumes, folder, kind: str):
    if kind == "samples":  # as evaluate keeps them
        folder.mkdir()
        save_samples(volumes, folder / "noise.npz")
        return folder / "noise.npz"
    if kind == "vti":
        pytest.importorskip("pyvista")
    paths = write_volumes(volumes, folder, kind)
    return paths[0] if len(paths) == 1 else folder


@pytest.mark.parametrize("kind", [*FORMATS, "samples"])
def test_evaluate_and_score_read_all_volumes_that_sample_writes(kind, tmp_path) -> None:
    drawn = _drawn(kind)
    path = _written(drawn, tmp_path / "out", kind)
    parts = list(load(path))
    voxels, density = (np.concatenate([getattr(part, name) for part in parts]) for name in ("voxels", "density"))
    order = np.argsort(density)
    np.testing.assert_array_equal(voxels[order], drawn.voxels)
    np.testing.assert_allclose(density[order], drawn.density, atol=5e-4)
    if kind != "seed":
        sizes = [part.voxel_size for part in parts]
        np.testing.assert_allclose(sizes, 2.5 if kind in STATING else 1, rtol=1e-6)
    np.testing.assert_array_equal(read_collection(path).voxels, drawn.voxels)


@pytest.mark.parametrize("kind", [*FORMATS, "samples"])
def test_view_and_representative_read_a_volume_that_sample_writes(kind, tmp_path) -> None:
    one = _drawn(kind, 1)
    path = _written(one, tmp_path / "out", kind)
    path = next(path.iterdir()) if path.is_dir() else path
    voxels, phase = read_phase(path)
    np.testing.assert_array_equal(voxels, one.voxels[0])
    assert not phase.warning
    assert ("voxels of 2.5" in str(phase)) == (kind in STATING)
    np.testing.assert_array_equal(load_image(path)[0], voxels)


def test_what_a_task_exports_is_read_with_its_voxel_size(tmp_path) -> None:
    drawn = _drawn(n=12)
    dataset = Dataset(drawn[:6], drawn[6:9], drawn[9:], "noise", "factor")
    Task("noise", dataset).export(tmp_path)
    for name, part in zip(LEARN_FROM, dataset, strict=False):
        found = read_set(tmp_path / name)
        np.testing.assert_array_equal(found.voxels, part.voxels)
        np.testing.assert_array_equal(found.density, part.density)
        assert found.voxel_size == 2.5
        np.testing.assert_array_equal(read_collection(tmp_path / name).voxels, part.voxels)


def test_a_task_is_loaded_again_with_the_options_that_its_image_was_read_with(tmp_path) -> None:
    rng = np.random.default_rng(0)
    image = rng.choice([0, 1, 2], (40, 20, 20), p=[0.3, 0.6, 0.1])
    image[:10, :10, :10] = 5
    np.save(tmp_path / "rock.npy", image)
    task = load_task(tmp_path / "rock.npy", block=10, reading={"pore": [0, 2], "outside": [5], "voxel_size": 2.5})
    task.export(tmp_path / "task")
    again = load_task(tmp_path / "task" / FILE)
    assert again.dataset.digest() == task.dataset.digest()
    assert again.test.voxel_size == 2.5
