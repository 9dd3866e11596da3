import io
import os
import zipfile
from pathlib import Path

import numpy as np
import pytest
import tifffile
from scipy.io import savemat

from porebench.data import blocks, packed, read_volume

ROCKS = Path(os.environ.get("POREBENCH_ROCKS", Path(__file__).parents[2] / "shared" / "rocks"))
needs_rocks = pytest.mark.skipif(not ROCKS.is_dir(), reason=f"needs the tomographies in {ROCKS} (POREBENCH_ROCKS)")

PORE = np.random.default_rng(0).random((5, 6, 7)) < 0.4
GREY = np.where(PORE, 0, 255).astype(np.uint8)


def zipped(path, members):
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in members.items():
            archive.writestr(name, content)
    return path


def as_npy(array):
    stream = io.BytesIO()
    np.save(stream, array)
    return stream.getvalue()


def as_tiff(array):
    stream = io.BytesIO()
    tifffile.imwrite(stream, array, photometric="minisblack")
    return stream.getvalue()


@needs_rocks
@pytest.mark.parametrize(
    ("file", "shape", "porosity", "count", "mean", "deviation"),
    [
        ("berea.zip", (400, 400, 400), 0.1965, 2197, 0.197, 0.101),
        ("ketton.zip", (256, 256, 256), 0.1269, 512, 0.123, 0.075),
        ("nmc_cathode_128.tif", (128, 128, 128), 0.580, 64, 0.583, 0.021),
        ("separator_156x75x75.tif", (156, 75, 75), 0.621, 20, None, None),
    ],
)
def test_real_rocks_have_their_published_figures(file, shape, porosity, count, mean, deviation):
    volume = read_volume(ROCKS / file, pore=0)
    assert volume.shape == shape
    assert volume.dtype == bool
    assert volume.mean() == pytest.approx(porosity, abs=5e-4)
    cut = blocks(volume, 30).mean(axis=(1, 2, 3))
    assert len(cut) == count
    if mean is not None:
        assert cut.mean() == pytest.approx(mean, abs=5e-4)
        assert cut.std() == pytest.approx(deviation, abs=5e-4)
    if file == "berea.zip":
        assert cut.min() == pytest.approx(0.001, abs=5e-4)
        assert cut.max() == pytest.approx(0.811, abs=5e-4)


def test_every_kind_of_file_gives_the_same_volume(tmp_path):
    (tmp_path / "a.tif").write_bytes(as_tiff(GREY))
    tifffile.imwrite(tmp_path / "b.TIFF", GREY, photometric="minisblack", compression="zlib")
    np.save(tmp_path / "c.npy", GREY)
    np.savez_compressed(tmp_path / "d.npz", image=GREY, voxel_size=2.5)
    savemat(tmp_path / "e.mat", {"image": GREY, "note": 3.0})
    zipped(
        tmp_path / "f.zip", {"scan/a.tif": as_tiff(GREY), "scan/": "", "__MACOSX/scan/._a.tif": "x", "note.txt": "x"}
    )
    zipped(tmp_path / "g.zip", {"a.npz": (tmp_path / "d.npz").read_bytes()})
    for path in sorted(tmp_path.iterdir()):
        np.testing.assert_array_equal(read_volume(path), PORE, err_msg=path.name)
    assert len(list(tmp_path.iterdir())) == 7  # nothing was unpacked beside the files


@pytest.mark.parametrize("dtype", ["u1", "<u2", ">i4", "f4"])
def test_raw_files_are_read_with_shape_and_type(tmp_path, dtype):
    content = GREY.astype(dtype).tobytes()
    (tmp_path / "a.raw").write_bytes(content)
    zipped(tmp_path / "b.zip", {"b.raw": content})
    for name in ("a.raw", "b.zip"):
        np.testing.assert_array_equal(read_volume(tmp_path / name, shape=(5, 6, 7), dtype=dtype), PORE)


def test_axes_of_length_one_are_dropped(tmp_path):
    np.save(tmp_path / "a.npy", GREY[None, ..., None])
    np.testing.assert_array_equal(read_volume(tmp_path / "a.npy"), PORE)


@pytest.mark.parametrize("values", [(0, 255), (0, 1), (-1, 0), (1, 2), (0.25, 0.5)])
def test_pores_are_the_smaller_value_unless_told_otherwise(tmp_path, values):
    low, high = values
    np.save(tmp_path / "a.npy", np.where(PORE, low, high))
    np.testing.assert_array_equal(read_volume(tmp_path / "a.npy"), PORE)
    np.testing.assert_array_equal(read_volume(tmp_path / "a.npy", pore=low), PORE)
    np.testing.assert_array_equal(read_volume(tmp_path / "a.npy", pore=high), ~PORE)


def test_pores_are_true_in_a_boolean_array(tmp_path):
    np.save(tmp_path / "a.npy", PORE)
    np.testing.assert_array_equal(read_volume(tmp_path / "a.npy"), PORE)
    np.testing.assert_array_equal(read_volume(tmp_path / "a.npy", pore=False), ~PORE)


@pytest.mark.parametrize(
    ("array", "words"),
    [
        (
            np.arange(210).reshape(5, 6, 7),
            "expected two labels, got a grey image of more than 16 values from 0 to 209: segment it",
        ),
        (GREY * 0, r"got 0 \(100.0 %\): it holds a single phase"),
        (np.where(PORE, np.inf, 1), "infinite values; segment"),
        (np.full(PORE.shape, np.nan), "every voxel is outside the sample"),
        (GREY[0], r"expected a three-dimensional image, got shape \(6, 7\)"),
        (np.stack([GREY, GREY]), "holds 2 volumes: choose one with index"),
        (np.stack([PORE, ~PORE]).astype("f4"), "looks one-hot: say which of 2 phases is pore with --pick phase=NUMBER"),
        (np.stack([GREY, GREY, GREY], axis=-1), "looks like 3 channels a voxel: pick one with --pick channel=0"),
        (GREY[:0], r"got shape \(0, 6, 7\)"),
        (GREY.astype(complex), "expected an array of numbers"),
        (np.array([[["a"]]], dtype=object), "dtype object, which is refused"),
    ],
)
def test_an_array_that_is_no_segmented_image_is_refused(tmp_path, array, words):
    np.save(tmp_path / "a.npy", array, allow_pickle=True)
    with pytest.raises(ValueError, match=f"^a.npy: .*{words}"):
        read_volume(tmp_path / "a.npy")


def test_a_label_that_does_not_occur_is_refused(tmp_path):
    np.save(tmp_path / "a.npy", GREY)
    with pytest.raises(ValueError, match=r"got 1: the image holds 0 \(\d+\.\d %\), 255"):
        read_volume(tmp_path / "a.npy", pore=1)


@pytest.mark.parametrize(
    ("how", "words"),
    [
        ({}, r"give shape=\(depth, height, width\)"),
        ({"shape": (5, 6, 6)}, "and dtype='uint8'"),
        ({"shape": (5, 6, 7), "dtype": "u1", "offset": 1}, "take 211 bytes, the file has 210"),
        ({"shape": (5, 6, 8), "dtype": "u1"}, "take 240 bytes, the file has 210"),
        ({"shape": (5, 6, 7), "dtype": "u2"}, "take 420 bytes, the file has 210"),
        ({"shape": (5, 42), "dtype": "u1"}, "three positive lengths"),
        ({"shape": (5, 6, 7), "dtype": "O"}, "a type of number"),
    ],
)
def test_a_raw_file_needs_the_right_shape_and_type(tmp_path, how, words):
    (tmp_path / "a.raw").write_bytes(GREY.tobytes())
    with pytest.raises(ValueError, match=words):
        read_volume(tmp_path / "a.raw", **how)


def test_shape_is_refused_where_the_file_states_its_own(tmp_path):
    np.save(tmp_path / "a.npy", GREY)
    with pytest.raises(ValueError, match=r"describe \.raw files only"):
        read_volume(tmp_path / "a.npy", shape=(5, 6, 7))


@pytest.mark.parametrize(
    ("members", "words"),
    [
        ({}, "found none; repack it"),
        ({"note.txt": "x"}, "found none"),
        ({"a.npy": as_npy(GREY), "b.tif": as_tiff(GREY)}, "found a.npy, b.tif"),
        ({"a.zip": "x"}, "found none"),
    ],
)
def test_an_archive_must_hold_exactly_one_image(tmp_path, members, words):
    with pytest.raises(ValueError, match=words):
        read_volume(zipped(tmp_path / "a.zip", members))


def test_an_archive_that_unpacks_to_too_much_is_refused_before_it_is_unpacked(tmp_path, monkeypatch):
    path = zipped(tmp_path / "a.zip", {"a.raw": bytes(10**6)})
    monkeypatch.setattr(packed, "MAX_BYTES", 10**5)
    monkeypatch.setattr(zipfile.ZipFile, "read", lambda *_: pytest.fail("it was unpacked"))
    with pytest.raises(ValueError, match=r"more than the .* that are allowed; crop the image"):
        read_volume(path, shape=(100, 100, 100), dtype="u1")


def test_a_small_tiff_that_unpacks_to_too_much_is_refused(tmp_path, monkeypatch):
    tifffile.imwrite(tmp_path / "a.tif", np.zeros((100, 100, 100), "u1"), photometric="minisblack", compression="zlib")
    monkeypatch.setattr(packed, "MAX_BYTES", 10**5)
    with pytest.raises(ValueError, match="that are allowed"):
        read_volume(tmp_path / "a.tif")


@pytest.mark.parametrize("suffix", ["tif", "npy", "npz", "zip", "mat"])
@pytest.mark.parametrize("content", [b"", b"nonsense" * 40])
def test_a_damaged_file_is_named(tmp_path, suffix, content):
    (tmp_path / f"a.{suffix}").write_bytes(content)
    with pytest.raises(ValueError, match=f"^a.{suffix}: .*(again|save one array)"):
        read_volume(tmp_path / f"a.{suffix}")


def test_a_truncated_archive_or_tiff_is_named(tmp_path):
    noise = np.random.default_rng(0).integers(0, 2, (20, 20, 20), dtype=np.uint8)
    (tmp_path / "a.tif").write_bytes(as_tiff(noise)[:4000])
    whole = zipped(tmp_path / "b.zip", {"a.tif": as_tiff(noise)}).read_bytes()
    (tmp_path / "b.zip").write_bytes(whole[: len(whole) // 2])
    for name in ("a.tif", "b.zip"):
        with pytest.raises(ValueError, match=f"^{name}: .*again"):
            read_volume(tmp_path / name)


def test_unknown_and_missing_files_are_named(tmp_path):
    (tmp_path / "a.jpg").write_bytes(b"x")
    with pytest.raises(ValueError, match=r"ends in one of \.tif"):
        read_volume(tmp_path / "a.jpg")
    with pytest.raises(FileNotFoundError, match="there is no file"):
        read_volume(tmp_path / "b.tif")


def test_blocks_are_disjoint_in_order_and_drop_the_remainder():
    volume = np.random.default_rng(0).random((7, 9, 4)) < 0.5
    cut = blocks(volume, 3)
    assert cut.shape == (6, 3, 3, 3)
    for index, (i, j, k) in enumerate(np.ndindex(2, 3, 1)):
        expected = volume[3 * i : 3 * i + 3, 3 * j : 3 * j + 3, 3 * k : 3 * k + 3]
        np.testing.assert_array_equal(cut[index], expected)
    cut[:] = False
    assert volume.any()


def test_a_block_must_fit():
    for edge in (0, 5):
        with pytest.raises(ValueError, match=f"between 1 and 4 .*got {edge}"):
            blocks(np.zeros((7, 9, 4), dtype=bool), edge)
    with pytest.raises(ValueError, match="depth, height, width"):
        blocks(np.zeros((7, 9), dtype=bool), 2)
