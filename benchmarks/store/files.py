"""Files of results: replaced in one step and forced to disk, so that an interruption leaves the old or the new one."""

from __future__ import annotations

import hashlib
import os
import threading
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any, BinaryIO, cast

import numpy as np
from numpy.typing import NDArray

from porebench.data import Volumes
from porebench.data.images import DEFLATE_RATIO, MAX_BYTES, UNPACKING
from porebench.data.seed_format import read_npy

PART = ".part"
"""How the name of a half-written file ends."""


def write(path: Path, content: Callable[[BinaryIO], object]) -> None:
    """Make a file, or replace it in one step: written beside it, forced to disk, renamed.

    Args:
        path: the file; its folder is made if it is missing.
        content: writes to the open file it is given.

    Raises:
        OSError: if the folder cannot be written to or the disk is full; the old file is then still there.
    """

    def fill(part: Path) -> None:
        with part.open("wb") as file:
            content(file)

    write_path(path, fill)


def write_path(path: Path, content: Callable[[Path], object]) -> None:
    """Like ``write``, for content that opens the path it is given by itself."""
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_name(f".{path.name}-{os.getpid()}-{threading.get_ident()}{PART}")
    try:
        content(part)
        with part.open("rb") as file:
            os.fsync(file.fileno())
        part.replace(path)
    except BaseException:
        part.unlink(missing_ok=True)
        raise
    _flush_folder(path.parent)


def write_text(path: Path, text: str) -> None:
    """Replace a text file in one step."""
    write(path, lambda file: file.write(text.encode()))


def write_arrays(path: Path, arrays: dict[str, NDArray[Any]]) -> None:
    """Replace an ``.npz`` file in one step; read it with ``read_arrays``."""
    write(path, lambda file: np.savez_compressed(file, **arrays))  # type: ignore[arg-type]


def read_arrays(path: Path) -> dict[str, NDArray[Any]]:
    """The arrays that ``write_arrays`` wrote; sizes are checked before memory is taken, and nothing is ever run.

    Raises:
        ValueError: if the file is damaged or holds more than ``data.images.MAX_BYTES``.
        OSError: if there is no such file.
    """
    try:
        with zipfile.ZipFile(path) as archive:
            entries = archive.infolist()
            if sum(entry.file_size for entry in entries) > min(MAX_BYTES, DEFLATE_RATIO * path.stat().st_size):
                raise ValueError("it claims to hold more than it can")
            return {entry.filename.removesuffix(".npy"): _read_entry(archive, entry) for entry in entries}
    except UNPACKING as error:
        reason = " ".join(str(error).split())[:200] or type(error).__name__
        raise ValueError(f"{path} is damaged ({reason}); delete it and make it again") from error


def _read_entry(archive: zipfile.ZipFile, entry: zipfile.ZipInfo) -> NDArray[Any]:
    if entry.compress_type not in {zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED}:
        raise ValueError("it is packed by a rare method")
    with archive.open(entry) as stream:
        return np.asarray(read_npy(cast(BinaryIO, stream), entry.file_size, entry.filename, kinds="biufU"))


def file_digest(path: Path) -> str:
    """The first 16 hexadecimal digits of a file's SHA-256."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()[:16]


def sweep(folder: Path) -> None:
    """Remove what interrupted runs left half-written below a folder."""
    for part in folder.rglob(f".*{PART}"):
        part.unlink(missing_ok=True)


def save_samples(samples: Volumes, path: Path) -> None:
    """Write volumes as packed bits with shape, density and SHA-256, to be read by ``load_samples``."""
    write_arrays(
        path,
        {
            "packed": np.packbits(samples.voxels.reshape(len(samples), -1), axis=1),
            "shape": np.array(samples.shape),
            "density": samples.density,
            "voxel_size": np.array(samples.voxel_size),
            "digest": np.array(samples.digest()),
        },
    )


def load_samples(path: Path) -> Volumes:
    """Volumes that ``save_samples`` wrote.

    Raises:
        ValueError: if the content is not what was written.
        OSError: if there is no such file.
    """
    file = read_arrays(path)
    try:
        shape = tuple(int(size) for size in file["shape"])
        flat = np.unpackbits(file["packed"], axis=1, count=int(np.prod(shape))).astype(bool)
        samples = Volumes(flat.reshape(-1, *shape), file["density"], float(file["voxel_size"]), path.stem)
        intact = samples.digest() == str(file["digest"])
    except (KeyError, IndexError, TypeError, ValueError) as error:
        raise ValueError(f"{path} holds no samples ({error}); make it again with porebench evaluate") from error
    if not intact:
        raise ValueError(f"{path} does not match its checksum; make it again with porebench evaluate")
    return samples


def _flush_folder(folder: Path) -> None:
    """Force a folder's entries to disk, where the system can."""
    if os.name == "posix":
        handle = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)
