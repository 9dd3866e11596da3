"""Novelty: do generated volumes copy training volumes, and are they as different from each other as real ones are?

The headline cannot see a generator that replays its training set. The overlap with the nearest training volume can,
once all rotations and mirror images are searched.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import permutations, product

import numpy as np
from numpy.typing import NDArray

from data.volumes import DensityKind, Volumes

from ._kernels import shared_bits
from .bands import ALL, density_bands
from .overlap import corrected_iou

MIN_PORE_VOXELS = 20  # with fewer pores (or solid voxels) a chance overlap looks like a copy
MIN_HELD_OUT = 20  # real volumes that a band's own threshold takes
PERCENTILE = 99
COUNT_RATIO = 2.0  # a copy has at most twice, and at least half, the pores of its original
BLOCK = 64  # query volumes at a time

Symmetry = tuple[tuple[int, int, int], tuple[bool, bool, bool]]


@dataclass(frozen=True, eq=False)
class Nearest:
    """The nearest training volume of each of several volumes.

    Attributes:
        overlap: chance-corrected IoU with it, float64 [n]; nan where a volume cannot be judged, 0 where no training
            volume has a similar pore count.
        index: its index in the training set, int64 [n]; −1 where there is none.
    """

    overlap: NDArray[np.float64]
    index: NDArray[np.int64]

    @property
    def judged(self) -> NDArray[np.bool_]:
        """Which volumes have enough pore and solid to be judged, bool [n]."""
        return ~np.isnan(self.overlap)


@dataclass(frozen=True, eq=False)
class NoveltyResult:
    """Copies among generated volumes, and their variety.

    Attributes:
        copy_rate: share of the judged volumes that lie closer to the training set than 99 % of held-out real volumes of
            their band; about 0.01 to 0.03 for an honest generator, 1 for one that copies. None if none is judged.
        copy_rate_by_band: the same in each density band.
        thresholds: chance-corrected IoU above which a volume of the band counts as a copy; None without real volumes.
        n_judged: generated volumes with at least 20 pore and 20 solid voxels, in a band with a threshold.
        n_excluded: the others.
        nearest_iou: chance-corrected IoU with the nearest training volume, float64 [n]; nan where not judged.
        nearest_train: that volume's index in the training set, int64 [n]; −1 where there is none.
        flagged: which generated volumes count as copies, bool [n].
        diversity: mean over the headline bands; 1 = as different from each other as real volumes, 0 = all alike.
        diversity_by_band: the same in each density band; None where fewer than two volumes can be compared.
    """

    copy_rate: float | None
    copy_rate_by_band: dict[str, float | None]
    thresholds: dict[str, float | None]
    n_judged: int
    n_excluded: int
    nearest_iou: NDArray[np.float64]
    nearest_train: NDArray[np.int64]
    flagged: NDArray[np.bool_]
    diversity: float | None
    diversity_by_band: dict[str, float | None]


def copy_rate(
    generated: Volumes,
    train: Volumes,
    test: Volumes,
    *,
    kind: DensityKind = "factor",
    held_out: Nearest | None = None,
) -> NoveltyResult:
    """Share of generated volumes that are copies of training volumes, and the diversity of the set.

    A volume is a copy if its overlap with the nearest training volume, over all rotations and mirror images,
    exceeds the 99th percentile of what held-out real volumes of the same density band reach. Chance overlap grows
    with density; it is corrected for, and each band has its own threshold (with fewer than 20 real volumes in a
    band, the one of all bands together).

    Args:
        generated: generated volumes with the densities that were asked for.
        train: what the generator was fitted on.
        test: held-out real volumes.
        kind: what density means.
        held_out: ``nearest_training(test, train)``, if it is known already.

    Raises:
        ValueError: if the volumes differ in shape.

    References:
        Meehan, Chaudhuri and Dasgupta (2020), doi:10.48550/arXiv.2004.05675.
    """
    near = nearest_training(generated, train)
    real = nearest_training(test, train) if held_out is None else held_out
    pooled = real.overlap[real.judged]
    flagged = np.zeros(len(generated), dtype=bool)
    counted = np.zeros(len(generated), dtype=bool)
    rates: dict[str, float | None] = {}
    thresholds: dict[str, float | None] = {}
    for band in density_bands(test.density, kind):
        own = real.overlap[real.judged & band.contains(test.density)]
        reference = own if len(own) >= MIN_HELD_OUT else pooled
        inside = near.judged & band.contains(generated.density)
        if len(reference) == 0:
            thresholds[band.name] = rates[band.name] = None
            continue
        threshold = float(np.percentile(reference, PERCENTILE))
        flagged |= inside & (near.overlap > threshold)
        counted |= inside
        thresholds[band.name] = threshold
        rates[band.name] = float(flagged[inside].mean()) if inside.any() else None
    spread = diversity(generated, test, kind=kind)
    return NoveltyResult(
        copy_rate=float(flagged[counted].mean()) if counted.any() else None,
        copy_rate_by_band=rates,
        thresholds=thresholds,
        n_judged=int(np.count_nonzero(counted)),
        n_excluded=int(np.count_nonzero(~counted)),
        nearest_iou=near.overlap,
        nearest_train=near.index,
        flagged=flagged,
        diversity=spread.pop(ALL),
        diversity_by_band=spread,
    )


def diversity(generated: Volumes, test: Volumes, *, kind: DensityKind = "factor") -> dict[str, float | None]:
    """How much generated volumes differ from each other, relative to real ones, by band and as "all".

    (1 − g)/(1 − r), where g and r are the medians over generated and real volumes of the chance-corrected IoU
    with the nearest other volume of the same set and band. Sets are cut to equal size. 1 = as diverse as real
    volumes; 0 = every volume has a twin. "all" is the mean over the headline bands that have a value.

    Args:
        generated: generated volumes with the densities that were asked for.
        test: held-out real volumes.
        kind: what density means.
    """
    values: dict[str, float | None] = {}
    headline: list[float] = []
    for band in density_bands(test.density, kind):
        sets = [part.voxels[_judged(part.voxels) & band.contains(part.density)] for part in (generated, test)]
        size = min(map(len, sets))
        if size < 2:
            values[band.name] = None
            continue
        fake, real = (float(np.median(_nearest_other(voxels[:size]))) for voxels in sets)
        value = (1 - fake) / (1 - real) if real < 1 else 1.0
        values[band.name] = value
        if band.headline:
            headline.append(value)
    values[ALL] = sum(headline) / len(headline) if headline else None
    return values


def nearest_training(volumes: Volumes, train: Volumes) -> Nearest:
    """The nearest training volume of each volume, by chance-corrected IoU over all symmetries of the grid.

    Exact: overlaps are counted bit by bit. Training volumes with less than half or more than twice the pores
    are passed over, as no copy is that far off.

    Args:
        volumes: n volumes to judge.
        train: training volumes.

    Raises:
        ValueError: if the volumes differ in shape.
    """
    if volumes.shape != train.shape:
        raise ValueError(f"expected volumes of the training shape {train.shape}, got {volumes.shape}")
    voxels = int(np.prod(train.shape))
    order = np.argsort(train.pore_voxels, kind="stable")
    counts, stored = train.pore_voxels[order], _packed(train.voxels[order])
    overlap, index = np.full(len(volumes), np.nan), np.full(len(volumes), -1)
    judged = np.flatnonzero(_judged(volumes.voxels))
    for start in range(0, len(judged), BLOCK):
        block = judged[start : start + BLOCK]
        own = volumes.pore_voxels[block]
        first = np.searchsorted(counts, own / COUNT_RATIO, side="left")
        last = np.searchsorted(counts, own * COUNT_RATIO, side="right")
        shared = np.zeros((len(block), len(counts)), dtype=np.int32)
        for symmetry in symmetries(train.shape):
            shared_bits(_packed(transform(volumes.voxels[block], symmetry)), stored, first, last, shared)
        scores = corrected_iou(shared, own[:, None], counts[None, :], voxels)
        column = np.arange(len(counts))
        scores[(column < first[:, None]) | (column >= last[:, None])] = -np.inf
        if len(counts):
            best = scores.argmax(axis=1)
            found = last > first
            overlap[block] = np.where(found, np.max(scores, axis=1), 0.0)
            index[block] = np.where(found, order[best], -1)
        else:
            overlap[block] = 0.0
    return Nearest(overlap, index)


def symmetries(shape: tuple[int, int, int]) -> list[Symmetry]:
    """Rotations and mirror images that keep a grid's shape, as axis order and flips; the identity is first.

    Example:
        >>> len(symmetries((4, 4, 4))), len(symmetries((4, 4, 5))), len(symmetries((3, 4, 5)))
        (48, 16, 8)
    """
    orders = [order for order in permutations((0, 1, 2)) if tuple(shape[axis] for axis in order) == shape]
    flips = list(product((False, True), repeat=3))
    return [((order[0], order[1], order[2]), (flip[0], flip[1], flip[2])) for order in orders for flip in flips]


def transform(voxels: NDArray[np.bool_], symmetry: Symmetry) -> NDArray[np.bool_]:
    """A batch of volumes [n, depth, height, width] under one symmetry, as a view."""
    order, flip = symmetry
    moved = voxels.transpose(0, *(axis + 1 for axis in order))
    return moved[(slice(None), *(slice(None, None, -1 if turned else 1) for turned in flip))]


def _judged(voxels: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """Which volumes have enough pore and enough solid for an overlap to mean something."""
    counts = np.count_nonzero(voxels, axis=(1, 2, 3))
    return np.asarray((counts >= MIN_PORE_VOXELS) & (counts <= voxels[:1].size - MIN_PORE_VOXELS))


def _nearest_other(voxels: NDArray[np.bool_]) -> NDArray[np.float64]:
    """Chance-corrected IoU of each volume with the nearest other one, [n]."""
    n, size = len(voxels), voxels[:1].size
    counts, packed = np.count_nonzero(voxels, axis=(1, 2, 3)), _packed(voxels)
    shared = np.zeros((n, n), dtype=np.int32)
    shared_bits(packed, packed, np.zeros(n, dtype=np.int64), np.full(n, n), shared)
    scores = corrected_iou(shared, counts[:, None], counts[None, :], size)
    np.fill_diagonal(scores, -np.inf)
    return np.asarray(scores.max(axis=1))


def _packed(voxels: NDArray[np.bool_]) -> NDArray[np.uint64]:
    """The voxels as bits in 64-bit words, uint64 [n, words]."""
    packed = np.packbits(voxels.reshape(len(voxels), -1), axis=1)
    return np.pad(packed, ((0, 0), (0, -packed.shape[1] % 8))).view(np.uint64)
