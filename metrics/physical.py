"""Columns beside the headline: pore amount, errors in physical units and percolation."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import least_squares

from porebench.data.volumes import DensityKind

from .adjustment import Adjustment
from .descriptors import Descriptors
from .estimate import Estimate, binomial

Floats = NDArray[np.float64]
PHYSICAL = {
    "pore_radius": "mean_local_thickness",
    "specific_surface": "specific_surface",
    "euler_number": "euler_6",
    "n_components": "n_components",
}  # column -> descriptor
FLOOR_DRAWS = 100


@dataclass(frozen=True)
class PhysicalError:
    """Difference of one quantity between generated and real volumes at equal pore counts, in its unit.

    Attributes:
        error: Wasserstein-1 distance between the two distributions.
        floor: what two sets of real volumes of these sizes show.
        bias: mean generated less mean real.
        real_mean: mean over the real test volumes, not adjusted.
    """

    error: float
    floor: float
    bias: float
    real_mean: float


def wasserstein(first: Floats, second: Floats) -> Floats:
    """Return the Wasserstein-1 distance between samples along the last axis, in the unit of the values.

    The mean absolute difference of the quantile functions; the samples may differ in size.

    References:
        Panaretos and Zemel (2019), doi:10.1146/annurev-statistics-030718-104938.

    Example:
        >>> float(wasserstein(np.array([0.0, 1.0]), np.array([2.0, 1.0])))
        1.0
    """
    n, m = first.shape[-1], second.shape[-1]
    ends = np.unique(np.concatenate([np.arange(1, n + 1) * m, np.arange(1, m + 1) * n]))  # quantiles × n·m
    one, other = np.sort(first, axis=-1)[..., (ends - 1) // m], np.sort(second, axis=-1)[..., (ends - 1) // n]
    widths = np.diff(ends, prepend=0) / (n * m)
    return np.asarray((np.abs(one - other) * widths).sum(axis=-1))


def physical_errors(
    generated: Descriptors, test: Descriptors, train: Descriptors, adjustment: Adjustment, rng: np.random.Generator
) -> dict[str, PhysicalError]:
    """Return the errors of mean pore radius, surface, Euler number and cluster count within one band.

    Args:
        generated: generated volumes of the band.
        test: real test volumes of the band.
        train: real training volumes of the band, which widen the pool that the floor is drawn from.
        adjustment: takes out the pore count.
        rng: draws the pairs of real sets.
    """
    errors = {}
    for column, name in PHYSICAL.items():
        fake, real, more = (adjustment.residual(part, name)[:, 0] for part in (generated, test, train))
        pool = np.concatenate([real, more])
        half = min(len(fake), len(real), len(pool) // 2)
        draws = rng.permuted(np.tile(pool, (FLOOR_DRAWS, 1)), axis=1)
        floor = wasserstein(draws[:, :half], draws[:, half : 2 * half]).mean()
        size = np.sqrt((1 / len(fake) + 1 / len(real)) * half / 2)  # it falls with the root of the sizes
        errors[column] = PhysicalError(
            error=float(wasserstein(fake, real)),
            floor=float(floor * size),
            bias=float(fake.mean() - real.mean()),
            real_mean=float(test.values[name].mean()),
        )
    return errors


def fit_density_law(pore_voxels: NDArray[np.int64], density: Floats) -> tuple[float, float] | None:
    """Return a and b of density = a · n^b by least squares on the density; None if they are undetermined.

    Volumes without pore are left out. The published sphere data have a = 0.0882 and b = 0.2632.

    Example:
        >>> n = np.array([10, 100, 1000])
        >>> a, b = fit_density_law(n, 0.1 * n**0.25)
        >>> round(a, 6), round(b, 6)
        (0.1, 0.25)
    """
    some = (pore_voxels > 0) & (density > 0)
    logarithm, target = np.log(pore_voxels[some]), density[some]
    if len(np.unique(logarithm)) < 2:
        return None
    slope, intercept = np.polyfit(logarithm, np.log(target), 1)
    found = least_squares(lambda x: np.exp(x[0] + x[1] * logarithm) - target, x0=(intercept, slope))
    return float(np.exp(found.x[0])), float(found.x[1])


def density_error(
    described: Descriptors, density: Floats, kind: DensityKind, law: tuple[float, float] | None
) -> float | None:
    """Return the mean |d̂ − d| of volumes, without unit, where d̂ is the density that a pore count stands for.

    For factor data d̂ = a·n^b with the law of the training volumes, for porosity data d̂ = φ.
    """
    if kind == "porosity":
        return float(np.abs(described.porosity - density).mean())
    if law is None:
        return None
    return float(np.abs(law[0] * described.pore_voxels.astype(np.float64) ** law[1] - density).mean())


def amount_swaps(generated: Descriptors, real: Descriptors, signs: Floats) -> Floats:
    """Return the difference of mean ln(pore voxels), without sign, as it is and with volumes swapped, [1, 1 + swaps].

    Args:
        generated: drawn volumes, [n].
        real: the real volumes of the same densities, in the same order.
        signs: −1 for a pair that is swapped and 1 for one that is not, [swaps, n].
    """
    logarithm = np.log(np.maximum(np.stack([generated.pore_voxels, real.pore_voxels]), 1.0))
    sums: Floats = np.concatenate([np.ones((1, signs.shape[1])), signs]) @ (logarithm[0] - logarithm[1])
    return np.abs(sums)[None] / max(1, len(generated))


def density_bias(generated: Descriptors, test: Descriptors) -> float | None:
    """Return the excess of pore voxels of generated volumes, percent of the real mean; None without real pore."""
    real = float(test.pore_voxels.mean())
    return 100 * (float(generated.pore_voxels.mean()) / real - 1) if real > 0 else None


def percolation_share(described: Sequence[Descriptors]) -> Estimate:
    """Return the share of volumes and axes whose pores percolate, in [0, 1].

    The three axes of a volume are not independent; the interval takes them as one observation.
    """
    percolating = np.concatenate([part.percolating for part in described])
    return binomial(float(percolating.mean(axis=1).sum()), len(percolating))
