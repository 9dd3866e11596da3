"""Volumes to files that ImageJ, ParaView, PoreSpy, OpenPNM, the published format's readers and `read_volume` open."""

from __future__ import annotations

from importlib import import_module
from pathlib import Path
from typing import Any, Literal, get_args

import numpy as np
import tifffile
from numpy.typing import NDArray

from .seed_format import write_folder
from .volumes import Volumes

Format = Literal["npz", "npy", "tiff", "raw", "nrrd", "hdf5", "vti", "seed"]
FORMATS: tuple[Format, ...] = get_args(Format)
SUFFIXES: dict[str, Format] = {
    ".tif": "tiff",
    ".h5": "hdf5",
    **{f".{name}": name for name in FORMATS if name != "seed"},
}
PORE, SOLID = 0, 255
"""Grey values of images: pores are dark, as in a tomography, and as ``data.read_volume`` expects."""


def choose_format(out: Path, asked: Format | None) -> Format:
    """Return the format asked for, else that of the suffix of ``out``, else npz.

    Raises:
        ValueError: if suffix and format contradict each other, or the suffix is unknown.

    Example:
        >>> choose_format(Path("pores.tif"), None), choose_format(Path("out"), "vti")
        ('tiff', 'vti')
    """
    suffix = out.suffix.lower()
    if suffix and suffix not in SUFFIXES:
        raise ValueError(f"no format has the suffix {suffix}: use {', '.join(SUFFIXES)}, or a folder and --format")
    told = SUFFIXES.get(suffix)
    if asked and told and asked != told:
        named = f"{out} is a {told} file by its name"
        raise ValueError(f"{named}, but --format {asked} was asked for; leave one of them out")
    return asked or told or "npz"


def write_volumes(volumes: Volumes, out: Path, asked: Format | None = None) -> list[Path]:
    """Write volumes to a file, or to a folder of one file a volume, and return the paths in order.

    - npz: one file with ``voxels`` bool [n, D, H, W], ``density`` float64 [n] and ``voxel_size``.
    - npy: bool [D, H, W], True = pore, as PoreSpy takes it.
    - tiff: ImageJ stack of uint8, 0 = pore, 255 = solid, with the voxel size.
    - raw: the same values without a header, width fastest; the file's name states shape and type.
    - nrrd: the same values, gzip-encoded, with the voxel size as spacings, as 3D Slicer and SimpleITK take it.
    - hdf5: the same values as the dataset ``image`` with the attribute ``voxel_size`` along each axis.
    - vti: VTK image with the cell array ``pore``, 1 = pore, axes x = width, y = height, z = depth.
    - seed: the published ``distribution_{index}_{density}.npy`` files, a folder always.

    Args:
        volumes: at least one; ``volumes.name`` heads the names of files in a folder.
        out: a file for npz or a single volume, else a folder, made if it is missing.
        asked: the format, where the suffix of ``out`` does not say it.

    Raises:
        ValueError: if name and format contradict each other, or several volumes are to go into one file.
        ImportError: if a package for the format is missing, naming the extra.
    """
    chosen = choose_format(out, asked)
    if chosen == "seed":
        if out.suffix:
            raise ValueError(f"the published format is a folder of files, got {out}")
        write_folder(volumes, out)
        return sorted(out.glob("distribution_*.npy"))
    if out.suffix and chosen != "npz" and len(volumes) > 1:
        raise ValueError(f"a {chosen} file holds one volume and there are {len(volumes)}: give a folder, or use .npz")
    (out.parent if out.suffix else out).mkdir(parents=True, exist_ok=True)
    if chosen == "npz":
        path = out if out.suffix else out / f"{volumes.name}.npz"
        np.savez_compressed(path, voxels=volumes.voxels, density=volumes.density, voxel_size=volumes.voxel_size)
        return [path]
    paths = [out] if out.suffix else [out / _file_name(volumes, index, chosen) for index in range(len(volumes))]
    for path, voxels in zip(paths, volumes.voxels, strict=True):
        _write(path, voxels, volumes.voxel_size, chosen)
    return paths


def image_data(voxels: NDArray[np.bool_], voxel_size: float = 1.0) -> Any:
    """Return a pyvista ``ImageData`` whose cells are voxels, with the cell array ``pore`` of 0 and 1.

    Raises:
        ImportError: if pyvista is not installed, naming the extra.
    """
    grid = pyvista().ImageData(dimensions=[length + 1 for length in reversed(voxels.shape)], spacing=[voxel_size] * 3)
    grid.cell_data["pore"] = voxels.astype(np.uint8).ravel()  # VTK's x runs fastest, as width does here
    return grid


def pyvista() -> Any:
    """Import pyvista when it is needed, and return the module.

    Raises:
        ImportError: if it is not installed, naming the extra.
    """
    return _optional("pyvista", "view")


def _optional(name: str, extra: str) -> Any:
    """Import a package of an extra when it is needed, and return the module."""
    try:
        return import_module(name)
    except ImportError as error:
        raise ImportError(f"this needs {name}: pip install 'porebench[{extra}]'") from error


def _file_name(volumes: Volumes, index: int, chosen: Format) -> str:
    detail = "_" + "x".join(map(str, volumes.shape)) + "_uint8" if chosen == "raw" else ""
    suffix = {"tiff": "tif", "hdf5": "h5"}.get(chosen, chosen)
    return f"{volumes.name}_{index:03d}_{volumes.density[index]:.3f}{detail}.{suffix}"


def _write(path: Path, voxels: NDArray[np.bool_], voxel_size: float, chosen: Format) -> None:
    grey = np.where(voxels, PORE, SOLID).astype(np.uint8)
    if chosen == "npy":
        np.save(path, voxels, allow_pickle=False)
    elif chosen == "raw":
        path.write_bytes(grey.tobytes())
    elif chosen == "vti":
        image_data(voxels, voxel_size).save(path)
    elif chosen == "nrrd":
        _optional("nrrd", "readers").write(str(path), grey, {"spacings": [voxel_size] * 3}, index_order="C")
    elif chosen == "hdf5":
        with _optional("h5py", "readers").File(path, "w") as file:
            image = file.create_dataset("image", data=grey, compression="gzip")
            image.attrs.update({"voxel_size": [voxel_size] * 3, "pore": PORE, "solid": SOLID})
    else:
        facts = {"axes": "ZYX", "spacing": voxel_size, "Info": f"pore={PORE}, solid={SOLID}"}
        tifffile.imwrite(path, grey, imagej=True, resolution=(1 / voxel_size, 1 / voxel_size), metadata=facts)
