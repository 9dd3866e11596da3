"""Sizes of drawn pores against those of real volumes, and against the true radii where these are known.

Pores are detected alike in drawn and real volumes (``pore_radii``), so errors of the detector cancel between the two.
Against the true radii they do not: there, the row of the reference says what can be reached.
"""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage
from skimage.segmentation import watershed

from porebench.data.volumes import DensityKind

from ._batch import TOUCHING
from ._distances import squared_distance
from ._peaks import high_peaks
from .bands import ALL, density_bands
from .energy import resample
from .estimate import Estimate, percentile

Floats = NDArray[np.float64]
SMALL_RADIUS = 2.0  # voxels; a ball of 33 voxels
SMOOTHING = 0.4  # standard deviation in voxels that steadies the peaks of the distance
PEAK_HEIGHT = 0.2  # voxels that a peak must stand above its surroundings
RESAMPLES = 500


def detected_radii(volumes: NDArray[np.bool_], *, workers: int = 1) -> list[Floats]:
    """Return the radii of the pores detected in each volume, voxels.

    Args:
        volumes: bool [n, depth, height, width].
        workers: threads.
    """
    with ThreadPoolExecutor(workers) as pool:
        return list(pool.map(pore_radii, volumes))


def pore_radii(volume: NDArray[np.bool_]) -> Floats:
    """Return the radii of the pores detected in one volume, voxels, [pores].

    Peaks of the smoothed distance to solid that stand 0.2 voxel above their surroundings seed a watershed of the pore
    phase; a pore's radius is that of the ball of its volume. Among overlapping balls a third to a half cannot be told
    apart at porosity 0.2: compare distributions, found alike in truth and reconstruction, not counts.

    Args:
        volume: bool [depth, height, width].

    References:
        Gostick (2017), doi:10.1103/PhysRevE.96.023307, for the watershed of a distance map.

    Example:
        >>> pair = np.zeros((5, 5, 12), dtype=bool)
        >>> pair[1:4, 1:4, 1:4] = pair[1:4, 1:4, 7:10] = True
        >>> pore_radii(pair).round(2).tolist()
        [1.86, 1.86]
    """
    if not volume.any():
        return np.empty(0)
    if volume.all():
        return np.array([(3 * volume.size / (4 * np.pi)) ** (1 / 3)])
    distance = ndimage.gaussian_filter(np.sqrt(squared_distance(volume)), SMOOTHING)
    markers: NDArray[np.int32] = ndimage.label(high_peaks(distance, PEAK_HEIGHT) & volume, TOUCHING)[0]
    regions: NDArray[np.int32] = watershed(-distance, markers, TOUCHING, mask=volume)  # type: ignore[no-untyped-call]
    voxels = np.bincount(regions.ravel())[1:]
    return np.cbrt(3 * voxels[voxels > 0] / (4 * np.pi))


def size_scores(
    drawn: Sequence[Floats],
    real: Sequence[Floats],
    true: Sequence[Floats] | None,
    density: Floats,
    *,
    kind: DensityKind = "factor",
    seed: int = 0,
) -> dict[str, dict[str, Estimate]]:
    """Return the errors of the distribution of pore sizes, by density band and over the headline bands.

    * ``drawn_radius_w1``: Wasserstein-1 distance between the radii detected in drawn and in real volumes, voxels.
    * ``true_radius_w1``: the same between the radii detected in drawn volumes and the true ones, voxels.
    * ``small_pore_ratio``: detected pores with a radius of at most 2 voxels, drawn over real; 1 = as many.

    Radii are pooled over the volumes of a band; the 95 % intervals resample the test densities, as those of the score.
    A score that is undefined, for lack of pores, is left out.

    Args:
        drawn: radii in each drawn volume, voxels.
        real: radii in the real volume of the same density.
        true: the radii that the real volume was made with, if they are known.
        density: of the volumes, [n].
        kind: what density means.
        seed: of the intervals.

    Returns:
        Band name, or "all", -> metric -> value with interval.

    Raises:
        ValueError: if the sets differ in number.

    References:
        Panaretos and Zemel (2019), doi:10.1146/annurev-statistics-030718-104938.
    """
    sides = [drawn, real] if true is None else [drawn, real, true]
    if any(len(side) != len(density) for side in sides):
        raise ValueError(f"expected radii of {len(density)} volumes on each side, got {[len(side) for side in sides]}")
    found: dict[str, dict[str, Floats]] = {}
    headline = []
    for index, band in enumerate(density_bands(density, kind)):
        inside = np.flatnonzero(band.contains(density))
        if len(inside) == 0:
            continue
        counts = np.concatenate(
            [np.ones((1, len(inside))), resample(len(inside), RESAMPLES, [seed, index, len(inside)])]
        )
        parts = [[side[i] for i in inside.tolist()] for side in sides]
        found[band.name] = _scores(parts, counts)
        if band.headline:
            headline.append(found[band.name])
    names = [name for name in (headline[0] if headline else {}) if all(name in band for band in headline)]
    found[ALL] = {name: np.mean([band[name] for band in headline], axis=0) for name in names}
    return {
        band: {name: percentile(draws[0], draws[1:]) for name, draws in scores.items()}
        for band, scores in found.items()
    }


def _scores(parts: Sequence[Sequence[Floats]], counts: Floats) -> dict[str, Floats]:
    """Return each score as observed and resampled, [1 + resamples]; a score that is undefined anywhere is left out."""
    drawn, real = parts[0], parts[1]
    scores = {"drawn_radius_w1": _distance(drawn, real, counts)}
    if len(parts) > 2:
        scores["true_radius_w1"] = _distance(drawn, parts[2], counts)
    made, wanted = (
        counts @ np.array([np.count_nonzero(radii <= SMALL_RADIUS) for radii in side]) for side in (drawn, real)
    )
    scores["small_pore_ratio"] = np.divide(made, wanted, out=np.full(len(counts), np.nan), where=wanted > 0)
    return {name: draws for name, draws in scores.items() if np.isfinite(draws).all()}


def _distance(first: Sequence[Floats], second: Sequence[Floats], counts: Floats) -> Floats:
    """Return the Wasserstein-1 distance of the pooled radii, for each row of counts; nan where a side has none.

    The area between the two distribution functions, which are steps at the radii that occur.
    """
    grid = np.unique(np.concatenate([*first, *second, np.zeros(1)]))
    levels = []
    for side in (first, second):
        held = np.stack([np.bincount(np.searchsorted(grid, radii), minlength=len(grid)) for radii in side])
        total = np.cumsum(counts @ held, axis=1)
        levels.append(np.divide(total, total[:, -1:], out=np.full_like(total, np.nan), where=total[:, -1:] > 0))
    return np.asarray(np.abs(levels[0] - levels[1])[:, :-1] @ np.diff(grid))
