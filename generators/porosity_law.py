"""The porosity law: the number of pore voxels as a function of density, fitted on training volumes."""

from __future__ import annotations

import warnings
from dataclasses import dataclass
from typing import Any, Self

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.optimize import OptimizeWarning, curve_fit

KNOTS = 5


@dataclass(frozen=True)
class PorosityLaw:
    """Porosity φ(d) = (u(d)/a)^(1/b), where d = a·φ^b is the fitted power law and u a piecewise-linear correction.

    The published data follow d = a'·n^b with n pore voxels (a = a'·N^b for N voxels a volume); data whose density is
    their own porosity follow it with a = b = 1. The correction u(d) ≈ d, linear between equally spaced knots, takes
    up what a power law leaves over; where the training set has no volumes it falls back to the power law.

    Attributes:
        coefficient: a, for porosity rather than voxel counts.
        exponent: b.
        knots: u at d = 0, 1/4, 1/2, 3/4, 1.
        r_squared: share of the variance of d that the bare power law explains.

    Raises:
        ValueError: if the coefficient or exponent is not positive, or there are not five finite knots.
    """

    coefficient: float
    exponent: float
    knots: tuple[float, ...]
    r_squared: float

    def __post_init__(self) -> None:
        object.__setattr__(self, "knots", tuple(self.knots))  # a stored law comes back with a list
        known = len(self.knots) == KNOTS and np.all(np.isfinite((self.coefficient, self.exponent, *self.knots)))
        if not known or self.coefficient <= 0 or self.exponent <= 0:
            raise ValueError(f"a porosity law has a positive coefficient and exponent and {KNOTS} finite knots")

    @classmethod
    def fit(cls, density: NDArray[np.float64], pore_voxels: NDArray[np.integer[Any]], voxels: int) -> Self:
        """Fit the law to volumes with given density [n] and pore voxels [n], out of ``voxels`` each."""
        porosity = pore_voxels / voxels
        coefficient, exponent, r_squared = _fit_power(density, porosity)
        transformed = coefficient * porosity**exponent
        grid = np.linspace(0, 1, KNOTS)
        hats = np.maximum(0, 1 - np.abs(density[:, None] - grid) * (KNOTS - 1))
        # A ridge towards the power law decides where there are few or no volumes, and fades where there are many.
        ridge = 0.5 * np.eye(KNOTS)
        offset = np.linalg.lstsq(np.vstack([hats, ridge]), np.append(transformed - density, np.zeros(KNOTS)))[0]
        knots = np.maximum.accumulate(np.clip(grid + offset, 0, None))
        return cls(float(coefficient), float(exponent), tuple(float(knot) for knot in knots), float(r_squared))

    def porosity(self, density: ArrayLike) -> NDArray[np.float64]:
        """Return the expected pore volume fraction at each density, float64 of the same shape, in [0, 1]."""
        transformed = np.interp(np.asarray(density, dtype=np.float64), np.linspace(0, 1, KNOTS), self.knots)
        return np.clip((transformed / self.coefficient) ** (1 / self.exponent), 0, 1)

    def pore_voxels(self, density: ArrayLike, voxels: int) -> NDArray[np.int64]:
        """Return the number of pore voxels at each density, out of ``voxels``, int64 of the same shape."""
        return np.rint(self.porosity(density) * voxels).astype(np.int64)


def _fit_power(density: NDArray[np.float64], porosity: NDArray[np.float64]) -> tuple[float, float, float]:
    """Return the least-squares a, b and R² of d = a·φ^b over volumes that have pores.

    Where no power law can be learnt, porosity is taken as proportional to density: b = 1, R² = 0.
    """
    known = (porosity > 0) & (density > 1e-6)
    d, phi = density[known], porosity[known]
    proportional = (float(np.clip(d.mean() / phi.mean(), 1e-6, 1e6)) if len(d) else 1.0), 1.0, 0.0
    if np.unique(d).size < 3 or np.unique(phi).size < 3:
        return proportional
    start = np.polyfit(np.log(phi), np.log(d), 1)
    with warnings.catch_warnings(), np.errstate(all="ignore"):
        warnings.simplefilter("ignore", OptimizeWarning)
        try:
            (a, b), _ = curve_fit(lambda p, a, b: a * p**b, phi, d, p0=(np.exp(start[1]), start[0]), maxfev=2000)
        except (RuntimeError, ValueError):  # no convergence, or no finite number
            return proportional
    if not (1e-6 < a < 1e6 and 0.02 < b < 50):
        return proportional
    residual = np.sum((d - a * phi**b) ** 2)
    return a, b, 1 - residual / np.sum((d - d.mean()) ** 2)
