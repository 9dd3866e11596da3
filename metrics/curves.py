"""Curves over density: every descriptor, and the amount of pore that a density yields, with the spread of volumes."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from porebench.data.volumes import DensityKind

from .descriptors import HEADLINE, Descriptors

Floats = NDArray[np.float64]
BINS = 10
SPREAD = (5.0, 95.0)  # percentiles of single volumes, not of their mean


@dataclass(frozen=True)
class CurvePoint:
    """One descriptor of the volumes in a narrow range of density.

    Attributes:
        descriptor: its name; of one that is itself a curve, the mean over its points.
        density: mean density of the volumes.
        mean: mean of the descriptor.
        low: 5th percentile of the volumes.
        high: 95th percentile.
        n: volumes.
    """

    descriptor: str
    density: float
    mean: float
    low: float
    high: float
    n: int


@dataclass(frozen=True)
class CalibrationPoint:
    """Pore voxels of volumes asked for at one density.

    Attributes:
        density: what was asked for.
        target: pore voxels that real volumes have there.
        mean: pore voxels achieved, on average.
        sd: their standard deviation.
        low: 5th percentile.
        high: 95th percentile.
        bias: excess of the mean over the target, percent; None where the target is below one voxel.
        n: volumes.
    """

    density: float
    target: float
    mean: float
    sd: float
    low: float
    high: float
    bias: float | None
    n: int


def density_bins(density: ArrayLike, kind: DensityKind) -> Floats:
    """Return edges of ``BINS`` density ranges, ascending: equally wide on [0, 1] for "factor", else equally full.

    Args:
        density: of the test volumes, [n].
        kind: what density means.
    """
    if kind == "factor":
        return np.linspace(0, 1, BINS + 1)
    return np.unique(np.quantile(np.asarray(density, dtype=np.float64), np.linspace(0, 1, BINS + 1)))


def descriptor_curves(described: Descriptors, density: ArrayLike, edges: Floats) -> list[CurvePoint]:
    """Return every headline descriptor against density, in ascending ranges that hold at least one volume.

    Args:
        described: of n volumes.
        density: of the volumes, [n].
        edges: see ``density_bins``; volumes beyond the ends count to the first or last range.
    """
    values = np.asarray(density, dtype=np.float64)
    place = np.clip(np.searchsorted(edges, values, side="right") - 1, 0, max(len(edges) - 2, 0))
    found = []
    for name in HEADLINE:
        each = described.values[name].mean(axis=1)
        for index in np.unique(place):
            inside = each[place == index]
            low, high = np.percentile(inside, SPREAD)
            at = float(values[place == index].mean())
            found.append(CurvePoint(name, at, float(inside.mean()), float(low), float(high), len(inside)))
    return found


def calibration(density: ArrayLike, pore_voxels: ArrayLike, target: ArrayLike) -> list[CalibrationPoint]:
    """Return target and achieved pore voxels at each density that was asked for, in ascending order.

    Args:
        density: what was asked for, [n]; several volumes may share one.
        pore_voxels: what was achieved, [n].
        target: pore voxels that real volumes have at those densities, [n].

    Example:
        >>> point = calibration([0.5, 0.5], [90, 130], [100, 100])[0]
        >>> point.mean, round(point.bias, 6)
        (110.0, 10.0)
    """
    asked, counts = np.asarray(density, dtype=np.float64), np.asarray(pore_voxels, dtype=np.float64)
    wanted = np.asarray(target, dtype=np.float64)
    found = []
    for value in np.unique(asked):
        inside = counts[asked == value]
        goal = float(wanted[asked == value].mean())
        low, high = np.percentile(inside, SPREAD)
        mean = float(inside.mean())
        bias = 100 * (mean / goal - 1) if goal >= 1 else None
        sd = float(inside.std(ddof=1)) if len(inside) > 1 else 0.0
        found.append(CalibrationPoint(float(value), goal, mean, sd, float(low), float(high), bias, len(inside)))
    return found
