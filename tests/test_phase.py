import io
import logging
import os
from pathlib import Path

import h5py
import numpy as np
import pytest
import tifffile
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from PIL import Image
from scipy.io import savemat

from porebench.benchmarks.cli.parameters import reading
from porebench.data import load, load_image, read_phase, read_set, read_volume
from porebench.data.export import write_volumes
from porebench.data.phase import HIGH_POROSITY, Phase, outside_of, pore_phase
from porebench.data.volumes import Volumes

SHARED = Path(os.environ.get("POREBENCH_ROCKS", Path(__file__).parents[2] / "shared" / "rocks")).parent
BLOBS = {"shape": (100, 100, 100)}


def tiff(array, **options):
    stream = io.BytesIO()
    tifffile.imwrite(stream, array, **{"photometric": "minisblack", **options})
    return stream.getvalue()


def saved(save, *arguments, **options):
    stream = io.BytesIO()
    save(stream, *arguments, **options)
    return stream.getvalue()


def hdf5(array):
    stream = io.BytesIO()
    with h5py.File(stream, "w") as file:
        file["image"] = array
    return stream.getvalue()


def pages(pore, **options):
    """One bit a voxel, as Pillow writes it; black = pore."""
    stream = io.BytesIO()
    first, *others = [Image.fromarray(~page) for page in pore]
    first.save(stream, format="TIFF", save_all=True, append_images=others, **options)
    return stream.getvalue()


def grey(pore):
    return np.where(pore, 0, 255).astype(np.uint8)


CERTAIN = {
    "8bit.tif": lambda pore: tiff(grey(pore)),
    "8bit-deflate.tif": lambda pore: tiff(grey(pore), compression="zlib"),
    "16bit.tif": lambda pore: tiff(grey(pore).astype(np.uint16)),
    "int8.tif": lambda pore: tiff(grey(pore).view(np.int8)),
    "1bit.tif": lambda pore: tiff(~pore, photometric="minisblack"),
    "1bit-white-is-zero.tif": lambda pore: tiff(pore, photometric="miniswhite"),
    "1bit-packbits.tif": lambda pore: tiff(~pore, compression="packbits"),
    "1bit-pillow.tif": pages,
    "1bit-g4.tif": lambda pore: pages(pore, compression="group4"),
    "grey.npy": lambda pore: saved(np.save, grey(pore)),
    "float.npy": lambda pore: saved(np.save, np.where(pore, 0.25, 0.75)),
    "grey.npz": lambda pore: saved(np.savez, image=grey(pore)),
    "named_7x8x9_uint8.raw": lambda pore: grey(pore).tobytes(),
    "grey.mat": lambda pore: saved(savemat, {"image": grey(pore)}),
    "grey.h5": lambda pore: hdf5(grey(pore)),
}
"""One structure in files whose grey values say what is pore: black."""
DOUBTFUL = {
    "true-is-pore.npy": lambda pore: saved(np.save, pore),
    "logical.mat": lambda pore: saved(savemat, {"image": pore}),
    "bool.h5": hdf5,
    "zero-is-pore.npy": lambda pore: saved(np.save, (~pore).astype(np.uint8)),
    "zero-is-pore.tif": lambda pore: tiff((~pore).astype(np.uint8)),
    "zero-is-pore.mat": lambda pore: saved(savemat, {"image": (~pore).astype(np.uint8)}),
}
"""The same structure in encodings that are used both ways."""


@settings(max_examples=2, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(seed=st.integers(0, 2**32), porosity=st.floats(0.1, 0.4))
def test_one_structure_has_one_answer_in_every_encoding(seed, porosity, tmp_path) -> None:
    pore = np.random.default_rng(seed).random((7, 8, 9)) < porosity
    for name, content in (CERTAIN | DOUBTFUL).items():
        (tmp_path / name).write_bytes(content(pore))
        found, phase = read_phase(tmp_path / name)
        np.testing.assert_array_equal(found, pore, err_msg=name)
        assert phase.porosity == pytest.approx(pore.mean())
        assert bool(phase.warning) == (name in DOUBTFUL), name


@given(porosity=st.floats(0.1, 0.9), seed=st.integers(0, 99))
@settings(max_examples=20, deadline=None)
def test_the_same_array_as_boolean_and_as_numbers_is_the_same_or_a_question(porosity, seed) -> None:
    array = np.random.default_rng(seed).random((5, 6, 7)) < porosity
    answers = []
    for version in (array, array.astype(np.uint8), array.astype(np.float32)):
        try:
            mask, phase = pore_phase(version, "a")
        except ValueError as error:
            assert "--pore 0 or --pore 1" in str(error)  # noqa: PT017 - one of them is a question
        else:
            assert "give --pore" in phase.warning
            answers.append(mask)
        for label in (0, 1):
            mask, phase = pore_phase(version, "a", pore=label)
            np.testing.assert_array_equal(mask, array == label)
            assert not phase.warning
    for mask in answers:
        np.testing.assert_array_equal(mask, answers[0])
    assert answers


def test_a_decision_is_one_line() -> None:
    array = np.zeros((10, 10, 10), np.uint8)
    array[2:] = 255
    assert str(pore_phase(array, "a")[1]) == "pore = 0 (of 0, 255; the smaller label), porosity 0.200"
    asked = "pore = 255 (of 0, 255; as asked), porosity 0.800"
    assert str(pore_phase(array, "a", pore=255)[1]) == asked
    assert str(Phase((1.0,), 0.5, "why", "but")) == "pore = 1 (why), porosity 0.500; but"


def test_a_high_porosity_that_nobody_asked_for_is_warned_of(caplog, tmp_path) -> None:
    array = np.full((10, 10, 10), 255, np.uint8)
    array[: round(10 * HIGH_POROSITY)] = 0
    assert not pore_phase(array, "a")[1].warning
    array[-1] = 0
    assert "give --pore LABEL to say which value is pore" in pore_phase(array, "a")[1].warning
    assert not pore_phase(array, "a", pore=0)[1].warning
    np.save(tmp_path / "a.npy", array)
    with caplog.at_level(logging.WARNING):
        read_volume(tmp_path / "a.npy")
    assert "a.npy: pore = 0" in caplog.text


def test_three_labels_are_listed_with_their_shares_and_need_an_option() -> None:
    array = np.repeat([0, 85, 170], [50, 30, 20]).reshape(4, 5, 5)
    words = r"got 3, 0 \(50.0 %\), 85 \(30.0 %\), 170 \(20.0 %\): say which are pore with --pore"
    with pytest.raises(ValueError, match=words):
        pore_phase(array, "a")
    mask, phase = pore_phase(array, "a", pore=[170, 85])
    np.testing.assert_array_equal(mask, array > 0)
    assert phase.labels == (85, 170)
    for wrong in ([], [0, 85, 170], 3):
        with pytest.raises(ValueError, match="some of the labels but not all"):
            pore_phase(array, "a", pore=wrong)


def test_a_grey_image_is_parted_by_a_threshold() -> None:
    rng = np.random.default_rng(0)
    pore = rng.random((20, 20, 20)) < 0.3
    array = np.where(pore, rng.normal(80, 8, pore.shape), rng.normal(160, 8, pore.shape)).astype(np.uint8)
    for threshold in ("otsu", 120):
        mask, phase = pore_phase(array, "a", threshold=threshold)
        np.testing.assert_array_equal(mask, pore)
        assert "at or below 1" in str(phase)
    assert pore_phase(np.arange(8).reshape(2, 2, 2), "a", threshold=3)[0].sum() == 4  # the value itself is pore
    with pytest.raises(ValueError, match="--threshold otsu"):
        pore_phase(array, "a")
    with pytest.raises(ValueError, match="leaves one phase"):
        pore_phase(array, "a", threshold=-1)
    with pytest.raises(ValueError, match="leave one of them out"):
        pore_phase(array, "a", threshold=3, pore=1)
    with pytest.raises(ValueError, match="needs a grey image"):
        pore_phase(pore, "a", threshold=0)


def test_a_label_of_many_is_found_wherever_it_lies() -> None:
    array = np.arange(1000).reshape(10, 10, 10)
    assert np.flatnonzero(pore_phase(array, "a", pore=999)[0]).tolist() == [999]
    tenths = np.where(array < 500, np.float32(0.1), np.float32(0.2))
    assert pore_phase(tenths, "a", pore=0.1)[0].sum() == 500


def test_what_this_suite_writes_states_its_phase(tmp_path) -> None:
    voxels = np.random.default_rng(0).random((2, 5, 6, 7)) < 0.9
    drawn = Volumes(voxels, np.array([0.9, 0.9]), name="noise")
    for kind in ("npz", "npy", "vti"):
        write_volumes(drawn, tmp_path / kind, kind)
        assert "by the file's format" in str(read_set(tmp_path / kind).phase)
    path = tmp_path / "npz" / "noise.npz"
    np.testing.assert_array_equal(read_volume(path, index=1, pore=0), ~voxels[1])


@pytest.mark.parametrize(
    ("file", "options", "porosity"),
    [
        ("media/berea_coarse_110x110x110_uint8.raw", {}, 0.178),
        ("media/drp374_256.mat", {}, 0.100),
        ("media/electrode_3phase_256.tiff", {"pore": 0}, 0.450),
        ("media/electrode_3phase_256.tiff", {"pore": (0, 85)}, 0.8504),
        ("media/meniscus_anisotropic_115x115x200.mat", {"pore": 0}, 0.61),
        ("media/blobs_100_1bit.tif", {"pore": 255}, 0.398),
        ("media/blobs_100.hdf5", {"pore": 1}, 0.400),
        ("media/blobs_100_int16le.raw.gz", {"pore": 128, **BLOBS}, 0.400),
        ("rocks/berea.zip", {}, 0.1965),
        ("rocks/ketton.zip", {}, 0.1269),
        ("rocks/nmc_cathode_128.tif", {"pore": 0}, 0.580),
        ("rocks/separator_156x75x75.tif", {"pore": 0}, 0.621),
    ],
)
def test_known_files_have_their_known_porosity(file, options, porosity) -> None:
    path = SHARED / file
    if not path.is_file():
        pytest.skip(f"needs {path} (POREBENCH_ROCKS)")
    voxels, phase = read_phase(path, **options)
    assert voxels.mean() == pytest.approx(porosity, abs=6e-4)
    assert phase.porosity == voxels.mean()
    assert not (options and phase.warning)


@pytest.mark.parametrize("folder", ["media", "rocks"])
def test_every_known_file_is_among_those_whose_porosity_is_checked(folder) -> None:
    table = SHARED / folder / "README.md"
    if not table.is_file():
        pytest.skip(f"needs {table} (POREBENCH_ROCKS)")
    rows = [line.split("|")[1] for line in table.read_text(encoding="utf-8").splitlines() if line.startswith("|")]
    stated = {row.split()[0].strip("`") for row in rows[2:]}
    cases = test_known_files_have_their_known_porosity.pytestmark[0].args[1]
    assert {f"{folder}/{name}" for name in stated} <= {file for file, *_ in cases}


def test_two_encodings_of_the_known_blobs_are_the_same_voxels() -> None:
    files = SHARED / "media" / "blobs_100.hdf5", SHARED / "media" / "blobs_100_int16le.raw.gz"
    if not all(file.is_file() for file in files):
        pytest.skip(f"needs {files[0].parent} (POREBENCH_ROCKS)")
    one, other = load_image(files[0], pore=1)[0], load_image(files[1], pore=128, **BLOBS)[0]
    np.testing.assert_array_equal(one, other)


@pytest.mark.parametrize("around", [7, np.nan])
def test_what_is_outside_is_neither_pore_nor_solid_and_its_blocks_are_left_out(around, tmp_path) -> None:
    array = np.random.default_rng(0).choice([10.0, 20.0], (30, 12, 12), p=[0.3, 0.7])
    array[:, :, 9:] = around
    array[0, 0, 0] = around
    np.save(tmp_path / "core.npy", array)
    asked = {} if np.isnan(around) else {"outside": around}
    if asked:
        with pytest.raises(ValueError, match="got 3"):
            read_volume(tmp_path / "core.npy")
    voxels, phase = read_phase(tmp_path / "core.npy", **asked)
    inside = np.isin(array, [10, 20])
    assert phase.labels == (10,)
    assert phase.porosity == pytest.approx((array[inside] == 10).mean())
    np.testing.assert_array_equal(voxels, array == 10)
    dataset = load(tmp_path / "core.npy", block=5, **asked)
    assert [len(part) for part in dataset] == [7, 2, 2]
    assert "13 of 24 blocks touch the outside and are left out" in dataset.phase
    np.testing.assert_array_equal(dataset.test.voxels[0], array[25:, :5, :5] == 10)
    with pytest.raises(ValueError, match="nothing but sample"):
        load_image(tmp_path / "core.npy", **asked)
    array[:, 5, 5] = around
    np.save(tmp_path / "core.npy", array)
    with pytest.raises(
        ValueError, match="all 1 training blocks touch what is outside the sample: use a smaller --block"
    ):
        load(tmp_path / "core.npy", block=10, **asked)


def test_labels_of_the_outside_that_do_not_occur_are_refused() -> None:
    array = np.repeat([0, 255], 500).reshape(10, 10, 10)
    with pytest.raises(ValueError, match="no voxel has the label 3 of what is outside; it holds 0"):
        outside_of(array, "a", 3)
    with pytest.raises(ValueError, match="every voxel is outside"):
        outside_of(array, "a", [0, 255])
    assert outside_of(array, "a", None) is None


def options(**given):
    none = dict.fromkeys(("pore", "threshold", "outside", "voxel_size", "raw_shape", "raw_type", "key", "pick"))
    return reading(**{**none, "resample": False, "raw_offset": 0, **given})


def test_options_of_the_command_line_are_read() -> None:
    assert options(pore="0,85")["pore"] == [0, 85]
    assert options(threshold="otsu")["threshold"] == "otsu"
    assert options(threshold="87.5")["threshold"] == 87.5
    assert options(threshold="0")["threshold"] == 0
    assert options(raw_shape="4,5,6")["shape"] == (4, 5, 6)
    assert options(pick="frame=2,channel=0")["pick"] == {"frame": 2, "channel": 0}


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ({"pore": "black"}, "numbers with commas between after --pore, got 'black'"),
        ({"threshold": "1,2"}, "one grey value or otsu"),
        ({"raw_shape": "4,5"}, "three lengths such as --raw-shape 100,120,140"),
        ({"raw_shape": "4,5,x"}, "after --raw-shape"),
        ({"pick": "2"}, "channel, frame, phase or volume with a number, as --pick frame=0, got '2'"),
    ],
)
def test_options_of_the_command_line_that_make_no_sense_are_refused(given, words) -> None:
    with pytest.raises(ValueError, match=words):
        options(**given)
