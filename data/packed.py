"""Arrays in ``.npy`` and ``.npz`` files, whose sizes are known before memory is taken and of which nothing is run."""

from __future__ import annotations

import math
import struct
import tokenize
import zipfile
import zlib
from pathlib import Path
from typing import Any, BinaryIO, cast

import numpy as np
from numpy.lib import format as npy
from numpy.typing import NDArray

from .volumes import Volumes

MAX_BYTES = 4 * 2**30
"""No file that unpacks to more is read: a small file can claim to hold any size."""
DEFLATE_RATIO = 1100
"""No more than 1032 bytes can come out of one byte of a deflated stream."""
UNPACKING = (zipfile.BadZipFile, zlib.error, EOFError, LookupError, RuntimeError, ValueError, struct.error)
"""Exceptions that zipfile raises at a damaged archive, apart from OSError."""


def read_npy(stream: BinaryIO, size: int, name: str, kinds: str = "biuf") -> NDArray[Any]:
    """Return the array in an open ``.npy`` file of ``size`` bytes, whose header is checked before allocation.

    The allowed kinds of type are given by NumPy's letters; ``name`` is the file's name in messages.

    Raises:
        ValueError: if it is no such array, or its size is not what its header says.
    """
    shape, dtype = read_npy_header(stream, name)
    if dtype.kind not in kinds:
        got = f"got dtype {dtype}, which is refused"
        raise ValueError(f"{name}: expected an array of numbers, {got}; save it as float64")
    promised = stream.tell() + dtype.itemsize * math.prod(int(length) for length in shape)
    if min(shape, default=0) < 0 or promised != size:
        state = "truncated" if size < promised else "damaged"
        sizes = f"shape {shape} and dtype {dtype} take {promised} bytes, the file has {size}"
        raise ValueError(f"{name}: is {state}: {sizes}; copy or download it again")
    stream.seek(0)
    try:
        return np.asarray(npy.read_array(stream, allow_pickle=False))
    except ValueError as error:
        raise ValueError(f"{name}: is damaged ({error}); copy or download it again") from error


def read_npy_header(stream: BinaryIO, name: str) -> tuple[tuple[int, ...], np.dtype[Any]]:
    """Return shape and type that the header of an open ``.npy`` file states, and leave the stream behind it.

    Raises:
        ValueError: if it is no such file.
    """
    try:
        version = npy.read_magic(stream)
        read_header = {(1, 0): npy.read_array_header_1_0, (2, 0): npy.read_array_header_2_0}[version]
        shape, _, dtype = read_header(stream)
    except (ValueError, KeyError, SyntaxError, RecursionError, MemoryError, tokenize.TokenError) as error:
        raise ValueError(f"{name}: is no .npy file or its header is damaged; save it again with numpy.save") from error
    return shape, dtype


def read_arrays(path: Path) -> dict[str, NDArray[Any]]:
    """Return the arrays of an ``.npz`` file by name: numbers and text, at most `MAX_BYTES` in all.

    Raises:
        ValueError: if the file is damaged, or holds more or something else.
        OSError: if there is no such file.
    """
    try:
        with zipfile.ZipFile(path) as archive:
            entries = archive.infolist()
            if sum(entry.file_size for entry in entries) > min(MAX_BYTES, DEFLATE_RATIO * path.stat().st_size):
                raise ValueError("it claims to hold more than it can")
            return {entry.filename.removesuffix(".npy"): _read_entry(archive, entry) for entry in entries}
    except UNPACKING as error:
        raise ValueError(f"{path} is damaged ({one_line(error)}); delete it and make it again") from error


def _read_entry(archive: zipfile.ZipFile, entry: zipfile.ZipInfo) -> NDArray[Any]:
    if entry.compress_type not in {zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED}:
        raise ValueError("it is packed by a rare method")
    with archive.open(entry) as stream:
        return read_npy(cast(BinaryIO, stream), entry.file_size, entry.filename, kinds="biufU")


def load_samples(path: Path) -> Volumes:
    """Return the volumes of an ``.npz`` file with packed voxels, shape, density, voxel size and SHA-256.

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


def one_line(error: BaseException) -> str:
    """Return what an exception says, on one line of at most 200 characters."""
    return " ".join(str(error).split())[:200] or type(error).__name__
