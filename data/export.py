"""Volumes to files that ImageJ, ParaView, PoreSpy, OpenPNM and the published format's readers open, and back."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Literal, get_args

import numpy as np
import tifffile
from numpy.typing import NDArray

from . import images
from .packed import load_samples, read_arrays
from .seed_format import read_file, write_folder
from .volumes import Volumes

Format = Literal["npz", "npy", "tiff", "raw", "vti", "seed"]
FORMATS: tuple[Format, ...] = get_args(Format)
SUFFIXES: dict[str, Format] = {".tif": "tiff", **{f".{name}": name for name in FORMATS if name != "seed"}}
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

    - npz: one file with ``voxels`` bool [n, D, H, W] and ``density`` float64 [n].
    - npy: bool [D, H, W], True = pore, as PoreSpy takes it.
    - tiff: ImageJ stack of uint8, 0 = pore, 255 = solid, with the voxel size.
    - raw: the same values without a header, width fastest; the file's name states shape and type.
    - vti: VTK image with the cell array ``pore``, 1 = pore, axes x = width, y = height, z = depth.
    - seed: the published ``distribution_{index}_{density}.npy`` files, a folder always.

    Args:
        volumes: at least one; ``volumes.name`` heads the names of files in a folder.
        out: a file for npz or a single volume, else a folder, made if it is missing.
        asked: the format, where the suffix of ``out`` does not say it.

    Raises:
        ValueError: if name and format contradict each other, or several volumes are to go into one file.
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
        np.savez_compressed(path, voxels=volumes.voxels, density=volumes.density)
        return [path]
    paths = [out] if out.suffix else [out / _file_name(volumes, index, chosen) for index in range(len(volumes))]
    for path, voxels in zip(paths, volumes.voxels, strict=True):
        _write(path, voxels, volumes.voxel_size, chosen)
    return paths


def read_any(path: str | Path, index: int = 0, **options: Any) -> NDArray[np.bool_]:
    """Return the pore phase, bool [D, H, W], of one volume in any file that this suite writes or reads.

    Args:
        path: a file of ``write_volumes``, of ``porebench evaluate`` (``samples/*.npz``), or an image.
        index: which volume of a file that holds several.
        options: passed on to ``data.read_volume``: ``pore_value``, and ``shape`` and ``dtype`` for ``.raw``.

    Raises:
        FileNotFoundError: if there is no such file.
        ValueError: if the file holds no such volume; says what to do.
        ImportError: if a ``.vti`` file is given and pyvista is not installed, naming the extra.
    """
    path = Path(path)
    if not path.is_file():
        known = ", ".join((*images.SUFFIXES, ".vti"))
        raise FileNotFoundError(f"there is no file {path}: give a volume ({known}) or the name of a generator")
    several = _read_npz(path) if path.suffix == ".npz" else None
    if several is not None:
        if not 0 <= index < len(several):
            raise ValueError(f"{path.name} holds volumes 0 to {len(several) - 1}, there is no {index}")
        return np.asarray(several[index])
    if path.suffix == ".vti":
        pyvista()
        with path.open("rb") as stream:
            return np.asarray(images.decode("vti", stream, path.stat().st_size, path.name), dtype=np.bool_)
    if path.suffix == ".npy" and path.name.startswith("distribution_"):
        return read_file(path)
    return images.read_volume(path, **options)


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
    try:
        import pyvista as module  # noqa: PLC0415 - VTK takes long to import
    except ImportError as error:
        raise ImportError("this needs pyvista: pip install 'porebench[view]'") from error
    return module


def _file_name(volumes: Volumes, index: int, chosen: Format) -> str:
    detail = "_" + "x".join(map(str, volumes.shape)) + "_uint8" if chosen == "raw" else ""
    suffix = "tif" if chosen == "tiff" else chosen
    return f"{volumes.name}_{index:03d}_{volumes.density[index]:.3f}{detail}.{suffix}"


def _write(path: Path, voxels: NDArray[np.bool_], voxel_size: float, chosen: Format) -> None:
    grey = np.where(voxels, PORE, SOLID).astype(np.uint8)
    if chosen == "npy":
        np.save(path, voxels, allow_pickle=False)
    elif chosen == "raw":
        path.write_bytes(grey.tobytes())
    elif chosen == "vti":
        image_data(voxels, voxel_size).save(path)
    else:
        facts = {"axes": "ZYX", "spacing": voxel_size, "Info": f"pore={PORE}, solid={SOLID}"}
        tifffile.imwrite(path, grey, imagej=True, resolution=(1 / voxel_size, 1 / voxel_size), metadata=facts)


def _read_npz(path: Path) -> NDArray[np.bool_] | None:
    """Return volumes [n, D, H, W] of a file of ``write_volumes`` or ``save_samples``, None for another kind of file."""
    try:
        arrays = read_arrays(path)
    except ValueError:
        return None  # read_volume says what is wrong
    if "packed" in arrays:
        return load_samples(path).voxels
    voxels = arrays.get("voxels")
    return voxels if voxels is not None and voxels.ndim == 4 and voxels.dtype == np.bool_ else None
