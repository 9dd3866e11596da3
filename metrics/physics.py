"""Physics of ensembles: how often pores percolate, and how well the solid conducts compared with what is possible.

Failing to percolate or to conduct is an outcome: it is counted, and enters every mean as zero.
"""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.stats import beta, norm

from porebench.data.volumes import DensityKind

from .bands import density_bands
from .transport import effective_diffusivity

Floats = NDArray[np.float64]
AXES = ("depth", "height", "width")
TOLERANCE = 1e-4  # of the solver: an error of about 0.0001 in the diffusivity
BLOCKED = 1e-6  # a diffusivity below this is none


@dataclass(frozen=True)
class Quantity:
    """One number of one band with its 95 % interval.

    Attributes:
        band: name of the density band.
        metric: name, with the axis after a colon where it is of one axis.
        value: the number.
        low: lower end of the interval.
        high: upper end.
        n: volumes it comes from.
    """

    band: str
    metric: str
    value: float
    low: float
    high: float
    n: int


def hashin_shtrikman(porosity: ArrayLike) -> Floats:
    """Largest D_eff/D0 that an isotropic solid can have among insulating pores: 2(1 − φ)/(2 + φ), in [0, 1].

    Args:
        porosity: pore volume fraction φ, any shape.

    References:
        Hashin and Shtrikman (1962), doi:10.1063/1.1728579.

    Example:
        >>> hashin_shtrikman([0.0, 0.4, 1.0]).tolist()
        [1.0, 0.5, 0.0]
    """
    phi = np.asarray(porosity, dtype=np.float64)
    return np.asarray(2 * (1 - phi) / (2 + phi))


def relative_diffusivity(
    voxels: NDArray[np.bool_], *, workers: int = 1, progress: Callable[[int], object] | None = None
) -> Floats:
    """D_eff of the solid over its Hashin–Shtrikman bound along each axis, float64 [n, 3]; 0 where it does not conduct.

    Args:
        voxels: bool [n, depth, height, width], True = pore.
        workers: threads.
        progress: called with 1 after each volume.
    """
    bound = hashin_shtrikman(voxels.mean(axis=(1, 2, 3)))

    def solve(index: int) -> list[float]:
        found = [effective_diffusivity(~voxels[index], axis=axis, tolerance=TOLERANCE) for axis in range(3)]
        return [value / bound[index] if value > BLOCKED else 0.0 for value in found]

    rows = []
    with ThreadPoolExecutor(workers) as pool:
        for row in pool.map(solve, range(len(voxels))):
            rows.append(row)
            if progress is not None:
                progress(1)
    return np.array(rows, dtype=np.float64).reshape(-1, 3)


def percolation_by_band(
    percolating: NDArray[np.bool_], density: ArrayLike, test_density: ArrayLike, kind: DensityKind
) -> list[Quantity]:
    """Probability that the pores of a volume connect opposite faces, by band and axis.

    Args:
        percolating: bool [n, 3].
        density: of the volumes, [n].
        test_density: of the test volumes, which define the bands of a porosity set.
        kind: what density means.

    Returns:
        ``percolation:depth``, ``:height`` and ``:width``, with Clopper–Pearson intervals.
    """
    values = np.asarray(density, dtype=np.float64)
    found = []
    for band in density_bands(test_density, kind):
        inside = percolating[band.contains(values)]
        if len(inside):
            found += [
                Quantity(band.name, f"percolation:{axis}", *binomial(int(inside[:, i].sum()), len(inside)), len(inside))
                for i, axis in enumerate(AXES)
            ]
    return found


def diffusivity_by_band(
    relative: Floats, density: ArrayLike, test_density: ArrayLike, kind: DensityKind
) -> list[Quantity]:
    """Mean of the relative diffusivity by band, over all axes and along each, and the share that does not conduct.

    Args:
        relative: see ``relative_diffusivity``, [n, 3].
        density: of the volumes, [n].
        test_density: of the test volumes, which define the bands of a porosity set.
        kind: what density means.

    Returns:
        ``solid_diffusivity``, ``solid_diffusivity:depth`` and so on, with normal intervals of the mean, and
        ``solid_blocked``: the share of volumes whose solid is cut along an axis, with a Clopper–Pearson interval.
    """
    values = np.asarray(density, dtype=np.float64)
    found = []
    for band in density_bands(test_density, kind):
        inside = relative[band.contains(values)]
        n = len(inside)
        if n == 0:
            continue
        found.append(Quantity(band.name, "solid_diffusivity", *mean_interval(inside.mean(axis=1)), n))
        for i, axis in enumerate(AXES):
            found.append(Quantity(band.name, f"solid_diffusivity:{axis}", *mean_interval(inside[:, i]), n))
        found.append(Quantity(band.name, "solid_blocked", *binomial(int((inside == 0).any(axis=1).sum()), n), n))
    return found


def binomial(hits: int, n: int) -> tuple[float, float, float]:
    """A share with its exact 95 % interval: value, low, high.

    References:
        Clopper and Pearson (1934), doi:10.1093/biomet/26.4.404.

    Example:
        >>> [round(value, 3) for value in binomial(0, 10)]
        [0.0, 0.0, 0.308]
    """
    low = float(beta.ppf(0.025, hits, n - hits + 1)) if hits > 0 else 0.0
    high = float(beta.ppf(0.975, hits + 1, n - hits)) if hits < n else 1.0
    return hits / n, low, high


def mean_interval(values: Floats) -> tuple[float, float, float]:
    """A mean with its normal 95 % interval: value, low, high; the interval of a single value is the value."""
    mean = float(values.mean())
    error = float(values.std(ddof=1) / np.sqrt(len(values)) * norm.ppf(0.975)) if len(values) > 1 else 0.0
    return mean, mean - error, mean + error
