"""Quantities that several descriptors share, each computed once for a batch of volumes."""

from __future__ import annotations

from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from ._distances import squared_distance, squared_thickness
from ._pairs import S2_RADII, pair_counts
from ._runs import Runs, clusters, count_runs, find_runs

TOUCHING = np.ones((3, 3, 3), dtype=bool)  # 26 neighbours


def count_true(mask: NDArray[np.bool_]) -> NDArray[np.int64]:
    """Return the number of true entries of each volume, int64 [n]."""
    return np.array([np.count_nonzero(each) for each in mask], dtype=np.int64)


class Fields:
    """A batch of volumes with what its descriptors share, computed at the first use.

    Args:
        voxels: bool [n, depth, height, width]; True = pore.

    Raises:
        TypeError: if ``voxels`` is not boolean.
        ValueError: if it does not have four axes.
    """

    def __init__(self, voxels: NDArray[np.bool_]) -> None:
        if not isinstance(voxels, np.ndarray) or voxels.dtype != np.bool_:
            kind = getattr(voxels, "dtype", type(voxels).__name__)
            raise TypeError(f"voxels must be a boolean array with True = pore, got {kind}")
        if voxels.ndim != 4 or 0 in voxels.shape[1:]:
            raise ValueError(f"voxels must have shape [n, depth, height, width], got {voxels.shape}")
        self.voxels = np.ascontiguousarray(voxels)

    @property
    def size(self) -> int:
        """Voxels in a volume."""
        return int(np.prod(self.voxels.shape[1:]))

    @cached_property
    def pore_voxels(self) -> NDArray[np.int64]:
        """Pore voxels of each volume, int64 [n]."""
        return count_true(self.voxels)

    @cached_property
    def face_neighbours(self) -> list[NDArray[np.bool_]]:
        """For each axis, where a voxel and its successor are both pore."""
        v = self.voxels
        return [v[:, 1:] & v[:, :-1], v[:, :, 1:] & v[:, :, :-1], v[:, :, :, 1:] & v[:, :, :, :-1]]

    @cached_property
    def faces(self) -> NDArray[np.int64]:
        """Faces between pore and solid across each axis, int64 [n, axis]."""
        return np.stack([count_true(np.diff(self.voxels, axis=axis)) for axis in (1, 2, 3)], axis=1)

    @cached_property
    def rows(self) -> list[Runs]:
        """Straight runs of pore voxels along the last axis, of each volume."""
        return [find_runs(volume) for volume in self.voxels]

    @cached_property
    def runs(self) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """Histograms of the straight runs of pore voxels, all and complete, int64 [n, axis, length + 1]."""
        shape = (len(self.voxels), 3, max(self.voxels.shape[1:]) + 1)
        every, complete = np.zeros(shape, dtype=np.int64), np.zeros(shape, dtype=np.int64)
        for axis, length in enumerate(self.voxels.shape[1:]):
            outer = int(np.prod(self.voxels.shape[1 : axis + 1]))
            for i, volume in enumerate(self.voxels):
                count_runs(volume.reshape(outer, length, -1), every[i, axis], complete[i, axis])
        return every, complete

    @cached_property
    def squared_distance(self) -> NDArray[np.int32]:
        """Squared distance of every pore voxel to the nearest solid voxel, int32 like the voxels; 0 in solid."""
        return np.stack([squared_distance(volume) for volume in self.voxels])

    @cached_property
    def squared_thickness(self) -> NDArray[np.int32]:
        """Squared radius of the largest ball in the pores over every voxel, int32 like the voxels; 0 in solid."""
        return np.stack([squared_thickness(distance) for distance in self.squared_distance])

    @cached_property
    def component_sizes(self) -> list[NDArray[np.int64]]:
        """Voxels of every connected cluster of pore (26 neighbours), one int64 array a volume."""
        return [clusters(found, self.voxels.shape[1:], corners=True)[0] for found in self.rows]

    @cached_property
    def percolating(self) -> NDArray[np.bool_]:
        """Whether the pores connect both faces along each axis (6 neighbours), bool [n, 3]."""
        spans = [clusters(found, self.voxels.shape[1:], corners=False)[1].any(axis=0) for found in self.rows]
        return np.array(spans, dtype=np.bool_).reshape(-1, 3)

    @cached_property
    def pair_counts(self) -> NDArray[np.float64]:
        """Pairs of pore voxels at offsets of up to ``S2_RADII`` along each axis; see ``pair_counts``, [n, ...]."""
        return pair_counts(self.rows, self.voxels.shape[1:])

    @cached_property
    def shell_probability(self) -> tuple[NDArray[np.float64], NDArray[np.bool_]]:
        """Probability that two voxels in shell r are both pore, float64 [n, shells], and which shells exist.

        Pairs are pooled over the offsets of a shell. A shell longer than the volume does not exist.
        """
        offsets = np.indices(self.pair_counts.shape[1:])
        shells = np.rint(np.sqrt((offsets**2).sum(axis=0))).astype(np.int64)
        near = shells <= S2_RADII
        offsets, shell = offsets[:, near], shells[near]
        alike = 2 ** np.count_nonzero(offsets, axis=0)  # offsets that differ in sign alone
        places = alike * np.prod(np.array(self.voxels.shape[1:])[:, None] - offsets, axis=0)
        possible = np.bincount(shell, weights=places, minlength=S2_RADII + 1)
        found = alike * self.pair_counts[:, near]
        pairs = np.stack([np.bincount(shell, weights=row, minlength=S2_RADII + 1) for row in found])
        exists = possible > 0
        return pairs / np.where(exists, possible, 1.0), exists


def fields(voxels: NDArray[np.bool_] | Fields) -> Fields:
    """Return the batch with its shared quantities; a batch that has them is passed through."""
    return voxels if isinstance(voxels, Fields) else Fields(voxels)


def spanning(labels: NDArray[np.integer], axis: int) -> NDArray[np.integer]:
    """Return the labels of the clusters that touch both faces across an axis, from labels [depth, height, width]."""
    shared = np.intersect1d(np.take(labels, 0, axis), np.take(labels, -1, axis))
    return shared[shared > 0]
