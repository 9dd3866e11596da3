import os
from pathlib import Path

import h5py
import nrrd
import numpy as np
import pytest
import tifffile
from scipy.io import netcdf_file

from porebench.data import _decode, load, read_phase, read_set
from porebench.data.export import image_data

CASES = Path(os.environ.get("POREBENCH_ROCKS", Path(__file__).parents[2] / "shared" / "rocks")).parent / "cases"
needs_cases = pytest.mark.skipif(not CASES.is_dir(), reason=f"needs the files in {CASES} (POREBENCH_ROCKS)")
EDGES = (4.0, 2.0, 1.0)  # depth, height, width
PORE = np.random.default_rng(0).random((6, 7, 8)) < 0.3
GREY = np.where(PORE, 0, 255).astype(np.uint8)


def imagej(path, edges):
    depth, height, width = edges
    facts = {"axes": "ZYX", "spacing": depth, "unit": "um"}
    tifffile.imwrite(path, GREY, imagej=True, resolution=(1 / width, 1 / height), metadata=facts)


def ome(path, edges):
    sizes = {f"PhysicalSize{axis}": edge for axis, edge in zip("ZYX", edges, strict=True)}
    sizes["PhysicalSizeZ"] /= 1000
    units = {"PhysicalSizeZUnit": "mm", "PhysicalSizeYUnit": "µm", "PhysicalSizeXUnit": "µm"}
    tifffile.imwrite(path, GREY, ome=True, photometric="minisblack", metadata={"axes": "ZYX", **sizes, **units})


def nrrd_spacings(path, edges):
    nrrd.write(str(path), GREY, {"spacings": edges[::-1], "units": ["um"] * 3}, index_order="C")


def nrrd_directions(path, edges):
    facts = {"space dimension": 3, "space directions": np.diag(edges[::-1]), "space units": ["um"] * 3}
    nrrd.write(str(path), GREY, facts, index_order="C")


def metaimage(path, edges):
    shown = " ".join(map(str, edges[::-1]))
    head = f"ObjectType = Image\nNDims = 3\nDimSize = 8 7 6\nElementSpacing = {shown}\nElementType = MET_UCHAR\n"
    path.write_bytes(f"{head}ElementDataFile = LOCAL\n".encode() + GREY.tobytes())


def hdf5(path, edges):
    with h5py.File(path, "w") as file:
        file["image"] = GREY
        file["image"].attrs["element_size_um"] = edges


def netcdf(path, edges):
    with h5py.File(path, "w") as file:
        file["image"] = GREY
        file.attrs["voxel_size_xyz"] = edges[::-1]
        file.attrs["voxel_unit"] = "um"


def classic_netcdf(path, edges):
    with netcdf_file(path, "w") as file:
        for axis, length in zip("zyx", GREY.shape, strict=True):
            file.createDimension(axis, length)
        file.createVariable("image", "b", tuple("zyx"))[:] = GREY.view(np.int8)
        file.voxel_size_xyz, file.voxel_unit = edges[::-1], "um"


def nifti(path, edges):
    nibabel = pytest.importorskip("nibabel")
    image = nibabel.Nifti1Image(GREY.T, np.diag([*edges[::-1], 1]))
    image.header.set_xyzt_units("micron")
    nibabel.save(image, path)


def zarr_attribute(path, edges):
    zarr = pytest.importorskip("zarr")
    zarr.create_array(path, data=GREY, attributes={"element_size_um": edges}, overwrite=True)


def ome_zarr(path, edges):
    zarr = pytest.importorskip("zarr")
    group = zarr.open_group(path, mode="w", zarr_format=2)
    group.create_array("0", data=GREY)
    axes = [{"name": axis, "type": "space", "unit": "micrometer"} for axis in "zyx"]
    scale = [{"type": "scale", "scale": list(edges)}]
    group.attrs["multiscales"] = [{"axes": axes, "datasets": [{"path": "0", "coordinateTransformations": scale}]}]


def vti(path, edges):
    pytest.importorskip("pyvista")
    grid = image_data(PORE)
    grid.spacing = edges[::-1]
    grid.save(path)


STATING = {
    "imagej.tif": imagej,
    "ome.ome.tif": ome,
    "spacings.nrrd": nrrd_spacings,
    "directions.nrrd": nrrd_directions,
    "image.mha": metaimage,
    "image.h5": hdf5,
    "image.nc": netcdf,
    "classic.nc": classic_netcdf,
    "image.nii": nifti,
    "image.zarr": zarr_attribute,
    "ome.zarr": ome_zarr,
    "image.vti": vti,
}
"""Writers of files that state the edges of a voxel."""


@pytest.mark.parametrize("name", STATING)
def test_the_size_of_a_voxel_is_read_and_said_and_other_than_cubes_are_refused(name, tmp_path) -> None:
    path = tmp_path / name
    STATING[name](path, (2.5, 2.5, 2.5))
    found = read_set(path)
    assert found.voxel_size == pytest.approx(2.5)
    assert "; voxels of 2.5" in str(found.phase)
    STATING[name](path, EDGES)
    unit = "" if name in {"image.mha", "image.vti"} else " µm"
    stated = rf"expected cubic voxels, got 4 × 2 × 1{unit} \(depth × height × width\); give --resample"
    with pytest.raises(ValueError, match=stated):
        read_set(path)
    assert read_set(path, voxel_size=3).voxel_size == 3
    cubes = read_set(path, resample=True)
    assert cubes.voxel_size == 1
    np.testing.assert_array_equal(cubes.voxels[0], PORE.repeat(4, axis=0).repeat(2, axis=1))
    assert f"voxels of 1{unit}, resampled from 4 × 2 × 1" in str(cubes.phase)


def test_lengths_that_are_no_multiples_of_each_other_are_resampled_by_the_nearest_voxel(tmp_path) -> None:
    imagej(tmp_path / "a.tif", (4 / 3, 1, 1))
    voxels = read_set(tmp_path / "a.tif", resample=True).voxels[0]
    centres = (np.arange(8) + 0.5) * 3 / 4 - 0.5
    nearest = np.abs(centres[:, None] - np.arange(6)).argmin(axis=1)
    np.testing.assert_array_equal(voxels, PORE[nearest])


def test_edges_that_differ_by_rounding_are_cubes(tmp_path) -> None:
    imagej(tmp_path / "a.tif", (5.345, 5.345, 5.3))
    assert read_set(tmp_path / "a.tif").voxel_size == pytest.approx(5.3)


@pytest.mark.parametrize(
    "edges", [(0, 1, 1), (-1, 2, 2), (np.nan, 1, 1), (np.inf, 1, 1), "", "x y z", [], None, [1, 2]]
)
def test_sizes_that_are_none_are_not_known(edges) -> None:
    assert _decode.voxel_of(edges) is None
    assert _decode.voxel_of((1, 2, 3), ["um", "furlong", "um"]) is None
    assert _decode.voxel_of((1, 1, 1)) is None
    assert _decode.voxel_of((1, 1, 1), "micron") == ((1, 1, 1), "µm")


def test_a_size_given_by_hand_wins_and_must_be_one(tmp_path) -> None:
    imagej(tmp_path / "a.tif", (2.5, 2.5, 2.5))
    assert load(tmp_path / "a.tif", block=2, voxel_size=0.7).train.voxel_size == 0.7
    assert load(tmp_path / "a.tif", block=2).test.voxel_size == pytest.approx(2.5)
    with pytest.raises(ValueError, match="voxel_size must be a positive length, got -1"):
        read_set(tmp_path / "a.tif", voxel_size=-1)


@needs_cases
def test_files_whose_voxel_size_was_lost_state_it() -> None:
    folder = CASES / "19-voxel-size-lost"
    assert read_set(folder / "t18_voxelsize_ij.tif").voxel_size == pytest.approx(5.345)
    assert "voxels of 1 µm" in str(read_phase(folder / "iso.tif")[1])
    with pytest.raises(ValueError, match="4 × 1 × 1 µm"):
        read_set(folder / "aniso_1x1x4um.tif")
    assert read_set(folder / "aniso_1x1x4um.tif", resample=True).voxels.shape == (1, 120, 120, 120)
