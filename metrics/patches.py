"""Copies by patches: what share of the patches of generated volumes occurs, voxel for voxel, in training volumes.

A generator that quilts pieces of training volumes draws no volume that resembles any one of them, so that an overlap
with the nearest training volume does not see it. Its patches do: they occur in the training volumes exactly. How often
that happens by chance is told by real volumes that no generator saw.
Pieces that are smaller than a patch once they are sewn together, or blended, or damaged all over, are not seen.
"""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray
from scipy.stats import hypergeom

from porebench.data.compile import compiled
from porebench.data.symmetry import axis_orders

from .estimate import Estimate, normal

Words = NDArray[np.uint64]
Mask = NDArray[np.bool_]
Result = TypeVar("Result")

PATCH = 10
"""Edge of a patch in voxels."""
STRIDE = 2
"""Distance, along each axis, of the patches of a volume that are looked up; a copied cube of 11³ holds one of them."""
LEAST = 100
"""Pore voxels, and solid voxels, that a patch needs to be counted: plainer ones coincide by chance."""

_WORDS = np.random.Generator(np.random.PCG64(10)).integers(2**64, size=2**PATCH + 2 * PATCH, dtype=np.uint64)
_CODES = np.arange(2**PATCH)
_REVERSED = sum(((_CODES >> bit) & 1) << (PATCH - 1 - bit) for bit in range(PATCH))
_LINES = np.stack([_WORDS[: 2**PATCH], _WORDS[: 2**PATCH][_REVERSED]])  # a word for each line of voxels, either way
_ROWS, _LAYERS = (np.stack([row, row[::-1]]) for row in _WORDS[2**PATCH :].reshape(2, PATCH) | np.uint64(1))
_PORES = np.asarray(sum((_CODES >> bit) & 1 for bit in range(PATCH)), dtype=np.uint64)  # pore voxels of each line
_ONES = np.ones(PATCH, dtype=np.uint64)
_ROOM = 2  # slots of the table for each hash


@dataclass(frozen=True, eq=False)
class PatchCopies:
    """Patches of several volumes that occur in training volumes.

    Attributes:
        share: copied patches of each volume over those that count, float64 [n]; nan where none counts.
        counted: patches of each volume that count, int64 [n].
    """

    share: NDArray[np.float64]
    counted: NDArray[np.int64]


@dataclass(frozen=True, eq=False)
class PatchIndex:
    """The patches of training volumes at every offset, as a set of 64-bit hashes.

    A patch is hashed line by line, row by row and layer by layer, with random words for the lines and random odd
    multipliers after them, so that its hash takes few operations and its mirror images are hashed by the same words in
    reverse. Two patches that differ share a hash with a probability of about 2⁻⁶³: among the 3·10⁷ look-ups of 512
    volumes of 30³ in the 4·10⁶ patches of 448, about 10⁻⁵ are expected to be wrong. The set is a table with open
    addressing and takes 16 bytes for each patch of the training volumes that counts (at most 70 MB for those 448, and
    half of it again while it is built).

    Attributes:
        slots: the hashes where they were put, 0 where a slot is free.

    References:
        Karp and Rabin (1987), doi:10.1147/rd.312.0249, for finding copies by the hashes of all windows; Zobrist (1970),
        doi:10.3233/ICG-1990-13203, for those of the lines; Knuth (1998), The Art of Computer Programming 3, section
        6.4, for linear probing.
    """

    slots: Words

    @classmethod
    def of(cls, voxels: Mask, workers: int = 1) -> PatchIndex:
        """Return the index of all patches that count in some training volumes.

        Args:
            voxels: bool [n, depth, height, width].
            workers: threads.

        Raises:
            TypeError: if ``voxels`` is not boolean.
            ValueError: if it does not have four axes.
        """
        found = _each(_patches, voxels, workers)
        hashes = np.concatenate([*found, np.empty(0, dtype=np.uint64)])
        slots = np.zeros(_ROOM * len(hashes) + 1, dtype=np.uint64)
        _insert(hashes, slots)
        return cls(slots)

    def copies(self, voxels: Mask, workers: int = 1) -> PatchCopies:
        """Return the share of the patches of each volume that occur in the training volumes, in [0, 1].

        Patches of 10³ voxels are taken at every second offset along each axis, and looked up under all 48 symmetries
        of the cube, whatever the shape of the volumes. A copy of 11³ voxels or more is thus never missed where it has
        enough pore and solid. A volume that was trained on has a share of 1; one that is thinner than a patch has none.

        Args:
            voxels: bool [n, depth, height, width], of any shape.
            workers: threads.

        Raises:
            TypeError: if ``voxels`` is not boolean.
            ValueError: if it does not have four axes.

        Example:
            >>> volume = np.random.default_rng(0).random((1, 20, 20, 20)) < 0.5
            >>> index = PatchIndex.of(volume)
            >>> index.copies(volume[:, ::-1, 3:]).share.item(), index.copies(~volume).share.item()
            (1.0, 0.0)
        """
        both = np.array(_each(self._copied, voxels, workers), dtype=np.int64).reshape(len(voxels), 2)
        copied, counted = both.T
        share = np.divide(copied, counted, out=np.full(len(both), np.nan), where=counted > 0)
        return PatchCopies(share, counted)

    def _copied(self, volume: Mask) -> tuple[int, int]:
        """Return how many patches of one volume occur in the training volumes, and how many count."""
        left = _countable(volume, STRIDE)
        counted = int(np.count_nonzero(left))
        for order in axis_orders((1, 1, 1)):
            turned = left.transpose(order)
            unseen = np.ascontiguousarray(turned)
            if unseen.any():
                _look_up(np.ascontiguousarray(volume.transpose(order)), unseen, _LINES, _ROWS, _LAYERS, self.slots)
                turned[...] = unseen
        return counted - int(np.count_nonzero(left)), counted


@dataclass(frozen=True)
class PatchCopyTest:
    """Copied patches of generated volumes against those of real ones that no generator saw.

    Attributes:
        rate: mean share of copied patches over the generated volumes that have patches to count; None if none has.
        real: the same of the held-out real volumes.
        p: one-sided p-value of "generated volumes copy no more than real ones do"; None where a side has fewer than
            two volumes with patches to count.
    """

    rate: Estimate | None
    real: Estimate | None
    p: float | None


def patch_copy_test(generated: PatchCopies, held_out: PatchCopies) -> PatchCopyTest:
    """Return the mean share of copied patches, in [0, 1], of generated and of real volumes, and whether they differ.

    The test counts the generated volumes whose share is above the k-th largest of the m held-out volumes, k = m/100
    rounded up: above their 99th percentile, or above all of them where there are at most 100. If volumes of both kinds
    are exchangeable, that number is at least a when at most k − 1 of the a + k − 1 largest shares are held-out ones,
    which has a hypergeometric probability: a precedence test, for k = 1 that of Rosenbaum. It is exact without ties and
    errs on the safe side with them, as a tie counts for nothing: if all shares are 0, p = 1. A rank-sum test would need
    a shift of all volumes; this one sees some volumes that copy among many that do not, which is how copies come: of
    100 volumes against 100 real ones, seven that copy more than any real one give p = 0.007, ten p = 0.0008.

    Args:
        generated: `PatchIndex.copies` of generated volumes.
        held_out: that of real volumes that no generator saw, of the same shape and at the same densities.

    References:
        Rosenbaum (1954), Tables for a nonparametric test of location, Annals of Mathematical Statistics 25, 146–150;
        Balakrishnan and Ng (2006), Precedence-Type Tests and Applications, Wiley.

    Example:
        >>> none, some = (PatchCopies(np.full(100, share), np.full(100, 9)) for share in (0.0, 0.1))
        >>> patch_copy_test(none, none).p, patch_copy_test(some, none).p < 1e-50
        (1.0, True)
    """
    own, real = (side.share[side.counted > 0] for side in (generated, held_out))
    p = None
    if min(len(own), len(real)) > 1:
        rank = -(-len(real) // 100)
        above = np.count_nonzero(own > np.sort(real)[-rank])
        p = float(hypergeom.cdf(rank - 1, len(own) + len(real), len(real), above + rank - 1))
    return PatchCopyTest(_mean(own), _mean(real), p)


def _mean(shares: NDArray[np.float64]) -> Estimate | None:
    """Return the mean of some shares with its normal interval, cut to [0, 1]; None of none."""
    if len(shares) == 0:
        return None
    mean = normal(shares)
    return Estimate(mean.value, max(mean.low, 0.0), min(mean.high, 1.0))


def _each(function: Callable[[Mask], Result], voxels: Mask, workers: int) -> list[Result]:
    """Return what a function makes of each volume, in their order.

    Raises:
        TypeError: if ``voxels`` is not boolean.
        ValueError: if it does not have four axes.
    """
    if voxels.dtype != np.bool_:
        raise TypeError(f"voxels must be boolean with True = pore, got dtype {voxels.dtype}")
    if voxels.ndim != 4:
        raise ValueError(f"voxels must have shape [n, depth, height, width], got {voxels.shape}")
    with ThreadPoolExecutor(workers) as pool:
        return list(pool.map(function, np.require(voxels, requirements=["C", "W"])))


def _patches(volume: Mask) -> Words:
    """Return the hashes of the patches of one volume that count, at every offset, [patches]."""
    return _window_hashes(volume, 1, _LINES[0], _ROWS[0], _LAYERS[0])[_countable(volume, 1)]


def _countable(volume: Mask, step: int) -> Mask:
    """Return which patches have enough pore and enough solid, bool [depth, height, width] of the windows."""
    pores = _window_hashes(volume, step, _PORES, _ONES, _ONES)  # with ones for multipliers, the sum over the lines
    return (pores >= LEAST) & (pores <= PATCH**3 - LEAST)


@compiled
def _window_hashes(volume: Mask, step: int, lines: Words, rows: Words, layers: Words) -> Words:
    """Return the hash of every window of ``PATCH``³ voxels, uint64 [depth, height, width] of the windows.

    Args:
        volume: bool [depth, height, width]; one that is thinner than a window has none.
        step: distance of the windows along each axis, voxels.
        lines: the word of each line of ``PATCH`` voxels along the last axis, taken as bits, [2 ** PATCH].
        rows: multipliers of the lines of a layer, [PATCH].
        layers: multipliers of the layers of a window, [PATCH].
    """
    depth, height, width = volume.shape
    d, h, w = [max(0, (length - PATCH) // step + 1) for length in volume.shape]
    line = np.empty((depth, height, w), dtype=np.uint64)
    for z in range(depth):
        for y in range(height):
            code = 0
            for x in range(width):
                code = ((code << 1) | volume[z, y, x]) & (2**PATCH - 1)
                start = x - PATCH + 1
                if start >= 0 and start % step == 0:
                    line[z, y, start // step] = lines[code]
    row = _window_sums(line, step, rows)
    row ^= row >> np.uint64(32)  # no longer linear: differences between patches do not cancel
    return _window_sums(row.reshape(1, depth, h * w), step, layers).reshape(d, h, w)


@compiled
def _window_sums(words: Words, step: int, multipliers: Words) -> Words:
    """Return the weighted sum over every window along the middle axis, uint64 [first, windows, last].

    Args:
        words: [first, length, last].
        step: distance of the windows, voxels.
        multipliers: of the words of a window, [PATCH].
    """
    first, length, last = words.shape
    sums = np.zeros((first, max(0, (length - PATCH) // step + 1), last), dtype=np.uint64)
    for i in range(first):
        for window in range(sums.shape[1]):
            for t in range(PATCH):
                for j in range(last):
                    sums[i, window, j] += multipliers[t] * words[i, window * step + t, j]
    return sums


@compiled
def _slot(key: np.uint64, slots: Words) -> np.int64:
    """Return the slot that holds a hash, or the free one where it belongs; its high bits say where to look first."""
    place = np.int64(((key >> np.uint64(32)) * np.uint64(len(slots))) >> np.uint64(32))
    while slots[place] != 0 and slots[place] != key:
        place = np.int64(place + 1 if place + 1 < len(slots) else 0)
    return place


@compiled
def _insert(hashes: Words, slots: Words) -> None:
    """Put hashes into a table with free slots; changed in place."""
    for key in hashes:
        slots[_slot(key, slots)] = key


@compiled
def _look_up(volume: Mask, unseen: Mask, lines: Words, rows: Words, layers: Words, slots: Words) -> None:
    """Clear the windows of which a mirror image, of eight with the window itself, is in a table.

    Args:
        volume: bool [depth, height, width].
        unseen: windows to look up, bool [depth, height, width] of the windows; changed in place.
        lines: see `_window_hashes`, [2, ...], the second for the mirror image; as for the next two.
        rows: multipliers.
        layers: multipliers.
        slots: the table.
    """
    left = unseen.reshape(-1)
    for flip in range(8):
        hashes = _window_hashes(volume, STRIDE, lines[flip & 1], rows[flip >> 1 & 1], layers[flip >> 2]).reshape(-1)
        for window in range(len(left)):
            if left[window]:
                left[window] = slots[_slot(hashes[window], slots)] == 0
