"""Descriptors made comparable: the effect of the pore count taken out, each point in units of its real spread.

How much pore a volume holds and how it is arranged are judged apart. Nearly every descriptor depends on the
number n of pore voxels, so a fit on (1, ln n, ln² n) to real training volumes is taken off all ensembles.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from .bands import Band
from .descriptors import Descriptors

MIN_TRAINING = 8  # volumes that a fit with three coefficients and a spread is made on
MARGIN = 0.25  # extrapolation of the fit beyond its range, in ln n
SHARE = 0.005  # least spread of a share or a correlation
FLOORS = {
    "euler_6": 0.5,
    "mean_chord": 0.05,
    "n_components": 0.5,
    "mean_local_thickness": 0.05,
    "max_distance": 0.05,
    "percolation_share": 0.05,
    "chord_direction": 0.05,
    "percolation_direction": 0.05,
}  # a half of a count, a twentieth of a voxel, one axis of one volume in seven; ``spread_floor`` has the others


def spread_floor(name: str, real: NDArray[np.float64], voxels: int) -> NDArray[np.float64]:
    """Return the least spread that a descriptor is credited with, at each of its points and in its unit.

    Where real volumes hardly vary (few balls, or a distribution that has reached 1), any difference would be enormous
    in units of their spread. The floors are one face for the surface, one voxel for the profile, half a cluster for the
    cluster counts, half a percent for shares.

    Args:
        name: headline descriptor.
        real: its values in real volumes, [n, points].
        voxels: voxels in a volume.
    """
    points = real.shape[1]
    if name in ("specific_surface", "profile_sd"):
        return np.full(points, 1 / voxels)
    if name == "component_counts":
        return np.asarray(0.5 * np.exp(-real.mean(axis=0)))  # half a cluster, on the logarithmic axis
    return np.full(points, FLOORS.get(name, SHARE))


@dataclass(frozen=True, eq=False)
class PointFit:
    """Fit and spread of one descriptor.

    Attributes:
        coefficients: of 1, ln n and ln² n, [3, points].
        scale: residual standard deviation of real volumes, or the floor where that is larger, [points].
        least: the floors in units of ``scale``, root mean square over the points: the least distance between
            two volumes that counts as a real spread.
    """

    coefficients: NDArray[np.float64]
    scale: NDArray[np.float64]
    least: float


@dataclass(frozen=True, eq=False)
class Adjustment:
    """Fits of the descriptors to the pore count of real training volumes, in one band.

    Attributes:
        fits: headline descriptor -> its fit.
        range: least and largest ln n of the fit, widened by ``MARGIN``; ln n is clipped to it.
        centre: ln n that the powers are taken around.
    """

    fits: dict[str, PointFit]
    range: tuple[float, float]
    centre: float

    @classmethod
    def fit(cls, train: Descriptors) -> Adjustment:
        """Fit to real volumes by least squares.

        Raises:
            ValueError: if there are fewer than eight volumes.
        """
        if len(train) < MIN_TRAINING:
            raise ValueError(f"expected at least {MIN_TRAINING} training volumes to adjust by, got {len(train)}")
        logarithm = log_count(train.pore_voxels)
        centre = float(logarithm.mean())
        design = np.vander(logarithm - centre, 3, increasing=True)
        freedom = len(train) - int(np.linalg.matrix_rank(design))
        fits = {}
        for name, values in train.values.items():
            coefficients: NDArray[np.float64] = np.linalg.lstsq(design, values)[0].astype(np.float64)
            residual = values - design @ coefficients
            spread = np.sqrt((residual**2).sum(axis=0) / freedom)
            floor = spread_floor(name, values, int(np.prod(train.shape)))
            scale = np.maximum(spread, floor)
            fits[name] = PointFit(coefficients, scale, float(np.sqrt(np.mean((floor / scale) ** 2))))
        return cls(fits, (float(logarithm.min()) - MARGIN, float(logarithm.max()) + MARGIN), centre)

    def residual(self, described: Descriptors, name: str) -> NDArray[np.float64]:
        """Return one descriptor less its fit at each volume's pore count, in its unit, [n, points]."""
        logarithm = np.clip(log_count(described.pore_voxels), *self.range)
        design = np.vander(logarithm - self.centre, 3, increasing=True)
        return np.asarray(described.values[name] - design @ self.fits[name].coefficients)

    def standardise(self, described: Descriptors) -> dict[str, NDArray[np.float64]]:
        """Return each residual in units of the real spread over the root of the number of its points, [n, points]."""
        residuals = {name: self.residual(described, name) for name in self.fits}
        return {
            name: residual / (self.fits[name].scale * float(np.sqrt(residual.shape[1])))
            for name, residual in residuals.items()
        }


def fitting_window(band: Band, density: ArrayLike, reference: ArrayLike) -> NDArray[np.bool_]:
    """Return which training volumes to fit on: those within the band widened by half its width on both sides.

    A wider range steadies the fit at the ends of the band and keeps it valid for generated volumes whose pore count is
    off. A window with fewer than eight volumes gives way to all of them.

    Args:
        band: the band to be adjusted.
        density: densities of the training volumes, [n].
        reference: densities of the test volumes, which bound an open band.
    """
    values, test = np.asarray(density, dtype=np.float64), np.asarray(reference, dtype=np.float64)
    low = band.low if np.isfinite(band.low) else float(test.min(initial=1.0))
    high = band.high if np.isfinite(band.high) else float(test.max(initial=0.0))
    margin = max(high - low, 0.0) / 2
    window = (values >= low - margin) & (values <= high + margin)
    return window if np.count_nonzero(window) >= MIN_TRAINING else np.ones_like(window)


def log_count(pore_voxels: ArrayLike) -> NDArray[np.float64]:
    """Return the natural logarithm of the pore count, which is taken as 1 for a volume without pore."""
    return np.log(np.maximum(np.asarray(pore_voxels, dtype=np.float64), 1.0))
