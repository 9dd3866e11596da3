"""Segmented images of porous media, read from files and cut into disjoint blocks."""

from __future__ import annotations

import io
import math
import subprocess
import sys
import tempfile
import zipfile
from pathlib import Path, PurePosixPath
from typing import BinaryIO, Literal

import numpy as np
from numpy.typing import ArrayLike, DTypeLike, NDArray

from ._decode import EXIT
from .packed import DEFLATE_RATIO, MAX_BYTES, UNPACKING, one_line, read_npy

SUFFIXES = (".tif", ".tiff", ".npy", ".npz", ".raw", ".mat", ".zip")
"""Ends of the names of files that `read_volume` reads."""
DECODING_SECONDS = 300
"""Processor time that a reader in a process of its own may take."""
_SCRIPT = Path(__file__).with_name("_decode.py")
_ADVICE = {
    "tiff": "save it again as an uncompressed multi-page TIFF",
    "mat": "save one array with -v7",
    "vti": "save a VTK image with one cell array again",
}


def read_volume(
    path: str | Path,
    *,
    pore_value: float | None = None,
    shape: tuple[int, int, int] | None = None,
    dtype: DTypeLike | None = None,
) -> NDArray[np.bool_]:
    """Return the pore phase of a segmented three-dimensional image, bool [depth, height, width], True = pore.

    The file is a multi-page TIFF, a ``.npy``, ``.npz`` or ``.mat`` with one array, a ``.raw``, or a ``.zip`` with one
    of these, which is unpacked in memory only. The image must hold exactly two values. Nothing in a file is ever run,
    and its size is known before memory is taken for it: at most about twice the larger of the file and the image, and
    no image of more than ``MAX_BYTES``. Readers that a hostile file can crash (TIFF, ``.mat``) run in a process of
    their own.

    Args:
        path: the file.
        pore_value: the value of pores. Default: the smaller of the two, so 0 in an image of 0 and 255; but True in
            a boolean array, as everywhere in this suite.
        shape: depth, height and width in voxels, for ``.raw`` only (C order: width fastest).
        dtype: type of a voxel, such as "uint8" or ">u2", for ``.raw`` only.

    Raises:
        FileNotFoundError: if there is no such file.
        ValueError: if the file cannot be read as one segmented three-dimensional image; says what to do.
    """
    path = Path(path)
    image = read_image(path, shape, dtype)
    if image.ndim > 3:
        image = image.reshape([length for length in image.shape if length > 1])
    if image.ndim != 3 or 0 in image.shape:
        raise ValueError(f"{path.name}: expected a three-dimensional image, got shape {image.shape}")
    return _pore_phase(image, path.name, pore_value)


def read_image(
    path: Path, shape: tuple[int, int, int] | None = None, dtype: DTypeLike | None = None
) -> NDArray[np.generic]:
    """Return the array of an image file as it is stored; arguments and errors as for ``read_volume``."""
    if not path.is_file():
        raise FileNotFoundError(f"there is no file {path}: give the path of an image ({', '.join(SUFFIXES)})")
    with path.open("rb") as stream:
        return _read_image(stream, path.stat().st_size, path.name, shape, dtype)


def blocks(volume: ArrayLike, edge: int) -> NDArray[np.bool_]:
    """Return the disjoint cubic blocks, bool [n, edge, edge, edge], of a volume [depth, height, width], in C order.

    The edge is in voxels; what remains at the far sides is dropped.

    Raises:
        ValueError: if not a single block fits.

    Example:
        >>> blocks(np.ones((7, 6, 4), dtype=bool), 3).shape
        (4, 3, 3, 3)
    """
    whole = np.asarray(volume, dtype=np.bool_)
    if whole.ndim != 3:
        raise ValueError(f"volume must have shape [depth, height, width], got {whole.shape}")
    if not 1 <= edge <= min(whole.shape):
        allowed = f"between 1 and {min(whole.shape)} for a volume of {whole.shape}"
        raise ValueError(f"block edge must lie {allowed}, got {edge}")
    d, h, w = (length // edge for length in whole.shape)
    cut = whole[: d * edge, : h * edge, : w * edge].reshape(d, edge, h, edge, w, edge)
    return cut.transpose(0, 2, 4, 1, 3, 5).reshape(-1, edge, edge, edge).copy()


def decode(kind: Literal["tiff", "mat", "vti"], stream: BinaryIO, size: int, name: str) -> NDArray[np.generic]:
    """Return the array of an image file of ``size`` bytes, read in a process of its own that may crash.

    Memory and processor time of the process are limited. The stream, on disk or in memory, is at its beginning.

    Raises:
        ValueError: if the file cannot be read; says why and what to do.
    """
    limit = min(MAX_BYTES, DEFLATE_RATIO * size)
    command = [sys.executable, "-P", str(_SCRIPT), kind, str(limit), str(DECODING_SECONDS)]
    with tempfile.TemporaryFile() as copy, tempfile.TemporaryFile() as made:
        if isinstance(stream, io.BytesIO):
            copy.write(stream.getbuffer())
            copy.seek(0)
            stream = copy
        done = subprocess.run(command, stdin=stream, stdout=made, stderr=subprocess.PIPE, check=False)  # noqa: S603 - our own script
        if done.returncode == 0:
            length = made.seek(0, io.SEEK_END)
            made.seek(0)
            return read_npy(made, length, name)
    told = done.stderr.decode(errors="replace").splitlines()[-1:] if done.returncode == EXIT else []
    reason = told[0] if told else f"its reader crashed or took over {DECODING_SECONDS} s"
    raise ValueError(f"{name}: cannot be read as a {kind} file ({reason}); {_ADVICE[kind]}")


def _pore_phase(image: NDArray[np.generic], name: str, pore_value: float | None) -> NDArray[np.bool_]:
    """Return True where a two-valued image has the pore value."""
    if image.dtype.kind not in "biuf":
        raise ValueError(f"{name}: expected numbers, got dtype {image.dtype}; save one grey value a voxel")
    if image.dtype.kind == "f" and not np.all(np.isfinite(image)):
        raise ValueError(f"{name}: holds NaN or infinite values; segment the image first")
    low, high = image.min(), image.max()
    upper: NDArray[np.bool_] = np.asarray(image == high)
    if low == high or not np.all(upper | (image == low)):
        values = np.unique(image)
        shown = ", ".join(f"{float(value):g}" for value in values[:4]) + (", ..." if len(values) > 4 else "")
        advice = "it holds a single phase" if len(values) == 1 else "segment it into pore and solid first"
        raise ValueError(f"{name}: expected exactly two values, got {len(values)} ({shown}): {advice}")
    pore = pore_value if pore_value is not None else (high if image.dtype.kind == "b" else low)
    if pore not in (low, high):
        found = f"{float(low):g} and {float(high):g}"
        raise ValueError(f"{name}: pore_value must be one of the two values {found}, got {pore_value}")
    return upper if pore == high else ~upper


def _read_image(
    stream: BinaryIO, size: int, name: str, shape: tuple[int, int, int] | None, dtype: DTypeLike | None
) -> NDArray[np.generic]:
    """Return the array in an open image file of ``size`` bytes, of the kind that its name says."""
    suffix = PurePosixPath(name).suffix.lower()
    _check_size(size, name)
    if suffix in {".zip", ".npz"}:
        inner = (".npy",) if suffix == ".npz" else tuple(kind for kind in SUFFIXES if kind != ".zip")
        content, member = _unpacked(stream, name, inner)
        return _read_image(io.BytesIO(content), len(content), f"{name}/{member}", shape, dtype)
    if suffix == ".raw":
        return _read_raw(stream, size, name, shape, dtype)
    if shape is not None or dtype is not None:
        raise ValueError(f"{name}: shape and dtype describe .raw files only; this format states its own")
    if suffix == ".npy":
        return read_npy(stream, size, name)
    if suffix not in SUFFIXES:
        raise ValueError(f"{name}: expected a file that ends in one of {', '.join(SUFFIXES)}; convert the image")
    return decode("mat" if suffix == ".mat" else "tiff", stream, size, name)


def _unpacked(stream: BinaryIO, name: str, kinds: tuple[str, ...]) -> tuple[bytes, str]:
    """Return content and name of the only image in an archive; zipfile never unpacks more than the declared size."""
    try:
        with zipfile.ZipFile(stream) as archive:
            members = [entry for entry in archive.infolist() if _is_image(entry, kinds)]
            if len(members) != 1:
                found = ", ".join(entry.filename for entry in members[:4]) or "none"
                raise ValueError(f"{name}: expected exactly one image ({', '.join(kinds)}), found {found}; repack it")
            _check_size(members[0].file_size, f"{name}/{members[0].filename}")
            if members[0].compress_type not in {zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED}:
                raise ValueError(f"{name}: is packed by a rare method; repack it as an ordinary .zip")
            return archive.read(members[0]), members[0].filename
    except (*UNPACKING, OSError) as error:
        if isinstance(error, ValueError) and str(error).startswith(name):
            raise
        raise ValueError(f"{name}: cannot be unpacked ({one_line(error)}); copy or download it again") from error


def _is_image(entry: zipfile.ZipInfo, kinds: tuple[str, ...]) -> bool:
    path = PurePosixPath(entry.filename)
    hidden = "__MACOSX" in path.parts or path.name.startswith(".")
    return not entry.is_dir() and not hidden and path.suffix.lower() in kinds


def _read_raw(
    stream: BinaryIO, size: int, name: str, shape: tuple[int, int, int] | None, dtype: DTypeLike | None
) -> NDArray[np.generic]:
    if shape is None or dtype is None:
        raise ValueError(f"{name}: a .raw file has no header: give shape=(depth, height, width) and dtype='uint8'")
    voxel = np.dtype(dtype)
    if len(shape) != 3 or min(shape) < 1 or voxel.kind not in "iuf":
        raise ValueError(f"{name}: expected three positive lengths and a type of number, got {shape} and {voxel}")
    if (taken := math.prod(shape) * voxel.itemsize) != size:
        fact = f"shape {shape} and dtype {voxel} take {taken} bytes, the file has {size}"
        raise ValueError(f"{name}: {fact}; correct shape or dtype")
    return np.frombuffer(stream.read(), dtype=voxel).reshape(shape)


def _check_size(size: int, name: str) -> None:
    if size > MAX_BYTES:
        sizes = f"{size / 2**30:.1f} GiB, more than the {MAX_BYTES / 2**30:.1f} GiB that are allowed"
        raise ValueError(f"{name}: unpacks to {sizes}; crop the image")
