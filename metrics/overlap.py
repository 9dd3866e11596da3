"""Overlap of two pore phases, with and without the part that chance explains."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray


def iou(intersection: ArrayLike, first: ArrayLike, second: ArrayLike) -> NDArray[np.float64]:
    """Return the intersection over union of two pore phases, in [0, 1]; 1 for two volumes without pore.

    Args:
        intersection: voxels that are pore in both.
        first: pore voxels of one.
        second: pore voxels of the other.

    References:
        Jaccard (1912), doi:10.1111/j.1469-8137.1912.tb05611.x.

    Example:
        >>> float(iou(10, 20, 20))
        0.3333333333333333
    """
    both = np.asarray(intersection, dtype=np.float64)
    union = np.asarray(first, dtype=np.float64) + np.asarray(second, dtype=np.float64) - both
    share: NDArray[np.float64] = np.divide(both, union, out=np.ones_like(union), where=union > 0)
    return share


def corrected_iou(intersection: ArrayLike, first: ArrayLike, second: ArrayLike, voxels: int) -> NDArray[np.float64]:
    """Return (IoU − chance)/(1 − chance), without unit: 0 by chance, 1 when equal.

    Two independent volumes with n₁ and n₂ pores among N voxels share E = n₁n₂/N of them, so chance = E/(n₁ + n₂ − E).
    The result can be slightly negative; two volumes without solid or without pore give 1.

    Args:
        intersection: voxels that are pore in both.
        first: pore voxels of one.
        second: pore voxels of the other.
        voxels: voxels in a volume.

    References:
        Hubert and Arabie (1985) for the form of the correction, doi:10.1007/BF01908075.

    Example:
        >>> float(corrected_iou(4, 20, 20, 100)), float(corrected_iou(20, 20, 20, 100))
        (0.0, 1.0)
    """
    n, m = np.asarray(first, dtype=np.float64), np.asarray(second, dtype=np.float64)
    raw, chance = iou(intersection, n, m), iou(n * m / voxels, n, m)
    corrected: NDArray[np.float64] = np.divide(raw - chance, 1 - chance, out=raw.copy(), where=chance < 1)
    return corrected
