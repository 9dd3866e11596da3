import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from skimage.io import imread

from porebench.benchmarks.report.volumes import has_display, pore_surface

ROOT = Path(__file__).resolve().parent.parent
PROBE = """
import os, sys
os.environ.pop("DISPLAY", None)
import pyvista
plotter = pyvista.Plotter(off_screen=True, window_size=(50, 50))
plotter.add_mesh(pyvista.Cube())
plotter.screenshot(sys.argv[1])
"""

pytest.importorskip("pyvista")


def _run(*arguments: str, folder: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(  # noqa: S603
        [sys.executable, *arguments],
        cwd=folder,
        env={"PATH": "", "PYTHONPATH": str(ROOT / "src"), "HOME": str(folder), "COLUMNS": "300"},
        capture_output=True,
        text=True,
        check=False,
    )


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A working folder, where VTK can draw off-screen."""
    folder = tmp_path_factory.mktemp("view")
    if _run("-c", PROBE, str(folder / "probe.png"), folder=folder).returncode:
        pytest.skip("VTK cannot draw off-screen here: it needs an OpenGL library, such as Debian's libegl1")
    return folder


def test_the_surface_of_pores_has_their_exposed_faces() -> None:
    voxels = np.zeros((4, 5, 6), dtype=bool)
    voxels[1, 2, 3] = voxels[1, 2, 4] = True
    surface = pore_surface(voxels)
    assert surface.n_cells == 10
    assert surface.bounds == pytest.approx((3, 5, 2, 3, 1, 2))
    assert pore_surface(np.zeros((3, 4, 5), dtype=bool)).n_points == 0


def test_without_a_display_a_picture_of_the_volume_is_written(folder) -> None:
    voxels = np.zeros((9, 9, 9), dtype=bool)
    voxels[2:7, 2:7, 2:7] = True
    np.save(folder / "cube.npy", voxels)
    done = _run("-m", "porebench.benchmarks.cli", "view", "cube.npy", folder=folder)
    assert done.returncode == 0, done.stderr
    assert "wrote view.png" in done.stderr
    picture = imread(folder / "view.png")[..., :3].astype(int)
    blue = (picture[..., 2] - picture[..., 0]) > 60
    assert 0.05 < blue.mean() < 0.6


def test_what_is_neither_file_nor_generator_is_one_sentence(folder) -> None:
    done = _run("-m", "porebench.benchmarks.cli", "view", "nothing", folder=folder)
    assert done.returncode == 2
    assert done.stderr.startswith("porebench: there is no file nothing: give a volume")


@pytest.mark.parametrize(("platform", "variables", "expected"), [
    ("linux", {}, False),
    ("linux", {"DISPLAY": ":0"}, True),
    ("linux", {"WAYLAND_DISPLAY": "wayland-0"}, True),
    ("darwin", {}, True),
])  # fmt: skip
def test_a_display_is_known_by_its_variable(platform, variables, expected, monkeypatch) -> None:
    monkeypatch.setattr(sys, "platform", platform)
    for name in ("DISPLAY", "WAYLAND_DISPLAY"):
        monkeypatch.delenv(name, raising=False)
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    assert has_display() is expected
