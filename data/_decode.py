"""Image readers that a hostile file could crash or make swell, run by ``images.decode`` in a process of their own.

``python _decode.py KIND LIMIT SECONDS`` reads a file from standard input and writes its array to standard output as
``.npy``, or ends with exit code 3 and one line on standard error. LIMIT is the largest image in bytes, SECONDS the
processor time.
"""

from __future__ import annotations

import logging
import math
import os
import sys
from typing import Any, BinaryIO

import numpy as np
from numpy.typing import NDArray

EXIT = 3
OWN_BYTES = 2**30
"""Memory for the libraries themselves."""


def read_tiff(stream: BinaryIO, limit: int) -> NDArray[np.generic]:
    """Return the array of a TIFF whose pages are alike; pages that are not compressed hold no more than the file."""
    import tifffile  # noqa: PLC0415 - each kind of file imports its own library

    size = stream.seek(0, os.SEEK_END)
    stream.seek(0)
    with tifffile.TiffFile(stream) as tiff:
        series = tiff.series
        if len(series) != 1:
            raise ValueError(f"expected pages of one size and type, found {len(series)} kinds")
        frames = [frame.keyframe for frame in series[0].pages if frame is not None]
        packed = any(frame is not None and frame.compression != 1 for frame in frames)
        check(math.prod(series[0].shape) * np.dtype(series[0].dtype).itemsize, limit if packed else min(limit, size))
        return np.asarray(series[0].asarray())


def read_mat(stream: BinaryIO, limit: int) -> NDArray[np.generic]:
    """Return the only three-dimensional array of a MATLAB file up to version 7."""
    from scipy import io  # noqa: PLC0415 - each kind of file imports its own library

    cubes = [entry for entry in io.whosmat(stream) if len(entry[1]) == 3]
    if len(cubes) != 1:
        raise ValueError(f"expected one three-dimensional array, found {len(cubes)}")
    key, shape, _ = cubes[0]
    check(math.prod(shape), limit)
    stream.seek(0)
    return np.asarray(io.loadmat(stream, variable_names=[key])[key])


def read_vti(stream: BinaryIO, limit: int) -> NDArray[np.generic]:
    """Return the cell array ``pore`` of a VTK image, bool [depth, height, width]."""
    from vtkmodules.util.numpy_support import vtk_to_numpy  # noqa: PLC0415 - each kind of file imports its own library
    from vtkmodules.vtkIOXML import vtkXMLImageDataReader  # noqa: PLC0415

    reader: Any = vtkXMLImageDataReader()
    reader.ReadFromInputStringOn()
    reader.SetInputString(stream.read())
    reader.Update()
    grid = reader.GetOutput()
    pore = grid.GetCellData().GetArray("pore")
    if pore is None:
        raise ValueError("it has no cell array called pore")
    shape = tuple(length - 1 for length in reversed(grid.GetDimensions()))
    check(math.prod(shape), limit)
    return np.asarray(vtk_to_numpy(pore), dtype=np.bool_).reshape(shape)  # type: ignore[no-untyped-call]


READERS = {"tiff": read_tiff, "mat": read_mat, "vti": read_vti}


def check(size: int, limit: int) -> None:
    """Raise ValueError for an image of more bytes than the limit."""
    if size > limit:
        raise ValueError(f"it unpacks to {size} bytes, more than the {limit} that are allowed for it")


def main(kind: str, limit: str, seconds: str) -> int:
    """Read one image and return the exit code."""
    if sys.platform != "win32":
        import resource  # noqa: PLC0415 - not on Windows

        resource.setrlimit(resource.RLIMIT_DATA, (3 * int(limit) + OWN_BYTES,) * 2)
        resource.setrlimit(resource.RLIMIT_CPU, (int(seconds),) * 2)
        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    logging.disable()
    target = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)  # a library that prints must not write into the array
    try:
        array = READERS[kind](sys.stdin.buffer, int(limit))
        if array.dtype.kind not in "biuf":
            raise ValueError("expected an array of numbers")
        with target:
            np.save(target, array, allow_pickle=False)
    except Exception as error:  # a library may raise anything at a damaged file
        sys.stderr.write(" ".join(str(error).split())[:200] or type(error).__name__)
        return EXIT
    return 0


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
