"""Channels, frames, one-hot phases and volumes: what a file seems to hold is said, and one of them is picked."""

import json
import os
import sys
from pathlib import Path

import numpy as np
import pytest
import tifffile
from PIL import Image

from porebench.benchmarks.cli import main
from porebench.benchmarks.cli.parameters import picked
from porebench.benchmarks.evaluate.tasks import FILE, load_task
from porebench.data import load, read_phase, read_set, read_volume
from porebench.data.collections import read_collection

CASES = Path(os.environ.get("POREBENCH_ROCKS", Path(__file__).parents[2] / "shared" / "rocks")).parent / "cases"
needs_cases = pytest.mark.skipif(not CASES.is_dir(), reason=f"needs the files in {CASES} (POREBENCH_ROCKS)")

PORE = np.random.default_rng(0).random((12, 6, 7)) < 0.4
GREY = np.where(PORE, 0, 255).astype(np.uint8)
COLOURS = np.stack([255 - GREY, GREY, 255 - GREY], axis=-1)


def frames(path) -> None:
    tifffile.imwrite(path, np.stack([255 - GREY, GREY]), imagej=True, metadata={"axes": "TZYX"})


def hyperstack(path) -> None:
    each = np.stack([255 - GREY, GREY], axis=1)
    tifffile.imwrite(path, np.stack([each, 255 - each]), imagej=True, metadata={"axes": "TZCYX"})


def colours(path) -> None:
    tifffile.imwrite(path, COLOURS, photometric="rgb")


def slices(path) -> None:
    path.mkdir()
    for index, page in enumerate(COLOURS):
        Image.fromarray(page).save(path / f"{index}.png")


def numbers(array):
    return lambda path: np.save(path, array)


ONE_HOT = np.stack([~PORE, PORE]).astype(np.uint8)
SEVERAL = {
    "frames.tif": (frames, "2 frames .axes TZYX, 2 × 12 × 6 × 7.: pick one with --pick frame=0", {"frame": 1}),
    "both.tif": (hyperstack, "2 frames and 2 channels .*--pick frame=0,channel=0", {"frame": 0, "channel": 1}),
    "colours.tif": (colours, "in colour, 3 channels that differ: pick one with --pick channel=0", {"channel": 1}),
    "slices": (slices, "in colour, 3 channels that differ: pick one with --pick channel=0", {"channel": 1}),
    "channels.npy": (numbers(COLOURS), "3 channels a voxel: pick one with --pick channel=0", {"channel": 1}),
    "one-hot.npy": (numbers(ONE_HOT), "one-hot: say which of 2 phases is pore with --pick phase=NUMBER", {"phase": 1}),
    "shares.npy": (numbers(0.2 + 0.6 * ONE_HOT), "one-hot: say which of 2 phases", {"phase": 1}),
}
"""Writers of what is no single image, what it is refused with, and what is picked of it."""


@pytest.mark.parametrize("name", SEVERAL)
def test_what_a_file_holds_several_of_is_said_and_one_is_picked(name, tmp_path) -> None:
    write, words, pick = SEVERAL[name]
    write(tmp_path / name)
    with pytest.raises(ValueError, match=f"^{name}: .*{words}"):
        read_volume(tmp_path / name)
    voxels, phase = read_phase(tmp_path / name, pick=pick)
    np.testing.assert_array_equal(voxels, PORE)
    assert f"; picked {', '.join(f'{what} {number}' for what, number in pick.items())}" in str(phase)
    assert f"picked {next(iter(pick))}" in load(tmp_path / name, block=2, pick=pick).phase


def test_what_is_picked_already_stays_in_the_command_that_is_proposed(tmp_path) -> None:
    hyperstack(tmp_path / "a.tif")
    with pytest.raises(ValueError, match=r"it holds 2 channels .*--pick frame=1,channel=0$"):
        read_volume(tmp_path / "a.tif", pick={"frame": 1})


def test_a_batch_is_a_set_of_volumes_of_which_one_can_be_picked(tmp_path) -> None:
    np.save(tmp_path / "a.npy", np.stack([GREY, 255 - GREY, GREY]))
    assert len(read_set(tmp_path / "a.npy").voxels) == 3
    with pytest.raises(ValueError, match="holds 3 volumes: choose one with index, or --pick volume=NUMBER, 0 to 2"):
        read_volume(tmp_path / "a.npy")
    np.testing.assert_array_equal(read_volume(tmp_path / "a.npy", pick={"volume": 1}), ~PORE)
    with pytest.raises(ValueError, match="holds the volumes 0 to 2, there is no 3"):
        read_volume(tmp_path / "a.npy", pick={"volume": 3})


@pytest.mark.parametrize(
    ("pick", "words"),
    [
        ({"channel": 3}, "it has the channels 0 to 2, there is no 3"),
        ({"channel": 0, "phase": 0}, "it has no phases to pick from, its shape is 12 × 6 × 7: leave phase out"),
        ({"slice": 0}, "pick must give a number from 0 on to one of frame, channel, phase, volume, got slice=0"),
        ({"channel": -1}, "got channel=-1"),
        ({"channel": "0"}, "got channel=0"),
    ],
)
def test_what_cannot_be_picked_is_refused(pick, words, tmp_path) -> None:
    np.save(tmp_path / "a.npy", COLOURS)
    with pytest.raises(ValueError, match=words):
        read_volume(tmp_path / "a.npy", pick=pick)


def test_a_frame_of_one_image_is_refused(tmp_path) -> None:
    np.save(tmp_path / "a.npy", GREY)
    with pytest.raises(ValueError, match="it has no frames to pick from, its shape is 12 × 6 × 7: leave frame"):
        read_volume(tmp_path / "a.npy", pick={"frame": 0})


def test_volumes_that_were_drawn_elsewhere_are_picked_from(tmp_path) -> None:
    batch = np.stack([ONE_HOT, ONE_HOT, ONE_HOT])
    np.save(tmp_path / "a.npy", batch)
    found = read_collection(tmp_path / "a.npy", pick={"phase": 1})
    np.testing.assert_array_equal(found.voxels, np.stack([PORE] * 3))
    assert "picked phase 1" in found.phase
    np.savez(tmp_path / "b.npz", drawn=batch[:, 1], masks=batch[:, 0])
    with pytest.raises(ValueError, match="choose one with --key NAME"):
        read_collection(tmp_path / "b.npz")
    np.testing.assert_array_equal(read_collection(tmp_path / "b.npz", key="drawn").voxels, found.voxels)
    with pytest.raises(ValueError, match="leave volume out"):
        read_collection(tmp_path / "a.npy", pick={"volume": 0})


def test_a_task_remembers_what_was_picked(tmp_path) -> None:
    rng = np.random.default_rng(0)
    np.save(tmp_path / "a.npy", rng.choice(np.array([0, 255], np.uint8), (40, 10, 10, 3), p=[0.3, 0.7]))
    task = load_task(tmp_path / "a.npy", block=10, reading={"pick": {"channel": 2}})
    task.export(tmp_path / "task")
    assert json.loads((tmp_path / "task" / FILE).read_text())["reading"]["pick"] == {"channel": 2}
    assert load_task(tmp_path / "task" / FILE).dataset.digest() == task.dataset.digest()


def test_the_option_is_read_or_refused() -> None:
    assert picked(None) is None
    assert picked("channel=0,frame=12") == {"channel": 0, "frame": 12}
    for text in ("", "channel", "channel=", "channel=-1", "channel=x", "colour=0", "channel=0,"):
        with pytest.raises(ValueError, match="expected channel, frame, phase or volume with a number"):
            picked(text)


def test_every_command_that_reads_an_image_picks(tmp_path, monkeypatch, capsys) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "argv", ["porebench"])
    frames(tmp_path / "a.tif")
    with pytest.raises(SystemExit) as ended:
        main("task", "export", "a.tif", "--block", "2", "--pick", "frame=1")
    assert ended.value.code == 0
    assert "a-2: pore = 0 (of 0, 255; the smaller label)" in (said := capsys.readouterr().err)
    assert "picked frame 1" in said
    for command in (["view"], ["representative"], ["evaluate", "--dataset"], ["score", "--task", "spheres"]):
        with pytest.raises(SystemExit) as ended:
            main(*command, "a.tif", "--pick", "frame=7")
        assert ended.value.code == 2, command
        assert "it has the frames 0 to 1, there is no 7" in capsys.readouterr().err, command


@needs_cases
@pytest.mark.parametrize(
    ("file", "pick"),
    [("n08_onehot.npy", {"phase": 0}), ("t07_rgb_stack.tif", {"channel": 2}), ("t09_ij_2frames.tif", {"frame": 0})],
)
def test_files_that_hold_several_images_are_read_by_what_is_picked(file, pick) -> None:
    voxels = read_volume(CASES / "18-rgb-channels-batches" / file, pick=pick)
    assert voxels.mean() == pytest.approx(0.3, abs=5e-3)
