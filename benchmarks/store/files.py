"""Files of results: replaced in one step and forced to disk, so that an interruption leaves the old or the new one."""

from __future__ import annotations

import hashlib
import os
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
from numpy.typing import NDArray

from porebench.data import Volumes

PART = ".part"
"""Ending of the name of a half-written file."""


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
    """Replace an ``.npz`` file in one step; read it with ``data.packed.read_arrays``."""
    write(path, lambda file: np.savez_compressed(file, **arrays))  # type: ignore[arg-type]


def file_digest(path: Path) -> str:
    """Return the first 16 hexadecimal digits of a file's SHA-256."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()[:16]


def sweep(folder: Path) -> None:
    """Remove what interrupted runs left half-written below a folder."""
    for part in folder.rglob(f".*{PART}"):
        part.unlink(missing_ok=True)


def save_samples(samples: Volumes, path: Path) -> None:
    """Write volumes as packed bits with shape, density and SHA-256, to be read by ``data.packed.load_samples``."""
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


def _flush_folder(folder: Path) -> None:
    """Force a folder's entries to disk, where the system can."""
    if os.name == "posix":
        handle = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)
