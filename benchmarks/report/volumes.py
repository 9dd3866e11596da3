"""Pictures of volumes by matplotlib: slices side by side, and pores in three dimensions."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from ..evaluate.draws import Draws, typical_slice
from .style import PORE, SHADES, SOLID

if TYPE_CHECKING:
    from matplotlib.figure import Figure

_CORNERS = np.array([[0, 0], [1, 0], [1, 1], [0, 1]])  # of a face, in the plane of its two other axes


def gallery(draws: Draws, width: float) -> Figure:
    """Slices of real and generated volumes: a row a generator, a column a density."""
    from matplotlib.colors import ListedColormap  # noqa: PLC0415 - only needed where figures are drawn
    from matplotlib.figure import Figure  # noqa: PLC0415

    rows, columns = len(draws.voxels), len(draws.density)
    figure = Figure(figsize=(width, width * (rows + 0.3) / (columns + 1.1)))
    panels = figure.subplots(rows, columns, squeeze=False)
    for row, (name, volumes) in zip(panels, draws.voxels.items(), strict=True):
        for axes, volume in zip(row, volumes, strict=True):
            axes.imshow(typical_slice(volume), cmap=ListedColormap([SOLID, PORE]), vmin=0, vmax=1)
            axes.set_xticks([])
            axes.set_yticks([])
            axes.spines[:].set_visible(False)
        row[0].set_ylabel(name, rotation=0, ha="right", va="center", weight="bold" if name == "real" else "normal")
    for axes, density in zip(panels[0], draws.density, strict=True):
        axes.set_title(f"{density:.2f}")
    return figure


def solids(draws: Draws, width: float) -> Figure:
    """Pores in three dimensions, real and by every generator, at the density where about a sixth is pore."""
    from matplotlib.figure import Figure  # noqa: PLC0415 - only needed where figures are drawn

    place = int(np.abs(draws.voxels["real"].mean(axis=(1, 2, 3)) - 1 / 6).argmin())
    columns = 3
    rows = -(-len(draws.voxels) // columns)
    figure = Figure(figsize=(width, width * rows / columns))
    for number, (name, volumes) in enumerate(draws.voxels.items(), start=1):
        axes: Any = figure.add_subplot(rows, columns, number, projection="3d")
        _draw_pores(axes, volumes[place])
        axes.set_title(name, y=0.97)
    return figure


def _draw_pores(axes: Any, volume: NDArray[np.bool_]) -> None:
    """The exposed faces of pore voxels as polygons, brighter the more they look up."""
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
    """Faces of pore voxels that meet solid or the border and can be seen from above, from the front or from the side.

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
