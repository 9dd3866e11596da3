import json
import subprocess
import sys
import zipfile

import numpy as np
import pytest
import tifffile

from porebench import data
from porebench.benchmarks.cli import main
from porebench.benchmarks.store.files import save_samples
from porebench.data import read_volume
from porebench.data.export import FORMATS, write_volumes

SHAPE = (6, 7, 8)


@pytest.fixture
def volumes() -> data.Volumes:
    """Two volumes with three different edge lengths, so that swapped axes show."""
    voxels = np.random.default_rng(0).random((2, *SHAPE)) < 0.3
    return data.Volumes(voxels, np.array([0.3, 0.5]), 2.5, "noise")


def _raw(path) -> dict:
    return {"shape": SHAPE, "dtype": "uint8"} if path.suffix == ".raw" else {}


@pytest.mark.parametrize("kind", [kind for kind in FORMATS if kind != "seed"])
def test_what_is_written_is_read_back(kind, volumes, tmp_path) -> None:
    paths = write_volumes(volumes, tmp_path / "out", kind)
    assert len(paths) == (1 if kind == "npz" else 2)
    for index, voxels in enumerate(volumes.voxels):
        path = paths[index % len(paths)]
        assert np.array_equal(read_volume(path, index=index if len(paths) == 1 else None, **_raw(path)), voxels)


@pytest.mark.parametrize("suffix", [".npz", ".npy", ".tif", ".raw", ".nrrd", ".h5", ".hdf5", ".vti"])
def test_a_single_volume_goes_into_the_file_that_is_named(suffix, volumes, tmp_path) -> None:
    path = tmp_path / f"pores{suffix}"
    assert write_volumes(volumes[:1], path) == [path]
    assert np.array_equal(read_volume(path, **_raw(path)), volumes.voxels[0])


def test_imagej_reads_the_stack_with_its_voxel_size_and_dark_pores(volumes, tmp_path) -> None:
    (path,) = write_volumes(volumes[:1], tmp_path / "pores.tif")
    with tifffile.TiffFile(path) as tiff:
        assert tiff.is_imagej
        assert tiff.series[0].axes == "ZYX"
        assert tiff.imagej_metadata["spacing"] == 2.5
        numerator, denominator = tiff.pages[0].tags["XResolution"].value
        assert denominator / numerator == pytest.approx(2.5)
        assert np.array_equal(tiff.asarray() == 0, volumes.voxels[0])
    assert np.array_equal(data.read_volume(path), volumes.voxels[0])


def test_nrrd_and_hdf5_state_the_voxel_size_and_dark_pores(volumes, tmp_path) -> None:
    nrrd, h5py = pytest.importorskip("nrrd"), pytest.importorskip("h5py")
    (path,) = write_volumes(volumes[:1], tmp_path / "pores.nrrd")
    array, header = nrrd.read(str(path), index_order="C")
    assert header["spacings"].tolist() == [2.5] * 3
    assert header["sizes"].tolist() == [8, 7, 6]
    assert np.array_equal(array == 0, volumes.voxels[0])
    (path,) = write_volumes(volumes[:1], tmp_path / "pores.h5")
    with h5py.File(path) as file:
        assert file["image"].attrs["voxel_size"].tolist() == [2.5] * 3
        assert np.array_equal(file["image"][()] == 0, volumes.voxels[0])


@pytest.mark.parametrize("name", ["pores.tif", "pores.nrrd", "pores.h5", "pores.vti"])
def test_the_voxel_size_that_is_written_is_read_back(name, volumes, tmp_path) -> None:
    (path,) = write_volumes(volumes[:1], tmp_path / name)
    assert data.read_set(path).voxel_size == pytest.approx(2.5)


def test_a_format_without_its_package_names_the_extra(volumes, tmp_path, monkeypatch) -> None:
    monkeypatch.setitem(sys.modules, "h5py", None)
    with pytest.raises(ImportError, match=r"porebench\[readers\]"):
        write_volumes(volumes[:1], tmp_path / "pores.h5")


def test_paraview_reads_cells_with_width_along_x(volumes, tmp_path) -> None:
    pyvista = pytest.importorskip("pyvista")
    (path,) = write_volumes(volumes[:1], tmp_path / "pores.vti")
    grid = pyvista.read(path)
    assert grid.dimensions == (9, 8, 7)
    assert grid.spacing == (2.5, 2.5, 2.5)
    assert grid.cell_data["pore"].sum() == volumes.pore_voxels[0]
    depth, height, width = np.argwhere(volumes.voxels[0])[5]
    cell = grid.find_containing_cell((np.array([width, height, depth]) + 0.5) * 2.5)
    assert grid.cell_data["pore"][cell] == 1


def test_porespy_measures_the_porosity_of_a_written_array(volumes, tmp_path) -> None:
    paths = write_volumes(volumes, tmp_path, "npy")
    code = (
        "import sys, json, numpy as np, porespy as ps;"
        "print(json.dumps([float(ps.metrics.porosity(np.load(p))) for p in sys.argv[1:]]))"
    )
    done = subprocess.run([sys.executable, "-c", code, *map(str, paths)], capture_output=True, text=True, check=True)  # noqa: S603
    assert json.loads(done.stdout.splitlines()[-1]) == pytest.approx(list(volumes.porosity))


def test_the_published_format_is_a_folder_that_loads_again(tmp_path) -> None:
    cubes = data.Volumes(np.random.default_rng(0).random((2, 5, 5, 5)) < 0.3, np.array([0.3, 0.5]))
    paths = write_volumes(cubes, tmp_path / "set", "seed")
    assert [path.name for path in paths] == ["distribution_000_0.300.npy", "distribution_001_0.500.npy"]
    again, _ = data.read_folder(tmp_path / "set")
    assert np.array_equal(again.voxels, cubes.voxels)
    assert np.array_equal(read_volume(paths[1]), cubes.voxels[1])


def test_stored_samples_are_read_by_index(volumes, tmp_path) -> None:
    save_samples(volumes, tmp_path / "noise.npz")
    assert np.array_equal(read_volume(tmp_path / "noise.npz", index=1), volumes.voxels[1])
    with pytest.raises(ValueError, match="volumes 0 to 1"):
        read_volume(tmp_path / "noise.npz", index=2)


def test_files_that_hold_no_volume_are_named(tmp_path) -> None:
    with pytest.raises(FileNotFoundError, match="there is no file"):
        read_volume(tmp_path / "absent.tif")
    (tmp_path / "broken.npz").write_bytes(b"no zip")
    with pytest.raises(ValueError, match=r"broken\.npz"):
        read_volume(tmp_path / "broken.npz")
    with zipfile.ZipFile(tmp_path / "empty.npz", "w"):
        pass
    with pytest.raises(ValueError, match="expected exactly one image"):
        read_volume(tmp_path / "empty.npz")


@pytest.mark.parametrize(
    ("name", "kind", "words"),
    [
        ("pores.txt", None, "no format has the suffix .txt"),
        ("pores.tif", "vti", "is a tiff file by its name"),
        ("pores.tif", None, "holds one volume and there are 2"),
        ("pores.npy", "seed", "is a npy file by its name"),
    ],
)
def test_names_that_contradict_the_format_are_refused(name, kind, words, volumes, tmp_path) -> None:
    with pytest.raises(ValueError, match=words):
        write_volumes(volumes, tmp_path / name, kind)


def test_the_command_writes_volumes_of_the_shape_asked_for(tmp_path, monkeypatch) -> None:
    monkeypatch.setattr(sys, "argv", ["porebench"])
    monkeypatch.setenv("POREBENCH_CACHE", str(tmp_path / "cache"))
    out = str(tmp_path / "out")
    arguments = ["noise", "--dataset", "spheres-small", "--density", "0.9", "-n", "2", "-o", out]
    with pytest.raises(SystemExit) as ended:
        main("sample", *arguments, "--shape", "9", "10", "11", "--format", "tiff")
    assert ended.value.code == 0
    paths = sorted((tmp_path / "out").iterdir())
    assert [path.name for path in paths] == ["noise_000_0.900.tif", "noise_001_0.900.tif"]
    assert data.read_volume(paths[0]).shape == (9, 10, 11)
