"""The published file format: a folder of ``distribution_{index:03d}_{density:.3f}.npy``, read and written.

Each file is one array of shape (m³, 4) with the columns x, y, z and flag: the points of a regular grid of m points an
axis over the unit cube, faces included (m = 30 in the published set), and 1 where a point lies in a pore, else 0.
"""

from __future__ import annotations

import re
from pathlib import Path
from statistics import mode

import numpy as np
from numpy.typing import NDArray
from tqdm import tqdm

from .packed import read_npy
from .volumes import Volumes

PUBLISHED = "distribution_"
"""Beginning of the names of files in the format."""
_NAME = re.compile(r"distribution_(?P<index>\d+)_(?P<density>-?\d+(\.\d+)?)\.npy", re.ASCII)
_TOLERANCE = 1e-3  # how far a coordinate may lie from its grid point, in spacings: float32 needs 1e-5


def read_folder(path: str | Path, *, skip_bad: bool = False) -> tuple[Volumes, list[str]]:
    """Return the volumes of a folder in the published format, in order of index, and a sentence on each file left out.

    Voxels are placed by their coordinates, so rows may come in any order. The number of points an axis is taken from
    the number of rows and must be the same in all files. Files that are not ``.npy`` and hidden files are ignored.
    The set is named after the folder; its voxel size is 1/(m − 1) edges of the unit cube.

    Args:
        path: the folder.
        skip_bad: leave out bad files and report each, instead of raising at the first.

    Raises:
        FileNotFoundError: if there is no such folder.
        ValueError: if a file is bad (unless skipped), naming the file and the fix, or if no good file is there.
    """
    folder = Path(path)
    if not folder.is_dir():
        raise FileNotFoundError(f"there is no folder {folder}: put the distribution_*.npy files there")
    files = sorted(file for file in folder.glob("*.npy") if not file.name.startswith("."))
    if not files:
        raise ValueError(f"expected files named distribution_000_0.500.npy in {folder}, found no .npy file at all")
    good: dict[int, tuple[str, float, NDArray[np.bool_]]] = {}
    skipped: list[str] = []

    def refuse(error: Exception) -> None:
        if not skip_bad:
            raise ValueError(f"{error}, or leave bad files out with skip_bad (--skip-bad)") from error
        skipped.append(str(error))

    for file in tqdm(files, desc="reading", unit="file", leave=False, disable=None):
        try:
            match = _NAME.fullmatch(file.name)
            if match is None:
                wanted = "a name like distribution_000_0.500.npy"
                raise ValueError(f"{file.name}: expected {wanted}; rename it or move it elsewhere")
            index, density = int(match["index"]), float(match["density"])
            if not 0 <= density <= 1:
                raise ValueError(f"{file.name}: density must lie in [0, 1], got {density:g}; correct the name")
            if index in good:
                raise ValueError(f"{file.name}: index {index} is taken by {good[index][0]}; renumber one of them")
            good[index] = (file.name, density, read_file(file))
        except (ValueError, OSError) as error:
            refuse(error)
    common = mode([len(voxels) for _, _, voxels in good.values()] or [0])
    for index, (name, _, voxels) in sorted(good.items()):
        if len(voxels) != common:
            edges = f"has {len(voxels)} points an axis, most files here have {common}"
            refuse(ValueError(f"{name}: {edges}; move it elsewhere"))
            del good[index]
    if not good:
        raise ValueError(f"none of the {len(files)} .npy files in {folder} can be read; the first: {skipped[0]}")
    _, densities, stack = zip(*(good[index] for index in sorted(good)), strict=True)
    return Volumes(np.stack(stack), np.array(densities), 1 / (common - 1), folder.resolve().name), skipped


def read_file(path: str | Path) -> NDArray[np.bool_]:
    """Return the voxels of one file in the published format, bool [m, m, m] along x, y and z, True = pore.

    Raises:
        ValueError: if the content is not a complete grid of m³ rows (x, y, z, flag); says what is wrong and the fix.
        OSError: if the file cannot be opened.
    """
    path = Path(path)
    if path.exists() and not path.is_file():
        raise ValueError(f"{path.name}: is no ordinary file; leave only .npy files in the folder")
    with path.open("rb") as stream:
        table = read_npy(stream, path.stat().st_size, path.name)
    rows = len(table) if table.ndim else 0
    edge = round(rows ** (1 / 3))
    if table.ndim != 2 or table.shape[1] != 4 or edge**3 != rows or edge < 2:
        wanted = "shape (m³, 4), such as (27000, 4), with columns x, y, z, flag"
        raise ValueError(f"{path.name}: expected {wanted}, got {table.shape}; export the whole grid, one row a point")
    if not np.all(np.isfinite(table)):
        raise ValueError(f"{path.name}: holds NaN or infinite values; export it again")
    flag = table[:, 3]
    wrong = flag[(flag != 0) & (flag != 1)]
    if len(wrong):
        raise ValueError(f"{path.name}: flags must be 0 (solid) or 1 (pore), got {wrong[0]:g}; threshold it first")

    position = table[:, :3].astype(np.float64) * (edge - 1)
    if not np.all((position > -0.5) & (position < edge - 0.5)):
        raise ValueError(f"{path.name}: coordinates must lie in [0, 1]; divide them by the edge of the cube")
    point = np.rint(position).astype(np.int64)
    off = np.abs(position - point).max(axis=1) > _TOLERANCE
    if np.any(off):
        where = ", ".join(f"{value:g}" for value in table[off.argmax(), :3])
        place = f"row {off.argmax()} at ({where}) is off the grid of {edge} points an axis over [0, 1]"
        raise ValueError(f"{path.name}: {place}; sample the pores on that grid")
    flat = np.ravel_multi_index((point[:, 0], point[:, 1], point[:, 2]), (edge, edge, edge))
    times = np.bincount(flat, minlength=rows)
    if np.any(times > 1):
        counted = f"{np.sum(times > 1)} grid points occur more than once and {np.sum(times == 0)} are missing"
        raise ValueError(f"{path.name}: {counted}; export each point once")
    voxels = np.zeros(rows, dtype=np.bool_)
    voxels[flat] = flag == 1
    return voxels.reshape(edge, edge, edge)


def write_folder(volumes: Volumes, path: str | Path) -> None:
    """Write volumes in the published format, index 0 first; densities are rounded to three decimals.

    Args:
        volumes: cubic volumes of at least 2 voxels an axis.
        path: the folder, made if it is missing.

    Raises:
        ValueError: if the volumes are not cubic.
        FileExistsError: if the folder holds distribution files.
    """
    edge = volumes.shape[0]
    if len(set(volumes.shape)) > 1 or edge < 2:
        raise ValueError(f"the published format holds cubes of at least 2³ voxels, got shape {volumes.shape}")
    folder = Path(path)
    folder.mkdir(parents=True, exist_ok=True)
    old = sum(_NAME.fullmatch(file.name) is not None for file in folder.glob("distribution_*.npy"))
    if old:
        raise FileExistsError(f"{folder} holds {old} distribution files already: choose another folder")
    axis = np.linspace(0, 1, edge)
    table = np.empty((edge**3, 4))
    table[:, :3] = np.stack(np.meshgrid(axis, axis, axis, indexing="ij"), axis=-1).reshape(-1, 3)
    for index, (voxels, density) in enumerate(zip(volumes.voxels, volumes.density, strict=True)):
        table[:, 3] = voxels.ravel()
        np.save(folder / f"distribution_{index:03d}_{density:.3f}.npy", table, allow_pickle=False)
