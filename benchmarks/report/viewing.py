"""One volume in three dimensions: a PyVista window where there is a display, a PNG where there is none."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from porebench.data.export import image_data, pyvista

PORE_COLOUR = "#0072B2"
WINDOW = (900, 800)


def has_display() -> bool:
    """Whether a window can be opened: always said of Windows and macOS; elsewhere where X11 or Wayland is set."""
    if sys.platform in {"win32", "darwin"}:
        return True
    return bool(os.environ.get("DISPLAY") or os.environ.get("WAYLAND_DISPLAY"))


def pore_surface(voxels: NDArray[np.bool_], voxel_size: float = 1.0) -> Any:
    """The faces of all pore voxels that meet solid or the border, a pyvista ``PolyData``; empty without pores.

    Args:
        voxels: bool [depth, height, width], True = pore.
        voxel_size: edge length of a voxel.
    """
    return image_data(voxels, voxel_size).threshold(0.5, scalars="pore").extract_surface(algorithm="dataset_surface")


def view(voxels: NDArray[np.bool_], title: str, *, png: Path | None = None, voxel_size: float = 1.0) -> Path | None:
    """Show the pores of a volume, or draw them into a file.

    The window turns with the mouse and has a cut plane to drag.

    Args:
        voxels: bool [depth, height, width], True = pore.
        title: of window and picture.
        png: write this file and open no window.
        voxel_size: edge length of a voxel.

    Returns:
        The file written, if any.

    Raises:
        ImportError: if pyvista is not installed.
    """
    vtk = pyvista()
    plotter = vtk.Plotter(off_screen=png is not None, window_size=WINDOW, title=title)
    plotter.set_background("white")
    surface = pore_surface(voxels, voxel_size)
    look = {"color": PORE_COLOUR, "smooth_shading": False, "ambient": 0.25}
    if surface.n_points == 0:
        plotter.add_text("no pore voxel", position="lower_edge", color="black")
    elif png is None:
        plotter.add_mesh_clip_plane(surface, **look)
    else:
        plotter.add_mesh(surface, **look)
    plotter.add_mesh(image_data(voxels, voxel_size).outline(), color="grey")
    plotter.add_text(f"{title}, porosity {voxels.mean():.3f}", position="upper_left", font_size=11, color="black")
    plotter.camera_position = "iso"
    if png is None:
        plotter.show()
        return None
    png.parent.mkdir(parents=True, exist_ok=True)
    with vtk.vtk_verbosity("off"):  # VTK tells of the display that it looks for in vain
        plotter.screenshot(png)
    plotter.close()
    return png
