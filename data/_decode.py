"""Image readers whose libraries a hostile file could crash or make swell, run as a script of their own.

``python _decode.py KIND SOURCE TARGET LIMIT SECONDS`` reads SOURCE and writes its array to TARGET as ``.npy``, or ends
with exit code 3 and one line on standard error. LIMIT is the largest image in bytes, SECONDS the processor time.
"""

from __future__ import annotations

import logging
import math
import struct
import sys
import zlib
from typing import BinaryIO

import numpy as np
from numpy.typing import NDArray

# what the TIFF and .mat readers raise when they meet a damaged file
DAMAGE = (
    ArithmeticError,
    AssertionError,
    AttributeError,
    LookupError,
    MemoryError,
    OSError,
    RuntimeError,
    TypeError,
    ValueError,
    struct.error,
    zlib.error,
)
EXIT = 3
OWN_BYTES = 2**30  # for the libraries themselves


def read_tiff(stream: BinaryIO, size: int, limit: int, *, compressed: bool) -> NDArray[np.generic] | None:
    """Array of a TIFF whose pages are alike; None if its pages are compressed and that was not asked for.

    Args:
        stream: the file, at its beginning.
        size: number of bytes in it.
        limit: the largest image in bytes.
        compressed: whether to unpack compressed pages.

    Raises:
        ValueError: if it holds another number of images, or a larger one than it can hold.
    """
    import tifffile  # noqa: PLC0415 - simulated data must load where no image library is installed

    with tifffile.TiffFile(stream) as tiff:
        series = tiff.series
        if len(series) != 1:
            raise ValueError(f"expected pages of one size and type, found {len(series)} kinds")
        packed = any(
            frame is not None and frame.keyframe is not None and frame.keyframe.compression != 1
            for frame in series[0].pages
        )
        if packed and not compressed:
            return None
        check(math.prod(series[0].shape) * np.dtype(series[0].dtype).itemsize, limit if packed else min(limit, size))
        return np.asarray(series[0].asarray())


def read_mat(stream: BinaryIO, limit: int) -> NDArray[np.generic]:
    """The only three-dimensional array of a MATLAB file up to version 7.

    Raises:
        ValueError: if there is another number of them, or it is too large.
    """
    from scipy import io  # noqa: PLC0415 - slow to import and rarely needed

    cubes = [entry for entry in io.whosmat(stream) if len(entry[1]) == 3]
    if len(cubes) != 1:
        raise ValueError(f"expected one three-dimensional array, found {len(cubes)}")
    key, shape, _ = cubes[0]
    check(math.prod(shape), limit)
    stream.seek(0)
    return np.asarray(io.loadmat(stream, variable_names=[key])[key])


def check(size: int, limit: int) -> None:
    """Refuse an image of more bytes than the limit.

    Raises:
        ValueError: if it is larger.
    """
    if size > limit:
        raise ValueError(f"it unpacks to {size} bytes, more than the {limit} that are allowed for it")


def _limit(memory: int, seconds: int) -> None:
    if sys.platform != "win32":
        import resource  # noqa: PLC0415 - not on Windows

        resource.setrlimit(resource.RLIMIT_DATA, (memory, memory))
        resource.setrlimit(resource.RLIMIT_CPU, (seconds, seconds))
        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))


def main(kind: str, source: str, target: str, limit_text: str, seconds: str) -> int:
    """Read one image; the exit code."""
    limit = int(limit_text)
    _limit(3 * limit + OWN_BYTES, int(seconds))
    logging.disable()
    try:
        with open(source, "rb") as stream:  # noqa: PTH123 - needs nothing but NumPy and the reader
            size = stream.seek(0, 2)
            stream.seek(0)
            array = read_mat(stream, limit) if kind == "mat" else read_tiff(stream, size, limit, compressed=True)
        if array is None or array.dtype.kind not in "biuf":
            raise ValueError("expected an array of numbers")
        np.save(target, array, allow_pickle=False)
    except DAMAGE as error:
        sys.stderr.write(" ".join(str(error).split())[:300] or type(error).__name__)
        return EXIT
    return 0


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
