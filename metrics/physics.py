"""Physics of ensembles: percolation of the pores, and diffusivity of the solid over its upper bound.

Failing to percolate or to conduct is an outcome: it is counted, and enters every mean as zero.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict
from typing import TypeVar

import numpy as np
from numpy.typing import ArrayLike, NDArray

from porebench.data.volumes import DensityKind

from .bands import density_bands
from .estimate import Estimate, binomial, normal
from .transport import effective_diffusivity

Floats = NDArray[np.float64]
Value = TypeVar("Value", np.bool_, np.float64)
Row = dict[str, str | float | int]  # band, metric (with the axis after a colon), value, low, high and n volumes
AXES = ("depth", "height", "width")
TOLERANCE = 1e-4  # of the solver: an error of about 0.0001 in the diffusivity
BLOCKED = 1e-6  # a diffusivity below this is none


def hashin_shtrikman(porosity: ArrayLike) -> Floats:
    """Return the largest D_eff/D0 that an isotropic solid can have among insulating pores: 2(1 − φ)/(2 + φ), in [0, 1].

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
    """Return D_eff of the solid over its Hashin–Shtrikman bound along each axis, float64 [n, 3]; 0 where blocked.

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
) -> list[Row]:
    """Return the probability that the pores of a volume connect opposite faces, by band and axis.

    Args:
        percolating: bool [n, 3].
        density: of the volumes, [n].
        test_density: of the test volumes, which define the bands of a porosity set.
        kind: what density means.

    Returns:
        Rows of ``percolation:depth``, ``:height`` and ``:width``, with exact binomial intervals.
    """
    return [
        _row(band, f"percolation:{axis}", binomial(int(inside[:, i].sum()), len(inside)), len(inside))
        for band, inside in _by_band(percolating, density, test_density, kind)
        for i, axis in enumerate(AXES)
    ]


def diffusivity_by_band(relative: Floats, density: ArrayLike, test_density: ArrayLike, kind: DensityKind) -> list[Row]:
    """Return the mean relative diffusivity by band, over all axes and along each, and the share that does not conduct.

    Args:
        relative: see ``relative_diffusivity``, [n, 3].
        density: of the volumes, [n].
        test_density: of the test volumes, which define the bands of a porosity set.
        kind: what density means.

    Returns:
        Rows of ``solid_diffusivity``, ``solid_diffusivity:depth`` and so on, with normal intervals of the mean, and of
        ``solid_blocked``: the share of volumes whose solid is cut along an axis, with an exact binomial interval.
    """
    rows = []
    for band, inside in _by_band(relative, density, test_density, kind):
        found = {"solid_diffusivity": normal(inside.mean(axis=1))}
        found |= {f"solid_diffusivity:{axis}": normal(inside[:, i]) for i, axis in enumerate(AXES)}
        found["solid_blocked"] = binomial(int((inside == 0).any(axis=1).sum()), len(inside))
        rows += [_row(band, metric, estimate, len(inside)) for metric, estimate in found.items()]
    return rows


def _by_band(
    values: NDArray[Value], density: ArrayLike, test_density: ArrayLike, kind: DensityKind
) -> Iterator[tuple[str, NDArray[Value]]]:
    """Yield the name of each band that holds volumes, and their values."""
    for band in density_bands(test_density, kind):
        inside = values[band.contains(density)]
        if len(inside):
            yield band.name, inside


def _row(band: str, metric: str, estimate: Estimate, n: int) -> Row:
    return {"band": band, "metric": metric, **asdict(estimate), "n": n}
