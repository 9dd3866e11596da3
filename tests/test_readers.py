"""Files as other programs write them, read as the same voxels."""

import gzip
import io
import os
import shutil
import sys
import tarfile
import zipfile
from pathlib import Path

import h5py
import nrrd
import numpy as np
import pytest
import tifffile
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from PIL import Image
from scipy.io import netcdf_file, savemat

from porebench.benchmarks.cli import main
from porebench.data import _decode, images, load, packed, read_phase, read_set, read_volume
from porebench.data.collections import read_collection
from porebench.data.export import write_volumes
from porebench.data.volumes import Volumes

CASES = Path(os.environ.get("POREBENCH_ROCKS", Path(__file__).parents[2] / "shared" / "rocks")).parent / "cases"
needs_cases = pytest.mark.skipif(not CASES.is_dir(), reason=f"needs the inputs in {CASES} (POREBENCH_ROCKS)")

PORE = np.random.default_rng(0).random((12, 6, 7)) < 0.4
GREY = np.where(PORE, 0, 255).astype(np.uint8)


def check(path, **options):
    np.testing.assert_array_equal(read_volume(path, **options), PORE, err_msg=path.name)


@needs_cases
@pytest.mark.parametrize(
    ("file", "porosity"),
    [
        ("01-tiff-1bit-uncompressed/t05_1bit_plain.tif", 0.3),
        ("01-tiff-1bit-uncompressed/t21_pillow_1bit.tif", 0.3),
        ("02-tiff-1bit-inverted/same_structure_8bit.tif", 0.3),
        ("02-tiff-1bit-inverted/t05_1bit_packbits.tif", 0.3),
        ("04-mat-logical-inverted/m01_logical_pore_true.mat", 0.3),
        ("04-mat-logical-inverted/same_array_bool.npy", 0.3),
        ("05-bool-and-uint8-opposite/p01_solid_true_u8.npy", 0.3),
        ("10-raw-from-cli/UP_60x60x60_uint8.RAW", 0.4),
        ("10-raw-from-cli/h06_raw.zip", 0.3),
        ("11-slices/t17_slices", 0.3),
        ("11-slices/t17_png_slices", 0.3),
        ("11-slices/t17_slices.zip", 0.3),
        ("13-tiff-lzw/t21_pillow_lzw.tif", 0.3),
        ("13-tiff-lzw/t21_pillow_g4.tif", 0.3),
        ("17-own-output-not-readable/ONE.VTI", 0.4),
        ("17-own-output-not-readable/z02_im_and_meta.npz", 0.3),
        ("18-rgb-channels-batches/t07_rgb_stack.tif", 0.3),
    ],
)
def test_files_that_people_had_trouble_with_are_read(file, porosity) -> None:
    assert read_volume(CASES / file).mean() == pytest.approx(porosity, abs=5e-3)


@needs_cases
def test_files_of_one_structure_are_read_alike() -> None:
    one, other = CASES / "02-tiff-1bit-inverted", CASES / "11-slices"
    for first, second in (
        (one / "same_structure_8bit.tif", one / "t05_1bit_packbits.tif"),
        (other / "t17_slices", other / "t17_slices.zip"),
        (other / "t17_slices", other / "t17_png_slices"),
    ):
        np.testing.assert_array_equal(read_volume(first), read_volume(second))


@settings(max_examples=3, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(voxels=arrays(bool, st.tuples(st.integers(2, 3), *[st.integers(2, 9)] * 3)), upper=st.booleans())
def test_what_is_sampled_is_read_back_in_any_case_of_suffix(voxels, upper, tmp_path_factory) -> None:
    voxels[:, 0, 0, :2] = False, True  # an image needs two labels
    folder = tmp_path_factory.mktemp("out")
    drawn = Volumes(voxels, np.linspace(0.1, 0.9, len(voxels)), name="noise")
    for kind in ("npz", "npy", "tiff", "raw", "vti"):
        for path in write_volumes(drawn, folder / kind, kind):
            if upper:
                path.rename(path.with_suffix(path.suffix.upper()))
        found = read_set(folder / kind)
        np.testing.assert_array_equal(found.voxels, voxels, err_msg=kind)
        np.testing.assert_allclose(found.density, drawn.density, atol=5e-4)


def test_pages_that_were_appended_one_by_one_are_one_stack(tmp_path) -> None:
    for page in GREY:
        tifffile.imwrite(tmp_path / "a.tif", page, append=True, photometric="minisblack")
    for half in (GREY[:6], GREY[6:]):
        tifffile.imwrite(tmp_path / "b.tif", half, append=True, photometric="minisblack")
    check(tmp_path / "a.tif")
    check(tmp_path / "b.tif")
    tifffile.imwrite(tmp_path / "a.tif", GREY[0, :3], append=True, photometric="minisblack")
    with pytest.raises(ValueError, match="expected pages of one size and type"):
        read_volume(tmp_path / "a.tif")


@pytest.mark.parametrize("compression", ["lzw", "zlib", "zstd", "packbits"])
def test_packed_pages_are_read(tmp_path, compression) -> None:
    tifffile.imwrite(tmp_path / "a.tif", GREY, photometric="minisblack", compression=compression)
    check(tmp_path / "a.tif")


@pytest.mark.parametrize(("name", "package"), [("a.h5", "h5py"), ("a.nii", "nibabel"), ("a.zarr", "zarr")])
def test_a_missing_package_is_named_with_the_command_that_installs_it(tmp_path, monkeypatch, name, package) -> None:
    script = tmp_path / "without.py"
    start = f"import sys; sys.modules[{package!r}] = None; sys.argv[0] = {str(images._SCRIPT)!r}; import runpy\n"
    script.write_text(start + "runpy.run_path(sys.argv[0], run_name='__main__')")
    monkeypatch.setattr(images, "_SCRIPT", script)
    (tmp_path / name).write_bytes(b"x")
    with pytest.raises(ImportError, match=rf"^{name}: needs {package}: pip install 'porebench\[readers\]'$"):
        read_volume(tmp_path / name)


def test_a_codec_that_is_missing_is_named(tmp_path, monkeypatch) -> None:
    tifffile.imwrite(tmp_path / "a.tif", GREY, photometric="minisblack", compression="lzw")

    def refuse(*_, **__):
        raise ValueError("<COMPRESSION.LZW: 5> requires the 'imagecodecs' package")

    monkeypatch.setattr(tifffile.TiffPageSeries, "asarray", refuse)
    with (tmp_path / "a.tif").open("rb") as stream, pytest.raises(ImportError, match="imagecodecs"):
        _decode.read_tiff(stream, 10**6)


def test_colours_that_are_alike_are_one_image(tmp_path) -> None:
    tifffile.imwrite(tmp_path / "a.tif", np.stack([GREY] * 3, axis=-1), photometric="rgb")
    check(tmp_path / "a.tif")


def test_a_stack_whose_depth_is_stored_as_time_is_read(tmp_path) -> None:
    tifffile.imwrite(tmp_path / "a.tif", GREY, imagej=True, metadata={"axes": "TYX"})
    check(tmp_path / "a.tif")


@pytest.mark.parametrize(
    ("name", "options"),
    [
        ("rock_12x6x7_uint8.raw", {}),
        ("ROCK_12X6X7_UINT8.RAW", {}),
        ("rock-12x6x7.raw", {}),
        ("rock_int16le.raw", {"shape": (12, 6, 7)}),
        ("rock_12x6x7_int16be.raw", {}),
        ("rock_12x6x7_float32.raw", {}),
        ("rock_1x2x3_uint16.raw", {"shape": (12, 6, 7), "dtype": "u1"}),
        ("rock.raw", {"shape": (12, 6, 7), "dtype": ">u2", "offset": 5}),
    ],
)
def test_a_name_states_shape_and_type_and_options_overrule_it(tmp_path, name, options) -> None:
    types = {"int16le": "<i2", "int16be": ">i2", "float32": "<f4"}
    dtype = next((types[key] for key in types if key in name), options.get("dtype", "u1"))
    content = bytes(options.get("offset", 0)) + GREY.astype(dtype).tobytes()
    (tmp_path / name).write_bytes(content)
    check(tmp_path / name, **options)
    (tmp_path / f"{name}.gz").write_bytes(gzip.compress(content, mtime=0))
    check(tmp_path / f"{name}.gz", **options)


def npy():
    stream = io.BytesIO()
    np.save(stream, GREY)
    return stream.getvalue()


def tar(members, mode="w"):
    stream = io.BytesIO()
    with tarfile.open(fileobj=stream, mode=mode) as archive:
        for name, content in members.items():
            entry = tarfile.TarInfo(name)
            entry.size = len(content)
            archive.addfile(entry, io.BytesIO(content))
    return stream.getvalue()


def test_packed_files_are_read_without_writing_anything(tmp_path) -> None:
    stream = io.BytesIO()
    tifffile.imwrite(stream, GREY, photometric="minisblack")
    files = {
        "a.npy.gz": gzip.compress(npy(), mtime=0),
        "b.TIF.GZ": gzip.compress(stream.getvalue(), mtime=0),
        "c.tar.gz": tar({"scan/a.npy": npy(), "readme.txt": b"x"}, "w:gz"),
        "d.tgz": tar({"a_12x6x7_uint8.raw": GREY.tobytes()}, "w:gz"),
        "e.tar": tar({"a.npy": npy(), "._a.npy": b"x"}),
    }
    for name, content in files.items():
        (tmp_path / name).write_bytes(content)
        check(tmp_path / name)
    assert {path.name for path in tmp_path.iterdir()} == set(files)
    assert load(tmp_path / "a.npy.gz", block=2).name == "a-2"
    assert load(tmp_path / "c.tar.gz", block=2).name == "c-2"


@pytest.mark.parametrize(
    ("name", "content", "words"),
    [
        ("a.tgz", tar({"a.npy": npy(), "b.npy": npy()}, "w:gz"), "exactly one image .*found a.npy, b.npy; repack"),
        ("a.tar", tar({"a.txt": b"x"}), "found none"),
        ("a.npy.gz", gzip.compress(npy(), mtime=0)[:50], "cannot be unpacked"),
        ("a.gz", gzip.compress(npy(), mtime=0), "a packed image such as a.raw.gz"),
        ("a.tar", b"x" * 2000, "cannot be unpacked"),
    ],
)
def test_packed_files_that_hold_no_single_image_are_refused(tmp_path, name, content, words) -> None:
    (tmp_path / name).write_bytes(content)
    with pytest.raises(ValueError, match=f"^a.*{words}"):
        read_volume(tmp_path / name)


def test_a_zip_that_states_more_bytes_than_it_has_is_refused_before_room_is_made(tmp_path) -> None:
    path = tmp_path / "image.zip"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("image.npy", b"0" * 100)
    content = bytearray(path.read_bytes())
    place = content.index(b"PK\x01\x02") + 20  # of the packed size in the directory
    content[place : place + 4] = (2**31 - 1).to_bytes(4, "little")
    path.write_bytes(content)
    with pytest.raises(ValueError, match=r"image\.zip: is damaged: states more bytes than it has"):
        read_volume(path)


def test_a_gzip_file_that_unpacks_to_too_much_is_refused(tmp_path, monkeypatch) -> None:
    (tmp_path / "a_100x100x100_uint8.raw.gz").write_bytes(gzip.compress(bytes(10**6), mtime=0))
    monkeypatch.setattr(packed, "MAX_BYTES", 10**5)
    with pytest.raises(ValueError, match="that are allowed; crop the image"):
        read_volume(tmp_path / "a_100x100x100_uint8.raw.gz")


@pytest.mark.parametrize("suffix", ["tif", "png", "bmp", "PNG"])
def test_slices_are_stacked_in_natural_order(tmp_path, suffix) -> None:
    folder = tmp_path / "slices"
    folder.mkdir()
    for index, page in enumerate(GREY):
        Image.fromarray(page).save(folder / f"slice{index}.{suffix}")  # slice10 after slice9
    (folder / "Thumbs.db").write_bytes(b"x")
    (folder / f"._slice0.{suffix}").write_bytes(b"x")
    check(folder)
    with zipfile.ZipFile(tmp_path / "slices.zip", "w") as archive:
        for file in folder.iterdir():
            archive.write(file, f"scan/{file.name}")
    check(tmp_path / "slices.zip")
    assert load(folder, block=2).name == "slices-2"
    assert load(tmp_path / "slices.zip", block=2).digest() == load(folder, block=2).digest()


def test_slices_of_one_bit_are_black_and_white(tmp_path) -> None:
    for index, page in enumerate(~PORE):
        Image.fromarray(page).save(tmp_path / f"{index:02d}.png")
    found, phase = read_phase(tmp_path)
    np.testing.assert_array_equal(found, PORE)
    assert "of 0, 255" in phase.reason


def test_slices_that_do_not_fit_each_other_are_named(tmp_path) -> None:
    for index, page in enumerate(GREY):
        Image.fromarray(page[: 5 + (index != 3)]).save(tmp_path / f"{index:02d}.png")
    with pytest.raises(ValueError, match=r"slice 03\.png is \(5, 7\) uint8, the first is \(6, 7\)"):
        read_volume(tmp_path)
    Image.fromarray(GREY[0]).save(tmp_path / "99.bmp")
    with pytest.raises(ValueError, match="expected one image, slices of one kind, or volumes as porebench sample"):
        read_volume(tmp_path)


def test_matlab_files_of_both_kinds_keep_the_order_of_axes(tmp_path) -> None:
    savemat(tmp_path / "old.mat", {"image": GREY, "note": 3.0})
    with h5py.File(tmp_path / "new.mat", "w", userblock_size=512) as file:
        file.create_dataset("image", data=GREY.T).attrs["MATLAB_class"] = np.bytes_("uint8")
        file["note"] = 3.0
    check(tmp_path / "old.mat")
    check(tmp_path / "new.mat")


@pytest.mark.parametrize("name", ["a.h5", "a.HDF5", "a.nc"])
def test_hdf5_and_netcdf_files_are_read(tmp_path, name) -> None:
    with h5py.File(tmp_path / name, "w") as file:
        file.create_dataset("group/image", data=GREY, compression="gzip")
        file["axis"] = np.arange(12)
    check(tmp_path / name)


def test_netcdf_files_of_version_3_are_read(tmp_path) -> None:
    with netcdf_file(tmp_path / "a.nc", "w") as file:
        for axis, length in zip("zyx", GREY.shape, strict=True):
            file.createDimension(axis, length)
            file.createVariable(axis, "d", (axis,))[:] = np.arange(length)
        file.createVariable("image", "b", tuple("zyx"))[:] = GREY.view(np.int8)
        file.createVariable("other", "h", tuple("zyx"))[:] = 255 - GREY
    with pytest.raises(ValueError, match=r"expected one three-dimensional array, found image, other: .*--key NAME"):
        read_volume(tmp_path / "a.nc")
    check(tmp_path / "a.nc", key="image")
    np.testing.assert_array_equal(read_volume(tmp_path / "a.nc", key="other"), ~PORE)


def test_arrays_in_a_matlab_struct_are_chosen_by_their_path(tmp_path) -> None:
    savemat(tmp_path / "one.mat", {"scan": {"image": GREY, "pixels": 3.0, "note": "rock"}})
    check(tmp_path / "one.mat")
    several = np.empty((1, 2), [("image", object)])
    several[0, 0]["image"], several[0, 1]["image"] = 255 - GREY, GREY
    savemat(tmp_path / "several.mat", {"scans": several, "rock": {"mask": PORE}})
    with pytest.raises(ValueError, match=r"found scans\(1\)/image, scans\(2\)/image, rock/mask: .*--key NAME"):
        read_volume(tmp_path / "several.mat")
    check(tmp_path / "several.mat", key="scans(2)/image")
    check(tmp_path / "several.mat", key="rock/mask")
    savemat(tmp_path / "beside.mat", {"image": GREY, "scan": {"other": 255 - GREY}})
    check(tmp_path / "beside.mat")
    np.testing.assert_array_equal(read_volume(tmp_path / "beside.mat", key="scan/other"), ~PORE)


@pytest.mark.parametrize("kind", ["Nifti1Image", "Nifti2Image"])
def test_nifti_files_keep_the_order_of_axes(tmp_path, kind) -> None:
    nibabel = pytest.importorskip("nibabel")
    image = getattr(nibabel, kind)(GREY.T, np.eye(4))
    for name in ("a.nii", "b.nii.gz"):
        nibabel.save(image, tmp_path / name)
        check(tmp_path / name)
    assert load(tmp_path / "b.nii.gz", block=2).name == "b-2"
    image = getattr(nibabel, kind)(GREY.T.astype(float), np.eye(4))
    image.set_data_dtype(np.uint8)  # which scales the values on disk
    nibabel.save(image, tmp_path / "scaled.nii")
    check(tmp_path / "scaled.nii", threshold=100)


@pytest.mark.parametrize("version", [2, 3])
def test_a_zarr_store_is_read_as_a_folder_and_as_a_zip(tmp_path, version) -> None:
    zarr = pytest.importorskip("zarr")
    folder = tmp_path / "a.zarr"
    zarr.create_array(folder, data=GREY, chunks=(5, 4, 3), zarr_format=version)
    check(folder)
    check(Path(shutil.make_archive(str(tmp_path / "b"), "zip", folder)))
    check(Path(shutil.make_archive(str(tmp_path / "c.zarr"), "zip", tmp_path, "a.zarr")))
    assert load(folder, block=2).name == "a-2"
    np.testing.assert_array_equal(read_collection(folder, pore=0).voxels[0], PORE)
    group = zarr.open_group(tmp_path / "g.zarr", mode="w", zarr_format=version)
    group.create_array("scans/image", data=GREY)
    group.create_array("mask", data=~PORE)
    with pytest.raises(ValueError, match=r"g\.zarr: expected one three-dimensional array, found .*--key NAME"):
        read_volume(tmp_path / "g.zarr")
    check(tmp_path / "g.zarr", key="scans/image")


def test_a_zarr_store_with_other_codecs_or_links_is_refused(tmp_path) -> None:
    zarr, numcodecs = pytest.importorskip("zarr"), pytest.importorskip("numcodecs")
    zarr.create_array(tmp_path / "a.zarr", data=GREY, zarr_format=2, filters=[numcodecs.AsType("u1", "u1")])
    with pytest.raises(ValueError, match=r"a\.zarr: it is packed by astype: save it again with blosc or zstd"):
        read_volume(tmp_path / "a.zarr")
    zarr.create_array(tmp_path / "b.zarr", data=GREY, chunks=GREY.shape, zarr_format=2)
    chunk = tmp_path / "b.zarr" / "0.0.0"
    chunk.rename(tmp_path / "elsewhere")
    chunk.symlink_to(tmp_path / "elsewhere")
    with pytest.raises(ValueError, match="it holds a single phase"):  # a chunk that is not there is filled with zeros
        read_volume(tmp_path / "b.zarr")


def test_a_zip_that_is_no_zarr_store_is_refused_in_words(tmp_path) -> None:
    pytest.importorskip("zarr")
    with zipfile.ZipFile(tmp_path / "a.zarr", "w") as archive:
        archive.writestr("a.npy", npy())
    with pytest.raises(ValueError, match=r"it holds none of \.zarray, \.zgroup, zarr\.json"):
        read_volume(tmp_path / "a.zarr")


@pytest.mark.parametrize("suffix", ["mat", "h5", "npz"])
def test_an_array_of_several_is_chosen_by_its_name(tmp_path, suffix) -> None:
    path = tmp_path / f"a.{suffix}"
    content = {"image": GREY, "other": 255 - GREY}
    if suffix == "mat":
        savemat(path, content)
    elif suffix == "npz":
        np.savez(path, **content)
    else:
        with h5py.File(path, "w") as file:
            for key, array in content.items():
                file[key] = array
    with pytest.raises(ValueError, match=r"image.*, other.*--key NAME"):
        read_volume(path)
    check(path, key="image")
    np.testing.assert_array_equal(read_volume(path, key="other"), ~PORE)
    with pytest.raises(ValueError, match="array called third"):
        read_volume(path, key="third")


def test_a_key_for_a_file_of_one_array_is_refused(tmp_path) -> None:
    np.save(tmp_path / "a.npy", GREY)
    with pytest.raises(ValueError, match="leave key"):
        read_volume(tmp_path / "a.npy", key="image")


def test_links_out_of_an_hdf5_file_are_not_followed(tmp_path) -> None:
    (tmp_path / "secret.bin").write_bytes(GREY.tobytes())
    with h5py.File(tmp_path / "other.h5", "w") as file:
        file["image"] = GREY
    with h5py.File(tmp_path / "a.h5", "w") as file:
        file["image"] = h5py.ExternalLink(str(tmp_path / "other.h5"), "image")
    with h5py.File(tmp_path / "b.h5", "w") as file:
        file.create_dataset("image", GREY.shape, "u1", external=[(str(tmp_path / "secret.bin"), 0, GREY.size)])
    with pytest.raises(ValueError, match="found none"):
        read_volume(tmp_path / "a.h5")
    with pytest.raises(ValueError, match="lie in other files"):
        read_volume(tmp_path / "b.h5")


@pytest.mark.parametrize("encoding", ["raw", "gzip", "bzip2", "ascii"])
def test_nrrd_files_are_read_with_their_voxels_inside_or_beside(tmp_path, encoding) -> None:
    for name in ("a.nrrd", "b.nhdr"):
        nrrd.write(str(tmp_path / name), GREY, {"encoding": encoding}, index_order="C")
        check(tmp_path / name)


META = "ObjectType = Image\nNDims = 3\nDimSize = 7 6 12\nElementType = MET_USHORT\n"


@pytest.mark.parametrize("is_packed", [False, True])
@pytest.mark.parametrize("is_big", [False, True])
def test_metaimages_are_read_with_their_voxels_inside_or_beside(tmp_path, is_packed, is_big) -> None:
    import zlib  # noqa: PLC0415

    content = GREY.astype(">u2" if is_big else "<u2").tobytes()
    content = zlib.compress(content) if is_packed else content
    header = f"{META}BinaryDataByteOrderMSB = {is_big}\nCompressedData = {is_packed}\nElementDataFile = "
    (tmp_path / "a.mha").write_bytes(f"{header}LOCAL\n".encode() + content)
    (tmp_path / "b.mhd").write_text(f"{header}b.zraw\n")
    (tmp_path / "b.zraw").write_bytes(content)
    check(tmp_path / "a.mha")
    check(tmp_path / "b.mhd")


@pytest.mark.parametrize("named", ["../secret.raw", "/etc/passwd", "absent.raw", "LIST", ""])
def test_a_header_that_names_a_file_elsewhere_is_refused(tmp_path, named) -> None:
    folder = tmp_path / "in"
    folder.mkdir()
    (tmp_path / "secret.raw").write_bytes(GREY.tobytes())
    (folder / "a.mhd").write_text(f"{META}ElementDataFile = {named}\n")
    nhdr = f"NRRD0004\ntype: uint8\ndimension: 3\nsizes: 7 6 12\nencoding: raw\ndata file: {named}\n"
    (folder / "a.nhdr").write_text(nhdr)
    for name in ("a.mhd", "a.nhdr"):
        with pytest.raises(ValueError, match="expected the name of one file beside it"):
            read_volume(folder / name)


def test_a_vtk_image_of_one_array_at_points_or_cells_is_read(tmp_path) -> None:
    pyvista = pytest.importorskip("pyvista")
    grid = pyvista.ImageData(dimensions=tuple(reversed(GREY.shape)))
    grid.point_data["labels"] = GREY.ravel()
    grid.save(tmp_path / "points.vti")
    check(tmp_path / "points.vti")
    grid.point_data["other"] = 255 - GREY.ravel()
    grid.save(tmp_path / "two.vti")
    with pytest.raises(ValueError, match="found labels, other: choose one with --key"):
        read_volume(tmp_path / "two.vti")
    check(tmp_path / "two.vti", key="labels")


def test_the_command_line_says_once_what_was_taken_for_pore(tmp_path, monkeypatch, capsys) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "argv", ["porebench"])
    content = np.random.default_rng(0).choice(np.array([0, 128], np.uint8), (24, 8, 8), p=[0.7, 0.3])
    (tmp_path / "rock.raw").write_bytes(b"head" + content.tobytes())
    layout = ["--raw-shape", "24,8,8", "--raw-type", "uint8", "--raw-offset", "4"]
    with pytest.raises(SystemExit) as ended:
        main("sample", "noise", "--dataset", "rock.raw", "--block", "4", "--density", "0.3", "-o", "a.npz", *layout,
             "--pore", "128")  # fmt: skip
    said = capsys.readouterr().err
    assert ended.value.code == 0, said
    porosity = np.mean(content == 128)
    assert said.count(f"rock-4: pore = 128 (of 0, 128; as asked), porosity {porosity:.3f}") == 1
    assert said.count("pore = ") == 1
    with pytest.raises(SystemExit) as ended:
        main("sample", "noise", "--dataset", "rock.raw", "--density", "0.3", "-o", "a.npz")
    assert ended.value.code == 2
    assert "--raw-shape D,H,W --raw-type uint8" in capsys.readouterr().err
