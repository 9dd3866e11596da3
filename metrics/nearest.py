"""The nearest real volume of each of many volumes, over all rotations, mirror images and shifts by a voxel."""

from __future__ import annotations

import functools
import math
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from porebench.data.symmetry import orientations
from porebench.data.volumes import Volumes

from ._bits import around, shared_shifted, shared_turned
from .overlap import corrected_iou

MIN_PORE_VOXELS = 20  # with fewer pores (or solid voxels) a chance overlap looks like a copy
COUNT_RATIO = 2.0  # a copy has at most twice, and at least half, the pores of its original
REACH = 1  # voxels that a copy may be shifted by, along each axis
LOOK_UPS = 250_000  # pore voxels that are looked up under each shift of a volume: with few pores, many candidates


@dataclass(frozen=True, eq=False)
class Nearest:
    """The nearest of some real volumes, for each of several volumes.

    Attributes:
        overlap: chance-corrected IoU with it, float64 [n]; nan where a volume cannot be judged, 0 where no real
            volume has a similar pore count.
        index: its index among the real volumes, int64 [n]; −1 where there is none.
    """

    overlap: NDArray[np.float64]
    index: NDArray[np.int64]

    @property
    def judged(self) -> NDArray[np.bool_]:
        """Mask of the volumes with enough pore and solid to be judged, bool [n]."""
        return ~np.isnan(self.overlap)


@dataclass(frozen=True, eq=False)
class Familiarity:
    """Nearest training volumes, and nearest real volumes that no generator saw, of a set of volumes.

    Attributes:
        train: the nearest training volume of each.
        unseen: the nearest held-out volume of each (another one, where they are held-out volumes themselves).
    """

    train: Nearest
    unseen: Nearest

    @property
    def excess(self) -> NDArray[np.float64]:
        """(t − h)/(1 − h) of the overlaps t and h with training and held-out volumes, [n]: 1 for a copy.

        About 0 where both are equally near, as they are for real volumes; nan where a volume cannot be judged.
        """
        left = 1 - self.unseen.overlap
        gap = self.train.overlap - self.unseen.overlap
        return np.asarray(np.divide(gap, left, out=np.zeros_like(gap), where=left != 0))


def familiarity(
    volumes: Volumes, train: Volumes, unseen: Volumes, *, among: bool = False, workers: int = 1
) -> Familiarity:
    """Return the nearest training and the nearest held-out volume of each volume.

    Args:
        volumes: n volumes to judge.
        train: training volumes.
        unseen: held-out real volumes.
        among: ``volumes`` are the held-out volumes, and each is compared with the others.
        workers: threads.

    Raises:
        ValueError: if the volumes differ in shape.
    """
    return Familiarity(nearest(volumes, train, workers=workers), nearest(volumes, unseen, among=among, workers=workers))


def nearest(volumes: Volumes, real: Volumes, *, among: bool = False, workers: int = 1) -> Nearest:
    """Return the nearest real volume of each volume, by chance-corrected IoU over symmetries and shifts by a voxel.

    Overlaps are counted bit by bit over all symmetries of the grid. The nearest pairs of real volume and symmetry
    (tens in dense volumes, thousands in sparse ones) are then compared over all 27 shifts by at most one voxel along
    each axis as well: a shifted copy is among them, as it shares more with its original than with others. Real
    volumes with less than half or more than twice the pores are passed over, as no copy is that far off.

    Args:
        volumes: n volumes to judge.
        real: training volumes, or held-out ones.
        among: ``volumes`` and ``real`` are the same set; no volume is its own neighbour.
        workers: threads.

    Raises:
        ValueError: if the volumes differ in shape.
    """
    if volumes.shape != real.shape:
        raise ValueError(f"expected volumes of the training shape {real.shape}, got {volumes.shape}")
    voxels, steps = int(np.prod(real.shape)), _steps(real.shape)
    order = np.argsort(real.pore_voxels, kind="stable")
    place = np.argsort(order)
    counts, roomy = real.pore_voxels[order], _with_margin(real.voxels[order])
    turns, stored = _turns(roomy.shape[1:]), packed_bits(roomy)
    beside = around(roomy.reshape(len(order), math.prod(roomy.shape[1:])), steps)
    overlap, index = np.full(len(volumes), np.nan), np.full(len(volumes), -1)
    pores, rows = volumes.pore_voxels, np.flatnonzero(judged(volumes.voxels))
    least = np.searchsorted(counts, pores / COUNT_RATIO, side="left")
    most = np.searchsorted(counts, pores * COUNT_RATIO, side="right")

    def look(volume: int) -> None:
        own, first, last = int(pores[volume]), int(least[volume]), int(most[volume])
        places = np.flatnonzero(_with_margin(volumes.voxels[volume : volume + 1]))
        scores = corrected_iou(shared_turned(places, turns, stored, first, last), own, counts, voxels)
        scores[:, :first] = scores[:, last:] = -np.inf
        if among:
            scores[:, place[volume]] = -np.inf
        turn, at = _largest(scores, LOOK_UPS // own)
        overlap[volume] = 0.0
        if len(at):
            found = corrected_iou(shared_shifted(places, turns, beside, turn, at), own, counts[at], voxels)
            best = found.argmax()
            overlap[volume], index[volume] = found[best], order[at[best]]

    with ThreadPoolExecutor(workers) as pool:
        list(pool.map(look, rows.tolist()))
    return Nearest(overlap, index)


def _largest(scores: NDArray[np.float64], count: int) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Places of the largest finite values of a matrix, the largest first."""
    values = scores.ravel()
    chosen = np.argpartition(-values, count)[:count] if count < len(values) else np.arange(len(values))
    chosen = chosen[np.isfinite(values[chosen])]
    chosen = chosen[np.argsort(-values[chosen], kind="stable")]
    return np.divmod(chosen, max(1, scores.shape[1]))


def _with_margin(voxels: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """Return volumes [n, depth, height, width] with a padding of ``REACH`` solid voxels."""
    margin = (REACH, REACH)
    return np.pad(voxels, ((0, 0), margin, margin, margin))


@functools.cache
def _turns(shape: tuple[int, ...]) -> NDArray[np.int32]:
    """Return the place that each voxel of a box has under each of its symmetries, [symmetries, voxels]."""
    places = np.arange(math.prod(shape)).reshape(1, *shape)
    return np.stack([np.argsort(turned, axis=None).astype(np.int32) for turned in orientations(places)])


def _steps(shape: tuple[int, int, int]) -> NDArray[np.int64]:
    """Return the offset of a place by each shift of at most ``REACH`` voxels along each axis."""
    _, height, width = (length + 2 * REACH for length in shape)
    along = np.arange(-REACH, REACH + 1)
    return np.asarray((along[:, None, None] * height + along[:, None]) * width + along).ravel()


def judged(voxels: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """Return whether each volume has enough pore and enough solid for an overlap to mean something, bool [n]."""
    counts = np.count_nonzero(voxels, axis=(1, 2, 3))
    return np.asarray((counts >= MIN_PORE_VOXELS) & (counts <= voxels[:1].size - MIN_PORE_VOXELS))


def packed_bits(voxels: NDArray[np.bool_]) -> NDArray[np.uint64]:
    """Return the voxels as bits in 64-bit words, uint64 [n, words]."""
    packed = np.packbits(voxels.reshape(len(voxels), math.prod(voxels.shape[1:])), axis=1)
    return np.pad(packed, ((0, 0), (0, -packed.shape[1] % 8))).view(np.uint64)
