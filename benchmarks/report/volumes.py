"""Pictures of volumes: slices side by side and pores in three dimensions by matplotlib, one volume by PyVista."""

from __future__ import annotations

import os
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from porebench.data.export import image_data, pyvista

from ..store.results import REAL
from .style import PORE, SHADES, SOLID, new_figure

if TYPE_CHECKING:
    from matplotlib.figure import Figure

WINDOW = (900, 800)
_CORNERS = np.array([[0, 0], [1, 0], [1, 1], [0, 1]])  # of a face, in the plane of its two other axes


class NoDrawsError(ValueError):
    """Error where there is nothing to look at; the message says which command makes it."""


@dataclass(frozen=True, eq=False)
class Draws:
    """Volumes at a few densities.

    Attributes:
        density: float64 [k], rising.
        voxels: bool [k, D, H, W] by name, ``REAL`` first, then generators from the best score to the worst.
        missing: generators that have a score but no draws at hand, each with the command that makes them.
        voxel_size: edge of a voxel, in the data set's unit of length.
    """

    density: NDArray[np.float64]
    voxels: dict[str, NDArray[np.bool_]]
    missing: dict[str, str]
    voxel_size: float = 1.0


def typical_slice(volume: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """Return the slice across depth whose porosity is closest to the volume's, bool [height, width]."""
    profile = volume.mean(axis=(1, 2))
    return np.asarray(volume[np.abs(profile - profile.mean()).argmin()])


def gallery(draws: Draws, width: float) -> Figure:
    """Return slices of real and generated volumes: a row a generator, a column a density."""
    from matplotlib.colors import ListedColormap  # noqa: PLC0415 - only needed where figures are drawn

    rows, columns = len(draws.voxels), len(draws.density)
    figure = new_figure(width, width * (rows + 0.3) / (columns + 1.1))
    panels = figure.subplots(rows, columns, squeeze=False)
    for row, (name, volumes) in zip(panels, draws.voxels.items(), strict=True):
        for axes, volume in zip(row, volumes, strict=True):
            axes.imshow(typical_slice(volume), cmap=ListedColormap([SOLID, PORE]), vmin=0, vmax=1)
            axes.set_xticks([])
            axes.set_yticks([])
            axes.spines[:].set_visible(False)
        row[0].set_ylabel(name, rotation=0, ha="right", va="center", weight="bold" if name == REAL else "normal")
    for axes, density in zip(panels[0], draws.density, strict=True):
        axes.set_title(f"{density:.2f}")
    return figure


def solids(draws: Draws, width: float) -> Figure:
    """Return pores in three dimensions, real and by every generator, at the density where about a sixth is pore."""
    place = int(np.abs(draws.voxels[REAL].mean(axis=(1, 2, 3)) - 1 / 6).argmin())
    columns = 3
    rows = -(-len(draws.voxels) // columns)
    figure = new_figure(width, width * rows / columns)
    for number, (name, volumes) in enumerate(draws.voxels.items(), start=1):
        axes: Any = figure.add_subplot(rows, columns, number, projection="3d")
        _draw_pores(axes, volumes[place])
        axes.set_title(name, y=0.97)
    return figure


def _draw_pores(axes: Any, volume: NDArray[np.bool_]) -> None:
    """Draw the exposed faces of pore voxels as polygons, brighter the more they look up."""
    from matplotlib.colors import to_rgb  # noqa: PLC0415 - only needed where figures are drawn
    from mpl_toolkits.mplot3d.art3d import Poly3DCollection  # noqa: PLC0415

    corners, axis_of = exposed_faces(volume)
    colours = np.array([to_rgb(shade) for shade in SHADES])[axis_of]
    faces = Poly3DCollection(corners[..., ::-1], facecolors=colours, edgecolors="none")
    faces.set_rasterized(True)  # thousands of polygons make a large and slow SVG
    axes.add_collection3d(faces)
    depth, height, width = volume.shape
    axes.set(xlim=(0, width), ylim=(0, height), zlim=(0, depth), xticks=[], yticks=[], zticks=[])
    axes.set_box_aspect((width, height, depth))
    axes.view_init(elev=25, azim=-60)


def exposed_faces(volume: NDArray[np.bool_]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Return faces of pore voxels that meet solid or the border, as seen from above, from the front and from the side.

    Args:
        volume: bool [depth, height, width], True = pore.

    Returns:
        Corners int64 [faces, 4, 3] in voxels along depth, height and width, and the axis that each is normal to.

    Example:
        >>> exposed_faces(np.ones((1, 1, 1), dtype=bool))[1].tolist()
        [0, 1, 2]
    """
    seen_from = (1, 0, 1)  # the far end of depth (up) and width, the near end of height: where the camera stands
    corners, axes = [], []
    for axis, far in enumerate(seen_from):
        solid_beyond = ~np.roll(volume, -1 if far else 1, axis=axis)
        edge = [slice(None)] * 3
        edge[axis] = slice(-1, None) if far else slice(0, 1)
        solid_beyond[tuple(edge)] = True
        cells = np.argwhere(volume & solid_beyond)
        square = np.zeros((4, 3), dtype=np.int64)
        square[:, [other for other in range(3) if other != axis]] = _CORNERS
        square[:, axis] = far
        corners.append(cells[:, None, :] + square)
        axes.append(np.full(len(cells), axis))
    return np.concatenate(corners), np.concatenate(axes)


def has_display() -> bool:
    """Return whether a window can be opened: always on Windows and macOS, elsewhere where X11 or Wayland is set."""
    if sys.platform in {"win32", "darwin"}:
        return True
    return bool(os.environ.get("DISPLAY") or os.environ.get("WAYLAND_DISPLAY"))


def pore_surface(voxels: NDArray[np.bool_]) -> Any:
    """Return the faces of all pore voxels that meet solid or the border, a pyvista ``PolyData``; empty without pores.

    Args:
        voxels: bool [depth, height, width], True = pore.
    """
    return image_data(voxels).threshold(0.5, scalars="pore").extract_surface(algorithm="dataset_surface")


def view(voxels: NDArray[np.bool_], title: str, *, png: Path | None = None) -> Path | None:
    """Show the pores of a volume, or draw them into a file.

    The window turns with the mouse and has a cut plane to drag.

    Args:
        voxels: bool [depth, height, width], True = pore.
        title: of window and picture.
        png: write this file and open no window.

    Returns:
        The file written, if any.

    Raises:
        ImportError: if pyvista is not installed.
    """
    vtk = pyvista()
    plotter = vtk.Plotter(off_screen=png is not None, window_size=WINDOW, title=title)
    plotter.set_background("white")
    surface = pore_surface(voxels)
    look = {"color": PORE, "smooth_shading": False, "ambient": 0.25}
    if surface.n_points == 0:
        plotter.add_text("no pore voxel", position="lower_edge", color="black")
    elif png is None:
        plotter.add_mesh_clip_plane(surface, **look)
    else:
        plotter.add_mesh(surface, **look)
    plotter.add_mesh(image_data(voxels).outline(), color="grey")
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
