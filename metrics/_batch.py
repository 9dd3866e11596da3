"""Quantities that several descriptors share, each computed once for a batch of volumes."""

from __future__ import annotations

from functools import cached_property

import numpy as np
from numpy.typing import NDArray
from scipy import fft, ndimage

from ._kernels import count_runs, squared_distance, squared_thickness

S2_RADII = 12  # shells 0, 1, ..., 12: shell r holds the offsets with length in [r − ½, r + ½)
TOUCHING = np.ones((3, 3, 3), dtype=bool)  # 26 neighbours


def count_true(mask: NDArray[np.bool_]) -> NDArray[np.int64]:
    """Return the number of true entries of each volume, int64 [n]."""
    counts: NDArray[np.int64] = np.count_nonzero(mask, axis=(1, 2, 3)).astype(np.int64)
    return counts


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
    def runs(self) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """Histograms of the straight runs of pore voxels, all and complete, int64 [n, axis, length + 1]."""
        shape = (len(self.voxels), 3, max(self.voxels.shape[1:]) + 1)
        every, complete = np.zeros(shape, dtype=np.int64), np.zeros(shape, dtype=np.int64)
        for axis in range(3):
            moved = np.ascontiguousarray(np.moveaxis(self.voxels, axis + 1, 3))
            for i, volume in enumerate(moved):
                count_runs(volume.reshape(-1, volume.shape[-1]), every[i, axis], complete[i, axis])
        return every, complete

    @cached_property
    def squared_distance(self) -> NDArray[np.int64]:
        """Squared distance of every pore voxel to the nearest solid voxel, int64 like the voxels; 0 in solid."""
        return np.stack([squared_distance(volume) for volume in self.voxels])

    @cached_property
    def squared_thickness(self) -> NDArray[np.int64]:
        """Squared radius of the largest ball in the pores over every voxel, int64 like the voxels; 0 in solid."""
        return np.stack([squared_thickness(distance) for distance in self.squared_distance])

    @cached_property
    def component_sizes(self) -> list[NDArray[np.int64]]:
        """Voxels of every connected cluster of pore (26 neighbours), one int64 array a volume."""
        return [np.bincount(ndimage.label(volume, TOUCHING)[0].ravel())[1:] for volume in self.voxels]

    @cached_property
    def percolating(self) -> NDArray[np.bool_]:
        """Whether the pores connect both faces along each axis (6 neighbours), bool [n, 3]."""
        labels = (ndimage.label(volume)[0] for volume in self.voxels)
        return np.array([[spanning(each, axis).size > 0 for axis in range(3)] for each in labels], dtype=bool)

    @cached_property
    def pair_counts(self) -> NDArray[np.float64]:
        """Pairs of pore voxels at each offset of up to ``S2_RADII`` along an axis, whole numbers, [n, ...].

        Autocorrelation by a zero-padded transform; the counts are whole numbers, so rounding makes them exact. An
        offset is an index along the last three axes, from the end where it is negative.
        """
        shape = self.voxels.shape[1:]
        padded = [fft.next_fast_len(length + min(S2_RADII, length - 1), real=True) for length in shape]
        number = np.float32 if self.size < 2**17 else np.float64
        spectrum = fft.rfftn(self.voxels.astype(number), s=padded, axes=(1, 2, 3))
        power = spectrum.real**2 + spectrum.imag**2
        return np.asarray(np.rint(fft.irfftn(power, s=padded, axes=(1, 2, 3))))

    @cached_property
    def shell_probability(self) -> tuple[NDArray[np.float64], NDArray[np.bool_]]:
        """Probability that two voxels in shell r are both pore, float64 [n, shells], and which shells exist.

        Pairs are pooled over the offsets of a shell. A shell longer than the volume does not exist.
        """
        shape = self.voxels.shape[1:]
        ranges = [np.arange(-min(S2_RADII, length - 1), min(S2_RADII, length - 1) + 1) for length in shape]
        z, y, x = np.meshgrid(*ranges, indexing="ij")
        shell = np.rint(np.sqrt(z**2 + y**2 + x**2)).astype(np.int64)
        z, y, x, shell = (each[shell <= S2_RADII] for each in (z, y, x, shell))
        places = (shape[0] - np.abs(z)) * (shape[1] - np.abs(y)) * (shape[2] - np.abs(x))
        possible = np.bincount(shell, weights=places, minlength=S2_RADII + 1)
        found = self.pair_counts[:, z, y, x]
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
