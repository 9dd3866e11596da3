"""Novelty: copies of training volumes among generated ones, and their variety against that of real ones.

The headline cannot see a generator that replays its training set. The overlap with the nearest training volume can,
over all rotations, mirror images and shifts by a voxel. Since smooth volumes lie closer to *any* real volume than real
ones do, that overlap is set against the overlap with the nearest real volume that the generator never saw.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from porebench.data.volumes import DensityKind, Volumes

from ._bits import shared_bits
from .bands import ALL, Band, density_bands, mean_defined
from .nearest import Familiarity, familiarity, judged, packed_bits
from .overlap import corrected_iou

Floats = NDArray[np.float64]
MIN_HELD_OUT = 20  # real volumes that a band's own threshold takes
PERCENTILE = 99
COPIED = 1 / 3  # IoU of two volumes of equal porosity that share half of their pore voxels


@dataclass(frozen=True, eq=False)
class NoveltyResult:
    """Copies among generated volumes, and their variety.

    Attributes:
        copy_rate: share of the judged volumes that take half of their pores or more from one training volume; 0 for
            an honest generator, 1 for one that copies. None if none is judged.
        copy_rate_by_band: the same in each density band, as for the three below.
        leak_rate: share of the judged volumes that lie closer to the training set, compared with held-out volumes, than
            99 % of real volumes of their band do; about 0.01 to 0.03 for an honest generator. Above that, training
            volumes show through, be it in parts or blended.
        leak_rate_by_band: by band.
        thresholds: excess above which a volume of the band counts as a leak; None without real volumes.
        n_judged: generated volumes with at least 20 pore and 20 solid voxels, in a band with a threshold.
        n_excluded: the others.
        excess: see ``Familiarity.excess``; float64 [n].
        nearest_iou: chance-corrected IoU with the nearest training volume, float64 [n]; nan where not judged.
        nearest_train: that volume's index in the training set, int64 [n]; −1 where there is none.
        flagged: which generated volumes count as copies, bool [n].
        novelty: 1 = as far from the training set as real volumes, 0 = in it; mean over the headline bands.
        novelty_by_band: by band; None where there are no volumes to compare.
        diversity: mean over the headline bands; 1 = as different from each other as real volumes, 0 = all alike.
        diversity_by_band: by band; None where fewer than two volumes can be compared.
    """

    copy_rate: float | None
    copy_rate_by_band: dict[str, float | None]
    leak_rate: float | None
    leak_rate_by_band: dict[str, float | None]
    thresholds: dict[str, float | None]
    n_judged: int
    n_excluded: int
    excess: Floats
    nearest_iou: Floats
    nearest_train: NDArray[np.int64]
    flagged: NDArray[np.bool_]
    novelty: float | None
    novelty_by_band: dict[str, float | None]
    diversity: float | None
    diversity_by_band: dict[str, float | None]


def judge_novelty(
    generated: Volumes,
    train: Volumes,
    test: Volumes,
    *,
    kind: DensityKind = "factor",
    real: Familiarity | None = None,
    workers: int = 1,
) -> NoveltyResult:
    """Return the share of generated volumes that are copies of training volumes, and the variety of the set.

    With t and h the chance-corrected IoU with the nearest training and the nearest held-out volume, over all
    rotations, mirror images and shifts by a voxel, the excess (t − h)/(1 − h) is what training explains beyond
    resemblance to real volumes at large. A volume *leaks* if its excess is above the 99th percentile of what real
    volumes of its band have (with fewer than 20 of them in the band, of all bands); it is a *copy* if the excess is
    also at least 1/3, the IoU of two volumes that share half of their pores.

    Args:
        generated: generated volumes with the densities that were asked for.
        train: what the generator was fitted on.
        test: held-out real volumes.
        kind: what density means.
        real: ``familiarity(test, train, test, among=True)``, if it is known already.
        workers: threads.

    Raises:
        ValueError: if the volumes differ in shape.

    References:
        Meehan, Chaudhuri and Dasgupta (2020), doi:10.48550/arXiv.2004.05675, for the comparison with held-out data.
    """
    own = familiarity(generated, train, test, workers=workers)
    real = familiarity(test, train, test, among=True, workers=workers) if real is None else real
    excess, expected = own.excess, real.excess
    pooled = expected[real.train.judged]
    bands = density_bands(test.density, kind)
    leaks, counted = np.zeros((2, len(generated)), dtype=bool)
    thresholds: dict[str, float | None] = {}
    for band in bands:
        inside = real.train.judged & band.contains(test.density)
        reference = expected[inside] if np.count_nonzero(inside) >= MIN_HELD_OUT else pooled
        thresholds[band.name] = None
        if len(reference):
            threshold = float(np.percentile(reference, PERCENTILE))
            thresholds[band.name] = threshold
            members = own.train.judged & band.contains(generated.density)
            leaks |= members & (excess > threshold)
            counted |= members
    copies = leaks & (excess >= COPIED)

    def rate(flags: NDArray[np.bool_], within: NDArray[np.bool_]) -> float | None:
        return float(flags[within].mean()) if within.any() else None

    within_band = {band.name: counted & band.contains(generated.density) for band in bands}
    sides = ((own.train, generated.density), (real.train, test.density))
    newness = _relative(bands, lambda band: [near.overlap[near.judged & band.contains(of)] for near, of in sides])
    spread = diversity(generated, test, kind=kind)
    return NoveltyResult(
        copy_rate=rate(copies, counted),
        copy_rate_by_band={name: rate(copies, within) for name, within in within_band.items()},
        leak_rate=rate(leaks, counted),
        leak_rate_by_band={name: rate(leaks, within) for name, within in within_band.items()},
        thresholds=thresholds,
        n_judged=int(np.count_nonzero(counted)),
        n_excluded=int(np.count_nonzero(~counted)),
        excess=excess,
        nearest_iou=own.train.overlap,
        nearest_train=own.train.index,
        flagged=copies,
        novelty=newness.pop(ALL),
        novelty_by_band=newness,
        diversity=spread.pop(ALL),
        diversity_by_band=spread,
    )


def diversity(generated: Volumes, test: Volumes, *, kind: DensityKind = "factor") -> dict[str, float | None]:
    """Return the variety of generated volumes relative to real ones, by band and as "all".

    (1 − g)/(1 − r), where g and r are the medians over generated and real volumes of the chance-corrected IoU
    with the nearest other volume of the same set and band. Sets are cut to equal size. 1 = as diverse as real
    volumes; 0 = every volume has a twin.

    Args:
        generated: generated volumes with the densities that were asked for.
        test: held-out real volumes.
        kind: what density means.
    """
    known = [(part, judged(part.voxels)) for part in (generated, test)]

    def overlaps(band: Band) -> list[Floats]:
        sets = [part.voxels[usable & band.contains(part.density)] for part, usable in known]
        size = min(map(len, sets))
        return [_nearest_other(voxels[:size]) if size > 1 else np.empty(0) for voxels in sets]

    return _relative(density_bands(test.density, kind), overlaps)


def _relative(bands: Sequence[Band], overlaps: Callable[[Band], list[Floats]]) -> dict[str, float | None]:
    """Return (1 − g)/(1 − r) of the median overlaps g of generated and r of real volumes, by band and as "all".

    None where a side is empty; "all" is the mean over the headline bands that have a value.
    """
    values: dict[str, float | None] = {}
    for band in bands:
        sides = overlaps(band)
        values[band.name] = None
        if all(map(len, sides)):
            fake, real = (float(np.median(side)) for side in sides)
            values[band.name] = (1 - fake) / (1 - real) if real < 1 else 1.0
    return {**values, ALL: mean_defined(values[band.name] for band in bands if band.headline)}


def _nearest_other(voxels: NDArray[np.bool_]) -> Floats:
    """Return the chance-corrected IoU of each volume with the nearest other one, [n]."""
    n, size = len(voxels), voxels[:1].size
    counts, packed = np.count_nonzero(voxels, axis=(1, 2, 3)), packed_bits(voxels)
    shared = np.zeros((n, n), dtype=np.int32)
    shared_bits(packed, packed, np.zeros(n, dtype=np.int64), np.full(n, n), shared)
    scores = corrected_iou(shared, counts[:, None], counts[None, :], size)
    np.fill_diagonal(scores, -np.inf)
    return np.asarray(scores.max(axis=1))
