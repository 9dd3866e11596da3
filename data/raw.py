"""Headerless images, whose shape and type are given or stated by the file's name."""

from __future__ import annotations

import math
import re
from typing import BinaryIO

import numpy as np
from numpy.typing import DTypeLike, NDArray

_LENGTHS = re.compile(r"(?<![0-9A-Za-z])(\d{1,6})x(\d{1,6})x(\d{1,6})(?![0-9A-Za-z])", re.ASCII | re.IGNORECASE)
_TYPE = re.compile(r"(?<![0-9A-Za-z])(u?int(?:8|16|32|64)|float(?:32|64))(le|be)?(?![0-9A-Za-z])", re.ASCII | re.I)
_HELP = "--raw-shape D,H,W --raw-type uint8 [--raw-offset BYTES]"


def read_raw(
    stream: BinaryIO, size: int, name: str, shape: tuple[int, int, int] | None, dtype: DTypeLike | None, offset: int
) -> NDArray[np.generic]:
    """Return the image [depth, height, width] in an open file of ``size`` bytes without a header, width fastest.

    What is not given is taken from a name such as ``rock_110x120x130_uint8.raw`` (depth × height × width, as this suite
    writes it); bytes in number of the voxels are uint8.

    Raises:
        ValueError: if shape or type stay unknown, or do not fit the size.
    """
    if shape is None and (lengths := _LENGTHS.search(name)):
        shape = (int(lengths[1]), int(lengths[2]), int(lengths[3]))
    if dtype is None and (match := _TYPE.search(name)):
        dtype = np.dtype(match[1].lower()).newbyteorder(">" if (match[2] or "").lower() == "be" else "<")
    if dtype is None and shape is not None and math.prod(shape) == size - offset:
        dtype = np.uint8
    if shape is None or dtype is None:
        raise ValueError(
            f"{name}: a .raw file has no header: give shape=(depth, height, width) and dtype='uint8' ({_HELP}), "
            "or a name like rock_110x110x110_uint8.raw"
        )
    try:
        voxel = np.dtype(dtype)
    except TypeError as error:
        raise ValueError(f"{name}: expected a type such as uint8, int16 or >u2, got {dtype!r}; correct it") from error
    if len(shape) != 3 or min(shape) < 1 or voxel.kind not in "iuf" or offset < 0:
        wanted = "three positive lengths, a type of number and no negative offset"
        raise ValueError(f"{name}: expected {wanted}, got {shape}, {voxel} and {offset}")
    if (taken := math.prod(shape) * voxel.itemsize + offset) != size:
        fact = f"shape {shape}, dtype {voxel} and offset {offset} take {taken} bytes, the file has {size}"
        raise ValueError(f"{name}: {fact}; correct them ({_HELP})")
    stream.seek(offset)
    return np.frombuffer(stream.read(), dtype=voxel).reshape(shape)
