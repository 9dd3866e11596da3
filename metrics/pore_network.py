"""The network of pores and throats: how many pores a volume has, and how many neighbours each of them."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]


def throats(regions: NDArray[np.int32]) -> NDArray[np.int64]:
    """Return the pairs of regions that share a face of a voxel, each once, the smaller label first, [m, 2].

    Args:
        regions: labels of one volume, 0 for solid, [depth, height, width].

    Example:
        >>> throats(np.array([[[1, 2, 0, 3], [1, 2, 2, 3]]])).tolist()
        [[1, 2], [2, 3]]
    """
    pairs = []
    for axis in range(3):
        first, second = np.moveaxis(regions, axis, 0)[:-1], np.moveaxis(regions, axis, 0)[1:]
        meet = (first != second) & (first > 0) & (second > 0)
        pairs.append(np.sort(np.stack([first[meet], second[meet]], axis=1), axis=1))
    return np.unique(np.concatenate(pairs).astype(np.int64), axis=0)


def coordination(
    voxels: NDArray[np.bool_], *, workers: int = 1, progress: Callable[[int], object] | None = None
) -> tuple[NDArray[np.int64], Floats]:
    """Return the number of pores of each volume, [n], and the mean number of throats at a pore, [n]; 0 without pores.

    Pores are the regions into which PoreSpy's SNOW algorithm parts the pore space; a throat is where two of them touch.
    The algorithm knows none that is less than about four voxels wide: narrow ones count to a wider one beside them, and
    volumes that have no wide one have no pore at all.

    Args:
        voxels: bool [n, depth, height, width], True = pore.
        workers: threads.
        progress: called with 1 after each volume.

    Raises:
        ImportError: if PoreSpy is not installed; says what to install.

    References:
        Gostick (2017), Versatile and efficient pore network extraction method using marker-based watershed
        segmentation, doi:10.1103/PhysRevE.96.023307.
    """
    try:
        from porespy.filters import snow_partitioning  # noqa: PLC0415 - optional, and takes seconds to import
        from porespy.tools import make_contiguous  # noqa: PLC0415
    except ImportError as error:
        raise ImportError("the network of pores needs porespy: pip install 'porebench[bench]'") from error

    def solve(pores: NDArray[np.bool_]) -> tuple[int, float]:
        if pores.all():
            return 1, 0.0
        regions = make_contiguous(snow_partitioning(pores).regions) if pores.any() else np.zeros(pores.shape, np.int32)
        count = int(regions.max())
        return count, 2 * len(throats(regions)) / count if count else 0.0

    with ThreadPoolExecutor(workers) as pool:
        found = []
        for row in pool.map(solve, voxels):
            found.append(row)
            if progress is not None:
                progress(1)
    count, mean = zip(*found, strict=True) if found else ((), ())
    return np.array(count, dtype=np.int64), np.array(mean, dtype=np.float64)
